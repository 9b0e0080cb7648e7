//! Incidents that last, and what is still to be told of them.

use async_trait::async_trait;

use super::StoreResult;
use crate::models::schedule::Slot;

/// What one round came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FollowedUp {
    /// Incidents that were asked of.
    pub incidents: u64,
    /// Alerts that were raised of them.
    pub alerts: u64,
    /// Whether there may be more to do at once.
    pub full: bool,
}

/// See the module.
#[async_trait]
pub trait FollowUpStore: Send + Sync {
    /// Takes incidents whose time to be asked of has come at `now`, at most `limit`, raises what is to be told
    /// of them, and sets when they are asked of again; in one transaction.
    ///
    /// Any number of servers may do so at the same time: each incident is taken by one of them, and one
    /// that dies on the way has told nothing.
    async fn follow_up(&self, now: Slot, limit: u32) -> StoreResult<FollowedUp>;
}
