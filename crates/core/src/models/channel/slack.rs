//! Slack's incoming webhooks: a text for notifications, and blocks for the window.
//!
//! The address is the secret. Limits of blocks: <https://api.slack.com/reference/block-kit/blocks>.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Attempt, Errand, Fault, Kind, Message, Post, address, cut, marked};

/// Characters of a header, and of a field in a section.
const HEADER: usize = 150;
const FIELD: usize = 2000;
const FIELDS: usize = 10;

/// What it takes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slack {
    /// The webhook's address.
    url: String,
}

impl Kind for Slack {
    fn check(&self) -> Result<(), Fault> {
        address("url", &self.url)
    }

    fn secrets(&mut self) -> Vec<&mut String> {
        vec![&mut self.url]
    }

    fn compose(&self, message: &Message) -> String {
        let title = message.title();
        let fields: Vec<Value> = message
            .facts()
            .iter()
            .take(FIELDS)
            .map(|(what, it)| mrkdwn(&cut(&format!("*{what}*\n{}", marked::slack(it)), FIELD)))
            .collect();
        let mut blocks = vec![json!({"type": "header", "text": plain(&cut(&title, HEADER))})];
        if !fields.is_empty() {
            blocks.push(json!({"type": "section", "fields": fields}));
        }
        let links = links(message);
        if !links.is_empty() {
            blocks.push(json!({"type": "section", "text": mrkdwn(&links)}));
        }
        let text = format!("{title}: {}", message.incident.cause);
        json!({"text": marked::slack(&text), "blocks": blocks}).to_string()
    }

    fn errand(&self, attempt: &Attempt<'_>) -> Result<Errand, String> {
        Ok(Errand::Post(Post::json(&self.url, attempt.body)))
    }
}

/// Links, not buttons: a click on a button asks the app that sent it for an answer, and an incoming webhook has
/// none that could give it, which Slack tells whoever clicked.
fn links(message: &Message) -> String {
    let link = |text: &str, url: &Option<String>| {
        url.as_ref().map(|url| format!("<{}|{text}>", marked::slack(url)))
    };
    let acknowledge =
        link("Acknowledge", &message.links.acknowledge).filter(|_| !message.is_over());
    let all: Vec<String> =
        link("Open", &message.links.incident).into_iter().chain(acknowledge).collect();
    all.join("  \u{b7}  ")
}

fn plain(text: &str) -> Value {
    json!({"type": "plain_text", "text": text, "emoji": false})
}

fn mrkdwn(text: &str) -> Value {
    json!({"type": "mrkdwn", "text": text, "verbatim": true})
}
