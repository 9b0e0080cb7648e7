//! Live events: what has just become true, for those who look on.
//!
//! An event repeats what the state store has committed and decides nothing: whoever misses one reads
//! the lists. It travels as the text that clients get, so that a version passes on what a later one
//! adds. [`Head`] is as much of a text as decides who gets it.

use std::borrow::Cow;
use std::fmt;

use chrono::SecondsFormat;
use serde::{Deserialize, Serialize, Serializer};

use super::alert::{AlertKind, Resolution};
use super::channel::Severity;
use super::check::Status;
use super::ids::{CheckId, DeliveryId, IncidentId, ProjectId, Region, SettingId};
use super::run::{Outcome, Run};
use super::schedule::Slot;

words! {
    /// What an event tells.
    EventKind {
        /// The status of a check, over all its regions, is another.
        CheckStatusChanged = "check.status_changed",
        /// A slot got its outcome. There are many of these: they are passed on to those who ask for
        /// them by name, and not kept.
        RunFinished = "run.finished",
        /// Something is wrong: a check is down or degraded, or somebody said so.
        IncidentOpened = "incident.opened",
        /// Somebody said that they see to it.
        IncidentAcknowledged = "incident.acknowledged",
        /// They took that back.
        IncidentUnacknowledged = "incident.unacknowledged",
        /// Somebody wrote a note.
        IncidentNoted = "incident.noted",
        /// It is over.
        IncidentResolved = "incident.resolved",
        /// An alert arrived at its receiver.
        DeliveryDelivered = "delivery.delivered",
        /// An attempt failed; there will be another.
        DeliveryFailed = "delivery.failed",
        /// An alert was given up.
        DeliveryDead = "delivery.dead",
    }
}

/// In place of a kind, in a text that says: events may have been lost here, read the lists again.
pub const RESYNC: &str = "resync";

/// Something that has just become true.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The tenant: nobody else's clients hear of it.
    pub project: ProjectId,
    /// The check it is about; the id of an incident that has none.
    pub check: CheckId,
    /// When.
    pub at: Slot,
    /// What.
    pub what: What,
}

/// What an event tells besides whose it is; each with the fields that clients see.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "each field is told in the API's description")]
pub enum What {
    /// See [`EventKind::CheckStatusChanged`].
    StatusChanged { from: Status, to: Status },
    /// See [`EventKind::RunFinished`].
    RunFinished {
        region: Region,
        #[serde(serialize_with = "rfc3339")]
        slot: Slot,
        slots: u32,
        #[serde(flatten)]
        outcome: Outcome,
        latency_ms: Option<f64>,
        error: Option<String>,
    },
    /// See [`EventKind::IncidentOpened`].
    IncidentOpened {
        incident_id: IncidentId,
        severity: Severity,
        #[serde(serialize_with = "rfc3339")]
        started_at: Slot,
        cause: String,
    },
    /// See [`EventKind::IncidentAcknowledged`].
    IncidentAcknowledged {
        incident_id: IncidentId,
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// See [`EventKind::IncidentUnacknowledged`].
    IncidentUnacknowledged { incident_id: IncidentId },
    /// See [`EventKind::IncidentNoted`].
    IncidentNoted {
        incident_id: IncidentId,
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// See [`EventKind::IncidentResolved`].
    IncidentResolved { incident_id: IncidentId, resolution: Option<Resolution> },
    /// An attempt at a delivery has ended: delivered, failed or dead.
    Delivery {
        #[serde(skip)]
        kind: EventKind,
        incident_id: IncidentId,
        delivery_id: DeliveryId,
        alert: AlertKind,
        channel_id: Option<SettingId>,
        attempt: u32,
        status: Option<u16>,
        error: Option<String>,
    },
}

impl What {
    const fn kind(&self) -> EventKind {
        match self {
            Self::StatusChanged { .. } => EventKind::CheckStatusChanged,
            Self::RunFinished { .. } => EventKind::RunFinished,
            Self::IncidentOpened { .. } => EventKind::IncidentOpened,
            Self::IncidentAcknowledged { .. } => EventKind::IncidentAcknowledged,
            Self::IncidentUnacknowledged { .. } => EventKind::IncidentUnacknowledged,
            Self::IncidentNoted { .. } => EventKind::IncidentNoted,
            Self::IncidentResolved { .. } => EventKind::IncidentResolved,
            Self::Delivery { kind, .. } => *kind,
        }
    }
}

/// What people call a check, and find it by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: String,
    /// What it looks at.
    pub url: String,
    /// Its tags.
    pub tags: Vec<String>,
}

impl Event {
    /// That a slot got its outcome: when its run ended, by the worker's clock, or, when nobody looked,
    /// when it was due.
    #[must_use]
    pub fn of_run(run: &Run) -> Self {
        let ended = run.observation.as_ref().map(|seen| {
            let took = i64::from(seen.phases.total_us.unwrap_or_default()) / 1000;
            Slot::from(seen.started_at).plus(took)
        });
        let what = What::RunFinished {
            region: run.region.clone(),
            slot: run.slot,
            slots: run.slots,
            outcome: run.outcome,
            latency_ms: run.total_us().map(|us| f64::from(us) / 1000.0),
            error: run.observation.as_ref().and_then(|seen| seen.error.clone()),
        };
        let at = ended.unwrap_or(run.slot);
        Self { project: run.project_id, check: run.check_id, at, what }
    }

    /// What it tells.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        self.what.kind()
    }

    /// As it travels: one JSON object in one line. `label` is that of its check; an incident without a
    /// check has none.
    #[must_use]
    pub fn text(&self, label: Option<&Label>) -> String {
        let text = Text {
            kind: self.kind().as_str(),
            project_id: Some(self.project),
            at: self.at,
            check: label.map(|label| OfCheck {
                check_id: self.check,
                name: &label.name,
                tags: &label.tags,
            }),
            what: Some(&self.what),
        };
        serde_json::to_string(&text).unwrap_or_default()
    }
}

/// A text that says, to everyone: events may have been lost here.
#[must_use]
pub fn resync_text(at: Slot) -> String {
    let text = Text { kind: RESYNC, project_id: None, at, check: None, what: None };
    serde_json::to_string(&text).unwrap_or_default()
}

#[derive(Serialize)]
struct Text<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_id: Option<ProjectId>,
    #[serde(serialize_with = "rfc3339")]
    at: Slot,
    #[serde(flatten)]
    check: Option<OfCheck<'a>>,
    #[serde(flatten)]
    what: Option<&'a What>,
}

#[derive(Serialize)]
struct OfCheck<'a> {
    check_id: CheckId,
    name: &'a str,
    tags: &'a [String],
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn rfc3339<S: Serializer>(at: &Slot, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.time().to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// As much of an event's text as decides who gets it.
#[derive(Debug, Deserialize)]
pub struct Head<'a> {
    /// The word of its kind; one that this version does not know goes to those who asked for no kinds
    /// in particular.
    #[serde(rename = "type", borrow)]
    pub kind: Cow<'a, str>,
    /// Whose it is; `None` for what is said to everyone.
    #[serde(default)]
    pub project_id: Option<ProjectId>,
    /// The check it is about.
    #[serde(default)]
    pub check_id: Option<CheckId>,
    /// That check's tags.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// The place of an event among all that are kept, the same on every server: later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    /// Milliseconds since the Unix epoch, by the clock of whoever keeps the events.
    pub ms: u64,
    /// Counts those of one millisecond.
    pub number: u64,
}

impl EventId {
    /// `None` when `text` is no event's id.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = |text: &str| {
            let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| text.parse().ok()).flatten()
        };
        let (ms, number) = text.split_once('-')?;
        Some(Self { ms: digits(ms)?, number: digits(number)? })
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.number)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::models::run::FailClass;

    fn an_event(what: What) -> Event {
        let check = CheckId(Uuid::from_u128(7));
        Event { project: ProjectId::DEFAULT, check, at: Slot(1_500), what }
    }

    fn shown(event: &Event) -> Value {
        let label = Label { name: "Shop".into(), tags: vec!["eu".into()], ..Label::default() };
        serde_json::from_str(&event.text(Some(&label))).unwrap()
    }

    #[test]
    fn a_change_of_status_tells_the_check_and_both_statuses() {
        let event = an_event(What::StatusChanged { from: Status::Up, to: Status::Down });

        let expected = json!({
            "type": "check.status_changed",
            "project_id": Uuid::nil(),
            "at": "1970-01-01T00:00:01.500Z",
            "check_id": Uuid::from_u128(7),
            "name": "Shop",
            "tags": ["eu"],
            "from": "up",
            "to": "down",
        });
        assert_eq!(shown(&event), expected);
    }

    #[test]
    fn a_run_tells_its_outcome_as_everywhere() {
        let event = an_event(What::RunFinished {
            region: Region::default(),
            slot: Slot(1_000),
            slots: 1,
            outcome: Outcome::Fail(FailClass::Dns),
            latency_ms: Some(1.5),
            error: Some("no such name".into()),
        });

        let shown = shown(&event);

        assert_eq!((&shown["outcome"], &shown["reason"]), (&json!("fail"), &json!("dns")));
        assert_eq!(shown["slot"], "1970-01-01T00:00:01.000Z");
        assert_eq!(shown["latency_ms"], 1.5);
    }

    #[test]
    fn a_head_says_who_gets_it_and_reads_what_a_later_version_adds() {
        let event = an_event(What::StatusChanged { from: Status::Up, to: Status::Down });
        let tags = vec!["x".into(), "y".into()];
        let label = Label { name: "a \"b\"".into(), tags, ..Label::default() };
        let text = event.text(Some(&label));

        let head: Head<'_> = serde_json::from_str(&text).unwrap();
        let later: Head<'_> = serde_json::from_str(r#"{"type":"check.moved","to":7}"#).unwrap();
        let resync = resync_text(Slot(0));
        let resync: Head<'_> = serde_json::from_str(&resync).unwrap();

        assert_eq!((&*head.kind, head.check_id), ("check.status_changed", Some(event.check)));
        assert_eq!((head.project_id, head.tags), (Some(ProjectId::DEFAULT), label.tags));
        assert_eq!((&*later.kind, later.project_id), ("check.moved", None));
        assert_eq!((&*resync.kind, resync.project_id), (RESYNC, None));
    }

    #[test]
    fn an_incident_without_a_check_names_none() {
        let what = What::IncidentResolved {
            incident_id: IncidentId(Uuid::from_u128(1)),
            resolution: Some(Resolution::Recovered),
        };

        let text: Value = serde_json::from_str(&an_event(what).text(None)).unwrap();

        assert_eq!((text.get("check_id"), &text["resolution"]), (None, &json!("recovered")));
    }

    #[test]
    fn an_id_is_read_back_and_nothing_else_is_one() {
        let id = EventId { ms: 1_790_000_000_000, number: 3 };

        assert_eq!(EventId::parse(&id.to_string()), Some(id));
        assert!(id < EventId { ms: 1_790_000_000_000, number: 4 });
        for wrong in ["", "-", "1", "1-", "-1", "+1-0", "1-0-0", "a-1", "99999999999999999999-0"] {
            assert_eq!(EventId::parse(wrong), None, "{wrong:?}");
        }
    }
}
