//! Pushover's Message API: <https://pushover.net/api>.
//!
//! The application's token belongs in the body, which is kept and shown: both secrets are put there
//! for each attempt.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    AlertKind, Attempt, Errand, Fault, Kind, Message, Post, Severity, address, beneath, cut, line,
};

const SERVER: &str = "https://api.pushover.net";
const TITLE: usize = 250;
const TEXT: usize = 1024;
const URL: usize = 512;

/// What it takes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pushover {
    /// Of the application.
    token: String,
    /// The user's or the group's key.
    user: String,
    /// The server.
    #[serde(default = "server")]
    server: String,
}

fn server() -> String {
    SERVER.to_owned()
}

impl Kind for Pushover {
    fn check(&self) -> Result<(), Fault> {
        line("token", &self.token, 200)?;
        line("user", &self.user, 200)?;
        address("server", &self.server)
    }

    fn secrets(&mut self) -> Vec<&mut String> {
        vec![&mut self.token, &mut self.user]
    }

    fn compose(&self, message: &Message) -> String {
        let mut said = json!({
            "title": cut(&message.title(), TITLE),
            "message": cut(&message.lines(), TEXT),
            "priority": priority(message),
            "timestamp": message.at.timestamp(),
        });
        let acknowledge = message.links.acknowledge.as_ref().filter(|_| !message.is_over());
        let acknowledge = acknowledge.map(|url| (url, "Acknowledge"));
        let link = acknowledge.or(message.links.incident.as_ref().map(|url| (url, "Open")));
        if let Some((url, words)) = link.filter(|(url, _)| url.len() <= URL) {
            said["url"] = json!(url);
            said["url_title"] = json!(words);
        }
        said.to_string()
    }

    fn errand(&self, attempt: &Attempt<'_>) -> Result<Errand, String> {
        let body = super::with_field(attempt.body, "token", &self.token)?;
        let body = super::with_field(&body, "user", &self.user)?;
        Ok(Errand::Post(Post::json(beneath(&self.server, "/1/messages.json"), &body)))
    }
}

/// From -2 to 2; 2 would ask for an acknowledgement at Pushover, which is not Pulse's.
const fn priority(message: &Message) -> i8 {
    match (message.kind, message.severity) {
        (AlertKind::Resolved | AlertKind::Test, _) | (_, Severity::Degraded) => 0,
        (_, Severity::Down) => 1,
    }
}
