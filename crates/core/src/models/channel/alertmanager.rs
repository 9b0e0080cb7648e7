//! Prometheus Alertmanager, API v2:
//! <https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml>.
//!
//! It forgets an alert that names no end after a few minutes; ours name one far off, and are ended
//! by what is sent when the incident is resolved. Labels are the alert's identity there: with another
//! severity it is another alert, so that each message ends the one that it may have had before.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::message::time;
use super::{
    AlertKind, Attempt, Errand, Fault, Kind, Message, Post, Severity, address, beneath, line,
};

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
        let began = message.incident.started_at;
        let lasts = if message.kind == AlertKind::Test { TEST_LASTS } else { LASTS };
        let ends = message.incident.resolved_at.unwrap_or(message.at + lasts);
        let mut alert = json!({
            "labels": labels(message, message.severity),
            "annotations": {
                "summary": message.title(),
                "description": message.lines(),
                "check": message.check.name,
            },
            "startsAt": time(began),
            "endsAt": time(ends.max(began)),
        });
        if let Some(url) = &message.links.incident {
            alert["generatorURL"] = json!(url);
        }
        let mut alerts = vec![alert];
        if matches!(message.kind, AlertKind::Reminder | AlertKind::Resolved) {
            let others = Severity::ALL.iter().filter(|other| **other != message.severity);
            alerts.extend(others.map(|other| {
                json!({"labels": labels(message, *other), "startsAt": time(began), "endsAt": time(began)})
            }));
        }
        json!(alerts).to_string()
    }

    fn errand(&self, attempt: &Attempt<'_>) -> Result<Errand, String> {
        let post = Post::json(beneath(&self.server, "/api/v2/alerts"), attempt.body);
        Ok(Errand::Post(match self.username.as_str() {
            "" => post,
            user => post.with("authorization", super::basic(user, &self.password)),
        }))
    }
}

fn labels(message: &Message, severity: Severity) -> Value {
    json!({
        "alertname": "PulseCheck",
        "check_id": message.check.id,
        "incident_id": message.incident.id,
        "severity": severity,
    })
}
