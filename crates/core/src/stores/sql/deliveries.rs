//! What claiming and settling a delivery means: for its row, for its receiver, and for who is told
//! instead.

use std::collections::BTreeSet;

use serde_json::Value;
use sqlx::FromRow;
use uuid::Uuid;

use super::rows::Unreadable;
use super::settings::Directory;
use super::{Raised, StateTx, Undelivered};
use crate::models::alert::{
    Addressee, AlertKind, AttemptReport, Incident, LeasedDelivery, Resolution, Settlement,
};
use crate::models::breaker::{Failing, GIVEN_UP, GONE};
use crate::models::channel::{About, Channel, ChannelSpec, Links, Message, Told};
use crate::models::event::{Event, EventKind, What};
use crate::models::ids::{
    AlertId, AttemptId, CheckId, DeliveryId, IncidentId, ProjectId, SettingId,
};
use crate::models::incident::IncidentKind;
use crate::models::schedule::Slot;
use crate::ports::StoreResult;

/// Channels that are told of one that was switched off and has no fallback, at most.
const MOST_TOLD: usize = 20;

#[derive(FromRow)]
pub struct DeliveryRow {
    id: Uuid,
    project_id: Uuid,
    incident_id: Uuid,
    kind: String,
    attempts: i32,
    schedule_step: i32,
    channel: String,
    channel_id: Option<Uuid>,
    body: String,
    config: Option<Value>,
    version: Option<i32>,
    secret: String,
    /// Whom the attempt before did not reach ([`crate::models::alert::LEFT`]).
    left: Option<String>,
}

impl TryFrom<DeliveryRow> for LeasedDelivery {
    type Error = Unreadable;

    fn try_from(row: DeliveryRow) -> Result<Self, Unreadable> {
        // One that another version wrote and this one cannot read is as good as gone.
        let theirs = row.config.and_then(|it| serde_json::from_value::<Channel>(it).ok());
        let addressee = row.channel_id.map(|id| Addressee {
            id: SettingId(id),
            version: row.version.unwrap_or_default(),
            enabled: theirs.as_ref().is_some_and(|it| it.enabled),
        });
        let channel = match addressee {
            None => Some(ChannelSpec::webhook(row.channel.clone(), row.secret)),
            Some(_) => theirs.map(|it| it.spec),
        };
        Ok(Self {
            id: DeliveryId(row.id),
            attempt_id: AttemptId::generate(),
            number: u32::try_from(row.attempts).unwrap_or_default(),
            schedule_step: u32::try_from(row.schedule_step).unwrap_or_default(),
            project_id: ProjectId(row.project_id),
            incident_id: IncidentId(row.incident_id),
            kind: AlertKind::parse(&row.kind).ok_or(Unreadable("an alert's kind"))?,
            receiver: row.channel,
            channel,
            addressee,
            body: row.body,
            left: row
                .left
                .map(|left| left.split(", ").map(str::to_owned).collect())
                .unwrap_or_default(),
        })
    }
}

/// See [`crate::ports::deliveries::DeliveryStore::settle`].
pub async fn settle<T: StateTx>(
    mut tx: T,
    lease: &LeasedDelivery,
    report: &AttemptReport,
    settlement: Settlement,
    now: Slot,
) -> StoreResult<bool> {
    // The receiver before its delivery, always: who switches a channel off comes the same way.
    let given_up = observe(&mut tx, lease, settlement, now).await?;
    tx.complete_attempt(lease, report, now).await?;
    let (state, next) = settled(settlement, now);
    let ours = tx.end_lease(lease, state, next).await?;
    tx.noted().note(ours.map(|check| event(lease, check, report, settlement, now)));
    if ours.is_some() && settlement.is_end() {
        tell_instead(&mut tx, &[lease.id], now).await?;
    }
    if let (Some(reason), Some(channel)) = (given_up, lease.addressee) {
        give_up(&mut tx, lease.project_id, channel, reason, now).await?;
    }
    tx.commit().await?;
    Ok(ours.is_some())
}

/// See [`crate::ports::deliveries::DeliveryStore::tell_stand_ins`].
pub async fn tell_stand_ins<T: StateTx>(
    mut tx: T,
    since: Slot,
    limit: u32,
    now: Slot,
) -> StoreResult<u64> {
    let late = tx.late(since, limit).await?;
    if late.is_empty() {
        return Ok(tx.unchanged(0).await);
    }
    tell_instead(&mut tx, &late, now).await?;
    tx.commit().await?;
    Ok(late.len() as u64)
}

/// Learns of the receiver; why it is to be given up, if it is. A test that fails says that somebody is
/// still at work on the channel.
async fn observe<T: StateTx>(
    tx: &mut T,
    lease: &LeasedDelivery,
    settlement: Settlement,
    now: Slot,
) -> StoreResult<Option<&'static str>> {
    let (project, receiver) = (lease.project_id, lease.receiver.as_str());
    match settlement {
        Settlement::Delivered | Settlement::RestIn(_) => {
            tx.forget_failing(project, receiver).await?;
            return Ok(None);
        }
        Settlement::Unsent => return Ok(None),
        _ if lease.kind == AlertKind::Test => return Ok(None),
        _ => {}
    }
    let before = tx.lock_failing(project, receiver).await?;
    let failing = Failing::again(before, now);
    tx.save_failing(project, receiver, &failing).await?;
    Ok(match settlement {
        Settlement::Gone => Some(GONE),
        _ if failing.is_given_up(now) => Some(GIVEN_UP),
        _ => None,
    })
}

/// Tells the fallbacks of the channels that these were for, each alert once a channel.
async fn tell_instead<T: StateTx>(
    tx: &mut T,
    deliveries: &[DeliveryId],
    now: Slot,
) -> StoreResult<()> {
    let undelivered = tx.undelivered(deliveries).await?;
    let projects: Vec<ProjectId> = undelivered.iter().map(|it| it.alert.project).collect();
    if projects.is_empty() {
        return Ok(());
    }
    let directory = Directory::of(tx.settings(&projects).await?, now);
    let goes_on = undelivered.iter().filter(|it| it.kind != AlertKind::Resolved);
    let incidents: BTreeSet<IncidentId> = goes_on.map(|it| it.alert.incident).collect();
    let mut ends = Ends::of(tx, &Vec::from_iter(incidents)).await?;
    for Undelivered { id, kind, mut alert, channel, fallback } in undelivered {
        if kind == AlertKind::Reminder && ends.is_over(alert.incident) {
            continue;
        }
        let fallback = directory.fallback_of(channel).or(fallback);
        let Some(stand_in) = directory.stand_in(alert.project, fallback) else { continue };
        let Some(told) = directory.tell(stand_in, &alert.message) else { continue };
        ends.tell(&directory, alert.incident, stand_in);
        alert.deliveries.push(super::NewDelivery { instead_of: Some(id), ..told });
        tx.insert_deliveries(kind, &[alert], now).await?;
    }
    tx.insert_deliveries(AlertKind::Resolved, &ends.0, now).await
}

/// What is said of the end of incidents that are over. Who hears only now that one of them began would never
/// hear its end: that went to those who had heard of it by then.
struct Ends(Vec<Raised>);

impl Ends {
    async fn of<T: StateTx>(tx: &mut T, incidents: &[IncidentId]) -> StoreResult<Self> {
        Ok(Self(if incidents.is_empty() { Vec::new() } else { tx.ends_of(incidents).await? }))
    }

    fn is_over(&self, incident: IncidentId) -> bool {
        self.0.iter().any(|end| end.incident == incident)
    }

    fn tell(&mut self, directory: &Directory, incident: IncidentId, channel: SettingId) {
        if let Some(end) = self.0.iter_mut().find(|end| end.incident == incident) {
            end.deliveries.extend(directory.tell(channel, &end.message));
        }
    }
}

/// Switches a channel off, and says so to its fallback, or to all others where it has none.
async fn give_up<T: StateTx>(
    tx: &mut T,
    project: ProjectId,
    channel: Addressee,
    reason: &str,
    now: Slot,
) -> StoreResult<()> {
    if !tx.switch_off(project, channel, reason, now).await? {
        // Somebody has changed it since, or switched it off: that is another channel now.
        return Ok(());
    }
    let directory = Directory::of(tx.settings(&[project]).await?, now);
    let name = directory.name_of(channel.id).unwrap_or_default();
    let title = format!("Channel {name} was switched off");
    let cause = format!("{reason}; nobody is told by it until somebody switches it on");
    let incident = Incident {
        resolved_at: Some(now),
        resolution: Some(Resolution::Recovered),
        closed_at: Some(now.time()),
        ..Incident::of_no_check(IncidentKind::System, project, title, cause, now)
    };
    let message = switched_off(&incident);
    let fallback = directory.fallback_of(channel.id);
    let deliveries = match directory.told_instead(project, fallback, &message) {
        Some(told) => vec![told],
        None => directory.told_to_all(project, MOST_TOLD, &message),
    };
    let raised = Raised {
        id: AlertId::generate(),
        project,
        check: incident.check_id,
        incident: incident.id,
        number: 1,
        message: message.kept(),
        deliveries,
    };
    tx.insert_incident(&incident).await?;
    tx.insert_alerts(AlertKind::Opened, &[raised], now).await
}

/// What is said of a channel that was switched off; that it is over at once is not.
fn switched_off(incident: &Incident) -> Message {
    Message {
        kind: AlertKind::Opened,
        severity: incident.severity,
        at: incident.opened_at,
        check: About {
            id: incident.check_id,
            name: incident.title.clone().unwrap_or_default(),
            url: String::new(),
            tags: Vec::new(),
        },
        incident: Told {
            id: incident.id,
            kind: incident.kind,
            started_at: incident.started_at.time(),
            resolved_at: None,
            resolution: None,
            resolved_by: None,
            cause: incident.cause.clone(),
            seen: None,
            before: None,
        },
        links: Links::default(),
    }
}

#[derive(FromRow)]
pub struct UndeliveredRow {
    id: Uuid,
    kind: String,
    #[sqlx(flatten)]
    alert: KeptAlertRow,
    channel_id: Uuid,
    fallback: Option<Uuid>,
}

impl TryFrom<UndeliveredRow> for Undelivered {
    type Error = Unreadable;

    fn try_from(row: UndeliveredRow) -> Result<Self, Unreadable> {
        Ok(Self {
            id: DeliveryId(row.id),
            kind: AlertKind::parse(&row.kind).ok_or(Unreadable("an alert's kind"))?,
            alert: row.alert.into(),
            channel: SettingId(row.channel_id),
            fallback: row.fallback.map(SettingId),
        })
    }
}

/// An alert that was raised before, to be told to others.
#[derive(FromRow)]
pub struct KeptAlertRow {
    alert_id: Uuid,
    project_id: Uuid,
    check_id: Uuid,
    incident_id: Uuid,
    message: String,
}

impl From<KeptAlertRow> for Raised {
    fn from(row: KeptAlertRow) -> Self {
        Self {
            id: AlertId(row.alert_id),
            project: ProjectId(row.project_id),
            check: CheckId(row.check_id),
            incident: IncidentId(row.incident_id),
            number: 1,
            message: row.message,
            deliveries: Vec::new(),
        }
    }
}

/// The state a settlement leaves a delivery in, and when it is due.
fn settled(settlement: Settlement, now: Slot) -> (&'static str, Slot) {
    match settlement {
        Settlement::Delivered => ("delivered", now),
        Settlement::RetryIn(ms) | Settlement::RestIn(ms) => {
            ("pending", now.plus(i64::try_from(ms).unwrap_or(i64::MAX)))
        }
        Settlement::Dead | Settlement::Gone | Settlement::Unsent => ("dead", now),
    }
}

/// What those who look on are told of an attempt that has ended.
fn event(
    lease: &LeasedDelivery,
    check: CheckId,
    report: &AttemptReport,
    settlement: Settlement,
    now: Slot,
) -> Event {
    let what = What::Delivery {
        kind: match settlement {
            Settlement::Delivered => EventKind::DeliveryDelivered,
            Settlement::RetryIn(_) | Settlement::RestIn(_) => EventKind::DeliveryFailed,
            Settlement::Dead | Settlement::Gone | Settlement::Unsent => EventKind::DeliveryDead,
        },
        incident_id: lease.incident_id,
        delivery_id: lease.id,
        alert: lease.kind,
        // Of a check's own webhook it is the address, which may hold a secret.
        channel_id: Uuid::parse_str(&lease.receiver).ok().map(SettingId),
        attempt: lease.number,
        status: report.status,
        error: report.error.clone(),
    };
    Event { project: lease.project_id, check, at: now, what }
}

/// `None` where nothing came back.
pub fn response_headers(report: &AttemptReport) -> Option<Value> {
    let came = report.status.is_some() || !report.response_headers.is_empty();
    came.then(|| headers(&report.response_headers))
}

/// Repeated headers are joined by a comma (RFC 9110, section 5.2).
pub fn headers(pairs: &[(String, String)]) -> Value {
    let mut object = serde_json::Map::new();
    for (name, value) in pairs {
        let joined = match object.get(name).and_then(Value::as_str) {
            Some(before) => format!("{before}, {value}"),
            None => value.clone(),
        };
        object.insert(name.clone(), joined.into());
    }
    Value::Object(object)
}
