//! Gotify: <https://gotify.net/docs/pushmsg>.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    AlertKind, Attempt, Errand, Fault, Kind, Message, Post, Severity, address, beneath, line,
};

/// What it takes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gotify {
    /// The server.
    server: String,
    /// Of an application.
    token: String,
}

impl Kind for Gotify {
    fn check(&self) -> Result<(), Fault> {
        line("token", &self.token, 200)?;
        address("server", &self.server)
    }

    fn secrets(&mut self) -> Vec<&mut String> {
        vec![&mut self.token]
    }

    fn compose(&self, message: &Message) -> String {
        let mut extras = json!({"client::display": {"contentType": "text/plain"}});
        if let Some(url) = &message.links.incident {
            extras["client::notification"] = json!({"click": {"url": url}});
        }
        let acknowledge = message.links.acknowledge.as_ref().filter(|_| !message.is_over());
        let acknowledge = acknowledge.map(|url| format!("\nAcknowledge: {url}"));
        json!({
            "title": message.title(),
            "message": format!("{}{}", message.lines(), acknowledge.unwrap_or_default()),
            "priority": priority(message),
            "extras": extras,
        })
        .to_string()
    }

    fn errand(&self, attempt: &Attempt<'_>) -> Result<Errand, String> {
        let post = Post::json(beneath(&self.server, "/message"), attempt.body);
        Ok(Errand::Post(post.with("x-gotify-key", &self.token)))
    }
}

/// From 0 to 10; from 8 on a phone rings.
const fn priority(message: &Message) -> u8 {
    match (message.kind, message.severity) {
        (AlertKind::Resolved | AlertKind::Test, _) => 4,
        (_, Severity::Degraded) => 6,
        (_, Severity::Down) => 8,
    }
}
