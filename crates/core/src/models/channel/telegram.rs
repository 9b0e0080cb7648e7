//! Telegram's Bot API, method `sendMessage`: <https://core.telegram.org/bots/api#sendmessage>.
//!
//! The bot's token is part of the address, which is therefore made anew for each attempt.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Attempt, Errand, Fault, Kind, Message, Post, address, beneath, cut, line, marked};

const SERVER: &str = "https://api.telegram.org";
/// Characters of a message, counted after entities are read: what is written may be longer.
const TEXT: usize = 4096;
/// What one fact, or the title, may take of them, so that no tag is cut.
const FACT: usize = 380;
/// What its name takes, with what stands beside it.
const NAME: usize = 14;

/// What it takes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telegram {
    /// As `BotFather` gave it.
    token: String,
    /// A number, or `@name` of a channel.
    chat_id: String,
    /// The Bot API's server, where it is one's own.
    #[serde(default = "server")]
    server: String,
}

fn server() -> String {
    SERVER.to_owned()
}

impl Kind for Telegram {
    fn check(&self) -> Result<(), Fault> {
        line("token", &self.token, 200)?;
        line("chat_id", &self.chat_id, 200)?;
        let fits = |c: char| c.is_ascii_alphanumeric() || ":_-{}.".contains(c);
        if !self.token.chars().all(fits) {
            return Err(("token", "must be a bot's token, as in 123456:ABC-DEF".into()));
        }
        address("server", &self.server)
    }

    fn secrets(&mut self) -> Vec<&mut String> {
        vec![&mut self.token]
    }

    fn compose(&self, message: &Message) -> String {
        let facts = message.facts();
        let lines = facts
            .iter()
            .map(|(what, it)| format!("<b>{what}:</b> {}", marked::html(&cut(it, FACT))));
        let title = format!("<b>{}</b>", marked::html(&cut(&message.title(), FACT)));
        let mut text: Vec<String> = std::iter::once(title).chain(lines).collect();
        let link =
            |words: &str, url: &str| format!("<a href=\"{}\">{words}</a>", marked::html(url));
        text.extend(message.links.incident.as_ref().map(|url| link("Open", url)));
        if let (Some(url), false) = (&message.links.acknowledge, message.is_over()) {
            text.push(link("Acknowledge", url));
        }
        debug_assert!((facts.len() + 1) * (FACT + NAME) < TEXT, "all facts fit in one message");
        json!({
            "chat_id": self.chat_id,
            "text": text.join("\n"),
            "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": true},
        })
        .to_string()
    }

    fn errand(&self, attempt: &Attempt<'_>) -> Result<Errand, String> {
        let url = beneath(&self.server, &format!("/bot{}/sendMessage", self.token));
        Ok(Errand::Post(Post::json(url, attempt.body)))
    }
}
