//! Rows of incidents and of what people did about them, and what they mean.

use std::collections::HashMap;

use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use super::rows::{At, Unreadable, read_all};
use crate::models::alert::{AlertKind, DeliveryState, Incident, Resolution};
use crate::models::channel::Severity;
use crate::models::health::State;
use crate::models::ids::{
    AlertId, CheckId, DeliveryId, IncidentId, NoteId, ProjectId, Region, SettingId,
};
use crate::models::incident::{Acknowledgement, Before, IncidentKind, Note, NoteKind, Standing};
use crate::models::installation::{Installation, LinkKey};
use crate::models::schedule::Slot;
use crate::models::telling::Memory;
use crate::ports::incidents::{IncidentFilter, Story, ToldAlert, ToldDelivery};

/// The columns of an [`IncidentRow`], by name: a column that a later version adds must not change what
/// a statement prepared by this one returns.
macro_rules! incident_columns {
    () => {
        "incidents.id, incidents.project_id, incidents.kind, incidents.check_id, incidents.severity,
         incidents.title, incidents.tags, incidents.started_slot, incidents.opened_at, incidents.resolved_slot,
         incidents.resolution, incidents.cause, incidents.region, incidents.was, incidents.calm_since,
         incidents.acknowledged_at, incidents.acknowledged_by, incidents.resolved_at, incidents.resolved_by,
         incidents.telling"
    };
}
pub(in crate::stores) use incident_columns;

#[derive(FromRow)]
pub struct IncidentRow {
    id: Uuid,
    project_id: Uuid,
    kind: String,
    check_id: Uuid,
    severity: String,
    title: Option<String>,
    tags: Option<Json<Vec<String>>>,
    started_slot: i64,
    opened_at: At,
    resolved_slot: Option<i64>,
    resolution: Option<String>,
    cause: String,
    region: Option<String>,
    was: Option<String>,
    calm_since: Option<i64>,
    acknowledged_at: Option<At>,
    acknowledged_by: Option<String>,
    resolved_at: Option<At>,
    resolved_by: Option<String>,
    telling: Option<String>,
}

impl TryFrom<IncidentRow> for Incident {
    type Error = Unreadable;

    fn try_from(row: IncidentRow) -> Result<Self, Unreadable> {
        let resolution =
            row.resolution.map(|word| Resolution::parse(&word).ok_or(Unreadable("a resolution")));
        let was = row.was.and_then(|word| State::parse(&word));
        let before = was.zip(row.calm_since);
        Ok(Self {
            id: IncidentId(row.id),
            project_id: ProjectId(row.project_id),
            kind: IncidentKind::parse(&row.kind).ok_or(Unreadable("a kind of incident"))?,
            check_id: CheckId(row.check_id),
            severity: Severity::parse(&row.severity).ok_or(Unreadable("a severity"))?,
            title: row.title,
            tags: row.tags.map(|tags| tags.0).unwrap_or_default(),
            started_at: Slot(row.started_slot),
            opened_at: row.opened_at.0,
            resolved_at: row.resolved_slot.map(Slot),
            resolution: resolution.transpose()?,
            cause: row.cause,
            region: row.region.as_deref().and_then(Region::parse),
            before: before.map(|(state, since)| Before { state, calm_since: Slot(since) }),
            acknowledged: row
                .acknowledged_at
                .map(|at| Acknowledgement { at: at.0, by: row.acknowledged_by }),
            closed_at: row.resolved_at.map(|at| at.0),
            resolved_by: row.resolved_by,
            telling: row.telling.as_deref().map(memory).transpose()?,
        })
    }
}

fn memory(text: &str) -> Result<Memory, Unreadable> {
    serde_json::from_str(text).map_err(|_other| Unreadable("what was told of an incident"))
}

#[derive(FromRow)]
pub struct NoteRow {
    id: Uuid,
    incident_id: Uuid,
    kind: String,
    author: Option<String>,
    body: String,
    written_at: At,
}

impl TryFrom<NoteRow> for Note {
    type Error = Unreadable;

    fn try_from(row: NoteRow) -> Result<Self, Unreadable> {
        Ok(Self {
            id: NoteId(row.id),
            incident_id: IncidentId(row.incident_id),
            kind: NoteKind::parse(&row.kind).ok_or(Unreadable("a kind of note"))?,
            author: row.author,
            text: row.body,
            at: row.written_at.0,
        })
    }
}

/// The most alerts, and the most deliveries, that are shown of an incident: the first ones.
pub const MOST_TOLD: i64 = 1_000;

#[derive(FromRow)]
pub struct ToldAlertRow {
    id: Uuid,
    kind: String,
    raised_at: At,
}

#[derive(FromRow)]
pub struct ToldDeliveryRow {
    id: Uuid,
    alert_id: Uuid,
    channel: String,
    channel_id: Option<Uuid>,
    state: String,
    attempts: i32,
    next_attempt_at: i64,
    finished_at: Option<At>,
    status: Option<i32>,
    error: Option<String>,
}

impl TryFrom<ToldDeliveryRow> for ToldDelivery {
    type Error = Unreadable;

    fn try_from(row: ToldDeliveryRow) -> Result<Self, Unreadable> {
        let state = DeliveryState::parse(&row.state).ok_or(Unreadable("a delivery's state"))?;
        let waits = state == DeliveryState::Pending;
        Ok(Self {
            id: DeliveryId(row.id),
            receiver: row.channel,
            channel: row.channel_id.map(SettingId),
            state,
            attempts: u32::try_from(row.attempts).unwrap_or_default(),
            last_ended_at: row.finished_at.map(|at| at.0),
            status: row.status.and_then(|status| u16::try_from(status).ok()),
            error: row.error,
            next_attempt_at: waits.then(|| Slot(row.next_attempt_at).time()),
        })
    }
}

/// What was read of an incident, put together.
pub struct Read {
    pub incident: Incident,
    pub notes: Vec<NoteRow>,
    pub alerts: Vec<ToldAlertRow>,
    pub deliveries: Vec<ToldDeliveryRow>,
}

impl TryFrom<Read> for Story {
    type Error = Unreadable;

    fn try_from(read: Read) -> Result<Self, Unreadable> {
        let mut deliveries: HashMap<Uuid, Vec<ToldDelivery>> = HashMap::new();
        for row in read.deliveries {
            deliveries.entry(row.alert_id).or_default().push(row.try_into()?);
        }
        let alert = |row: ToldAlertRow| {
            Ok(ToldAlert {
                id: AlertId(row.id),
                kind: AlertKind::parse(&row.kind).ok_or(Unreadable("an alert's kind"))?,
                raised_at: row.raised_at.0,
                deliveries: deliveries.remove(&row.id).unwrap_or_default(),
            })
        };
        Ok(Self {
            incident: read.incident,
            alerts: read.alerts.into_iter().map(alert).collect::<Result<_, Unreadable>>()?,
            notes: read_all(read.notes)?,
        })
    }
}

#[derive(FromRow)]
pub struct InstallationRow {
    link_key: Vec<u8>,
    public_url: Option<String>,
}

impl TryFrom<InstallationRow> for Installation {
    type Error = Unreadable;

    fn try_from(row: InstallationRow) -> Result<Self, Unreadable> {
        let link_key = LinkKey::read(&row.link_key).ok_or(Unreadable("the key of links"))?;
        Ok(Self { link_key, public_url: row.public_url })
    }
}

/// Which of a project's incidents are meant, each condition as a statement takes it.
pub struct Conditions<'a> {
    /// Whether all of them last.
    pub lasting: bool,
    pub kind: Option<&'static str>,
    pub standing: Option<&'static str>,
    pub severity: Option<&'static str>,
    pub from: Option<i64>,
    pub to: Option<i64>,
    pub tags: &'a [String],
}

impl<'a> Conditions<'a> {
    pub fn of(filter: &'a IncidentFilter) -> Self {
        let lasts = |standing| matches!(standing, Standing::Open | Standing::Acknowledged);
        Self {
            lasting: filter.standing.is_some_and(lasts),
            kind: filter.kind.map(IncidentKind::as_str),
            standing: filter.standing.map(Standing::as_str),
            severity: filter.severity.map(Severity::as_str),
            from: filter.from.map(|at| Slot::from(at).0),
            to: filter.to.map(|at| Slot::from(at).0),
            tags: &filter.tags,
        }
    }
}
