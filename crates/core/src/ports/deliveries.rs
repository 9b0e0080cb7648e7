//! What the alerter needs of the state store.

use async_trait::async_trait;
use chrono::TimeDelta;

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

/// How many deliveries for a channel that is switched off or gone may be taken at once: nothing leaves
/// for them, and their stand-ins wait.
pub const PER_ABSENT_CHANNEL: u32 = 32;

/// For so long a delivery may wait, failing or held, before the fallback of its channel is told as well.
/// It goes on being tried.
pub const STANDS_IN_AFTER: TimeDelta = TimeDelta::minutes(2);

/// How receivers stand, all of them together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Receivers whose breaker is open.
    pub open: u64,
    /// Receivers that a probe is or will be sent to.
    pub half_open: u64,
    /// Channels that Pulse has switched off.
    pub disabled: u64,
    /// Deliveries that were given up.
    pub dead: u64,
}

/// Deliveries to be made.
#[async_trait]
pub trait DeliveryStore: Send + Sync {
    /// Takes up to `limit` deliveries that are due at `now` for `lease_ms`, and records an attempt for
    /// each before anything is sent.
    ///
    /// A later alert of an incident waits until the earlier one has arrived at that channel or is dead.
    /// Of a receiver whose breaker is open nothing is taken but tests, of one that is half-open one
    /// delivery: see [`breaker`](crate::models::breaker).
    async fn claim(&self, now: Slot, limit: u32, lease_ms: i64)
    -> StoreResult<Vec<LeasedDelivery>>;

    /// Completes the attempt and says what becomes of the delivery. `false` when the lease had run out
    /// and another alerter took over; the attempt is completed all the same.
    ///
    /// In the same transaction the receiver's breaker learns of it, what is given up is told to the
    /// fallback of its channel, and a channel whose receiver wants nothing any more or has done nothing
    /// but fail for days is switched off, which its fallback hears of, or else all other channels.
    async fn settle(
        &self,
        lease: &LeasedDelivery,
        report: &AttemptReport,
        settlement: Settlement,
        now: Slot,
    ) -> StoreResult<bool>;

    /// Tells the fallbacks of what was raised before `since` and has not arrived yet, of `limit`
    /// deliveries at most, each once. How many were looked at.
    async fn tell_stand_ins(&self, since: Slot, limit: u32, now: Slot) -> StoreResult<u64>;

    /// How receivers stand at `now`.
    async fn standing(&self, now: Slot) -> StoreResult<Standing>;
}
