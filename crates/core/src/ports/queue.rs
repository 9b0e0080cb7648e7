//! Jobs on their way to a prober, and results on their way to the recorder.
//!
//! Losing the queue costs time, never truth: the ledger knows every slot that is under way.

use async_trait::async_trait;

use super::StoreResult;
use crate::models::ids::{CheckId, Region};
use crate::models::job::{Job, LeasedJob, RunResult, VersionedSpec};

/// What became of a push.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Jobs whose definition the queue does not know: put the specs, then push these again.
    pub lacking_spec: Vec<Job>,
    /// Jobs that were dropped because their region's queue is full. The ledger tells them as `missed(lost)`.
    pub dropped: u64,
}

/// The scheduler's end.
#[async_trait]
pub trait Dispatch: Send + Sync {
    /// Adds jobs. One that is in the queue already, or leased, is left as it is: pushing twice is harmless.
    /// A queue may skip one whose result still waits as well.
    async fn push(&self, jobs: &[Job]) -> StoreResult<Pushed>;

    /// Keeps definitions where probers of `region` find them, for hours after their last push.
    async fn put_specs(&self, region: &Region, specs: &[VersionedSpec]) -> StoreResult<()>;
}

/// The prober's end.
#[async_trait]
pub trait WorkQueue: Send + Sync {
    /// Takes up to `limit` jobs, oldest first, each for its timeout and a margin; first hands jobs back
    /// whose lease has run out. A job handed out three times in vain ends as `missed(worker_crash)`, and
    /// one that is no longer worth starting is dropped.
    async fn lease(&self, region: &Region, limit: usize) -> StoreResult<Vec<LeasedJob>>;

    /// Ends leases and appends their results, each in one step. Returns how many were stale: finished
    /// before, or handed to another worker since. Repeating a call changes nothing.
    async fn complete(&self, region: &Region, results: &[RunResult]) -> StoreResult<usize>;

    /// Hands jobs back unlooked at, for another worker to take at once.
    async fn release(&self, region: &Region, jobs: &[LeasedJob]) -> StoreResult<()>;

    /// Definitions, for those that are known.
    async fn specs(
        &self,
        region: &Region,
        wanted: &[(CheckId, i32)],
    ) -> StoreResult<Vec<VersionedSpec>>;

    /// Jobs waiting, not counting leased ones.
    async fn depth(&self, region: &Region) -> StoreResult<u64>;
}

/// One entry of the result queue.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where to acknowledge it.
    pub region: Region,
    /// Its place in the queue.
    pub id: String,
    /// The result; `None` when it cannot be read.
    pub result: Option<RunResult>,
}

/// The recorder's end.
#[async_trait]
pub trait ResultQueue: Send + Sync {
    /// Takes up to `limit` results, oldest first: those another consumer has left lying, then new ones.
    /// What is not acknowledged comes again.
    async fn read(&self, limit: usize) -> StoreResult<Vec<Entry>>;

    /// Removes entries for good.
    async fn ack(&self, entries: &[Entry]) -> StoreResult<()>;

    /// Sets entries aside that cannot be read or recorded, for a person to look at, and removes them.
    async fn bury(&self, entries: &[Entry]) -> StoreResult<()>;

    /// Results waiting to be recorded.
    async fn backlog(&self) -> StoreResult<u64>;
}
