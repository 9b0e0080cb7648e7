//! What live events need: a way from every process to every server, and what people call the checks.
//!
//! Events are kept in one order, under ids that all servers share, as long as there is room; runs are
//! passed on beside them and soon forgotten. Losing all of it loses no truth.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;

use super::StoreResult;
use crate::models::event::{EventId, Label};
use crate::models::ids::CheckId;

/// Most events that are kept; about so many, where exactly would be dear.
pub const MOST_KEPT: usize = 10_000;
/// Most batches of runs that are passed on at a time.
pub const MOST_PASSING: usize = 64;
/// Runs in one batch.
pub const RUNS_AT_ONCE: usize = 500;
/// How long runs are passed on after somebody wanted them.
pub const WANTED_FOR: Duration = Duration::from_mins(1);
/// A publisher that has not attended for so long, and did not leave, may have taken events with it.
pub const PUBLISHER_GONE: Duration = Duration::from_secs(15);

/// What a publisher appends in one step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventBatch {
    /// Whose it is; never the same for two processes.
    pub publisher: String,
    /// Counts the publisher's batches, from 1: one that is appended already is not appended again.
    pub number: u64,
    /// Texts to keep, in order.
    pub events: Vec<String>,
    /// Texts of runs to pass on, each of one line.
    pub runs: Vec<String>,
}

impl EventBatch {
    /// Whether there is nothing to append.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.events.is_empty() && self.runs.is_empty()
    }

    /// Forgets what was appended, and goes on counting.
    pub fn clear(&mut self) {
        self.events.clear();
        self.runs.clear();
    }
}

/// What a reader finds after its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// In order, each with its place.
    pub found: Vec<(EventId, String)>,
    /// `false` when what came right after the reader's place is kept no more: then nothing is found.
    pub whole: bool,
    /// Where to read on.
    pub place: Option<EventId>,
}

/// Where events are kept and passed on. A text of runs is several lines, one a run.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Appends a batch, all of it or nothing, and rings the bells.
    async fn append(&self, batch: &EventBatch) -> StoreResult<()>;

    /// Says that `publisher` is there, and learns whether anybody wants runs.
    ///
    /// Of publishers that are [`PUBLISHER_GONE`] the first to notice tells everyone to read again.
    async fn attend(&self, publisher: &str) -> StoreResult<bool>;

    /// Takes a publisher off the list: all it had is appended.
    async fn leave(&self, publisher: &str) -> StoreResult<()>;

    /// Says that somebody wants runs, for [`WANTED_FOR`].
    async fn want_runs(&self) -> StoreResult<()>;

    /// Up to `limit` kept events after `place`, from the first that is kept when there is none.
    async fn events_after(&self, place: Option<EventId>, limit: usize) -> StoreResult<Reading>;

    /// Up to `limit` batches of runs after `place`, as for events.
    async fn runs_after(&self, place: Option<EventId>, limit: usize) -> StoreResult<Reading>;

    /// The place of the newest batch of runs; `None` when none is passing.
    async fn newest_runs(&self) -> StoreResult<Option<EventId>>;

    /// Notifies `bell` when there may be something new. Ends when it can no longer know: call it
    /// again, and look now and then all the same.
    async fn listen(&self, bell: &Notify) -> StoreResult<()>;
}

/// What people call checks, for events and incidents of them.
#[async_trait]
pub trait EventLabels: Send + Sync {
    /// The labels of these checks, of deleted ones as well; what is no check has none.
    async fn labels(&self, checks: &[CheckId]) -> StoreResult<Vec<(CheckId, Label)>>;
}
