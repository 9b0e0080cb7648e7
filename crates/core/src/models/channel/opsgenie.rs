//! Opsgenie's Alert API: <https://docs.opsgenie.com/docs/alert-api>.
//!
//! An alert is made under the incident's key and closed by it; what is said twice is counted there as one.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    AlertKind, Attempt, Errand, Fault, Kind, Message, Post, Severity, address, beneath, cut, line,
};

const SERVER: &str = "https://api.opsgenie.com";
const TITLE: usize = 130;
const DESCRIPTION: usize = 15_000;
const TAG: usize = 50;
/// All details together may have 8000 characters.
const DETAIL: usize = 750;

/// What it takes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opsgenie {
    /// Of an API integration.
    api_key: String,
    /// The server, where it is that of another region.
    #[serde(default = "server")]
    server: String,
}

fn server() -> String {
    SERVER.to_owned()
}

impl Kind for Opsgenie {
    fn check(&self) -> Result<(), Fault> {
        line("api_key", &self.api_key, 200)?;
        address("server", &self.server)
    }

    fn secrets(&mut self) -> Vec<&mut String> {
        vec![&mut self.api_key]
    }

    fn compose(&self, message: &Message) -> String {
        if message.is_over() {
            let note = format!("{}\n{}", message.title(), message.lines());
            return json!({"source": "Pulse", "note": cut(&note, DESCRIPTION)}).to_string();
        }
        let details: Map<String, Value> = message
            .facts()
            .into_iter()
            .map(|(what, it)| (what.to_lowercase(), cut(&it, DETAIL).into()))
            .chain(
                message
                    .links
                    .incident
                    .iter()
                    .map(|url| ("incident".into(), cut(url, DETAIL).into())),
            )
            .collect();
        let tags: Vec<_> = message.check.tags.iter().take(20).map(|tag| cut(tag, TAG)).collect();
        json!({
            "message": cut(&message.title(), TITLE),
            "alias": message.key(),
            "description": cut(&message.lines(), DESCRIPTION),
            "source": "Pulse",
            "entity": cut(&message.check.url, 512),
            "priority": priority(message),
            "tags": tags,
            "details": details,
        })
        .to_string()
    }

    fn errand(&self, attempt: &Attempt<'_>) -> Result<Errand, String> {
        let path = match attempt.kind {
            AlertKind::Resolved => {
                format!("/v2/alerts/pulse-{}/close?identifierType=alias", attempt.incident)
            }
            _ => "/v2/alerts".to_owned(),
        };
        let key = format!("GenieKey {}", self.api_key);
        let post = Post::json(beneath(&self.server, &path), attempt.body);
        Ok(Errand::Post(post.with("authorization", key)))
    }
}

const fn priority(message: &Message) -> &'static str {
    match (message.kind, message.severity) {
        (AlertKind::Test, _) => "P5",
        (_, Severity::Degraded) => "P3",
        (_, Severity::Down) => "P1",
    }
}
