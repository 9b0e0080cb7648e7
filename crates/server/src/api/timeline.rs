//! What happened to an incident, one thing after another.

use chrono::{DateTime, Utc};
use pulse_core::models::alert::{AlertKind, DeliveryState, Incident};
use pulse_core::models::channel::Severity;
use pulse_core::models::event::Label;
use pulse_core::models::incident::{Note, NoteKind};
use pulse_core::ports::incidents::{Story, ToldAlert, ToldDelivery};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Object;
use uuid::Uuid;

use super::alerts::kinds;
use super::check_shape::words;
use super::incident_shape::IncidentBody;
use super::runs::RunBody;
use super::time::Time;

/// An incident and all that happened to it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IncidentStory)]
pub(super) struct StoryBody {
    #[serde(flatten)]
    incident: IncidentBody,
    /// What happened, oldest first.
    timeline: Vec<EventBody>,
}

/// Something that happened.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TimelineEvent)]
struct EventBody {
    /// When.
    at: Time,
    /// What.
    #[schema(schema_with = events)]
    event: &'static str,
    /// Who did it, where somebody did and told a name.
    by: Option<String>,
    /// What they said to it; with `opened` the cause, with `resolved` by itself why it ended.
    text: Option<String>,
    /// With `failed` and `degraded`: the run, evidence and all; `null` where the history does not have it.
    run: Option<RunBody>,
    /// With `told`: the alert, and where its deliveries stand.
    alert: Option<ToldAlertBody>,
}

/// An alert, and how it was told.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ToldAlert)]
struct ToldAlertBody {
    /// Its id.
    id: Uuid,
    /// What it says of the incident.
    #[schema(schema_with = kinds)]
    kind: &'static str,
    /// One for each receiver.
    deliveries: Vec<ToldDeliveryBody>,
}

/// A delivery of an alert, and where it stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ToldDelivery)]
struct ToldDeliveryBody {
    /// Its id; `GET /deliveries` shows each attempt.
    id: Uuid,
    /// The channel; `null` for the check's own webhook.
    channel_id: Option<Uuid>,
    /// Where it stands: `pending`, `delivered` or `dead`.
    #[schema(schema_with = states)]
    state: &'static str,
    /// How often it was tried.
    attempts: u32,
    /// When the last attempt ended.
    last_ended_at: Option<Time>,
    /// The status that came back last.
    status: Option<u16>,
    /// What went wrong last.
    error: Option<String>,
    /// When it is tried next, while it is pending.
    next_attempt_at: Option<Time>,
}

const EVENTS: [&str; 9] = [
    "failed",
    "degraded",
    "reported",
    "opened",
    "told",
    "acknowledged",
    "unacknowledged",
    "note",
    "resolved",
];

fn events() -> Object {
    let meaning = "`failed` or `degraded`: as of when it is down, or degraded; `opened`: it was recognised; `reported`: somebody said so; `told`: an alert was raised; `acknowledged`, \
        `unacknowledged`, `note`: what people did; `resolved`: it is over.";
    words(meaning, EVENTS.into_iter())
}

fn states() -> Object {
    let meaning = "Where it stands: to be tried, arrived, or given up.";
    words(meaning, DeliveryState::ALL.iter().map(|it| it.as_str()))
}

impl StoryBody {
    /// Of a story, what its check is called, and the run of its first failing slot.
    pub(super) fn of(story: Story, label: Option<&Label>, run: Option<RunBody>) -> Self {
        let Story { incident, notes, alerts } = story;
        let mut timeline = edges(&incident, &notes, run);
        timeline.extend(notes.into_iter().map(noted));
        timeline.extend(alerts.into_iter().map(told));
        // Stable: of what happened at the same instant, the cause stands before its consequence.
        timeline.sort_by_key(|(at, rank, _)| (*at, *rank));
        let timeline = timeline.into_iter().map(|(_, _, event)| event).collect();
        Self { incident: IncidentBody::of(incident, label), timeline }
    }
}

/// When it was, its place among what was at the same time, and what to show.
type Placed = (DateTime<Utc>, u8, EventBody);

fn event(at: DateTime<Utc>, rank: u8, event: &'static str) -> Placed {
    let body = EventBody { at: at.into(), event, by: None, text: None, run: None, alert: None };
    (at, rank, body)
}

/// What the incident itself went through.
fn edges(incident: &Incident, notes: &[Note], run: Option<RunBody>) -> Vec<Placed> {
    let mut edges = Vec::new();
    if incident.kind.has_check() {
        let seen = match incident.severity {
            Severity::Degraded => "degraded",
            Severity::Down => "failed",
        };
        let (at, rank, body) = event(incident.started_at.time(), 0, seen);
        edges.push((at, rank, EventBody { run, ..body }));
    }
    let (at, rank, body) = event(incident.opened_at, 2, "opened");
    edges.push((at, rank, EventBody { text: Some(incident.cause.clone()), ..body }));
    // Who said that it is over left a note of it.
    let is_noted = notes.iter().any(|note| note.kind == NoteKind::Resolved);
    if let (Some(ended), false) = (incident.resolved_at, is_noted) {
        let at = incident.closed_at.unwrap_or_else(|| ended.time());
        let (at, rank, body) = event(at, 5, "resolved");
        let text = incident.resolution.map(|why| why.as_str().to_owned());
        edges.push((at, rank, EventBody { by: incident.resolved_by.clone(), text, ..body }));
    }
    edges
}

fn noted(note: Note) -> Placed {
    let (rank, what) = match note.kind {
        NoteKind::Reported => (1, "reported"),
        NoteKind::Note => (4, "note"),
        NoteKind::Acknowledged => (4, "acknowledged"),
        NoteKind::Unacknowledged => (4, "unacknowledged"),
        NoteKind::Resolved => (5, "resolved"),
    };
    let (at, rank, body) = event(note.at, rank, what);
    let text = Some(note.text).filter(|text| !text.is_empty());
    (at, rank, EventBody { by: note.author, text, ..body })
}

fn told(alert: ToldAlert) -> Placed {
    let rank = if alert.kind == AlertKind::Resolved { 6 } else { 3 };
    let (at, rank, body) = event(alert.raised_at, rank, "told");
    (at, rank, EventBody { alert: Some(alert.into()), ..body })
}

impl From<ToldAlert> for ToldAlertBody {
    fn from(alert: ToldAlert) -> Self {
        Self {
            id: alert.id.0,
            kind: alert.kind.as_str(),
            deliveries: alert.deliveries.into_iter().map(ToldDeliveryBody::from).collect(),
        }
    }
}

impl From<ToldDelivery> for ToldDeliveryBody {
    fn from(delivery: ToldDelivery) -> Self {
        Self {
            id: delivery.id.0,
            channel_id: delivery.channel.map(|id| id.0),
            state: delivery.state.as_str(),
            attempts: delivery.attempts,
            last_ended_at: delivery.last_ended_at.map(Time::from),
            status: delivery.status,
            error: delivery.error,
            next_attempt_at: delivery.next_attempt_at.map(Time::from),
        }
    }
}
