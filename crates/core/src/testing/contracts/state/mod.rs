//! What a state store must keep: the ledger, one incident an outage, deliveries that are never lost.
//!
//! Each takes stores of its own, with the clock in the test's hand.

mod acts;
mod changes;
mod checks;
mod degraded;
mod deliveries;
mod events;
mod health;
mod heartbeats;
mod incidents;
mod ledger;
mod outbox;
mod receivers;
mod secrets;
mod settings;
mod storms;
mod telling;

pub use acts::*;
pub use changes::*;
pub use checks::*;
pub use degraded::*;
pub use deliveries::*;
pub use events::*;
pub use health::*;
pub use heartbeats::*;
pub use incidents::*;
pub use ledger::*;
pub use outbox::*;
pub use receivers::*;
pub use secrets::*;
pub use settings::*;
pub use storms::*;
pub use telling::*;

use serde_json::Value;

use crate::models::alert::{AlertKind, AttemptReport, Incident, LeasedDelivery, Settlement};
use crate::models::check::{Check, CheckDraft, Status};
use crate::models::ids::{CheckId, ProjectId};
use crate::models::job::{Job, RunResult};
use crate::models::run::Run;
use crate::models::schedule::Slot;
use crate::ports::Page;
use crate::ports::checks::{Change, Creation};
use crate::ports::clock::Clock;
use crate::ports::history::{RunsOf, Shipment};
use crate::ports::incidents::IncidentFilter;
use crate::ports::recording::Recorded;
use crate::testing::{CheckBuilder, TestStores, a_result};

const PROJECT: ProjectId = ProjectId::DEFAULT;
const SECOND: i64 = 1_000;
const DELIVERY_LEASE: i64 = 30 * SECOND;

fn page<C>(limit: u32) -> Page<C> {
    Page { limit, offset: 0, after: None }
}

impl TestStores {
    async fn add(&self, check: CheckBuilder) -> Check {
        let check = check.build();
        let created =
            self.stores.checks.create(check.clone(), None, self.clock.now()).await.unwrap();
        assert!(matches!(created, Creation::Created(_)));
        check
    }

    /// Claims and commits what is due.
    async fn claim(&self) -> Vec<Job> {
        let claim = self.stores.schedule.claim_due(self.clock.now().into(), 1_000).await.unwrap();
        let jobs = claim.jobs().to_vec();
        claim.commit().await.unwrap();
        jobs
    }

    /// The one job that is due.
    async fn claim_one(&self) -> Job {
        let mut jobs = self.claim().await;
        assert_eq!(jobs.len(), 1, "one job should be due: {jobs:?}");
        jobs.remove(0)
    }

    async fn record(&self, results: &[RunResult]) -> Recorded {
        self.stores.records.record(results, self.clock.now()).await.unwrap()
    }

    /// Runs the one check for its slot, with this outcome, and moves on to its next slot.
    async fn run(&self, ok: bool) -> Job {
        self.run_as(if ok { 'o' } else { 'f' }).await
    }

    /// As [`Self::run`]: `o`k, `d`egraded or `f`ailed.
    async fn run_as(&self, outcome: char) -> Job {
        let job = self.claim_one().await;
        let result = match outcome {
            'f' => a_result(&job).failed(),
            'd' => a_result(&job).degraded(),
            _ => a_result(&job),
        };
        self.record(&[result.build()]).await;
        self.move_to_next_slot(job.check_id).await;
        job
    }

    /// Runs the one check for a slot with each of these outcomes; the slots.
    async fn run_all(&self, outcomes: &str) -> Vec<Slot> {
        let mut slots = Vec::new();
        for outcome in outcomes.chars() {
            slots.push(self.run_as(outcome).await.slot);
        }
        slots
    }

    async fn status(&self, check: CheckId) -> Status {
        self.stores.checks.get(PROJECT, check).await.unwrap().unwrap().status
    }

    async fn move_to_next_slot(&self, check: CheckId) {
        let view = self.stores.checks.get(PROJECT, check).await.unwrap().unwrap();
        self.clock.advance(view.next_run_at.unwrap().0 - self.clock.now().0);
    }

    async fn incidents(&self, check: CheckId) -> Vec<Incident> {
        let filter = IncidentFilter { check: Some(check), ..IncidentFilter::default() };
        self.stores.incidents.list(PROJECT, &filter, page(100)).await.unwrap()
    }

    async fn alert_kinds(&self, check: CheckId) -> Vec<AlertKind> {
        let mut alerts = self.stores.alerts.alerts(PROJECT, check, page(100)).await.unwrap();
        alerts.sort_by_key(|alert| (alert.raised_at, alert.kind.sequence(alert.number)));
        alerts.into_iter().map(|alert| alert.kind).collect()
    }

    /// What history says of a check, oldest first, once everything sealed has been shipped.
    async fn history(&self, check: CheckId) -> Vec<Run> {
        while let Some(shipment) =
            self.stores.outbox.next(self.clock.now(), 60 * SECOND).await.unwrap()
        {
            self.stores.history.append(&shipment).await.unwrap();
            self.stores.outbox.settle(shipment.id).await.unwrap();
        }
        let of = RunsOf { project: PROJECT, check };
        let mut runs = self.stores.history.runs(of, page(1_000)).await.unwrap();
        runs.reverse();
        runs
    }

    /// Changes the check as it was read at `version`.
    async fn patch(&self, check: CheckId, version: i32, patch: Value) -> Change {
        let view = self.stores.checks.get(PROJECT, check).await.unwrap().unwrap();
        let draft = CheckDraft::patch(&view.check.config, patch).unwrap();
        let now = self.clock.now();
        self.stores.checks.replace(PROJECT, check, version, draft, now).await.unwrap()
    }

    async fn renew(&self, shipment: &mut Shipment) -> bool {
        self.stores.outbox.renew(shipment, self.clock.now(), 60 * SECOND).await.unwrap()
    }

    async fn claim_deliveries(&self) -> Vec<LeasedDelivery> {
        self.stores.deliveries.claim(self.clock.now(), 64, DELIVERY_LEASE).await.unwrap()
    }

    async fn settle(&self, lease: &LeasedDelivery, settlement: Settlement) -> bool {
        let report = AttemptReport { status: Some(500), ..AttemptReport::default() };
        let now = self.clock.now();
        self.stores.deliveries.settle(lease, &report, settlement, now).await.unwrap()
    }
}
