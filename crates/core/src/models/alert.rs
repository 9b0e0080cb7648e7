//! Incidents, the alerts at their edges, and the deliveries that carry them.
//!
//! What a receiver gets is fixed when the alert is raised: the same id and the same bytes on every
//! attempt, whatever happens to the check meanwhile.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use super::ids::{AlertId, AttemptId, CheckId, DeliveryId, IncidentId, ProjectId};
use super::schedule::Slot;

words! {
    /// Which edge of an incident an alert is about.
    AlertKind {
        /// An outage began.
        Opened = "opened",
        /// It is over.
        Resolved = "resolved",
    }
}

impl AlertKind {
    /// The order in which the alerts of one incident must arrive.
    #[must_use]
    pub const fn sequence(self) -> i16 {
        match self {
            Self::Opened => 0,
            Self::Resolved => 1,
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
    }
}

/// One outage of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// Its id.
    pub id: IncidentId,
    /// The tenant.
    pub project_id: ProjectId,
    /// The check.
    pub check_id: CheckId,
    /// The first failing slot.
    pub started_at: Slot,
    /// When it was recognised, by the store's clock.
    pub opened_at: DateTime<Utc>,
    /// The first good slot, or when the check was paused or deleted; `None` while it lasts.
    pub resolved_at: Option<Slot>,
    /// Why it ended.
    pub resolution: Option<Resolution>,
    /// What was seen, in a sentence.
    pub cause: String,
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
        /// Given up: the schedule ended, or the receiver said 410. Can be replayed.
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
    /// Where it goes.
    pub url: String,
    /// Signs it.
    pub secret: String,
    /// What is sent, byte for byte.
    pub body: String,
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

/// What becomes of a delivery after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// It arrived.
    Delivered,
    /// Try again after this many milliseconds.
    RetryIn(u64),
    /// Given up.
    Dead,
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
    /// Where it went.
    pub url: String,
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

/// What an alert says about its check.
#[derive(Clone, Debug)]
pub struct AboutCheck<'a> {
    /// The check.
    pub id: CheckId,
    /// Its name when the alert was raised.
    pub name: &'a str,
    /// Its address when the alert was raised.
    pub url: &'a str,
}

/// The body of a webhook: documented in `docs/API.md`, fixed for good once raised.
#[must_use]
pub fn webhook_body(
    kind: AlertKind,
    raised_at: DateTime<Utc>,
    check: &AboutCheck<'_>,
    incident: &Incident,
) -> String {
    let at = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Millis, true);
    json!({
        "type": format!("incident.{kind}"),
        "timestamp": at(raised_at),
        "data": {
            "check": { "id": check.id, "name": check.name, "url": check.url },
            "incident": {
                "id": incident.id,
                "started_at": at(incident.started_at.time()),
                "resolved_at": incident.resolved_at.map(|slot| at(slot.time())),
                "resolution": incident.resolution.map(Resolution::as_str),
                "cause": incident.cause,
            },
        },
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_webhook_says_what_since_when_and_why() {
        let incident = Incident {
            id: IncidentId(Uuid::nil()),
            project_id: ProjectId::DEFAULT,
            check_id: CheckId(Uuid::nil()),
            started_at: Slot(1_000),
            opened_at: Slot(3_500).time(),
            resolved_at: None,
            resolution: None,
            cause: "status 500, expected any 2xx".into(),
        };
        let check =
            AboutCheck { id: incident.check_id, name: "Shop", url: "https://shop.example/" };

        let body = webhook_body(AlertKind::Opened, incident.opened_at, &check, &incident);

        let expected = json!({
            "type": "incident.opened",
            "timestamp": "1970-01-01T00:00:03.500Z",
            "data": {
                "check": { "id": Uuid::nil(), "name": "Shop", "url": "https://shop.example/" },
                "incident": {
                    "id": Uuid::nil(), "started_at": "1970-01-01T00:00:01.000Z", "resolved_at": null,
                    "resolution": null, "cause": "status 500, expected any 2xx",
                },
            },
        });
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);
    }
}
