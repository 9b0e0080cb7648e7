//! What the state stores share: the flow of each transaction, and what rows mean.
//!
//! A dialect gives its statements (`StateTx`); what they add up to is written once, here. Locks are
//! always taken in the same order, heartbeats before regions before checks, so that claims, recordings
//! and edits never deadlock where several writers are let in.

pub(super) mod acts;
pub(super) mod changes;
pub(super) mod checks;
pub(super) mod clock;
pub(super) mod deliveries;
pub(super) mod edits;
pub(super) mod forgetting;
pub(super) mod heartbeats;
pub(super) mod incident_rows;
pub(super) mod incidents;
pub(super) mod outbox;
pub(super) mod receivers;
pub(super) mod recording;
pub(super) mod rows;
pub(super) mod schedule;
pub(super) mod secrets;
pub(super) mod settings;
mod stir;
pub(super) mod storms;
pub(super) mod telling;
pub(super) mod transaction;

use std::collections::BTreeSet;

use async_trait::async_trait;

use crate::models::alert::{
    Addressee, AlertKind, AttemptReport, Incident, LeasedDelivery, Resolution,
};
use crate::models::breaker::Failing;
use crate::models::channel::Severity;
use crate::models::check::{Check, CheckConfig, CheckView};
use crate::models::check_region::CheckRegion;
use crate::models::health::State;
use crate::models::heartbeat::{Listening, PingToken};
use crate::models::ids::{
    AlertId, BatchId, CheckId, DeliveryId, IncidentId, NoteId, ProjectId, Region, SettingId,
};
use crate::models::incident::{Acknowledgement, NoteKind};
use crate::models::installation::Installation;
use crate::models::schedule::{Reach, Slot};
use crate::models::secret::SecretName;
use crate::models::setting::Setting;
use crate::models::telling::storm::Shared;
use crate::models::traits::{Change, Memory, TraitKind};
use crate::ports::checks::IdempotencyKey;
use crate::ports::secrets::{Referring, SealedSecret};
use crate::ports::{StoreError, StoreResult};
use crate::stores::events::Noted;
use heartbeats::Locked;
use storms::{MemberRow, StormRow};
use telling::Followed;

/// An outage that begins.
pub(super) struct Opening {
    pub id: IncidentId,
    pub check: CheckId,
    pub severity: Severity,
    pub since: Slot,
    pub region: Region,
    pub was: State,
    pub cause: String,
    pub shared: Shared,
}

/// An outage that ends.
pub(super) struct Ending {
    pub check: CheckId,
    pub at: Slot,
    pub resolution: Resolution,
    pub by: Option<String>,
}

/// An alert, and the deliveries that carry it to those who are to be told.
pub(super) struct Raised {
    pub id: AlertId,
    pub project: ProjectId,
    pub check: CheckId,
    pub incident: IncidentId,
    /// What it says, as it is kept.
    pub message: String,
    /// Tells it from others of its kind and incident.
    pub number: u16,
    pub deliveries: Vec<NewDelivery>,
}

pub(super) struct NewDelivery {
    pub id: DeliveryId,
    pub receiver: Receiver,
    pub body: String,
    /// The one that it is made instead of.
    pub instead_of: Option<DeliveryId>,
}

impl NewDelivery {
    pub fn new(receiver: Receiver, body: String) -> Self {
        Self { id: DeliveryId::generate(), receiver, body, instead_of: None }
    }
}

/// A delivery that somebody else is to be told of, and the alert that it carries.
pub(super) struct Undelivered {
    pub id: DeliveryId,
    pub kind: AlertKind,
    /// Without deliveries.
    pub alert: Raised,
    pub channel: SettingId,
    /// Where its channel's own fallback is kept, once the channel is removed.
    pub fallback: Option<SettingId>,
}

/// What somebody did about an incident, or said of it.
pub(super) struct NewNote {
    pub id: NoteId,
    pub project: ProjectId,
    pub incident: IncidentId,
    pub kind: NoteKind,
    pub author: Option<String>,
    pub text: String,
}

/// What a region remembers of a kind of trait.
pub(super) struct Remembered {
    pub check: CheckId,
    pub region: Region,
    pub kind: TraitKind,
    pub memory: Memory,
}

/// Who is told: a check's own webhook by its address, or a channel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Receiver {
    /// Tells one receiver from another.
    pub name: String,
    pub channel: Option<SettingId>,
}

impl Receiver {
    pub fn webhook(url: String) -> Self {
        Self { name: url, channel: None }
    }

    pub fn channel(id: SettingId) -> Self {
        Self { name: id.to_string(), channel: Some(id) }
    }
}

/// A request that was served before: the hash of its body, and its check.
pub(super) type Earlier = (Vec<u8>, CheckId);

/// The statements of one open transaction. Dropped without `commit`, nothing has happened; but its locks
/// may outlast it for a moment then, so whoever has an answer ends it by `commit` or by `unchanged`.
#[async_trait]
pub(super) trait StateTx: Send + Sized {
    /// What errors call the store.
    const STORE: &'static str;

    async fn insert_check(&mut self, check: &Check) -> StoreResult<()>;
    /// Remembers the key; the earlier request when it is known already. A rival with the same key
    /// waits here until this transaction has ended.
    async fn remember(
        &mut self,
        key: &IdempotencyKey,
        check: &Check,
        now: Slot,
    ) -> StoreResult<Option<Earlier>>;
    /// The check, unless it is deleted; its regions must be locked before.
    async fn lock_check(&mut self, project: ProjectId, id: CheckId) -> StoreResult<Option<Check>>;
    async fn update_check(&mut self, check: &Check) -> StoreResult<()>;
    async fn delete_check(&mut self, id: CheckId, now: Slot) -> StoreResult<()>;
    async fn view(&mut self, project: ProjectId, id: CheckId) -> StoreResult<Option<CheckView>>;
    /// Locks checks whose incidents are about to change. Always after their regions, in one order.
    async fn lock_checks(&mut self, checks: &[CheckId]) -> StoreResult<()>;
    /// Configurations with their versions, of deleted checks as well.
    async fn configs(
        &mut self,
        checks: &[CheckId],
    ) -> StoreResult<Vec<(CheckId, i32, CheckConfig)>>;
    /// Whose these checks are.
    async fn projects_of(&mut self, checks: &[CheckId]) -> StoreResult<Vec<(CheckId, ProjectId)>>;

    /// Writes a secret, over another value or anew; whether it is new.
    async fn put_secret(&mut self, secret: &SealedSecret, now: Slot) -> StoreResult<bool>;
    /// Writes another seal, if the old one is still there; whether it was.
    async fn replace_seal(&mut self, before: &SealedSecret, sealed: &[u8]) -> StoreResult<bool>;
    async fn remove_secret(&mut self, project: ProjectId, name: &SecretName) -> StoreResult<bool>;
    /// Checks that refer to a secret, oldest first.
    async fn referring(
        &mut self,
        project: ProjectId,
        name: &SecretName,
        most: u32,
    ) -> StoreResult<Vec<Referring>>;
    /// Gives checks a new version, and their regions with them.
    async fn renew_checks(&mut self, checks: &[CheckId]) -> StoreResult<()>;
    /// Secrets of any of these projects under any of these names.
    async fn secrets(
        &mut self,
        projects: &[ProjectId],
        names: &[SecretName],
    ) -> StoreResult<Vec<SealedSecret>>;

    /// Adds what a check that waits is called by.
    async fn insert_heartbeat(&mut self, check: &Check, token: &PingToken) -> StoreResult<()>;
    async fn delete_heartbeat(&mut self, check: CheckId) -> StoreResult<()>;
    /// That of a check, if it waits; always before its regions.
    async fn lock_heartbeat(&mut self, check: CheckId) -> StoreResult<Option<Locked>>;
    /// The one that is called by this token.
    async fn lock_heartbeat_called(&mut self, token: &PingToken) -> StoreResult<Option<Locked>>;
    /// Those whose deadline has passed at `now`, oldest first. Those that somebody else holds are left
    /// to them.
    async fn lock_overdue(&mut self, now: Slot, limit: u32) -> StoreResult<Vec<Locked>>;
    async fn save_heartbeats(&mut self, locked: &[Locked]) -> StoreResult<()>;
    /// The last stretch of listening; `None` before the first.
    async fn listening(&mut self) -> StoreResult<Option<Listening>>;

    /// Regions with a slot within reach and none under way, oldest slot first, locked. Those that
    /// somebody else holds are left to them.
    async fn lock_due(&mut self, reach: Reach, limit: u32) -> StoreResult<Vec<CheckRegion>>;
    async fn lock_regions(
        &mut self,
        wanted: &BTreeSet<(CheckId, &str)>,
    ) -> StoreResult<Vec<CheckRegion>>;
    async fn lock_regions_of(&mut self, check: CheckId) -> StoreResult<Vec<CheckRegion>>;
    async fn insert_regions(&mut self, regions: &[CheckRegion]) -> StoreResult<()>;
    /// Copies the configured part, which edits alone change, into all regions of `like`'s check.
    async fn reconfigure_regions(&mut self, like: &CheckRegion) -> StoreResult<()>;
    /// Writes ledgers and health back; each row must be locked by this transaction.
    async fn save_regions(&mut self, regions: &[CheckRegion]) -> StoreResult<()>;
    async fn delete_regions(&mut self, check: CheckId, regions: &[&str]) -> StoreResult<()>;
    /// How all regions of these checks are.
    async fn region_states(
        &mut self,
        checks: &[CheckId],
    ) -> StoreResult<Vec<(CheckId, Region, State)>>;

    /// Adds incidents where none is open; those that were added.
    async fn open_incidents(
        &mut self,
        openings: &[Opening],
        now: Slot,
    ) -> StoreResult<Vec<Incident>>;
    /// Ends open incidents; those that were open.
    async fn resolve_incidents(
        &mut self,
        endings: &[Ending],
        now: Slot,
    ) -> StoreResult<Vec<Incident>>;
    /// Outages of these checks that last.
    async fn outages_of(&mut self, checks: &[CheckId]) -> StoreResult<Vec<(CheckId, IncidentId)>>;
    /// Has all that is told under these incidents asked of at once.
    async fn ask_children(&mut self, parents: &[IncidentId]) -> StoreResult<()>;
    /// Keeps two changes of a project from passing each other: of what checks depend on, or of what is counted.
    async fn lock_project(&mut self, project: ProjectId) -> StoreResult<()>;
    /// Lets nobody else count what is told in a project until this transaction ends; whether it does. Only
    /// with `waits` it waits for whoever does.
    async fn lock_storms(&mut self, project: ProjectId, waits: bool) -> StoreResult<bool>;
    /// Storms of these projects that last.
    async fn storms(&mut self, projects: &[ProjectId]) -> StoreResult<Vec<StormRow>>;
    /// Of how many checks of a project but these channels were told since then; `most` at most.
    async fn told_since(
        &mut self,
        of: (ProjectId, Severity),
        since: Slot,
        others: &[CheckId],
        most: u32,
    ) -> StoreResult<u64>;
    /// Notes that channels were told of these for the first time.
    async fn note_told(&mut self, incidents: &[IncidentId], now: Slot) -> StoreResult<()>;
    /// The incidents of a storm, and those that were told of by themselves in the time before it, oldest
    /// first; so many at most.
    async fn members_of(
        &mut self,
        storm: &Incident,
        within_ms: i64,
        most: u32,
    ) -> StoreResult<Vec<MemberRow>>;
    /// Keeps what a storm is called, what is said of it, and whether it gathers.
    async fn describe_storm(&mut self, storm: &Incident, gathers: bool) -> StoreResult<()>;
    /// Who heard that these incidents opened.
    async fn told(&mut self, incidents: &[IncidentId]) -> StoreResult<Vec<(IncidentId, Receiver)>>;
    /// Open incidents whose time to be asked of has come at `now`, oldest first, locked. Those that somebody
    /// else holds are left to them.
    async fn lock_follow_ups(&mut self, now: Slot, limit: u32) -> StoreResult<Vec<Incident>>;
    async fn save_followed(&mut self, followed: &[Followed]) -> StoreResult<()>;
    /// All settings of these projects, in the order of their ids.
    async fn settings(&mut self, projects: &[ProjectId]) -> StoreResult<Vec<Setting>>;
    /// The incident, if there is one.
    async fn incident(
        &mut self,
        project: ProjectId,
        id: IncidentId,
    ) -> StoreResult<Option<Incident>>;
    /// The same, locked: always after its check.
    async fn lock_incident(
        &mut self,
        project: ProjectId,
        id: IncidentId,
    ) -> StoreResult<Option<Incident>>;
    /// Writes who sees to an incident; it must be locked.
    async fn save_acknowledgement(
        &mut self,
        id: IncidentId,
        by: Option<&Acknowledgement>,
    ) -> StoreResult<()>;
    async fn insert_note(&mut self, note: &NewNote, now: Slot) -> StoreResult<()>;
    async fn count_notes(&mut self, incident: IncidentId) -> StoreResult<u32>;
    /// How many incidents last that somebody reported.
    async fn count_reported(&mut self, project: ProjectId) -> StoreResult<u32>;
    /// What all servers share; `None` before the first has introduced itself.
    async fn installation(&mut self) -> StoreResult<Option<Installation>>;
    /// Adds an incident that has no check.
    async fn insert_incident(&mut self, incident: &Incident) -> StoreResult<()>;
    async fn insert_alerts(
        &mut self,
        kind: AlertKind,
        raised: &[Raised],
        now: Slot,
    ) -> StoreResult<()>;
    /// Adds deliveries of alerts that are there; nobody is told of one twice.
    async fn insert_deliveries(
        &mut self,
        kind: AlertKind,
        raised: &[Raised],
        now: Slot,
    ) -> StoreResult<()>;

    /// How a receiver has been failing. Until this transaction ends, no other one looks.
    async fn lock_failing(
        &mut self,
        project: ProjectId,
        receiver: &str,
    ) -> StoreResult<Option<Failing>>;
    async fn save_failing(
        &mut self,
        project: ProjectId,
        receiver: &str,
        failing: &Failing,
    ) -> StoreResult<()>;
    /// The receiver has answered well.
    async fn forget_failing(&mut self, project: ProjectId, receiver: &str) -> StoreResult<()>;
    async fn complete_attempt(
        &mut self,
        lease: &LeasedDelivery,
        report: &AttemptReport,
        now: Slot,
    ) -> StoreResult<()>;
    /// Ends a lease, of a delivery of that check; `None` when it had gone to another alerter.
    async fn end_lease(
        &mut self,
        lease: &LeasedDelivery,
        state: &str,
        next_attempt: Slot,
    ) -> StoreResult<Option<CheckId>>;
    /// Of these deliveries those that were for channels.
    async fn undelivered(&mut self, ids: &[DeliveryId]) -> StoreResult<Vec<Undelivered>>;
    /// What is said of the end of those of these incidents that are over, as alerts without deliveries. None of
    /// them ends before this transaction does.
    async fn ends_of(&mut self, incidents: &[IncidentId]) -> StoreResult<Vec<Raised>>;
    /// Pending deliveries to channels that were raised before `since`, and for which no stand-in has been
    /// looked for yet; from now on it has.
    async fn late(&mut self, since: Slot, limit: u32) -> StoreResult<Vec<DeliveryId>>;
    /// Switches a channel off, if it is on and of this version; whether it was.
    async fn switch_off(
        &mut self,
        project: ProjectId,
        channel: Addressee,
        reason: &str,
        now: Slot,
    ) -> StoreResult<bool>;

    /// What these regions remember; what this version cannot read is left out. They must be locked.
    async fn memories(
        &mut self,
        wanted: &BTreeSet<(CheckId, &str)>,
    ) -> StoreResult<Vec<Remembered>>;
    async fn save_memories(&mut self, memories: &[&Remembered]) -> StoreResult<()>;
    async fn insert_changes(&mut self, changes: &[Change]) -> StoreResult<()>;

    async fn insert_batch(&mut self, id: BatchId, rows: &[u8], row_count: usize)
    -> StoreResult<()>;

    /// What is told once this is committed.
    fn noted(&mut self) -> &mut Noted;

    async fn commit(self) -> StoreResult<()>;
    /// Answers without having changed anything. Whoever asks next finds no lock of this transaction.
    async fn unchanged<A: Send>(self, answer: A) -> A;

    fn unreadable(what: &str) -> StoreError {
        StoreError::Unreadable { store: Self::STORE, what: what.into() }
    }
}
