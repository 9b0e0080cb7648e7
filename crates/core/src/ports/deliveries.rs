//! What the alerter needs of the state store.

use async_trait::async_trait;

use super::StoreResult;
use crate::models::alert::{AttemptReport, LeasedDelivery, Settlement};
use crate::models::schedule::Slot;

/// How many first attempts at one channel may be under way at once, over all alerters as far as they
/// see each other: a slow channel never holds up the others.
pub const PER_CHANNEL: u32 = 4;

/// How many further attempts may be under way beside them. They have a place of their own: a channel
/// that is always busy with what is new must still get what failed, and the other way round. There
/// is but one, so that a thousand channels that answer nothing take a thousand places at most.
pub const RETRIES_PER_CHANNEL: u32 = 1;

/// Deliveries to be made.
#[async_trait]
pub trait DeliveryStore: Send + Sync {
    /// Takes up to `limit` deliveries that are due at `now` for `lease_ms`, and records an attempt for
    /// each before anything is sent.
    ///
    /// A later alert of an incident waits until the earlier one has arrived at that channel or is dead.
    async fn claim(&self, now: Slot, limit: u32, lease_ms: i64)
    -> StoreResult<Vec<LeasedDelivery>>;

    /// Completes the attempt and says what becomes of the delivery. `false` when the lease had run out
    /// and another alerter took over; the attempt is completed all the same.
    async fn settle(
        &self,
        lease: &LeasedDelivery,
        report: &AttemptReport,
        settlement: Settlement,
        now: Slot,
    ) -> StoreResult<bool>;
}
