//! Tells people: claims deliveries, sends them, settles them.
//!
//! Each attempt is on record before it is made. A process that dies in between leaves an attempt of
//! unknown outcome, and the delivery is sent again under the same id: at least once, never lost.
//! What a receiver that fails is spared, and who is told in its stead, the store decides when an
//! attempt is settled: so that all alerters agree.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pulse_core::crash::{Point, crash_point};
use pulse_core::metrics::Metrics;
use pulse_core::models::alert::{LeasedDelivery, Settlement};
use pulse_core::models::breaker::Breaker;
use pulse_core::ports::StoreResult;
use pulse_core::ports::clock::Clock;
use pulse_core::ports::deliveries::{DeliveryStore, STANDS_IN_AFTER};
use pulse_core::runtime::loops::Pace;
use pulse_core::runtime::telemetry::chain;
use pulse_core::stores::Stores;
use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::notifiers::{AttemptOutcome, Notifier};

/// Attempts under way at once.
const CONCURRENCY: usize = 512;
/// Longer than an attempt takes, so that no other alerter makes it meanwhile.
const LEASE_MS: i64 = 30_000;
/// How often settling is tried before it is left to the lease.
const SETTLING: u32 = 8;
/// Between two looks at what is due, while nothing that is under way ends.
const PAUSE: Duration = Duration::from_millis(100);
/// Between two looks at least, so that what ends at about the same time makes one look.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
/// Late deliveries that are looked at in one transaction.
const LATE_AT_ONCE: u32 = 100;

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Alerter {
    deliveries: Arc<dyn DeliveryStore>,
    notifier: Arc<Notifier>,
    clock: Arc<dyn Clock>,
    permits: Arc<Semaphore>,
    /// Something that was under way has ended: its place at its receiver is free.
    ended: Arc<Notify>,
    tasks: TaskTracker,
    metrics: Metrics,
}

impl Alerter {
    /// An alerter on these stores.
    #[must_use]
    pub fn new(stores: &Stores, notifier: Notifier, metrics: Metrics) -> Self {
        Self {
            deliveries: stores.deliveries.clone(),
            notifier: Arc::new(notifier),
            clock: stores.clock.clone(),
            permits: Arc::new(Semaphore::new(CONCURRENCY)),
            ended: Arc::new(Notify::new()),
            tasks: TaskTracker::new(),
            metrics,
        }
    }

    /// One round: what is due begins to be sent. Rests until a place is free, for a while at most: a
    /// receiver that answers at once is told of a thousand outages in a row.
    pub async fn send_due(&self) -> StoreResult<Pace> {
        let began = Instant::now();
        self.begin_due().await?;
        // What takes the store long is asked for seldom.
        tokio::time::sleep(began.elapsed().max(SHORTEST_PAUSE).min(PAUSE)).await;
        let _ended_or_not = timeout(PAUSE, self.ended.notified()).await;
        Ok(Pace::Again)
    }

    async fn begin_due(&self) -> StoreResult<()> {
        let room = self.permits.available_permits();
        if room == 0 {
            return Ok(());
        }
        let limit = u32::try_from(room).unwrap_or(u32::MAX);
        for lease in self.deliveries.claim(self.clock.now(), limit, LEASE_MS).await? {
            let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
                break;
            };
            let alerter = self.clone();
            self.tasks.spawn(async move {
                alerter.deliver(&lease).await;
                drop(permit);
                alerter.ended.notify_one();
            });
        }
        Ok(())
    }

    /// One round: the fallbacks of channels that have kept alerts waiting are told as well.
    pub async fn tell_stand_ins(&self) -> StoreResult<Pace> {
        let now = self.clock.now();
        let since = now.plus(-STANDS_IN_AFTER.num_milliseconds());
        let late = self.deliveries.tell_stand_ins(since, LATE_AT_ONCE, now).await?;
        self.metrics.deliveries_late.inc_by(late);
        Ok(if late < u64::from(LATE_AT_ONCE) { Pace::Rest } else { Pace::Again })
    }

    /// One round: how receivers stand.
    pub async fn measure(&self) -> StoreResult<Pace> {
        let standing = self.deliveries.standing(self.clock.now()).await?;
        let breakers = &self.metrics.breakers;
        for (state, count) in
            [(Breaker::Open, standing.open), (Breaker::HalfOpen, standing.half_open)]
        {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            breakers.with_label_values(&[state.as_str()]).set(f64::from(count));
        }
        let gauge = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.metrics.channels_disabled.set(gauge(standing.disabled));
        self.metrics.dead_letters.set(gauge(standing.dead));
        Ok(Pace::Rest)
    }

    async fn deliver(&self, lease: &LeasedDelivery) {
        crash_point(Point::AlerterClaimed);
        let timer = self.metrics.delivery_seconds.start_timer();
        let outcome = self.notifier.send(lease, self.clock.now().0 / 1000).await;
        crash_point(Point::AlerterSent);
        timer.observe_duration();
        let result = match outcome.settlement {
            Settlement::Delivered => "delivered",
            Settlement::RetryIn(_) | Settlement::RestIn(_) => "retry",
            Settlement::Dead | Settlement::Gone | Settlement::Unsent => "dead",
        };
        self.metrics.deliveries.with_label_values(&[result]).inc();
        info!(delivery.id = %lease.id, attempt = lease.number, result, status = outcome.report.status, "an alert was sent");
        self.settle(lease, &outcome).await;
        crash_point(Point::AlerterSettled);
    }

    async fn settle(&self, lease: &LeasedDelivery, outcome: &AttemptOutcome) {
        let mut pause = Duration::from_millis(100);
        for _ in 0..SETTLING {
            let settled = self
                .deliveries
                .settle(lease, &outcome.report, outcome.settlement, self.clock.now())
                .await;
            match settled {
                Ok(_) => return,
                Err(error) => {
                    warn!(delivery.id = %lease.id, error = chain(&error), "an attempt cannot be settled; trying on");
                }
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    /// Waits for the attempts under way.
    pub async fn drain(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}
