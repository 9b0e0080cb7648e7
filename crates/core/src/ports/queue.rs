//! Jobs on their way to a prober, and results on their way to the recorder.
//!
//! Losing the queue costs time, never truth: the ledger knows every slot that is under way.

use async_trait::async_trait;

use super::StoreResult;
use crate::models::ids::{CheckId, Region};
use crate::models::job::{Job, LeasedJob, RunResult, VersionedSpec};
use crate::models::schedule::Slot;

/// What became of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// Every job is in the queue, once, however often it was pushed.
    All,
    /// Nothing of these jobs' definitions is known; the others are in the queue. Put the specs, push again.
    LackSpecs(Vec<Job>),
    /// A region's queue is full; what fitted is in.
    Full(Region),
}

/// The scheduler's end.
#[async_trait]
pub trait Dispatch: Send + Sync {
    /// Adds jobs. A job that is in the queue already, or leased, is left as it is.
    async fn push(&self, jobs: &[Job]) -> StoreResult<Pushed>;

    /// Keeps definitions where probers of `region` find them, for at least `keep_ms`.
    async fn put_specs(&self, region: &Region, specs: &[VersionedSpec], keep_ms: i64) -> StoreResult<()>;
}

/// What a lease brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leased {
    /// The jobs, oldest first.
    pub jobs: Vec<LeasedJob>,
    /// The queue's time, to tell whether a job is still worth starting.
    pub now: Option<Slot>,
}

/// The prober's end.
#[async_trait]
pub trait WorkQueue: Send + Sync {
    /// Takes up to `limit` jobs, each for its timeout and a margin; first hands jobs back whose lease
    /// has run out. A job handed out three times in vain ends as `missed(worker_crash)`.
    async fn lease(&self, region: &Region, limit: usize) -> StoreResult<Leased>;

    /// Ends leases and appends their results, each in one step. Returns how many were stale: finished
    /// before, or handed to another worker since. Repeating a call changes nothing.
    async fn complete(&self, region: &Region, results: &[RunResult]) -> StoreResult<usize>;

    /// Hands jobs back unlooked at, for another worker to take at once.
    async fn release(&self, region: &Region, jobs: &[LeasedJob]) -> StoreResult<()>;

    /// Definitions, for those that are known.
    async fn specs(&self, region: &Region, wanted: &[(CheckId, i32)]) -> StoreResult<Vec<VersionedSpec>>;

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
