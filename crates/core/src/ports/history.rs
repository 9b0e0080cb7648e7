//! What was seen, for as long as it is kept.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Page, StoreResult};
use crate::models::ids::{BatchId, CheckId, ProjectId};
use crate::models::run::Run;
use crate::models::schedule::Slot;

/// A sealed piece of history on its way: the same id means the same rows, in the same order, for good.
#[derive(Clone, Debug, PartialEq)]
pub struct Shipment {
    /// Makes shipping it again harmless.
    pub id: BatchId,
    /// One JSON object a line; see `stores::history_row`.
    pub rows: Vec<u8>,
    /// Until when it is ours; also the fence of its lease.
    pub leased_until: Slot,
}

/// History waiting in the state store: the shipper's source.
#[async_trait]
pub trait HistoryOutbox: Send + Sync {
    /// The next shipment, leased for `lease_ms`; first one that somebody began and did not finish.
    /// `None` when nothing waits.
    async fn next(&self, now: Slot, lease_ms: i64) -> StoreResult<Option<Shipment>>;

    /// Prolongs the lease to `lease_ms` from `now`; `false` when another shipper has taken over, who
    /// will see to it.
    async fn renew(&self, shipment: &mut Shipment, now: Slot, lease_ms: i64) -> StoreResult<bool>;

    /// Forgets a shipment that has arrived.
    async fn settle(&self, id: BatchId) -> StoreResult<()>;

    /// Bytes waiting. Over `limit` the oldest waiting history is dropped, and the rows dropped are counted.
    async fn bound(&self, limit: u64) -> StoreResult<Backlog>;
}

/// How much history waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Bytes waiting.
    pub bytes: u64,
    /// Batches waiting.
    pub batches: u64,
    /// Rows dropped just now because there was too much.
    pub dropped_rows: u64,
}

/// Which runs to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunsOf {
    /// The tenant.
    pub project: ProjectId,
    /// The check.
    pub check: CheckId,
}

/// Which span of a check's life to sum up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricsOf {
    /// The tenant.
    pub project: ProjectId,
    /// The check.
    pub check: CheckId,
    /// From this instant on, a multiple of the bucket.
    pub from: DateTime<Utc>,
    /// Before this instant.
    pub until: DateTime<Utc>,
    /// The width of a bucket, in seconds: a whole number of minutes, hours or days.
    pub bucket_seconds: u32,
}

/// A span summed up. Counts are slots.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// Ended `ok`.
    pub ok: u64,
    /// Ended `fail`.
    pub failed: u64,
    /// Ended `inconclusive`.
    pub inconclusive: u64,
    /// Ended `missed`.
    pub missed: u64,
    /// Latencies of runs that got an answer, in milliseconds; `None` when there were none.
    pub latency: Option<Latency>,
}

/// Latencies of a span, in milliseconds; percentiles to within a few per cent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Latency {
    /// The mean.
    pub mean_ms: f64,
    /// Half were faster.
    pub p50_ms: f64,
    /// 95 % were faster.
    pub p95_ms: f64,
    /// 99 % were faster.
    pub p99_ms: f64,
}

/// A check's life over a span.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    /// The whole span.
    pub total: Summary,
    /// Its buckets by their beginning, oldest first; those without a slot are left out.
    pub buckets: Vec<(DateTime<Utc>, Summary)>,
}

/// Where runs are remembered.
#[async_trait]
pub trait History: Send + Sync {
    /// Brings the store to what this version needs. Safe to repeat, and for several at once.
    async fn prepare(&self) -> StoreResult<()>;

    /// Adds a shipment. Adding the same one again changes nothing.
    async fn append(&self, shipment: &Shipment) -> StoreResult<()>;

    /// Runs, newest slot first. The cursor is the slot and region of the last one seen.
    async fn runs(&self, of: RunsOf, page: Page<(Slot, String)>) -> StoreResult<Vec<Run>>;

    /// Sums of a span.
    async fn metrics(&self, of: MetricsOf) -> StoreResult<Metrics>;

    /// Drops what is older than it is kept, where the store does not do so by itself.
    async fn retain(&self, now: Slot) -> StoreResult<()>;

    /// Lets go of the store in an orderly way, once nobody uses it any more. Nothing to do where
    /// there is nothing to let go of.
    async fn close(&self) {}
}
