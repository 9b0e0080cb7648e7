//! Discord's webhooks: one embed, and no mention of anybody.
//!
//! The address is the secret. Limits: <https://discord.com/developers/docs/resources/message>.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::message::time;
use super::{
    AlertKind, Attempt, Errand, Fault, Kind, Message, Post, Severity, address, cut, marked,
};

const TITLE: usize = 256;
/// A field may have 1024 characters, but all texts together 6000.
const FIELD: usize = 500;

/// What it takes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discord {
    /// The webhook's address.
    url: String,
}

impl Kind for Discord {
    fn check(&self) -> Result<(), Fault> {
        address("url", &self.url)
    }

    fn secrets(&mut self) -> Vec<&mut String> {
        vec![&mut self.url]
    }

    fn compose(&self, message: &Message) -> String {
        let fields: Vec<Value> = message
            .facts()
            .iter()
            .map(|(what, it)| json!({"name": what, "value": cut(&marked::markdown(it), FIELD)}))
            .collect();
        let mut embed = json!({
            "title": cut(&marked::markdown(&message.title()), TITLE),
            "color": color(message),
            "timestamp": time(message.at),
            "fields": fields,
        });
        if let Some(url) = &message.links.incident {
            embed["url"] = json!(url);
        }
        if let (Some(url), false) = (&message.links.acknowledge, message.is_over()) {
            embed["description"] = json!(format!("[Acknowledge]({url})"));
        }
        json!({"embeds": [embed], "allowed_mentions": {"parse": []}}).to_string()
    }

    fn errand(&self, attempt: &Attempt<'_>) -> Result<Errand, String> {
        Ok(Errand::Post(Post::json(&self.url, attempt.body)))
    }
}

/// 24 bits of red, green and blue.
fn color(message: &Message) -> u32 {
    match (message.kind, message.goes_on_as()) {
        (AlertKind::Test, _) => 0x0057_606a,
        (_, None) => 0x002e_a043,
        (_, Some(Severity::Degraded)) => 0x00bf_8700,
        (_, Some(Severity::Down)) => 0x00cf_222e,
    }
}
