//! What claiming and settling a delivery means to its row.

use serde_json::Value;
use sqlx::FromRow;
use uuid::Uuid;

use super::rows::Unreadable;
use crate::models::alert::{AlertKind, AttemptReport, LeasedDelivery, Settlement};
use crate::models::channel::{Channel, ChannelSpec};
use crate::models::event::{Event, EventKind, What};
use crate::models::ids::{AttemptId, CheckId, DeliveryId, IncidentId, ProjectId, SettingId};
use crate::models::schedule::Slot;

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
    secret: String,
}

impl TryFrom<DeliveryRow> for LeasedDelivery {
    type Error = Unreadable;

    fn try_from(row: DeliveryRow) -> Result<Self, Unreadable> {
        let channel = match row.channel_id {
            None => Some(ChannelSpec::webhook(row.channel.clone(), row.secret)),
            // One that another version wrote and this one cannot read is as good as gone.
            Some(_) => row
                .config
                .and_then(|it| serde_json::from_value::<Channel>(it).ok())
                .map(|it| it.spec),
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
            body: row.body,
        })
    }
}

/// The state a settlement leaves a delivery in, and when it is due.
pub fn settled(settlement: Settlement, now: Slot) -> (&'static str, Slot) {
    match settlement {
        Settlement::Delivered => ("delivered", now),
        Settlement::RetryIn(ms) => ("pending", now.plus(i64::try_from(ms).unwrap_or(i64::MAX))),
        Settlement::Dead => ("dead", now),
    }
}

/// What those who look on are told of an attempt that has ended.
pub fn event(
    lease: &LeasedDelivery,
    check: CheckId,
    report: &AttemptReport,
    settlement: Settlement,
    now: Slot,
) -> Event {
    let what = What::Delivery {
        kind: match settlement {
            Settlement::Delivered => EventKind::DeliveryDelivered,
            Settlement::RetryIn(_) => EventKind::DeliveryFailed,
            Settlement::Dead => EventKind::DeliveryDead,
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
