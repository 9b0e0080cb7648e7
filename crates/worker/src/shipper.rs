//! Moves history from the state store to where it is kept.
//!
//! A shipment is sealed: shipping it again ships the same bytes under the same id, so one whose fate
//! is unknown is simply shipped again. While the history store is away, history waits, up to a bound.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{self, Arc, PoisonError};
use std::time::{Duration, Instant};

use pulse_core::crash::{Point, crash_point};
use pulse_core::metrics::Metrics;
use pulse_core::ports::StoreResult;
use pulse_core::ports::clock::Clock;
use pulse_core::ports::history::{History, HistoryOutbox, Shipment};
use pulse_core::runtime::loops::Pace;
use pulse_core::stores::Stores;
use tokio::sync::Mutex;
use tracing::error;

const LEASE_MS: i64 = 60_000;
/// History that may wait; beyond it the oldest is given up, counted and told.
const BACKLOG_BYTES: u64 = 1 << 30;
/// A shipment this large says that more is waiting.
const LARGE: usize = 1 << 20;
/// After one this large, some thousand runs, it is worth waiting until there is more: each shipment
/// costs the history tens of milliseconds, however little it brings.
const SUBSTANTIAL: usize = 128 << 10;
const GATHER: Duration = Duration::from_secs(2);

/// See the module.
pub struct Shipper {
    outbox: Arc<dyn HistoryOutbox>,
    history: Arc<dyn History>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    prepared: AtomicBool,
    /// Taken and not arrived yet.
    held: Mutex<Option<Shipment>>,
    gathering: sync::Mutex<Option<Instant>>,
}

impl Shipper {
    /// A shipper on these stores.
    #[must_use]
    pub fn new(stores: &Stores, metrics: Metrics) -> Self {
        Self {
            outbox: stores.outbox.clone(),
            history: stores.history.clone(),
            clock: stores.clock.clone(),
            metrics,
            prepared: AtomicBool::new(false),
            held: Mutex::default(),
            gathering: sync::Mutex::default(),
        }
    }

    /// One round: one shipment arrives, unless it is better to wait until there is more of it.
    pub async fn ship(&self) -> StoreResult<Pace> {
        let gathering = *self.gathering.lock().unwrap_or_else(PoisonError::into_inner);
        if gathering.is_some_and(|until| Instant::now() < until) {
            return Ok(Pace::Rest);
        }
        self.ship_now().await
    }

    async fn ship_now(&self) -> StoreResult<Pace> {
        let mut held = self.held.lock().await;
        if let Some(shipment) = held.as_mut()
            && !self.outbox.renew(shipment, self.clock.now(), LEASE_MS).await?
        {
            // Ours no longer: to ship it now, long after another has, could count it twice.
            *held = None;
        }
        if held.is_none() {
            *held = self.outbox.next(self.clock.now(), LEASE_MS).await?;
        }
        let Some(shipment) = held.as_ref() else { return Ok(Pace::Rest) };
        crash_point(Point::ShipperTaken);
        self.deliver(shipment).await?;
        crash_point(Point::ShipperAppended);
        self.outbox.settle(shipment.id).await?;
        crash_point(Point::ShipperSettled);
        self.metrics.shipments.inc();
        let (pace, gather) = match shipment.rows.len() {
            LARGE.. => (Pace::Again, None),
            SUBSTANTIAL..LARGE => (Pace::Rest, Some(Instant::now() + GATHER)),
            _ => (Pace::Rest, None),
        };
        *self.gathering.lock().unwrap_or_else(PoisonError::into_inner) = gather;
        *held = None;
        Ok(pace)
    }

    async fn deliver(&self, shipment: &Shipment) -> StoreResult<()> {
        if !self.prepared.load(Ordering::Relaxed) {
            self.history.prepare().await?;
            self.prepared.store(true, Ordering::Relaxed);
        }
        let arrived = self.history.append(shipment).await;
        if arrived.is_err() {
            // It may have come back empty.
            self.prepared.store(false, Ordering::Relaxed);
        }
        arrived
    }

    /// Keeps what waits within its bound.
    pub async fn bound(&self) -> StoreResult<Pace> {
        let backlog = self.outbox.bound(BACKLOG_BYTES).await?;
        self.metrics.history_backlog_bytes.set(i64::try_from(backlog.bytes).unwrap_or(i64::MAX));
        if backlog.dropped_rows > 0 {
            self.metrics.history_rows_dropped.inc_by(backlog.dropped_rows);
            error!(rows = backlog.dropped_rows, "too much history waits: the oldest is given up");
        }
        Ok(Pace::Rest)
    }

    /// Drops what has been kept long enough.
    pub async fn retain(&self) -> StoreResult<Pace> {
        self.history.retain(self.clock.now()).await?;
        Ok(Pace::Rest)
    }

    /// Ships until nothing waits; for the end of a process.
    pub async fn drain(&self) {
        while matches!(self.ship_now().await, Ok(Pace::Again)) {}
    }
}
