//! Follows incidents up: reminders, escalation, and all else that is told later than at once.
//!
//! Any number of servers do so; an incident is taken by one of them, and what it tells is written in
//! one transaction with what it remembers of that. Who is told is decided in `models::telling`.

use std::sync::Arc;

use pulse_core::metrics::Metrics;
use pulse_core::ports::StoreResult;
use pulse_core::ports::clock::Clock;
use pulse_core::ports::follow_ups::FollowUpStore;
use pulse_core::runtime::loops::Pace;
use pulse_core::stores::Stores;

/// Incidents that are asked of in one transaction.
const BATCH: u32 = 200;

/// See the module.
pub struct FollowUps {
    store: Arc<dyn FollowUpStore>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

impl FollowUps {
    /// On these stores.
    #[must_use]
    pub fn new(stores: &Stores, metrics: Metrics) -> Self {
        Self { store: stores.follow_ups.clone(), clock: stores.clock.clone(), metrics }
    }

    /// One round.
    pub async fn round(&self) -> StoreResult<Pace> {
        let followed = self.store.follow_up(self.clock.now(), BATCH).await?;
        self.metrics.follow_ups.inc_by(followed.incidents);
        self.metrics.follow_up_alerts.inc_by(followed.alerts);
        Ok(if followed.full { Pace::Again } else { Pace::Rest })
    }
}
