//! What claiming and settling a delivery means to its row.

use serde_json::Value;
use sqlx::FromRow;
use uuid::Uuid;

use crate::models::alert::{LeasedDelivery, Settlement};
use crate::models::ids::{AttemptId, DeliveryId};
use crate::models::schedule::Slot;

#[derive(FromRow)]
pub struct DeliveryRow {
    id: Uuid,
    attempts: i32,
    schedule_step: i32,
    channel: String,
    secret: String,
    body: String,
}

impl From<DeliveryRow> for LeasedDelivery {
    fn from(row: DeliveryRow) -> Self {
        Self {
            id: DeliveryId(row.id),
            attempt_id: AttemptId::generate(),
            number: u32::try_from(row.attempts).unwrap_or_default(),
            schedule_step: u32::try_from(row.schedule_step).unwrap_or_default(),
            url: row.channel,
            secret: row.secret,
            body: row.body,
        }
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
