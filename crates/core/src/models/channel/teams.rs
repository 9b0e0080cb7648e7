//! Microsoft Teams: an adaptive card to the webhook of a workflow ("when a Teams webhook request is
//! received").
//!
//! The address is the secret. Cards: <https://adaptivecards.io/explorer/>.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{AlertKind, Attempt, Errand, Fault, Kind, Message, Post, Severity, address, cut};

/// A message may have 28 KB in all.
const FACT: usize = 800;

/// What it takes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Teams {
    /// The workflow's address.
    url: String,
}

impl Kind for Teams {
    fn check(&self) -> Result<(), Fault> {
        address("url", &self.url)
    }

    fn secrets(&mut self) -> Vec<&mut String> {
        vec![&mut self.url]
    }

    fn compose(&self, message: &Message) -> String {
        // Runs of a rich text are shown as they are; texts of other elements are read as Markdown.
        let title = json!({"type": "TextRun", "text": message.title(), "weight": "bolder", "size": "large", "color": color(message)});
        let mut body = vec![json!({"type": "RichTextBlock", "inlines": [title]})];
        body.extend(message.facts().iter().map(|(what, it)| {
            let name = json!({"type": "TextRun", "text": format!("{what}: "), "weight": "bolder"});
            let value = json!({"type": "TextRun", "text": cut(it, FACT)});
            json!({"type": "RichTextBlock", "spacing": "small", "inlines": [name, value]})
        }));
        let card = json!({
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "body": body,
            "actions": actions(message),
        });
        let attachment = json!({
            "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card,
        });
        json!({"type": "message", "attachments": [attachment]}).to_string()
    }

    fn errand(&self, attempt: &Attempt<'_>) -> Result<Errand, String> {
        Ok(Errand::Post(Post::json(&self.url, attempt.body)))
    }
}

fn actions(message: &Message) -> Vec<Value> {
    let action = |title: &str, url: &Option<String>| {
        url.as_ref().map(|url| json!({"type": "Action.OpenUrl", "title": title, "url": url}))
    };
    let acknowledge =
        action("Acknowledge", &message.links.acknowledge).filter(|_| !message.is_over());
    action("Open", &message.links.incident).into_iter().chain(acknowledge).collect()
}

fn color(message: &Message) -> &'static str {
    match (message.kind, message.goes_on_as()) {
        (AlertKind::Test, _) => "default",
        (_, None) => "good",
        (_, Some(Severity::Degraded)) => "warning",
        (_, Some(Severity::Down)) => "attention",
    }
}
