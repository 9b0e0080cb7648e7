//! What the API answers, as far as it is shown: each field is the API's of that name. Fields that a
//! newer server adds are passed over.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use pulse_core::models::expected_status::ExpectedStatus;

use super::api::Api;
use super::error::ApiError;

/// Reads `value` as what it should be; `what` names it.
pub fn read<T: DeserializeOwned>(api: &Api, value: &Value, what: &str) -> Result<T, ApiError> {
    T::deserialize(value).map_err(|_wrong| api.odd(&format!("what is no {what}")))
}

/// A check and where it stands.
#[derive(Clone, Debug, Deserialize)]
pub struct Check {
    pub id: Uuid,
    pub name: String,
    pub url: String,
    pub status: String,
    pub method: String,
    pub expected_status: Option<ExpectedStatus>,
    #[serde(default)]
    pub max_redirects: u8,
    pub http_version: Option<String>,
    pub interval_seconds: Option<u64>,
    pub timeout_ms: u64,
    pub alert_threshold: u64,
    pub alert_window: Option<u64>,
    pub recovery_threshold: Option<u64>,
    pub webhook_url: Option<String>,
    pub webhook_secret: Option<String>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    pub body: Option<String>,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub regions: Vec<String>,
    pub next_run_at: Option<DateTime<Utc>>,
    pub last_run_at: Option<DateTime<Utc>>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// Fields that have no place of their own here.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

/// How a slot ended.
#[derive(Clone, Debug, Deserialize)]
pub struct Run {
    pub id: Uuid,
    pub slot: DateTime<Utc>,
    pub slots: u64,
    pub outcome: String,
    pub class: Option<String>,
    pub reason: Option<String>,
    pub status_code: Option<u16>,
    pub latency_ms: Option<f64>,
    pub error: Option<String>,
    pub region: String,
}

/// Something that is wrong, or was.
#[derive(Clone, Debug, Deserialize)]
pub struct Incident {
    pub id: Uuid,
    /// `None` where it is about no check.
    pub check_id: Option<Uuid>,
    pub title: Option<String>,
    pub status: Option<String>,
    pub severity: String,
    pub acknowledged_by: Option<String>,
    pub started_at: DateTime<Utc>,
    pub resolved_at: Option<DateTime<Utc>>,
    pub resolution: Option<String>,
    pub cause: String,
}

impl Incident {
    /// Where it stands, or how it ended.
    pub fn standing(&self) -> &str {
        let lasts = self.status.as_deref().unwrap_or("open");
        self.resolution.as_deref().unwrap_or(lasts)
    }
}

/// Something that changed between two runs.
#[derive(Clone, Debug, Deserialize)]
pub struct Change {
    pub id: Uuid,
    pub check_id: Uuid,
    pub region: String,
    pub kind: String,
    pub seen_at: DateTime<Utc>,
    pub before: Traits,
    pub after: Traits,
}

/// What was seen of a target.
#[derive(Clone, Debug, Deserialize)]
pub struct Traits {
    pub addresses: Option<Vec<String>>,
    pub certificate: Option<Leaf>,
    pub redirect: Option<String>,
}

/// A server's own certificate.
#[derive(Clone, Debug, Deserialize)]
pub struct Leaf {
    pub sha256: String,
    pub subject: String,
    pub not_after: DateTime<Utc>,
}

/// One alert for one receiver.
#[derive(Clone, Debug, Deserialize)]
pub struct Delivery {
    pub id: Uuid,
    pub check_id: Uuid,
    pub channel_id: Option<Uuid>,
    pub url: Option<String>,
    pub kind: String,
    pub state: String,
    pub attempts: u64,
    pub raised_at: DateTime<Utc>,
    pub last_attempt: Option<Attempt>,
}

/// What came of its last attempt.
#[derive(Clone, Debug, Deserialize)]
pub struct Attempt {
    pub finished_at: Option<DateTime<Utc>>,
    pub status: Option<u16>,
    pub error: Option<String>,
    pub latency_ms: Option<u64>,
    #[serde(default)]
    pub outcome_unknown: bool,
}

/// A delivery that is due again.
#[derive(Clone, Debug, Deserialize)]
pub struct Replay {
    pub delivery_id: Uuid,
    pub state: String,
}
