//! ntfy, published as JSON: <https://docs.ntfy.sh/publish/#publish-as-json>.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{AlertKind, Attempt, Errand, Fault, Kind, Message, Post, Severity, address, cut, line};

const SERVER: &str = "https://ntfy.sh";
const TITLE: usize = 250;
/// Messages of more than 4096 bytes become attachments, and a unit of UTF-16 takes three at most.
const TEXT: usize = 1_300;

/// What it takes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ntfy {
    /// Who knows it can read it, where the server asks for no token.
    topic: String,
    /// Of an access that may publish; empty for none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    token: String,
    /// The server.
    #[serde(default = "server")]
    server: String,
}

fn server() -> String {
    SERVER.to_owned()
}

impl Kind for Ntfy {
    fn check(&self) -> Result<(), Fault> {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if self.topic.is_empty() || self.topic.len() > 64 || !self.topic.chars().all(fits) {
            return Err(("topic", "must have 1 to 64 letters, digits, _ and -".into()));
        }
        if !self.token.is_empty() {
            line("token", &self.token, 200)?;
        }
        address("server", &self.server)
    }

    fn secrets(&mut self) -> Vec<&mut String> {
        vec![&mut self.token]
    }

    fn compose(&self, message: &Message) -> String {
        let mut said = json!({
            "topic": self.topic,
            "title": cut(&message.title(), TITLE),
            "message": cut(&message.lines(), TEXT),
            "priority": priority(message),
            "tags": [tag(message)],
            "actions": actions(message),
        });
        if let Some(url) = &message.links.incident {
            said["click"] = json!(url);
        }
        said.to_string()
    }

    fn errand(&self, attempt: &Attempt<'_>) -> Result<Errand, String> {
        let post = Post::json(&self.server, attempt.body);
        Ok(Errand::Post(match self.token.as_str() {
            "" => post,
            token => post.with("authorization", format!("Bearer {token}")),
        }))
    }
}

fn actions(message: &Message) -> Vec<Value> {
    let acknowledge = message.links.acknowledge.as_ref().filter(|_| !message.is_over());
    let action = |url| json!({"action": "view", "label": "Acknowledge", "url": url});
    acknowledge.into_iter().map(action).collect()
}

/// From 1 to 5; 3 is the usual one.
const fn priority(message: &Message) -> u8 {
    match (message.kind, message.severity) {
        (AlertKind::Resolved | AlertKind::Test, _) => 3,
        (_, Severity::Degraded) => 4,
        (_, Severity::Down) => 5,
    }
}

/// Shown as a picture: <https://docs.ntfy.sh/emojis/>.
fn tag(message: &Message) -> &'static str {
    match (message.kind, message.goes_on_as()) {
        (AlertKind::Test, _) => "bell",
        (_, None) => "white_check_mark",
        (_, Some(Severity::Degraded)) => "warning",
        (_, Some(Severity::Down)) => "rotating_light",
    }
}
