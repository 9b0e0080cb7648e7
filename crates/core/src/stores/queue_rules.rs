//! What every queue keeps to, whatever carries it: how long a lease lasts, how often a job is handed
//! out, how long things are kept, and how much may wait.

use std::time::Duration;

/// How long the result of a dry run waits for whoever asked.
pub const KEEP_DRY_RUN: Duration = Duration::from_mins(1);

use crate::ports::StoreError;

/// What an operator may choose about the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueOptions {
    /// Most jobs waiting in a region.
    pub queue_limit: u64,
    /// Most results waiting to be recorded in a region.
    pub results_limit: u64,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self { queue_limit: 100_000, results_limit: 200_000 }
    }
}

/// A lease lasts the job's timeout and this. A job whose worker died is looked at again after that, if
/// its window leaves room for it; where the interval is hardly longer than the timeout it does not,
/// and the slot is told as lost.
pub(crate) const LEASE_MARGIN: Duration = Duration::from_millis(2_500);
/// A job handed out this often without a result is given up.
pub(super) const MOST_DELIVERIES: u32 = 3;
/// Leases that ran out and are looked after in one call; the next call goes on.
pub(super) const HANDED_BACK_AT_ONCE: usize = 200;
/// Late jobs that one push clears from the head of a queue.
pub(super) const CLEARED_AT_ONCE: usize = 100;
/// Long enough for a job to wait for a worker; every push begins it anew.
pub(super) const KEEP_SPEC: Duration = Duration::from_hours(6);
/// Results read this long ago and not acknowledged come again: soon enough for the ledger to wait for
/// them. Recording twice is harmless.
pub(super) const ABANDONED: Duration = Duration::from_secs(2);
/// A worker silent for this long is forgotten.
pub(super) const ALIVE: Duration = Duration::from_secs(15);

/// Why results are not taken. The prober keeps them and tries again.
pub(super) fn results_are_full(store: &'static str) -> StoreError {
    StoreError::Unavailable { store, source: "too many results wait to be recorded".into() }
}
