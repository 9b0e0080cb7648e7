//! Events on their way out of a transaction: noted while it lasts, and told when it is committed.
//!
//! Committing never waits for anyone who looks on: the queue is bounded, in memory, and takes what has
//! room. What has none is dropped, counted, and told to everyone as a resync by the publisher, which
//! empties the queue (`runtime::events`).

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::models::event::Event;
use crate::models::run::Run;

/// Most events that wait, and most runs.
pub const MOST_WAITING: usize = 10_000;

/// The way from those who commit to the publisher of their process. Cheap to clone: all clones are one
/// queue.
#[derive(Clone, Debug, Default)]
pub struct EventQueue(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    wants_runs: AtomicBool,
    dropped: AtomicU64,
}

/// What waits to be published.
#[derive(Debug, Default, PartialEq)]
pub struct Waiting {
    /// To be kept.
    pub events: Vec<Event>,
    /// To be passed on.
    pub runs: Vec<Event>,
    /// Whether events were lost before these.
    pub lost: bool,
    /// Whether runs were.
    pub lost_runs: bool,
}

impl Waiting {
    /// Whether there is nothing to publish.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl EventQueue {
    /// Whether anybody wants to hear of runs. It costs one load.
    #[must_use]
    pub fn wants_runs(&self) -> bool {
        self.0.wants_runs.load(Ordering::Relaxed)
    }

    /// Says whether anybody does.
    pub fn want_runs(&self, wanted: bool) {
        self.0.wants_runs.store(wanted, Ordering::Relaxed);
    }

    /// Adds what there is room for.
    pub fn push(&self, events: Vec<Event>, runs: Vec<Event>) {
        let mut waiting = self.lock();
        let too_many = fill(&mut waiting.events, events);
        let too_many_runs = fill(&mut waiting.runs, runs);
        waiting.lost |= too_many > 0;
        waiting.lost_runs |= too_many_runs > 0;
        drop(waiting);
        self.0.dropped.fetch_add(too_many + too_many_runs, Ordering::Relaxed);
    }

    /// Notes that something may have happened that nobody will be told of.
    pub fn lose(&self) {
        self.lock().lost = true;
    }

    /// Takes all that waits.
    #[must_use]
    pub fn take(&self) -> Waiting {
        mem::take(&mut self.lock())
    }

    /// How many were dropped since this was last asked.
    #[must_use]
    pub fn take_dropped(&self) -> u64 {
        self.0.dropped.swap(0, Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fills up to the brim; returns how many had no room.
fn fill(waiting: &mut Vec<Event>, more: Vec<Event>) -> u64 {
    let room = MOST_WAITING.saturating_sub(waiting.len());
    let too_many = more.len().saturating_sub(room);
    waiting.extend(more.into_iter().take(room));
    too_many as u64
}

/// The events of one transaction that is still open. Dropped with it, nobody hears of them.
#[derive(Debug, Default)]
pub(super) struct Noted {
    queue: Option<EventQueue>,
    events: Vec<Event>,
    runs: Vec<Event>,
}

impl Noted {
    /// For a transaction whose events go to `queue`.
    pub fn bound_for(queue: EventQueue) -> Self {
        Self { queue: Some(queue), ..Self::default() }
    }

    /// Notes events to be kept.
    pub fn note(&mut self, events: impl IntoIterator<Item = Event>) {
        self.events.extend(events);
    }

    /// Notes runs, if anybody wants to hear of them.
    pub fn note_runs(&mut self, runs: &[Run]) {
        if self.queue.as_ref().is_some_and(EventQueue::wants_runs) {
            self.runs.extend(runs.iter().map(Event::of_run));
        }
    }

    /// Tells what was noted, now that the transaction has ended. When nobody knows whether it was
    /// committed, nobody knows what to tell.
    pub fn settle(&mut self, is_committed: bool) {
        let (events, runs) = (mem::take(&mut self.events), mem::take(&mut self.runs));
        let Some(queue) = self.queue.as_ref().filter(|_| !events.is_empty() || !runs.is_empty())
        else {
            return;
        };
        if is_committed { queue.push(events, runs) } else { queue.lose() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::check::Status;
    use crate::models::event::What;
    use crate::models::ids::{CheckId, ProjectId};
    use crate::models::schedule::Slot;

    fn an_event() -> Event {
        Event {
            project: ProjectId::DEFAULT,
            check: CheckId::generate(),
            at: Slot(0),
            what: What::StatusChanged { from: Status::Up, to: Status::Down },
        }
    }

    #[test]
    fn what_has_no_room_is_dropped_counted_and_told_once() {
        let queue = EventQueue::default();

        queue.push(vec![an_event(); MOST_WAITING - 1], Vec::new());
        queue.push(vec![an_event(); 3], Vec::new());

        let waiting = queue.take();
        assert_eq!((waiting.events.len(), waiting.lost), (MOST_WAITING, true));
        assert!(!waiting.lost_runs);
        assert_eq!((queue.take_dropped(), queue.take_dropped()), (2, 0));
        assert!(queue.take().is_empty());
    }

    #[test]
    fn what_is_noted_is_told_when_it_is_committed() {
        let queue = EventQueue::default();
        let mut noted = Noted::bound_for(queue.clone());
        noted.note([an_event()]);
        assert!(queue.take().is_empty());

        noted.settle(true);

        assert_eq!(queue.take().events.len(), 1);
    }

    #[test]
    fn when_nobody_knows_whether_it_was_committed_all_are_told_to_look() {
        let queue = EventQueue::default();
        let mut noted = Noted::bound_for(queue.clone());

        noted.settle(false);
        assert!(queue.take().is_empty(), "nothing was noted: nothing can be missed");
        noted.note([an_event()]);
        noted.settle(false);

        let waiting = queue.take();
        assert_eq!((waiting.events.len(), waiting.lost), (0, true));
    }
}
