//! The queue of a single process, with nothing else installed: the rules of `redis`, without Redis.
//!
//! Values stay typed and shared; nothing is written down, so it ends with its process, which costs
//! time and no truth. One lock over all of it: each call holds it for a batch at most, and never
//! across an `await`. What the queue holds is told the time, so its rules can be tested without
//! waiting.

mod dispatch;
mod dry_runs;
mod events;
mod jobs;
mod presence;
mod results;
mod specs;
mod work;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::models::ids::Region;
use crate::stores::queue_rules::QueueOptions;
use dry_runs::DryResults;
use events::Events;
use jobs::Jobs;
use presence::Workers;
use results::Results;
use specs::Specs;

const STORE: &str = "the in-process queue";

/// The queue. Cheap to clone: all clones are one queue.
#[derive(Clone)]
pub struct Memory {
    options: QueueOptions,
    held: Arc<Mutex<Held>>,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").field("options", &self.options).finish_non_exhaustive()
    }
}

/// All that the queue holds.
#[derive(Debug, Default)]
struct Held {
    regions: BTreeMap<Region, Jobs>,
    specs: Specs,
    results: Results,
    workers: Workers,
    dry_results: DryResults,
    events: Events,
}

impl Memory {
    /// An empty queue.
    #[must_use]
    pub fn new(options: QueueOptions) -> Self {
        Self { options, held: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
