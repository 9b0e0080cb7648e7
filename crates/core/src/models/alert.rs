//! Incidents, the alerts at their edges, and the deliveries that carry them.
//!
//! What a receiver gets is fixed when the alert is raised: the same id and the same bytes on every
//! attempt, whatever happens to the check meanwhile.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use super::channel::{ChannelSpec, Severity};
use super::ids::{
    AlertId, AttemptId, CheckId, DeliveryId, IncidentId, ProjectId, Region, SettingId,
};
use super::incident::{Acknowledgement, Before, IncidentKind, Standing};
use super::schedule::Slot;
use super::telling::Memory;

words! {
    /// What an alert says of its incident.
    AlertKind {
        /// An outage began.
        Opened = "opened",
        /// It lasts, and nobody has said that they see to it.
        Reminder = "reminder",
        /// It is over.
        Resolved = "resolved",
        /// Nothing: somebody wants to know whether a channel works.
        Test = "test",
    }
}

impl AlertKind {
    /// The order in which the alerts of one incident must arrive; `number` tells those of a kind apart.
    #[must_use]
    pub fn sequence(self, number: u16) -> i16 {
        match self {
            Self::Opened | Self::Test => 0,
            Self::Reminder => i16::try_from(number).unwrap_or(i16::MAX).min(i16::MAX - 1),
            Self::Resolved => i16::MAX,
        }
    }
}

words! {
    /// Why an incident ended.
    Resolution {
        /// A good run.
        Recovered = "recovered",
        /// The check was paused.
        Paused = "paused",
        /// The check was deleted.
        Deleted = "deleted",
        /// The region that was down is no longer looked from.
        Edited = "edited",
        /// Somebody said so.
        Resolved = "resolved",
        /// What was degraded went down: another incident has begun.
        Worsened = "worsened",
        /// What was down is degraded: another incident has begun.
        Eased = "eased",
    }
}

/// Something that is wrong, or was: most often one outage of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// Its id.
    pub id: IncidentId,
    /// The tenant.
    pub project_id: ProjectId,
    /// What it is.
    pub kind: IncidentKind,
    /// The check; its own id where it is about none, so that no two of those that last have the same.
    pub check_id: CheckId,
    /// How bad it is, or was.
    pub severity: Severity,
    /// What it is called, where no check gives it a name.
    pub title: Option<String>,
    /// What it has to do with, where no check says so.
    pub tags: Vec<String>,
    /// The first slot that failed, or was degraded.
    pub started_at: Slot,
    /// When it was recognised, by the store's clock.
    pub opened_at: DateTime<Utc>,
    /// The first good slot, or when the check was paused or deleted; `None` while it lasts.
    pub resolved_at: Option<Slot>,
    /// Why it ended.
    pub resolution: Option<Resolution>,
    /// What was seen, in a sentence.
    pub cause: String,
    /// Where the first failing slot was; `None` where nobody looked, or an earlier version recorded it.
    pub region: Option<Region>,
    /// What the check was before; `None` as for the region.
    pub before: Option<Before>,
    /// Who sees to it, or saw to it; `None` while nobody has said so.
    pub acknowledged: Option<Acknowledgement>,
    /// When its end was recognised, by the store's clock.
    pub closed_at: Option<DateTime<Utc>>,
    /// Who said that it is over, where somebody did and told a name.
    pub resolved_by: Option<String>,
    /// What was done to tell people; `None` where all was told at once and nothing is to follow.
    pub telling: Option<Memory>,
}

impl Incident {
    /// One that is about no check, and begins now.
    #[must_use]
    pub fn of_no_check(
        kind: IncidentKind,
        project: ProjectId,
        title: String,
        cause: String,
        now: Slot,
    ) -> Self {
        let id = IncidentId::generate();
        Self {
            id,
            project_id: project,
            kind,
            check_id: CheckId(id.0),
            severity: Severity::Down,
            title: Some(title),
            tags: Vec::new(),
            started_at: now,
            opened_at: now.time(),
            resolved_at: None,
            resolution: None,
            cause,
            region: None,
            before: None,
            acknowledged: None,
            closed_at: None,
            resolved_by: None,
            telling: None,
        }
    }

    /// Whether people were told that it opened, as far as there was anybody to tell.
    #[must_use]
    pub fn was_told(&self) -> bool {
        self.telling.as_ref().is_none_or(Memory::was_told)
    }

    /// Where it stands.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        match (self.resolved_at, &self.acknowledged) {
            (Some(_), _) => Standing::Resolved,
            (None, Some(_)) => Standing::Acknowledged,
            (None, None) => Standing::Open,
        }
    }
}

/// One edge of one incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Its id.
    pub id: AlertId,
    /// The incident.
    pub incident_id: IncidentId,
    /// The check.
    pub check_id: CheckId,
    /// Which edge.
    pub kind: AlertKind,
    /// Tells alerts of a kind apart, from 1.
    pub number: u16,
    /// When it was raised, by the store's clock.
    pub raised_at: DateTime<Utc>,
    /// Deliveries made for it, and how many of them arrived.
    pub deliveries: u32,
    /// How many arrived.
    pub delivered: u32,
}

words! {
    /// Where a delivery stands.
    DeliveryState {
        /// To be tried, now or later.
        Pending = "pending",
        /// The receiver said 2xx.
        Delivered = "delivered",
        /// Given up: the schedule ended, the receiver said never to come back, or there is no way to it.
        /// Can be replayed.
        Dead = "dead",
    }
}

/// A delivery in an alerter's hands, with everything needed to make one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeasedDelivery {
    /// The delivery.
    pub id: DeliveryId,
    /// The attempt that was recorded for this lease.
    pub attempt_id: AttemptId,
    /// Its number, from 1, over all replays.
    pub number: u32,
    /// Its place in the retry schedule, from 1; a replay starts the schedule again.
    pub schedule_step: u32,
    /// What it tells of.
    pub incident_id: IncidentId,
    /// What it says of it.
    pub kind: AlertKind,
    /// Whose it is.
    pub project_id: ProjectId,
    /// Tells its receiver from others: the address of a check's own webhook, or a channel's id.
    pub receiver: String,
    /// How it is told; `None` when the channel has been removed.
    pub channel: Option<ChannelSpec>,
    /// Which channel that is; `None` for a check's own webhook.
    pub addressee: Option<Addressee>,
    /// As the channel composed it: the same on every attempt.
    pub body: String,
    /// Whom the last attempt with an end did not reach, while others were; empty when it is for all.
    pub left: Vec<String>,
}

impl LeasedDelivery {
    /// Whether the channel is switched off, which only a test gets past: that is how one knows when to
    /// switch it on again.
    #[must_use]
    pub fn is_switched_off(&self) -> bool {
        self.kind != AlertKind::Test && self.addressee.is_some_and(|it| !it.enabled)
    }
}

/// The channel that a delivery is for, as it was when the delivery was leased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addressee {
    /// Its id.
    pub id: SettingId,
    /// Its version: an attempt says nothing of the versions after it.
    pub version: i32,
    /// Whether anybody is told by it.
    pub enabled: bool,
}

/// What came back from an attempt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AttemptReport {
    /// The headers that were sent, signature and all.
    pub request_headers: Vec<(String, String)>,
    /// Status, when there was a response.
    pub status: Option<u16>,
    /// The response's headers, tamed.
    pub response_headers: Vec<(String, String)>,
    /// The beginning of the response's body, tamed.
    pub response_body: Option<String>,
    /// What went wrong, when there was no response.
    pub error: Option<String>,
    /// From the start to the end, in milliseconds.
    pub latency_ms: u32,
    /// Whether it was the deadline that ended it.
    pub timed_out: bool,
}

/// The name under which [`AttemptReport::response_headers`] hold whom an attempt did not reach that reached
/// others, with a comma and a space between them.
pub const LEFT: &str = "left";

/// What becomes of a delivery after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// It arrived.
    Delivered,
    /// Try again after this many milliseconds.
    RetryIn(u64),
    /// It arrived at some of those it is for; the rest are tried again after this many milliseconds.
    RestIn(u64),
    /// Given up after it was tried.
    Dead,
    /// Given up: the receiver wants nothing any more, neither this nor anything else.
    Gone,
    /// Given up without having been tried: there is no way to do it. That says nothing of the receiver.
    Unsent,
}

impl Settlement {
    /// Whether the delivery is given up.
    #[must_use]
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Dead | Self::Gone | Self::Unsent)
    }
}

/// One delivery as the log shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryView {
    /// Its id.
    pub id: DeliveryId,
    /// The check, or the incident itself where it has none.
    pub check_id: CheckId,
    /// The incident.
    pub incident_id: IncidentId,
    /// The alert.
    pub alert_id: AlertId,
    /// Which edge.
    pub kind: AlertKind,
    /// Where it stands.
    pub state: DeliveryState,
    /// Who is told: a check's own webhook by its address, a channel by its id.
    pub receiver: String,
    /// The channel, if it is one.
    pub channel: Option<SettingId>,
    /// When it was raised, by the store's clock.
    pub raised_at: DateTime<Utc>,
    /// The delivery that it was made instead of.
    pub instead_of: Option<DeliveryId>,
    /// How many attempts were made, over all replays.
    pub attempts: u32,
    /// When the next attempt is due, while it is pending. A receiver that fails may be left alone for longer.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// What came of the last attempt, if one was made.
    pub last: Option<LastAttempt>,
}

/// What came of the last attempt of a delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct LastAttempt {
    /// When it was recorded, just before it was made.
    pub started_at: DateTime<Utc>,
    /// When it ended; `None` while it is under way or when its outcome is unknown.
    pub finished_at: Option<DateTime<Utc>>,
    /// The status, when there was a response.
    pub status: Option<u16>,
    /// What went wrong.
    pub error: Option<String>,
    /// In milliseconds.
    pub latency_ms: Option<u32>,
    /// Whether the deadline ended it.
    pub timed_out: bool,
}

/// One attempt as the log shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AttemptView {
    /// The check.
    pub check_id: CheckId,
    /// The attempt.
    pub id: AttemptId,
    /// The delivery it was made for: the `webhook-id`.
    pub delivery_id: DeliveryId,
    /// The alert.
    pub alert_id: AlertId,
    /// The incident.
    pub incident_id: IncidentId,
    /// Which edge.
    pub kind: &'static str,
    /// Where the delivery stands now.
    pub delivery_state: &'static str,
    /// Its number, from 1.
    pub number: u32,
    /// When it was recorded, just before it was made.
    pub started_at: DateTime<Utc>,
    /// When it ended; `None` while it is under way or when its outcome is unknown.
    pub finished_at: Option<DateTime<Utc>>,
    /// Where it went: a check's own webhook by its address, a channel by its id.
    pub channel: String,
    /// What was sent.
    pub body: String,
    /// What came back; empty until it ended.
    pub report: AttemptReportView,
    /// When the next attempt is due, if this was the last so far and one is due.
    pub next_attempt_at: Option<DateTime<Utc>>,
}

/// The stored part of an [`AttemptReport`].
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AttemptReportView {
    /// As sent.
    pub request_headers: Value,
    /// As received.
    pub status: Option<u16>,
    /// As received.
    pub response_headers: Value,
    /// As received.
    pub response_body: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// In milliseconds.
    pub latency_ms: Option<u32>,
    /// Whether the deadline ended it.
    pub timed_out: bool,
}
