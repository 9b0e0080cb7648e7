//! Tells people: claims deliveries, sends them, settles them.
//!
//! Each attempt is on record before it is made. A process that dies in between leaves an attempt of
//! unknown outcome, and the delivery is sent again under the same id: at least once, never lost.

use std::sync::Arc;
use std::time::Duration;

use pulse_core::crash::{Point, crash_point};
use pulse_core::metrics::Metrics;
use pulse_core::models::alert::{LeasedDelivery, Settlement};
use pulse_core::ports::StoreResult;
use pulse_core::ports::clock::Clock;
use pulse_core::ports::deliveries::DeliveryStore;
use pulse_core::runtime::loops::Pace;
use pulse_core::runtime::telemetry::chain;
use pulse_core::stores::Stores;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::notifiers::{AttemptOutcome, Notifier};

/// Attempts under way at once.
const CONCURRENCY: usize = 512;
/// Longer than an attempt takes, so that no other alerter makes it meanwhile.
const LEASE_MS: i64 = 30_000;
/// How often settling is tried before it is left to the lease.
const SETTLING: u32 = 8;

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Alerter {
    deliveries: Arc<dyn DeliveryStore>,
    notifier: Arc<Notifier>,
    clock: Arc<dyn Clock>,
    permits: Arc<Semaphore>,
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
            tasks: TaskTracker::new(),
            metrics,
        }
    }

    /// One round: what is due begins to be sent.
    pub async fn send_due(&self) -> StoreResult<Pace> {
        let room = self.permits.available_permits();
        if room == 0 {
            return Ok(Pace::Rest);
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
            });
        }
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
            Settlement::RetryIn(_) => "retry",
            Settlement::Dead => "dead",
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
