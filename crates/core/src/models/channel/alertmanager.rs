//! Prometheus Alertmanager, API v2:
//! <https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml>.
//!
//! It forgets an alert that names no end after a few minutes; ours name one far off, and are ended
//! by what is sent when the incident is resolved. Labels are the alert's identity there: they are
//! those of the incident's beginning, whatever becomes of the check.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::message::time;
use super::{AlertKind, Attempt, Errand, Fault, Kind, Message, Post, address, beneath, line};

/// Longer than an incident should last; a reminder moves it on.
const LASTS: TimeDelta = TimeDelta::days(30);
/// For a test, which nobody resolves.
const TEST_LASTS: TimeDelta = TimeDelta::minutes(5);

/// What it takes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alertmanager {
    /// The server.
    server: String,
    /// For basic authentication; empty for none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    username: String,
    /// For basic authentication.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    password: String,
}

impl Kind for Alertmanager {
    fn check(&self) -> Result<(), Fault> {
        if !self.username.is_empty() {
            line("username", &self.username, 200)?;
            line("password", &self.password, 1024)?;
        }
        address("server", &self.server)
    }

    fn secrets(&mut self) -> Vec<&mut String> {
        vec![&mut self.password]
    }

    fn compose(&self, message: &Message) -> String {
        let lasts = if message.kind == AlertKind::Test { TEST_LASTS } else { LASTS };
        let ends = message.incident.resolved_at.unwrap_or(message.at + lasts);
        let mut alert = json!({
            "labels": {
                "alertname": "PulseCheck",
                "check_id": message.check.id,
                "incident_id": message.incident.id,
                "severity": message.severity,
            },
            "annotations": {
                "summary": message.title(),
                "description": message.lines(),
                "check": message.check.name,
            },
            "startsAt": time(message.incident.started_at),
            "endsAt": time(ends.max(message.incident.started_at)),
        });
        if let Some(url) = &message.links.incident {
            alert["generatorURL"] = json!(url);
        }
        json!([alert]).to_string()
    }

    fn errand(&self, attempt: &Attempt<'_>) -> Result<Errand, String> {
        let post = Post::json(beneath(&self.server, "/api/v2/alerts"), attempt.body);
        Ok(Errand::Post(match self.username.as_str() {
            "" => post,
            user => post.with("authorization", super::basic(user, &self.password)),
        }))
    }
}
