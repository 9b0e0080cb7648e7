//! What the API says of incidents, and what it takes.

use chrono::{DateTime, Utc};
use pulse_core::models::alert::{Incident, Resolution};
use pulse_core::models::channel::Severity;
use pulse_core::models::check::FieldError;
use pulse_core::models::event::Label;
use pulse_core::models::health;
use pulse_core::models::incident::{
    Act, Before, IncidentKind, LONGEST_CAUSE, LONGEST_NAME, LONGEST_TAG, MOST_TAGS, Report,
    Standing, line, prose,
};
use pulse_core::models::telling::{Memory, Muted, MutedBy};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::Object;
use uuid::Uuid;

use super::check_shape::{words, words_or_null};
use super::fields::Fields;
use super::time::Time;

pub(super) fn standings() -> Object {
    let meaning = "Where it stands: `open`: it lasts, and nobody has said that they see to it; `acknowledged`: somebody has; `resolved`: it is over.";
    words(meaning, Standing::ALL.iter().map(|it| it.as_str()))
}

pub(super) fn severities() -> Object {
    let meaning =
        "How bad it is, or was: `down`: not working; `degraded`: alive, and less than well.";
    words(meaning, Severity::ALL.iter().map(|it| it.as_str()))
}

pub(super) fn kinds() -> Object {
    let meaning = "What it is: `outage`: a check is down or degraded, as `severity` says; `manual`: somebody said that something is wrong; `storm`: many checks at once, told of as one; `test`: somebody tried a channel; `system`: Pulse switched a channel off.";
    words(meaning, IncidentKind::ALL.iter().map(|it| it.as_str()))
}

fn resolutions() -> Object {
    let meaning = "Why it ended: a good run, a person who paused, deleted or edited the check, or one who said so (`resolved`); `worsened`: what was degraded went down, `eased`: what was down is degraded, and another incident tells of that; `null` while it lasts.";
    words_or_null(meaning, Resolution::ALL.iter().map(|it| it.as_str()))
}

fn states() -> Object {
    let meaning = "What the check was there just before.";
    words(meaning, health::State::ALL.iter().map(|it| it.as_str()))
}

/// Something that is wrong, or was: an outage of a check, or what somebody said.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Incident)]
pub(super) struct IncidentBody {
    /// Its id.
    id: Uuid,
    /// What it is.
    #[schema(schema_with = kinds)]
    kind: &'static str,
    /// Where it stands.
    #[schema(schema_with = standings)]
    status: &'static str,
    /// How bad it is, or was.
    #[schema(schema_with = severities)]
    severity: &'static str,
    /// The check; `null` where it is about none.
    check_id: Option<Uuid>,
    /// That check as it is now, or was when it was deleted; `null` where there is none, or it is kept no more.
    check: Option<CheckOfIncidentBody>,
    /// What it is called; `null` where it is about a check.
    title: Option<String>,
    /// What it has to do with, where it is about no check.
    tags: Vec<String>,
    /// The first failing slot: of the row, or the oldest in the check's window. Where there is no check, when it was opened.
    started_at: Time,
    /// When it was recognised: with failure number `alert_threshold`.
    opened_at: Time,
    /// The first good slot of the row that ended it, or when a person ended it; `null` while it lasts.
    resolved_at: Option<Time>,
    /// When its end was recognised; `null` while it lasts.
    closed_at: Option<Time>,
    /// Why it ended; `null` while it lasts.
    #[schema(schema_with = resolutions)]
    resolution: Option<&'static str>,
    /// Who said that it is over, where somebody did and told a name.
    resolved_by: Option<String>,
    /// What was seen, in a sentence.
    #[schema(example = "status 500, expected any 2xx")]
    cause: String,
    /// Where the first failing slot was; `null` where that is not known.
    #[schema(example = "default")]
    region: Option<String>,
    /// What the check was before; `null` where that is not known.
    before: Option<BeforeBody>,
    /// Since when somebody sees to it.
    acknowledged_at: Option<Time>,
    /// Who, where they told a name.
    acknowledged_by: Option<String>,
    /// Seconds from `opened_at` to `acknowledged_at`.
    #[schema(example = 84.2)]
    time_to_acknowledge_seconds: Option<f64>,
    /// Seconds from `opened_at` to `closed_at`.
    #[schema(example = 1820.5)]
    time_to_resolve_seconds: Option<f64>,
    /// The incident of a check that its own depends on, under which it is told, or was; `null` where there is none.
    parent_id: Option<Uuid>,
    /// What keeps people from being told of it, or did when it was over; `null` where nothing does.
    muted: Option<MutedBody>,
}

/// The check that an incident is about.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CheckOfIncident)]
struct CheckOfIncidentBody {
    /// Its id.
    id: Uuid,
    /// Its name.
    #[schema(example = "Google Homepage")]
    name: String,
    /// What it looks at.
    #[schema(example = "https://www.google.com")]
    url: String,
}

/// What holds an incident back.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Muted)]
struct MutedBody {
    /// What.
    #[schema(schema_with = muted_by)]
    by: &'static str,
    /// That of the silence, the maintenance, the route, or the parent's incident; `null` while it waits whether there is one.
    id: Option<Uuid>,
    /// When that is over; `null` where nobody knows.
    until: Option<Time>,
}

fn muted_by() -> Object {
    let meaning = "What: `silence`, `maintenance`, the `quiet_hours` of every route that concerns it, a `parent`: a check that its own depends on, or a `storm` of which it is a part.";
    words(meaning, MutedBy::ALL.iter().map(|it| it.as_str()))
}

impl From<Muted> for MutedBody {
    fn from(muted: Muted) -> Self {
        Self { by: muted.by.as_str(), id: muted.id, until: muted.until.map(Time::from) }
    }
}

/// What a check was before an incident.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Before)]
struct BeforeBody {
    /// Its state in that region.
    #[schema(schema_with = states)]
    status: &'static str,
    /// The end of its incident before, or when it was created.
    calm_since: Time,
}

impl From<Before> for BeforeBody {
    fn from(before: Before) -> Self {
        Self { status: before.state.as_str(), calm_since: before.calm_since.into() }
    }
}

impl IncidentBody {
    /// `label` is what its check is called, where it is about one.
    pub(super) fn of(incident: Incident, label: Option<&Label>) -> Self {
        let status = incident.standing().as_str();
        let telling = incident.telling.clone();
        let after = |at: Option<DateTime<Utc>>| at.map(|at| seconds(incident.opened_at, at));
        let acknowledged_at = incident.acknowledged.as_ref().map(|it| it.at);
        let (to_acknowledge, to_resolve) = (after(acknowledged_at), after(incident.closed_at));
        Self {
            id: incident.id.0,
            kind: incident.kind.as_str(),
            status,
            severity: incident.severity.as_str(),
            check_id: incident.kind.has_check().then_some(incident.check_id.0),
            check: label.map(|label| CheckOfIncidentBody {
                id: incident.check_id.0,
                name: label.name.clone(),
                url: label.url.clone(),
            }),
            title: incident.title,
            tags: incident.tags,
            started_at: incident.started_at.into(),
            opened_at: incident.opened_at.into(),
            resolved_at: incident.resolved_at.map(Time::from),
            closed_at: incident.closed_at.map(Time::from),
            resolution: incident.resolution.map(Resolution::as_str),
            resolved_by: incident.resolved_by,
            cause: incident.cause,
            parent_id: telling.as_ref().and_then(Memory::under).map(|id| id.0),
            muted: telling.and_then(|memory| memory.muted).map(MutedBody::from),
            region: incident.region.map(|region| region.to_string()),
            before: incident.before.map(BeforeBody::from),
            acknowledged_at: acknowledged_at.map(Time::from),
            acknowledged_by: incident.acknowledged.and_then(|it| it.by),
            time_to_acknowledge_seconds: to_acknowledge,
            time_to_resolve_seconds: to_resolve,
        }
    }
}

/// To the millisecond.
#[expect(clippy::cast_precision_loss, reason = "times of incidents stay far below 2^53 ms")]
fn seconds(from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    (to - from).num_milliseconds().max(0) as f64 / 1000.0
}

/// Who does it, and what they say to it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is read")]
pub(super) struct ActInput {
    /// Who you are; 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200, required = false, example = "Ada")]
    by: String,
    /// At most 10,000 characters.
    #[schema(max_length = 10_000, required = false)]
    note: String,
}

impl ActInput {
    pub(super) fn read(body: Value) -> Result<Act, Vec<FieldError>> {
        let mut fields = Fields::of(body)?;
        let by = fields.text("by", name);
        let note = fields.text("note", prose).unwrap_or_default();
        fields.finish(Act { by, note })
    }
}

/// A note.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is read")]
pub(super) struct NoteInput {
    /// Who you are; 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200, required = false, example = "Ada")]
    by: String,
    /// 1 to 10,000 characters.
    #[schema(min_length = 1, max_length = 10_000)]
    text: String,
}

impl NoteInput {
    pub(super) fn read(body: Value) -> Result<Act, Vec<FieldError>> {
        let mut fields = Fields::of(body)?;
        let by = fields.text("by", name);
        let note = fields.needed("text", |text| {
            let text = prose(text)?;
            if text.is_empty() { Err("must not be empty".into()) } else { Ok(text) }
        });
        fields.finish(Act { by, note })
    }
}

/// An incident that somebody opens.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is read")]
pub(super) struct ReportInput {
    /// What it is called; 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200, example = "Payments are slow")]
    title: String,
    /// What is known, in a sentence; 1 to 1,000 characters.
    #[schema(min_length = 1, max_length = 1_000, example = "the bank says so on its status page")]
    cause: String,
    /// How bad it is.
    #[schema(schema_with = severities, default = "down", required = false)]
    severity: String,
    /// What it has to do with: routes go by them. At most 20, of 1 to 64 characters.
    #[schema(max_items = 20, required = false)]
    tags: Vec<String>,
    /// Who you are; 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200, required = false, example = "Ada")]
    by: String,
}

impl ReportInput {
    pub(super) fn read(body: Value) -> Result<(Report, Option<String>), Vec<FieldError>> {
        let mut fields = Fields::of(body)?;
        let title = fields.needed("title", name);
        let cause = fields.needed("cause", |text| line(text, LONGEST_CAUSE));
        let severity = fields.text("severity", |word| {
            Severity::parse(word).ok_or_else(|| "must be one of degraded, down".to_owned())
        });
        let severity = severity.unwrap_or(Severity::Down);
        let tags = fields.texts("tags", MOST_TAGS, |tag| line(tag, LONGEST_TAG));
        let by = fields.text("by", name);
        fields.finish((Report { title, cause, severity, tags }, by))
    }
}

fn name(text: &str) -> Result<String, String> {
    line(text, LONGEST_NAME)
}
