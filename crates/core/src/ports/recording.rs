//! What the recorder needs of the state store.

use async_trait::async_trait;

use super::StoreResult;
use crate::models::job::RunResult;
use crate::models::schedule::Slot;
use crate::models::traits::TraitKind;

/// What one batch changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Slots that got their outcome.
    pub applied: u64,
    /// Results of slots that had theirs already, or of no slot at all: they changed nothing.
    pub stale: u64,
    /// Slots found missing on the way.
    pub missed: u64,
    /// Incidents opened.
    pub opened: u64,
    /// Incidents resolved.
    pub resolved: u64,
    /// Changes told, by the place of their kind in [`TraitKind::ALL`].
    pub changes: [u64; TraitKind::ALL.len()],
}

/// The only writer of health.
#[async_trait]
pub trait RecordStore: Send + Sync {
    /// Settles slots, folds outcomes into health, opens and resolves incidents, raises alerts with
    /// their deliveries and seals the history of it all, in one transaction.
    ///
    /// Any number of recorders may race with the same results: what one has applied is stale for the others.
    async fn record(&self, results: &[RunResult], now: Slot) -> StoreResult<Recorded>;
}
