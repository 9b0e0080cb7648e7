//! Rows as both dialects select them, and what they mean.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::error::BoxDynError;
use sqlx::types::Json;
use sqlx::{Database, Decode, FromRow, Postgres, Sqlite, Type};
use uuid::Uuid;

use super::Remembered;
use crate::models::alert::{
    Alert, AlertKind, AttemptReportView, AttemptView, DeliveryState, DeliveryView, LastAttempt,
};
use crate::models::check::{Check, CheckConfig, CheckView, Status};
use crate::models::check_region::CheckRegion;
use crate::models::health::{Health, State, Thresholds, Trail};
use crate::models::ids::{
    AlertId, AttemptId, ChangeId, CheckId, DeliveryId, IncidentId, ProjectId, Region, SettingId,
};
use crate::models::ledger::{Ledger, Outstanding};
use crate::models::schedule::{Schedule, Slot};
use crate::models::traits::{Change, Marks, TraitKind};
use crate::stores::sql::heartbeats::WaitingRow;

/// What in a row this version cannot read.
#[derive(Debug)]
pub struct Unreadable(pub &'static str);

impl From<Unreadable> for String {
    fn from(it: Unreadable) -> Self {
        it.0.into()
    }
}

/// All of them, or the first that cannot be read.
pub fn read_all<R, M>(rows: Vec<R>) -> Result<Vec<M>, Unreadable>
where
    M: TryFrom<R, Error = Unreadable>,
{
    rows.into_iter().map(M::try_from).collect()
}

/// An instant for show: TIMESTAMPTZ in PostgreSQL, milliseconds since the Unix epoch in SQLite.
#[derive(Clone, Copy, Debug)]
pub struct At(pub DateTime<Utc>);

impl Type<Postgres> for At {
    fn type_info() -> <Postgres as Database>::TypeInfo {
        <DateTime<Utc> as Type<Postgres>>::type_info()
    }
}

impl<'r> Decode<'r, Postgres> for At {
    fn decode(value: <Postgres as Database>::ValueRef<'r>) -> Result<Self, BoxDynError> {
        <DateTime<Utc> as Decode<Postgres>>::decode(value).map(Self)
    }
}

impl Type<Sqlite> for At {
    fn type_info() -> <Sqlite as Database>::TypeInfo {
        <i64 as Type<Sqlite>>::type_info()
    }

    fn compatible(ty: &<Sqlite as Database>::TypeInfo) -> bool {
        <i64 as Type<Sqlite>>::compatible(ty)
    }
}

impl<'r> Decode<'r, Sqlite> for At {
    fn decode(value: <Sqlite as Database>::ValueRef<'r>) -> Result<Self, BoxDynError> {
        <i64 as Decode<Sqlite>>::decode(value).map(|ms| Self(Slot(ms).time()))
    }
}

#[derive(FromRow)]
pub struct CheckRow {
    id: Uuid,
    project_id: Uuid,
    config: Json<CheckConfig>,
    webhook_secret: Option<String>,
    version: i32,
    created_at: At,
    updated_at: At,
}

impl From<CheckRow> for Check {
    fn from(row: CheckRow) -> Self {
        Self {
            id: CheckId(row.id),
            project_id: ProjectId(row.project_id),
            config: row.config.0,
            webhook_secret: row.webhook_secret,
            version: row.version,
            created_at: row.created_at.0,
            updated_at: row.updated_at.0,
        }
    }
}

#[derive(FromRow)]
pub struct ViewRow {
    #[sqlx(flatten)]
    check: CheckRow,
    status: String,
    next_slot: Option<i64>,
    last_slot: Option<i64>,
    #[sqlx(flatten)]
    waiting: WaitingRow,
}

impl TryFrom<ViewRow> for CheckView {
    type Error = Unreadable;

    fn try_from(row: ViewRow) -> Result<Self, Unreadable> {
        Ok(Self {
            check: row.check.into(),
            status: Status::parse(&row.status).ok_or(Unreadable("a status"))?,
            next_run_at: row.next_slot.map(Slot),
            last_run_at: row.last_slot.map(Slot),
            waiting: row.waiting.read(),
        })
    }
}

/// Turns a statement over `check_views` into one of [`ViewRow`]s.
macro_rules! with_waiting {
    ($views:literal) => {
        concat!(
            "SELECT v.*, h.token, h.expected, h.deadline, h.started, h.last_ping FROM (",
            $views,
            ") v LEFT JOIN heartbeats h ON h.check_id = v.id ORDER BY v.id DESC"
        )
    };
}
pub(in crate::stores) use with_waiting;

/// The columns of a [`RegionRow`], by name: a column that a later version adds must not change what
/// a statement prepared by this one returns.
macro_rules! region_columns {
    () => {
        "check_id, region, project_id, version, interval_ms, timeout_ms,
         threshold, alert_window, recovery, next_slot, out_slot, out_until, last_slot,
         state, failures, failing_since, trail, traits"
    };
}
pub(in crate::stores) use region_columns;

#[derive(FromRow)]
pub struct RegionRow {
    check_id: Uuid,
    region: String,
    project_id: Uuid,
    version: i32,
    interval_ms: i32,
    timeout_ms: i32,
    threshold: i16,
    alert_window: Option<i16>,
    recovery: Option<i16>,
    next_slot: Option<i64>,
    out_slot: Option<i64>,
    out_until: Option<i64>,
    last_slot: Option<i64>,
    state: String,
    failures: i32,
    failing_since: Option<i64>,
    trail: Option<String>,
    traits: Option<i64>,
}

impl TryFrom<RegionRow> for CheckRegion {
    type Error = Unreadable;

    fn try_from(row: RegionRow) -> Result<Self, Unreadable> {
        let check_id = CheckId(row.check_id);
        let outstanding = row.out_slot.zip(row.out_until);
        Ok(Self {
            check_id,
            region: Region::parse(&row.region).ok_or(Unreadable("a region"))?,
            project_id: ProjectId(row.project_id),
            version: row.version,
            schedule: Schedule::new(check_id, row.interval_ms.into()),
            timeout_ms: u32::try_from(row.timeout_ms).unwrap_or_default(),
            thresholds: Thresholds {
                failing: u32::try_from(row.threshold).unwrap_or(1),
                window: row.alert_window.and_then(|window| u32::try_from(window).ok()),
                recovering: row.recovery.map_or(1, |slots| slots.unsigned_abs().into()),
            },
            ledger: Ledger {
                next: row.next_slot.map(Slot),
                outstanding: outstanding
                    .map(|(slot, until)| Outstanding { slot: Slot(slot), until: Slot(until) }),
                last: row.last_slot.map(Slot),
            },
            health: Health {
                state: State::parse(&row.state).ok_or(Unreadable("a state of health"))?,
                failures: u32::try_from(row.failures).unwrap_or_default(),
                failing_since: row.failing_since.map(Slot),
                trail: row.trail.as_deref().map(trail).unwrap_or_default(),
            },
            marks: Marks::read(row.traits),
        })
    }
}

/// What another version counts and this one cannot read is counted anew: better than a row that stops
/// every claim it is part of.
fn trail(text: &str) -> Trail {
    serde_json::from_str(text).unwrap_or_default()
}

/// A trail as its column holds it: nothing where there is none, as for most checks.
pub fn trail_text(trail: &Trail) -> Option<String> {
    (*trail != Trail::default()).then(|| serde_json::to_string(trail).unwrap_or_default())
}

/// Nothing for the usual one.
pub fn recovery(thresholds: Thresholds) -> Option<i16> {
    (thresholds.recovering != 1).then(|| small(thresholds.recovering))
}

/// Thresholds and windows end at 100.
pub fn small(count: u32) -> i16 {
    i16::try_from(count).unwrap_or(i16::MAX)
}

/// Intervals and timeouts end at seven days: 604,800,000 ms.
pub fn narrow(ms: i64) -> i32 {
    i32::try_from(ms).unwrap_or(i32::MAX)
}

#[derive(FromRow)]
pub struct AlertRow {
    id: Uuid,
    incident_id: Uuid,
    check_id: Uuid,
    kind: String,
    number: i16,
    raised_at: At,
    deliveries: i64,
    delivered: i64,
}

impl TryFrom<AlertRow> for Alert {
    type Error = Unreadable;

    fn try_from(row: AlertRow) -> Result<Self, Unreadable> {
        Ok(Self {
            id: AlertId(row.id),
            incident_id: IncidentId(row.incident_id),
            check_id: CheckId(row.check_id),
            kind: kind(&row.kind)?,
            number: u16::try_from(row.number).unwrap_or(u16::MAX),
            raised_at: row.raised_at.0,
            deliveries: u32::try_from(row.deliveries).unwrap_or(u32::MAX),
            delivered: u32::try_from(row.delivered).unwrap_or(u32::MAX),
        })
    }
}

fn kind(word: &str) -> Result<AlertKind, Unreadable> {
    AlertKind::parse(word).ok_or(Unreadable("an alert's kind"))
}

/// What a region remembers; what this version cannot read is remembered anew.
#[derive(FromRow)]
pub struct MemoryRow {
    check_id: Uuid,
    region: String,
    kind: String,
    memory: String,
}

impl MemoryRow {
    /// `None` for what cannot be read.
    pub fn read(self) -> Option<Remembered> {
        Some(Remembered {
            check: CheckId(self.check_id),
            region: Region::parse(&self.region)?,
            kind: TraitKind::parse(&self.kind)?,
            memory: serde_json::from_str(&self.memory).ok()?,
        })
    }
}

#[derive(FromRow)]
pub struct ChangeRow {
    id: Uuid,
    project_id: Uuid,
    check_id: Uuid,
    region: String,
    kind: String,
    before: String,
    after: String,
    slot: i64,
}

impl TryFrom<ChangeRow> for Change {
    type Error = Unreadable;

    fn try_from(row: ChangeRow) -> Result<Self, Unreadable> {
        let traits = |text: &str| {
            serde_json::from_str(text).map_err(|_no_traits| Unreadable("what was seen of a trait"))
        };
        Ok(Self {
            id: ChangeId(row.id),
            project_id: ProjectId(row.project_id),
            check_id: CheckId(row.check_id),
            region: Region::parse(&row.region).ok_or(Unreadable("a region"))?,
            kind: TraitKind::parse(&row.kind).ok_or(Unreadable("a kind of trait"))?,
            before: traits(&row.before)?,
            after: traits(&row.after)?,
            slot: Slot(row.slot),
        })
    }
}

/// What is only read by Pulse, as a column holds it.
pub fn json_text<T: Serialize>(what: &T) -> String {
    serde_json::to_string(what).unwrap_or_default()
}

#[derive(FromRow)]
pub struct DeliveryViewRow {
    id: Uuid,
    check_id: Uuid,
    incident_id: Uuid,
    alert_id: Uuid,
    kind: String,
    state: String,
    channel: String,
    channel_id: Option<Uuid>,
    raised_at: i64,
    instead_of: Option<Uuid>,
    attempts: i32,
    next_attempt_at: i64,
    started_at: Option<At>,
    finished_at: Option<At>,
    status: Option<i32>,
    error: Option<String>,
    latency_ms: Option<i32>,
    timed_out: Option<bool>,
}

impl TryFrom<DeliveryViewRow> for DeliveryView {
    type Error = Unreadable;

    fn try_from(row: DeliveryViewRow) -> Result<Self, Unreadable> {
        let state = DeliveryState::parse(&row.state).ok_or(Unreadable("a delivery's state"))?;
        let is_pending = state == DeliveryState::Pending;
        let last = row.started_at.map(|started_at| LastAttempt {
            started_at: started_at.0,
            finished_at: row.finished_at.map(|at| at.0),
            status: row.status.and_then(|status| u16::try_from(status).ok()),
            error: row.error,
            latency_ms: row.latency_ms.and_then(|ms| u32::try_from(ms).ok()),
            timed_out: row.timed_out.unwrap_or_default(),
        });
        Ok(Self {
            id: DeliveryId(row.id),
            check_id: CheckId(row.check_id),
            incident_id: IncidentId(row.incident_id),
            alert_id: AlertId(row.alert_id),
            kind: kind(&row.kind)?,
            state,
            receiver: row.channel,
            channel: row.channel_id.map(SettingId),
            raised_at: Slot(row.raised_at).time(),
            instead_of: row.instead_of.map(DeliveryId),
            attempts: u32::try_from(row.attempts).unwrap_or_default(),
            next_attempt_at: is_pending.then(|| Slot(row.next_attempt_at).time()),
            last,
        })
    }
}

/// A delivery that is sent again.
#[derive(FromRow)]
pub struct Replayed {
    pub incident_id: Uuid,
    pub channel: String,
    kind: String,
}

impl Replayed {
    /// Whether it says that something has begun, and something else that it is over.
    pub fn begins(&self) -> bool {
        AlertKind::parse(&self.kind)
            .is_some_and(|kind| matches!(kind, AlertKind::Opened | AlertKind::Reminder))
    }
}

#[derive(FromRow)]
pub struct AttemptRow {
    id: Uuid,
    check_id: Uuid,
    delivery_id: Uuid,
    alert_id: Uuid,
    incident_id: Uuid,
    kind: String,
    state: String,
    number: i32,
    started_at: At,
    finished_at: Option<At>,
    channel: String,
    body: String,
    request_headers: Option<Value>,
    status: Option<i32>,
    response_headers: Option<Value>,
    response_body: Option<String>,
    error: Option<String>,
    latency_ms: Option<i32>,
    timed_out: bool,
    next_attempt_at: Option<i64>,
}

impl TryFrom<AttemptRow> for AttemptView {
    type Error = Unreadable;

    fn try_from(row: AttemptRow) -> Result<Self, Unreadable> {
        let state = DeliveryState::parse(&row.state).ok_or(Unreadable("a delivery's state"))?;
        Ok(Self {
            check_id: CheckId(row.check_id),
            id: AttemptId(row.id),
            delivery_id: DeliveryId(row.delivery_id),
            alert_id: AlertId(row.alert_id),
            incident_id: IncidentId(row.incident_id),
            kind: kind(&row.kind)?.as_str(),
            delivery_state: state.as_str(),
            number: u32::try_from(row.number).unwrap_or_default(),
            started_at: row.started_at.0,
            finished_at: row.finished_at.map(|at| at.0),
            channel: row.channel,
            body: row.body,
            report: AttemptReportView {
                request_headers: row.request_headers.unwrap_or(Value::Null),
                status: row.status.and_then(|status| u16::try_from(status).ok()),
                response_headers: row.response_headers.unwrap_or(Value::Null),
                response_body: row.response_body,
                error: row.error,
                latency_ms: row.latency_ms.and_then(|ms| u32::try_from(ms).ok()),
                timed_out: row.timed_out,
            },
            next_attempt_at: row.next_attempt_at.map(|at| Slot(at).time()),
        })
    }
}
