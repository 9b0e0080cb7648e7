//! `PagerDuty`'s Events API v2: <https://developer.pagerduty.com/docs/send-alert-event>.
//!
//! The integration's key belongs in the body, which is kept and shown: it is put there for each attempt.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::message::time;
use super::{
    About, AlertKind, Attempt, Errand, Fault, Kind, Message, Post, Severity, address, beneath, cut,
    line,
};

const SERVER: &str = "https://events.pagerduty.com";
const SUMMARY: usize = 1024;

/// What it takes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PagerDuty {
    /// The integration's key.
    routing_key: String,
    /// The server of events, where it is that of another region.
    #[serde(default = "server")]
    server: String,
}

fn server() -> String {
    SERVER.to_owned()
}

impl Kind for PagerDuty {
    fn check(&self) -> Result<(), Fault> {
        line("routing_key", &self.routing_key, 200)?;
        address("server", &self.server)
    }

    fn secrets(&mut self) -> Vec<&mut String> {
        vec![&mut self.routing_key]
    }

    fn compose(&self, message: &Message) -> String {
        let details: Map<String, Value> = message
            .facts()
            .into_iter()
            .map(|(what, it)| (what.to_lowercase(), it.into()))
            .collect();
        let link = |text: &str, href: &Option<String>| {
            href.as_ref().map(|href| json!({"href": href, "text": text}))
        };
        let links: Vec<_> = [
            link("Incident in Pulse", &message.links.incident),
            link("Acknowledge in Pulse", &message.links.acknowledge).filter(|_| !message.is_over()),
        ]
        .into_iter()
        .flatten()
        .collect();
        json!({
            "event_action": if message.is_over() { "resolve" } else { "trigger" },
            "dedup_key": message.key(),
            "client": "Pulse",
            "links": links,
            "payload": {
                "summary": cut(&format!("{}: {}", message.title(), message.incident.cause), SUMMARY),
                "source": cut(source(message), SUMMARY),
                "component": message.check.name,
                "severity": severity(message),
                "timestamp": time(message.at),
                "custom_details": details,
            },
        })
        .to_string()
    }

    fn errand(&self, attempt: &Attempt<'_>) -> Result<Errand, String> {
        let body = super::with_field(attempt.body, "routing_key", &self.routing_key)?;
        Ok(Errand::Post(Post::json(beneath(&self.server, "/v2/enqueue"), &body)))
    }
}

/// It must not be empty, as the address of what is not looked at is.
fn source(message: &Message) -> &str {
    let About { name, url, .. } = &message.check;
    if url.is_empty() { name } else { url }
}

const fn severity(message: &Message) -> &'static str {
    match (message.kind, message.severity) {
        (AlertKind::Test, _) => "info",
        (_, Severity::Degraded) => "warning",
        (_, Severity::Down) => "critical",
    }
}
