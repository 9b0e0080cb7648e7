//! Stores that misbehave in one way each.

use std::future::pending;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pulse_core::models::alert::{Alert, AttemptView, DeliveryView, Incident};
use pulse_core::models::channel::Message;
use pulse_core::models::check::{Check, CheckDraft, CheckView, Status};
use pulse_core::models::event::Label;
use pulse_core::models::heartbeat::{Ping as JobPing, PingToken};
use pulse_core::models::ids::{
    AlertId, AttemptId, ChangeId, CheckId, DeliveryId, IncidentId, ProjectId, Region, SettingId,
};
use pulse_core::models::incident::{Act, IncidentKind, Report};
use pulse_core::models::installation::Installation;
use pulse_core::models::job::{Job, RunResult, VersionedSpec};
use pulse_core::models::run::Run;
use pulse_core::models::schedule::Slot;
use pulse_core::models::secret::{Secret, SecretName};
use pulse_core::models::setting::{Setting, SettingKind};
use pulse_core::models::traits::{self, TraitKind};
use pulse_core::ports::changes::ChangeLog;
use pulse_core::ports::checks::{
    AlertLog, AttemptsOf, Change, CheckFilter, CheckStore, Creation, DeliveryFilter,
    IdempotencyKey, RunNow,
};
use pulse_core::ports::clock::Clock;
use pulse_core::ports::dry_runs::DryRuns;
use pulse_core::ports::events::EventLabels;
use pulse_core::ports::heartbeats::{HeartbeatStore, Overdue, Received};
use pulse_core::ports::history::{History, Metrics, MetricsOf, RunsOf, Shipment};
use pulse_core::ports::incidents::{Acted, IncidentFilter, IncidentStore, Story};
use pulse_core::ports::queue::{Dispatch, Pushed};
use pulse_core::ports::secrets::{KeyId, Removal, SealedSecret, SecretStore};
use pulse_core::ports::settings::{ChannelState, SettingChange, SettingStore};
use pulse_core::ports::{Page, Ping, StoreError, StoreResult};
use pulse_core::runtime::lost_pings::LostPings;
use pulse_core::runtime::sealing::SecretKeys;
use pulse_core::stores::memory::Memory;
use pulse_core::stores::queue_rules::QueueOptions;
use pulse_server::api::Api;
use pulse_server::live::{Live, LiveOptions};
use serde_json::json;
use tokio::sync::Notify;

/// What every port does, whatever it is asked.
#[derive(Clone)]
pub enum Fake {
    /// Holds nothing.
    Empty,
    /// Cannot be reached.
    Away,
    /// Refuses, with an error that is no caller's business.
    Refusing,
    /// Never answers, except that it is there.
    Stuck,
    /// Never answers.
    Gone,
    /// Has a fault.
    Panicking,
    /// Holds one check, which somebody else has always just changed, and as many reports as may last.
    Contested,
    /// Says that it was asked, waits until it may go on, and says that it did.
    Waiting(Arc<Steps>),
}

/// An answer that does not end is none for a test that reads to the end: there is no place.
fn nobody_listens() -> Live {
    let log = Arc::new(Memory::new(QueueOptions::default()));
    let options = LiveOptions { clients: 0, ..LiveOptions::default() };
    Live::new(log, options, pulse_core::metrics::Metrics::new())
}

#[derive(Default)]
pub struct Steps {
    pub asked: Notify,
    pub go_on: Notify,
    pub went_on: Notify,
}

impl Fake {
    pub fn api(self) -> Api {
        let fake = Arc::new(self);
        Api {
            checks: fake.clone(),
            heartbeats: fake.clone(),
            secrets: fake.clone(),
            settings: fake.clone(),
            secret_keys: SecretKeys::default(),
            incidents: fake.clone(),
            labels: fake.clone(),
            alerts: fake.clone(),
            changes: fake.clone(),
            history: fake.clone(),
            clock: fake.clone(),
            dispatch: fake.clone(),
            dry_runs: fake.clone(),
            state: fake,
            metrics: pulse_core::metrics::Metrics::new(),
            lost_pings: LostPings::default(),
            live: nobody_listens(),
        }
    }

    async fn or<T>(&self, empty: T) -> StoreResult<T> {
        match self {
            Self::Empty | Self::Contested => Ok(empty),
            Self::Away => Err(StoreError::Unavailable {
                store: "postgres",
                source: "connection refused".into(),
            }),
            Self::Refusing => {
                Err(StoreError::Refused { store: "postgres", source: "s3cret at 10.0.0.1".into() })
            }
            Self::Stuck | Self::Gone => pending().await,
            Self::Panicking => panic!("s3cret fault"),
            Self::Waiting(steps) => {
                steps.asked.notify_one();
                steps.go_on.notified().await;
                steps.went_on.notify_one();
                Ok(empty)
            }
        }
    }
}

pub fn a_view() -> CheckView {
    let draft = CheckDraft::read(json!({"name": "a", "url": "http://h"})).unwrap();
    let check = Check {
        id: CheckId::generate(),
        project_id: ProjectId::DEFAULT,
        config: draft.config,
        webhook_secret: None,
        version: 1,
        created_at: Slot(0).time(),
        updated_at: Slot(0).time(),
    };
    CheckView {
        check,
        status: Status::Pending,
        next_run_at: None,
        last_run_at: None,
        waiting: None,
    }
}

#[async_trait]
impl CheckStore for Fake {
    async fn create(
        &self,
        _check: Check,
        _key: Option<IdempotencyKey>,
        _now: Slot,
    ) -> StoreResult<Creation> {
        self.or(Creation::Created(a_view())).await
    }

    async fn get(&self, _project: ProjectId, _id: CheckId) -> StoreResult<Option<CheckView>> {
        self.or(matches!(self, Self::Contested).then(a_view)).await
    }

    async fn list(
        &self,
        _project: ProjectId,
        _filter: &CheckFilter,
        _page: Page<CheckId>,
    ) -> StoreResult<Vec<CheckView>> {
        self.or(Vec::new()).await
    }

    async fn replace(
        &self,
        _project: ProjectId,
        _id: CheckId,
        _version: i32,
        _draft: CheckDraft,
        _now: Slot,
    ) -> StoreResult<Change> {
        self.or(Change::Stale).await
    }

    async fn delete(&self, _project: ProjectId, _id: CheckId, _now: Slot) -> StoreResult<bool> {
        self.or(false).await
    }

    async fn run_now(&self, _project: ProjectId, _id: CheckId, _now: Slot) -> StoreResult<RunNow> {
        self.or(RunNow::NotFound).await
    }
}

#[async_trait]
impl HeartbeatStore for Fake {
    async fn ping(&self, _: &PingToken, _: &JobPing, _: Slot) -> StoreResult<Received> {
        self.or(Received::Unknown).await
    }

    async fn listen(&self, _: Slot, _: i64) -> StoreResult<()> {
        self.or(()).await
    }

    async fn judge_overdue(&self, _: Slot, _: u32) -> StoreResult<Overdue> {
        self.or(Overdue::default()).await
    }
}

#[async_trait]
impl SecretStore for Fake {
    async fn put(&self, _: &SealedSecret, _: Slot) -> StoreResult<bool> {
        self.or(true).await
    }

    async fn list(&self, _: ProjectId, _: Page<SecretName>) -> StoreResult<Vec<Secret>> {
        self.or(Vec::new()).await
    }

    async fn get(&self, _: ProjectId, _: &[SecretName]) -> StoreResult<Vec<SealedSecret>> {
        self.or(Vec::new()).await
    }

    async fn remove(&self, _: ProjectId, _: &SecretName, _: u32) -> StoreResult<Removal> {
        self.or(Removal::NotFound).await
    }

    async fn sealed_with(
        &self,
        _: &[KeyId],
        _: Option<&SealedSecret>,
        _: u32,
    ) -> StoreResult<Vec<SealedSecret>> {
        self.or(Vec::new()).await
    }

    async fn reseal(&self, _: &SealedSecret, _: &[u8]) -> StoreResult<bool> {
        self.or(false).await
    }
}

#[async_trait]
impl SettingStore for Fake {
    async fn create(&self, _: &Setting) -> StoreResult<bool> {
        self.or(true).await
    }

    async fn get(
        &self,
        _: ProjectId,
        _: SettingKind,
        _: SettingId,
    ) -> StoreResult<Option<Setting>> {
        self.or(None).await
    }

    async fn list(
        &self,
        _: ProjectId,
        _: SettingKind,
        _: Page<SettingId>,
    ) -> StoreResult<Vec<Setting>> {
        self.or(Vec::new()).await
    }

    async fn replace(&self, _: &Setting) -> StoreResult<SettingChange> {
        self.or(SettingChange::Stale).await
    }

    async fn remove(&self, _: ProjectId, _: SettingKind, _: SettingId) -> StoreResult<bool> {
        self.or(false).await
    }

    async fn channel_states(
        &self,
        _: ProjectId,
        _: &[SettingId],
    ) -> StoreResult<Vec<(SettingId, ChannelState)>> {
        self.or(Vec::new()).await
    }

    async fn test_channel(
        &self,
        _: ProjectId,
        _: SettingId,
        _: &Message,
        _: Slot,
    ) -> StoreResult<Option<DeliveryId>> {
        self.or(None).await
    }
}

#[async_trait]
impl IncidentStore for Fake {
    async fn list(
        &self,
        _: ProjectId,
        _: &IncidentFilter,
        _: Page<IncidentId>,
    ) -> StoreResult<Vec<Incident>> {
        self.or(Vec::new()).await
    }

    async fn get(&self, _: ProjectId, _: IncidentId) -> StoreResult<Option<Incident>> {
        self.or(None).await
    }

    async fn story(&self, _: ProjectId, _: IncidentId) -> StoreResult<Option<Story>> {
        self.or(None).await
    }

    async fn report(
        &self,
        project: ProjectId,
        report: &Report,
        _: Option<&str>,
        now: Slot,
    ) -> StoreResult<Option<Incident>> {
        let (title, cause) = (report.title.clone(), report.cause.clone());
        let made = Incident::of_no_check(IncidentKind::Manual, project, title, cause, now);
        self.or((!matches!(self, Self::Contested)).then_some(made)).await
    }

    async fn acknowledge(
        &self,
        _: ProjectId,
        _: IncidentId,
        _: &Act,
        _: Slot,
    ) -> StoreResult<Acted> {
        self.or(Acted::NotFound).await
    }

    async fn unacknowledge(
        &self,
        _: ProjectId,
        _: IncidentId,
        _: &Act,
        _: Slot,
    ) -> StoreResult<Acted> {
        self.or(Acted::NotFound).await
    }

    async fn resolve(&self, _: ProjectId, _: IncidentId, _: &Act, _: Slot) -> StoreResult<Acted> {
        self.or(Acted::NotFound).await
    }

    async fn note(&self, _: ProjectId, _: IncidentId, _: &Act, _: Slot) -> StoreResult<Acted> {
        self.or(Acted::NotFound).await
    }

    async fn installation(&self) -> StoreResult<Option<Installation>> {
        self.or(None).await
    }
}

#[async_trait]
impl EventLabels for Fake {
    async fn labels(&self, _: &[CheckId]) -> StoreResult<Vec<(CheckId, Label)>> {
        self.or(Vec::new()).await
    }
}

#[async_trait]
impl AlertLog for Fake {
    async fn alerts(
        &self,
        _project: ProjectId,
        _check: CheckId,
        _page: Page<AlertId>,
    ) -> StoreResult<Vec<Alert>> {
        self.or(Vec::new()).await
    }

    async fn deliveries(
        &self,
        _project: ProjectId,
        _filter: &DeliveryFilter,
        _page: Page<DeliveryId>,
    ) -> StoreResult<Vec<DeliveryView>> {
        self.or(Vec::new()).await
    }

    async fn has_delivery(&self, _project: ProjectId, _id: DeliveryId) -> StoreResult<bool> {
        self.or(false).await
    }

    async fn attempts(
        &self,
        _project: ProjectId,
        _of: AttemptsOf,
        _page: Page<AttemptId>,
    ) -> StoreResult<Vec<AttemptView>> {
        self.or(Vec::new()).await
    }

    async fn replay(
        &self,
        _project: ProjectId,
        _check: Option<CheckId>,
        _delivery: DeliveryId,
        _now: Slot,
    ) -> StoreResult<bool> {
        self.or(false).await
    }

    async fn replay_dead(
        &self,
        _project: ProjectId,
        _channel: Option<SettingId>,
        _raised: Range<Slot>,
        _limit: u32,
        _now: Slot,
    ) -> StoreResult<u64> {
        self.or(0).await
    }
}

#[async_trait]
impl ChangeLog for Fake {
    async fn changes(
        &self,
        _project: ProjectId,
        _check: Option<CheckId>,
        _kind: Option<TraitKind>,
        _page: Page<ChangeId>,
    ) -> StoreResult<Vec<traits::Change>> {
        self.or(Vec::new()).await
    }
}

#[async_trait]
impl History for Fake {
    async fn prepare(&self) -> StoreResult<()> {
        self.or(()).await
    }

    async fn append(&self, _shipment: &Shipment) -> StoreResult<()> {
        self.or(()).await
    }

    async fn runs(&self, _of: RunsOf, _page: Page<(Slot, String)>) -> StoreResult<Vec<Run>> {
        self.or(Vec::new()).await
    }

    async fn metrics(&self, _of: MetricsOf) -> StoreResult<Metrics> {
        self.or(Metrics::default()).await
    }

    async fn retain(&self, _now: Slot) -> StoreResult<()> {
        self.or(()).await
    }
}

#[async_trait]
impl Ping for Fake {
    async fn ping(&self) -> StoreResult<Duration> {
        match self {
            Self::Gone => pending().await,
            _ => Ok(Duration::ZERO),
        }
    }
}

impl Clock for Fake {
    fn now(&self) -> Slot {
        Slot(1_700_000_000_000)
    }
}

#[async_trait]
impl Dispatch for Fake {
    async fn push(&self, _: &[Job]) -> StoreResult<Pushed> {
        self.or(Pushed::default()).await
    }

    async fn put_specs(&self, _: &Region, _: &[VersionedSpec]) -> StoreResult<()> {
        self.or(()).await
    }
}

#[async_trait]
impl DryRuns for Fake {
    async fn answer(&self, _: &RunResult) -> StoreResult<()> {
        self.or(()).await
    }

    async fn take(&self, _: CheckId) -> StoreResult<Option<RunResult>> {
        self.or(None).await
    }
}
