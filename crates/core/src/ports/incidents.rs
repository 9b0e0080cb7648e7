//! Incidents, as people work with them.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Page, StoreResult};
use crate::models::alert::{AlertKind, DeliveryState, Incident};
use crate::models::channel::Severity;
use crate::models::ids::{AlertId, CheckId, DeliveryId, IncidentId, ProjectId, SettingId};
use crate::models::incident::{Act, IncidentKind, Note, Report, Standing};
use crate::models::installation::Installation;
use crate::models::schedule::Slot;

/// Which incidents a list shows; all conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IncidentFilter {
    /// Only those that stand so.
    pub standing: Option<Standing>,
    /// Only of this check.
    pub check: Option<CheckId>,
    /// Only with all of these tags: of their check as it is, or their own where they have none.
    pub tags: Vec<String>,
    /// Only as bad as this.
    pub severity: Option<Severity>,
    /// Only of this kind; all but tests of channels when nobody says.
    pub kind: Option<IncidentKind>,
    /// Only those that are told under this incident.
    pub parent: Option<IncidentId>,
    /// Only those that began then or later.
    pub from: Option<DateTime<Utc>>,
    /// Only those that began before.
    pub to: Option<DateTime<Utc>>,
}

/// An incident and all that happened to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// The incident.
    pub incident: Incident,
    /// What people did and said, oldest first.
    pub notes: Vec<Note>,
    /// What was told, oldest first.
    pub alerts: Vec<ToldAlert>,
}

/// An alert, and how it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldAlert {
    /// Its id.
    pub id: AlertId,
    /// What it says of the incident.
    pub kind: AlertKind,
    /// When it was raised, by the store's clock.
    pub raised_at: DateTime<Utc>,
    /// One for each receiver.
    pub deliveries: Vec<ToldDelivery>,
}

/// A delivery of an alert, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// Whom it is for: a check's own webhook by its address, a channel by its id.
    pub receiver: String,
    /// The channel; `None` for a check's own webhook.
    pub channel: Option<SettingId>,
    /// Where it stands.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// When the last attempt ended; `None` before, and while one is under way.
    pub last_ended_at: Option<DateTime<Utc>>,
    /// The status that came back last.
    pub status: Option<u16>,
    /// What went wrong last.
    pub error: Option<String>,
    /// When it is tried next, while it is pending.
    pub next_attempt_at: Option<DateTime<Utc>>,
}

/// What became of what somebody did about an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acted {
    /// Done; the incident as it is now.
    Done(Incident),
    /// It was so already, and nothing has changed.
    Already(Incident),
    /// The incident is over: there is nothing to see to.
    Over,
    /// It has as many notes as it may have.
    Full,
    /// There is no such incident.
    NotFound,
}

/// See the module. Each act is one transaction with all that comes of it.
#[async_trait]
pub trait IncidentStore: Send + Sync {
    /// Incidents, newest first. The cursor is the id of the last one seen.
    async fn list(
        &self,
        project: ProjectId,
        filter: &IncidentFilter,
        page: Page<IncidentId>,
    ) -> StoreResult<Vec<Incident>>;

    /// The incident of that id in that project.
    async fn get(&self, project: ProjectId, id: IncidentId) -> StoreResult<Option<Incident>>;

    /// The incident of that id in that project, and all that happened to it.
    async fn story(&self, project: ProjectId, id: IncidentId) -> StoreResult<Option<Story>>;

    /// Opens an incident that somebody reports, and tells of it whom routes lead to by its tags. `None`
    /// where as many that were reported last as may.
    async fn report(
        &self,
        project: ProjectId,
        report: &Report,
        by: Option<&str>,
        now: Slot,
    ) -> StoreResult<Option<Incident>>;

    /// Says that somebody sees to it. Who said so first stays.
    async fn acknowledge(
        &self,
        project: ProjectId,
        id: IncidentId,
        act: &Act,
        now: Slot,
    ) -> StoreResult<Acted>;

    /// Takes an acknowledgement back.
    async fn unacknowledge(
        &self,
        project: ProjectId,
        id: IncidentId,
        act: &Act,
        now: Slot,
    ) -> StoreResult<Acted>;

    /// Says that it is over, and tells whoever heard that it began. Where its check is unwell, what was
    /// counted is forgotten and judged anew: if it goes on failing often enough, that is another incident.
    async fn resolve(
        &self,
        project: ProjectId,
        id: IncidentId,
        act: &Act,
        now: Slot,
    ) -> StoreResult<Acted>;

    /// Writes something down, of one that is over as well.
    async fn note(
        &self,
        project: ProjectId,
        id: IncidentId,
        act: &Act,
        now: Slot,
    ) -> StoreResult<Acted>;

    /// What all servers share; `None` before the first has introduced itself.
    async fn installation(&self) -> StoreResult<Option<Installation>>;
}
