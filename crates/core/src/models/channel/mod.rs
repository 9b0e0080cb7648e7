//! Where people are told: the kinds of channels, what each is configured with and what it sends.
//!
//! A kind is a file here and a line in `kinds!`. It is pure: it says what must be sent, and the
//! worker's notifiers send it. What is said of an alert is composed once, when it is raised, and kept
//! with the delivery, so that every attempt sends the same bytes; where it goes, and who signs it,
//! is that of the channel when the attempt is made.

mod alertmanager;
mod discord;
mod email;
mod gotify;
mod marked;
mod message;
mod ntfy;
mod opsgenie;
mod pagerduty;
mod pushover;
mod slack;
mod teams;
mod telegram;
mod template;
#[cfg(test)]
mod tests;
mod webhook;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::alert::AlertKind;
use super::check::{FieldError, check_name};
use super::ids::{DeliveryId, IncidentId, SettingId};
use super::probe_spec::MASK;
use super::secret::mentions;
use super::target::web_address;
use super::text::tame_line;

pub use email::{Letter, Security, Words};
pub use message::{About, Links, Message, Seen, Severity, Told};

/// A channel, as people configure it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// For people; 1 to 200 characters.
    pub name: String,
    /// Whether anybody is told by it.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The channel that is told instead when this one cannot be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<SettingId>,
    /// How.
    #[serde(flatten)]
    pub spec: ChannelSpec,
}

const fn yes() -> bool {
    true
}

impl Channel {
    /// Reads and checks a whole configuration, as a request or a store has it.
    ///
    /// # Errors
    /// The first field at fault.
    pub fn read(body: Value) -> Result<Self, FieldError> {
        let fault =
            |pointer: &str, detail: String| FieldError { pointer: pointer.to_owned(), detail };
        let Value::Object(mut fields) = body else {
            return Err(fault("", "must be a JSON object".into()));
        };
        fields.retain(|_, value| !value.is_null());
        let name = match fields.remove("name") {
            Some(Value::String(name)) => check_name(name).map_err(|why| fault("/name", why))?,
            Some(_) => return Err(fault("/name", "must be a text".into())),
            None => return Err(fault("/name", "is required".into())),
        };
        let enabled = match fields.remove("enabled") {
            None => true,
            Some(Value::Bool(enabled)) => enabled,
            Some(_) => return Err(fault("/enabled", "must be true or false".into())),
        };
        let fallback = match fields.remove("fallback") {
            None => None,
            Some(id) => Some(serde_json::from_value(id).map_err(|_other| {
                fault("/fallback", "must be the id of another channel, a UUID".into())
            })?),
        };
        let known = || format!("must be one of {}", ChannelSpec::KINDS.join(", "));
        match fields.get("type") {
            Some(Value::String(kind)) if ChannelSpec::KINDS.contains(&kind.as_str()) => {}
            Some(_) => return Err(fault("/type", known())),
            None => return Err(fault("/type", format!("is required; it {}", known()))),
        }
        if let Some(other) = fields.keys().find(|name| !["type", "config"].contains(&name.as_str()))
        {
            let pointer =
                format!("/{}", tame_line(other, 100).replace('~', "~0").replace('/', "~1"));
            return Err(fault(&pointer, "is not a field of a channel".into()));
        }
        let spec: ChannelSpec = serde_json::from_value(Value::Object(fields))
            .map_err(|wrong| fault("/config", format!("is not that of its type: {wrong}")))?;
        let spec = spec.checked().map_err(|(field, why)| {
            let pointer =
                if field.is_empty() { "/config".into() } else { format!("/config/{field}") };
            fault(&pointer, why)
        })?;
        Ok(Self { name, enabled, fallback, spec })
    }

    /// As it is stored, secrets and all.
    #[must_use]
    pub fn config(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// As it is shown.
    #[must_use]
    pub fn masked(&self) -> Self {
        Self { spec: self.spec.masked(), ..self.clone() }
    }
}

/// What an attempt is made of, besides the channel.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// The delivery: the same on every attempt.
    pub delivery: DeliveryId,
    /// What it tells of.
    pub incident: IncidentId,
    /// What happened to it.
    pub kind: AlertKind,
    /// As [`ChannelSpec::compose`] wrote it.
    pub body: &'a str,
    /// When the attempt is made, in seconds since the Unix epoch.
    pub now: i64,
}

/// One attempt, ready to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Errand {
    /// A request over HTTP: 2xx is the only good answer.
    Post(Post),
    /// A letter, by SMTP.
    Mail(Box<Letter>),
}

/// A POST request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// Where to.
    pub url: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Byte for byte.
    pub body: String,
}

impl Post {
    fn json(url: impl Into<String>, body: &str) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { url: url.into(), headers, body: body.to_owned() }
    }

    fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// What each kind can do.
trait Kind {
    /// What is wrong with the configuration: a field and why, for the person who wrote it.
    fn check(&self) -> Result<(), Fault>;

    /// What must not be shown of it.
    fn secrets(&mut self) -> Vec<&mut String>;

    /// What is said. It must not hold the channel's secrets: it is kept and shown.
    fn compose(&self, message: &Message) -> String;

    /// How it is sent. An error means that trying again would change nothing.
    fn errand(&self, attempt: &Attempt<'_>) -> Result<Errand, String>;
}

const NO_REFERENCE: &str = "must not refer to a secret: a channel keeps its own, and shows none";

/// A field of a channel, and what is wrong with it.
pub type Fault = (&'static str, String);

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident($config:ty) = $word:literal,)+) => {
        /// How a channel tells people, with what it needs for it.
        #[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "type", content = "config")]
        pub enum ChannelSpec { $($(#[$doc])* #[serde(rename = $word)] $variant($config),)+ }

        impl ChannelSpec {
            /// The words for all kinds.
            pub const KINDS: &[&str] = &[$($word),+];

            /// The word for its kind.
            #[must_use]
            pub const fn kind(&self) -> &'static str {
                match self { $(Self::$variant(_) => $word),+ }
            }

            fn as_kind(&self) -> &dyn Kind {
                match self { $(Self::$variant(config) => config),+ }
            }

            fn as_kind_mut(&mut self) -> &mut dyn Kind {
                match self { $(Self::$variant(config) => config),+ }
            }
        }
    };
}

kinds! {
    /// Any HTTP endpoint, in the form of Standard Webhooks.
    Webhook(webhook::Webhook) = "webhook",
    /// Slack, by an incoming webhook.
    Slack(slack::Slack) = "slack",
    /// People's mailboxes.
    Email(email::Email) = "email",
    /// Discord, by a webhook.
    Discord(discord::Discord) = "discord",
    /// Microsoft Teams, by a workflow's webhook.
    Teams(teams::Teams) = "teams",
    /// A chat of Telegram, by a bot.
    Telegram(telegram::Telegram) = "telegram",
    /// `PagerDuty`, by its Events API v2.
    PagerDuty(pagerduty::PagerDuty) = "pagerduty",
    /// Opsgenie, by its Alert API.
    Opsgenie(opsgenie::Opsgenie) = "opsgenie",
    /// A topic of ntfy.
    Ntfy(ntfy::Ntfy) = "ntfy",
    /// Gotify.
    Gotify(gotify::Gotify) = "gotify",
    /// Pushover.
    Pushover(pushover::Pushover) = "pushover",
    /// Prometheus Alertmanager.
    Alertmanager(alertmanager::Alertmanager) = "alertmanager",
}

impl ChannelSpec {
    /// The same, if it can be used as it stands.
    ///
    /// # Errors
    /// The first field at fault.
    pub fn checked(mut self) -> Result<Self, Fault> {
        let masked = self.as_kind_mut().secrets().into_iter().any(|secret| secret == MASK);
        if masked {
            return Err((
                "",
                format!(
                    "must have its secrets themselves, not {MASK}, which stands for them in answers"
                ),
            ));
        }
        if self.as_kind_mut().secrets().into_iter().any(|secret| mentions(secret)) {
            return Err(("", NO_REFERENCE.to_owned()));
        }
        self.as_kind().check()?;
        Ok(self)
    }

    /// The same, with what is secret replaced by [`MASK`].
    #[must_use]
    pub fn masked(&self) -> Self {
        let mut shown = self.clone();
        for secret in shown.as_kind_mut().secrets() {
            if !secret.is_empty() {
                MASK.clone_into(secret);
            }
        }
        shown
    }

    /// What is said of an alert: kept with its delivery, the same on every attempt.
    #[must_use]
    pub fn compose(&self, message: &Message) -> String {
        self.as_kind().compose(message)
    }

    /// Pulse's own body for a webhook: what a check's own webhook is sent.
    #[must_use]
    pub fn webhook_body(message: &Message) -> String {
        webhook::event(message).to_string()
    }

    /// A check's own webhook: an endpoint and the secret that signs for it.
    #[must_use]
    pub fn webhook(url: String, secret: String) -> Self {
        Self::Webhook(webhook::Webhook::plain(url, secret))
    }

    /// What its kind needs, secrets and all.
    #[must_use]
    pub fn config(&self) -> Value {
        serde_json::to_value(self)
            .ok()
            .and_then(|mut it| it.get_mut("config").map(Value::take))
            .unwrap_or_default()
    }

    /// What must not be shown of it, wherever it turns up.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        let mut own = self.clone();
        let secrets = own.as_kind_mut().secrets().into_iter().map(|secret| secret.clone());
        secrets.filter(|secret| !secret.is_empty()).collect()
    }

    /// How an attempt is made.
    ///
    /// # Errors
    /// Why it cannot be: trying again would change nothing.
    pub fn errand(&self, attempt: &Attempt<'_>) -> Result<Errand, String> {
        self.as_kind().errand(attempt)
    }
}

/// Its kind alone: the rest may be secret.
impl std::fmt::Debug for ChannelSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ChannelSpec").field(&self.kind()).finish()
    }
}

/// A web address, in a field of that name.
fn address(field: &'static str, text: &str) -> Result<(), Fault> {
    web_address(text.to_owned()).map(drop).map_err(|why| (field, why))
}

/// Something on one line: `most` bytes at most.
fn line(field: &'static str, text: &str, most: usize) -> Result<(), Fault> {
    if text.is_empty() || text.len() > most || text.chars().any(char::is_control) {
        return Err((field, format!("must have 1 to {most} bytes without control characters")));
    }
    Ok(())
}

/// The beginning of `text`, with a mark where it was cut: `most` units of UTF-16 at most, by which some
/// receivers count. It is never more for those that count characters.
fn cut(text: &str, most: usize) -> String {
    if text.encode_utf16().count() <= most {
        return text.to_owned();
    }
    let mut left = most - 1;
    let fits = |c: &char| {
        let units = c.len_utf16();
        let is_room = units <= left;
        left = left.saturating_sub(units);
        is_room
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

/// A body with a field that was kept out of it.
fn with_field(body: &str, name: &str, value: &str) -> Result<String, String> {
    let mut object: serde_json::Map<String, Value> =
        serde_json::from_str(body).map_err(|_other| "what was composed is no JSON object")?;
    object.insert(name.to_owned(), value.into());
    serde_json::to_string(&object).map_err(|_never| "the body cannot be written".to_owned())
}

/// RFC 7617.
fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

/// An address beneath that of a server: `path` begins with a slash.
fn beneath(server: &str, path: &str) -> String {
    format!("{}{path}", server.trim_end_matches('/'))
}
