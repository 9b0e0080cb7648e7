//! Keeping the state store fit for use.

use async_trait::async_trait;

use super::StoreResult;
use crate::models::installation::LinkKey;

/// What a process does to its state store besides using it.
#[async_trait]
pub trait StateUpkeep: Send + Sync {
    /// Brings the schema to this version. Safe to repeat, and for several servers at once.
    async fn migrate(&self) -> StoreResult<()>;

    /// Whether the schema is at least at this version.
    async fn is_migrated(&self) -> StoreResult<bool>;

    /// Says where people reach this installation; `key` signs its links, unless one has been kept already.
    async fn introduce(&self, key: &LinkKey, public_url: Option<&str>) -> StoreResult<()>;

    /// Takes the store's time over into the clock.
    async fn sync_clock(&self) -> StoreResult<()>;

    /// Lets go of the store in an orderly way, once nobody uses it any more. A process that ends
    /// without it loses nothing.
    async fn close(&self);
}
