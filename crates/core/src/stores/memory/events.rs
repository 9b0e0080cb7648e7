//! Live events of a process by itself: kept as long as it lives. Their ids begin with its time, so
//! that one from an earlier life is known to nobody, as after the loss of Redis.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::Utc;
use tokio::sync::Notify;

use super::Memory;
use crate::models::event::{EventId, resync_text};
use crate::models::schedule::Slot;
use crate::ports::StoreResult;
use crate::ports::events::{
    EventBatch, EventLog, MOST_KEPT, MOST_PASSING, PUBLISHER_GONE, RUNS_AT_ONCE, Reading,
    WANTED_FOR,
};

/// All of it.
#[derive(Debug)]
pub(super) struct Events {
    kept: Row,
    passing: Row,
    publishers: HashMap<String, Publisher>,
    wanted: Option<Instant>,
    bell: Arc<Notify>,
}

#[derive(Debug)]
struct Publisher {
    number: u64,
    seen: Instant,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            kept: Row::of(MOST_KEPT),
            passing: Row::of(MOST_PASSING),
            publishers: HashMap::new(),
            wanted: None,
            bell: Arc::default(),
        }
    }
}

/// Texts in order, of which the oldest go when there are too many.
#[derive(Debug)]
struct Row {
    most: usize,
    texts: VecDeque<(EventId, String)>,
    last: EventId,
}

impl Row {
    const fn of(most: usize) -> Self {
        Self { most, texts: VecDeque::new(), last: EventId { ms: 0, number: 0 } }
    }

    fn push(&mut self, text: String) {
        let now = u64::try_from(Utc::now().timestamp_millis()).unwrap_or_default();
        self.last = if now > self.last.ms {
            EventId { ms: now, number: 0 }
        } else {
            EventId { number: self.last.number + 1, ..self.last }
        };
        self.texts.push_back((self.last, text));
        if self.texts.len() > self.most {
            self.texts.pop_front();
        }
    }

    fn after(&self, place: Option<EventId>, limit: usize) -> Reading {
        let newest = self.texts.back().map(|(id, _)| *id);
        let begin = match place {
            None => 0,
            Some(place) => match self.texts.binary_search_by_key(&place, |(id, _)| *id) {
                Ok(at) => at + 1,
                Err(_gone) => return Reading { found: Vec::new(), whole: false, place: newest },
            },
        };
        let found: Vec<_> = self.texts.iter().skip(begin).take(limit).cloned().collect();
        let place = found.last().map(|(id, _)| *id).or(place);
        Reading { found, whole: true, place }
    }
}

impl Events {
    fn append(&mut self, now: Instant, batch: &EventBatch) {
        let publisher = self.publishers.entry(batch.publisher.clone());
        let publisher = publisher.or_insert(Publisher { number: 0, seen: now });
        if publisher.number >= batch.number {
            return;
        }
        *publisher = Publisher { number: batch.number, seen: now };
        for text in &batch.events {
            self.kept.push(text.clone());
        }
        for runs in batch.runs.chunks(RUNS_AT_ONCE) {
            self.passing.push(runs.join("\n"));
        }
        self.bell.notify_one();
    }

    fn attend(&mut self, now: Instant, publisher: &str) -> bool {
        let known = self.publishers.len();
        let silent = |seen: Instant| now.saturating_duration_since(seen);
        self.publishers.retain(|name, it| name == publisher || silent(it.seen) < PUBLISHER_GONE);
        if self.publishers.len() < known {
            self.kept.push(resync_text(Slot::from(Utc::now())));
            self.bell.notify_one();
        }
        let it = self.publishers.entry(publisher.to_owned());
        it.or_insert(Publisher { number: 0, seen: now }).seen = now;
        self.wanted.is_some_and(|until| now < until)
    }
}

#[async_trait]
impl EventLog for Memory {
    async fn append(&self, batch: &EventBatch) -> StoreResult<()> {
        self.lock().events.append(Instant::now(), batch);
        Ok(())
    }

    async fn attend(&self, publisher: &str) -> StoreResult<bool> {
        Ok(self.lock().events.attend(Instant::now(), publisher))
    }

    async fn leave(&self, publisher: &str) -> StoreResult<()> {
        self.lock().events.publishers.remove(publisher);
        Ok(())
    }

    async fn want_runs(&self) -> StoreResult<()> {
        self.lock().events.wanted = Instant::now().checked_add(WANTED_FOR);
        Ok(())
    }

    async fn events_after(&self, place: Option<EventId>, limit: usize) -> StoreResult<Reading> {
        Ok(self.lock().events.kept.after(place, limit))
    }

    async fn runs_after(&self, place: Option<EventId>, limit: usize) -> StoreResult<Reading> {
        Ok(self.lock().events.passing.after(place, limit))
    }

    async fn newest_runs(&self) -> StoreResult<Option<EventId>> {
        Ok(self.lock().events.passing.texts.back().map(|(id, _)| *id))
    }

    async fn listen(&self, bell: &Notify) -> StoreResult<()> {
        let ours = self.lock().events.bell.clone();
        // No longer than a listener of Redis would go without a word.
        let _silent = tokio::time::timeout(Duration::from_secs(10), async {
            loop {
                ours.notified().await;
                bell.notify_one();
            }
        })
        .await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publisher_that_is_gone_without_a_word_is_told_once() {
        let (mut events, start) = (Events::default(), Instant::now());
        events.attend(start, "dies");
        events.attend(start, "lives");

        events.attend(start + PUBLISHER_GONE / 2, "lives");
        assert!(events.kept.texts.is_empty());
        events.attend(start + PUBLISHER_GONE, "lives");
        events.attend(start + PUBLISHER_GONE, "lives");

        assert_eq!(events.kept.texts.len(), 1);
        assert!(events.kept.texts[0].1.contains("resync"));
    }

    #[test]
    fn runs_are_wanted_for_a_while() {
        let (mut events, start) = (Events::default(), Instant::now());
        events.wanted = start.checked_add(WANTED_FOR);

        assert!(events.attend(start + WANTED_FOR / 2, "one"));
        assert!(!events.attend(start + WANTED_FOR, "one"));
    }
}
