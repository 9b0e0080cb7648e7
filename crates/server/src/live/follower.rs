//! A client's place in the rings.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use pulse_core::models::event::EventId;
use pulse_core::models::ids::ProjectId;
use tokio::sync::watch;

use super::Live;
use super::item::{Item, Reason};
use super::subscription::Subscription;

/// Events that are looked at before others have their turn.
const AT_ONCE: usize = 256;
/// Batches of runs, likewise.
const BATCHES_AT_ONCE: usize = 8;

/// See the module.
pub struct Follower {
    live: Live,
    project: ProjectId,
    subscription: Subscription,
    next: u64,
    /// `None` when runs are not wanted.
    next_runs: Option<u64>,
    changed: watch::Receiver<u64>,
    /// To be told before all else.
    first: Option<Item>,
    newest: Option<EventId>,
}

impl Follower {
    pub(super) fn join(
        live: Live,
        project: ProjectId,
        subscription: Subscription,
        last: Option<&str>,
    ) -> Self {
        // Before the rings are read: what comes in between is seen then.
        let changed = live.0.changed.subscribe();
        if subscription.wants_runs() {
            live.0.run_listeners.fetch_add(1, Ordering::SeqCst);
            live.0.bell.notify_one();
        }
        let rings = live.rings();
        let newest = rings.events.newest(|item| item.id);
        let (mut next, mut first) = (rings.events.end(), None);
        if let Some(last) = last {
            let found = EventId::parse(last)
                .and_then(|last| rings.events.find(|item: &Item| item.id == Some(last)));
            match found {
                Some(place) => next = place + 1,
                None => first = Some(Item::resync(Reason::Unknown, newest)),
            }
        }
        let next_runs = subscription.wants_runs().then(|| rings.runs.end());
        drop(rings);
        Self { live, project, subscription, next, next_runs, changed, first, newest }
    }

    /// The newest event that was kept when it joined.
    #[must_use]
    pub const fn newest(&self) -> Option<EventId> {
        self.newest
    }

    /// What comes next, as soon as there is any. Nothing is lost when this is dropped before.
    pub(super) async fn next(&mut self) -> Vec<Arc<Item>> {
        loop {
            self.changed.mark_unchanged();
            let (found, more) = self.gather();
            if !found.is_empty() {
                return found;
            }
            if more {
                tokio::task::yield_now().await;
                continue;
            }
            if self.changed.changed().await.is_err() {
                // The hub outlives its followers: they hold it.
                std::future::pending::<()>().await;
            }
        }
    }

    /// What there is for this client, and whether there may be more at once.
    fn gather(&mut self) -> (Vec<Arc<Item>>, bool) {
        let mut found: Vec<Arc<Item>> = self.first.take().map(Arc::new).into_iter().collect();
        let rings = self.live.rings();
        let (project, subscription) = (self.project, &self.subscription);
        let is_wanted = |item: &&Arc<Item>| item.is_for(project, subscription);
        let mut resync = None;

        let more = if let Some(items) = rings.events.from(self.next, AT_ONCE) {
            let before = self.next;
            let items = items.inspect(|_| self.next += 1);
            found.extend(items.filter(is_wanted).cloned());
            self.next - before == AT_ONCE as u64
        } else {
            self.next = rings.events.end();
            resync = Some(rings.events.newest(|item| item.id));
            false
        };
        if let Some(next) = &mut self.next_runs {
            if let Some(batches) = rings.runs.from(*next, BATCHES_AT_ONCE) {
                let batches: Vec<_> = batches.collect();
                *next += batches.len() as u64;
                let runs = batches.iter().flat_map(|batch| batch.iter());
                found.extend(runs.filter(is_wanted).cloned());
            } else {
                *next = rings.runs.end();
                resync.get_or_insert_with(|| rings.events.newest(|item| item.id));
            }
        }
        if let Some(newest) = resync {
            found = vec![Arc::new(Item::resync(Reason::Slow, newest))];
        }
        drop(rings);
        for reason in found.iter().filter_map(|item| item.is_resync()) {
            self.live.0.metrics.resyncs.with_label_values(&[reason.as_str()]).inc();
        }
        (found, more)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        if self.next_runs.is_some() {
            self.live.0.run_listeners.fetch_sub(1, Ordering::SeqCst);
        }
    }
}
