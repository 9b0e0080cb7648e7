//! What the scheduler needs of the state store.

use async_trait::async_trait;

use super::StoreResult;
use crate::models::ids::CheckId;
use crate::models::job::{Job, VersionedSpec};
use crate::models::schedule::{Reach, Slot};

/// Due slots, held in an open transaction until they are in the queue.
///
/// Push first, then commit: a crash between the two means the same job is pushed again and ignored.
/// Dropped without a commit, nothing has happened and the slots are still due.
#[async_trait]
pub trait Claim: Send {
    /// The slots to run, oldest first.
    fn jobs(&self) -> &[Job];

    /// How many slots were found missing on the way.
    fn missed(&self) -> u64;

    /// Whether there was more due than the limit let through.
    fn full(&self) -> bool;

    /// The current definitions of these checks, as the claim sees them.
    async fn specs(&mut self, checks: &[CheckId]) -> StoreResult<Vec<VersionedSpec>>;

    /// Makes it true.
    async fn commit(self: Box<Self>) -> StoreResult<()>;
}

/// The schedule of all checks.
#[async_trait]
pub trait ScheduleStore: Send + Sync {
    /// Claims checks due at or before `now`, oldest slot first, at most `limit`.
    ///
    /// Rows that another scheduler holds are left to it. No claim is given twice.
    async fn claim_due(&self, reach: Reach, limit: u32) -> StoreResult<Box<dyn Claim>>;

    /// How long the most overdue check has been waiting at `now`, in milliseconds; 0 when none is due.
    async fn oldest_due_ms(&self, now: Slot) -> StoreResult<u64>;

    /// Forgets what nobody needs any more: spent idempotency keys, long-deleted checks, old deliveries.
    /// Works in small steps; returns whether there may be more to do.
    async fn forget_old(&self, now: Slot) -> StoreResult<bool>;
}
