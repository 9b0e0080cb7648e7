//! Waits for the pings of jobs: says that this server is there to hear them, and judges the deadlines
//! that pass.
//!
//! Any number of servers do so; a deadline is judged by one of them, in one transaction with all that comes
//! of it. Pings themselves are taken by the API.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pulse_core::metrics::Metrics;
use pulse_core::models::heartbeat::Listening;
use pulse_core::ports::StoreResult;
use pulse_core::ports::clock::Clock;
use pulse_core::ports::heartbeats::{HeartbeatStore, Overdue};
use pulse_core::ports::recording::Recorded;
use pulse_core::runtime::loops::Pace;
use pulse_core::runtime::lost_pings::LostPings;
use pulse_core::stores::Stores;

/// Deadlines judged in one transaction.
const BATCH: u32 = 200;
/// Two rounds of another server: if none was there for longer, nobody was when this one began.
const QUIET_AT_FIRST_MS: i64 = 2_000;
/// Shorter than any quiet: another stretch begins.
const NO_QUIET_MS: i64 = -1;
/// How many lost pings a server knows of before its first round: more than there are.
const NEVER: u64 = u64::MAX;

/// See the module.
pub struct Heartbeats {
    store: Arc<dyn HeartbeatStore>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    lost: LostPings,
    /// Of the lost pings, those after which a stretch has begun.
    known: AtomicU64,
}

impl Heartbeats {
    /// On these stores; the API notes what it loses in `lost`.
    #[must_use]
    pub fn new(stores: &Stores, metrics: Metrics, lost: LostPings) -> Self {
        let (store, clock) = (stores.heartbeats.clone(), stores.clock.clone());
        Self { store, clock, metrics, lost, known: AtomicU64::new(NEVER) }
    }

    /// One round.
    pub async fn round(&self) -> StoreResult<Pace> {
        let lost = self.lost.count();
        let quiet_ms = match self.known.load(Ordering::SeqCst) {
            NEVER => QUIET_AT_FIRST_MS,
            known if known == lost => Listening::QUIET_MS,
            _ => NO_QUIET_MS,
        };
        self.store.listen(self.clock.now(), quiet_ms).await?;
        self.known.store(lost, Ordering::SeqCst);
        let overdue = self.store.judge_overdue(self.clock.now(), BATCH).await?;
        self.count(overdue);
        Ok(if overdue.full { Pace::Again } else { Pace::Rest })
    }

    fn count(&self, overdue: Overdue) {
        let judged = |outcome| self.metrics.heartbeats_overdue.with_label_values(&[outcome]);
        judged("fail").inc_by(overdue.failed);
        judged("inconclusive").inc_by(overdue.inconclusive);
        count(&self.metrics, overdue.recorded);
    }
}

/// What a recorder would count.
pub fn count(metrics: &Metrics, recorded: Recorded) {
    metrics.slots_recorded.inc_by(recorded.applied);
    metrics.incidents.with_label_values(&["opened"]).inc_by(recorded.opened);
    metrics.incidents.with_label_values(&["resolved"]).inc_by(recorded.resolved);
}
