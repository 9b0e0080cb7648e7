//! Letters by SMTP: text and HTML of the same words.
//!
//! What is kept of a letter is its words; the letter around them is made by the notifier, the same on
//! every attempt: its id is the delivery's, its date that of the alert.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Attempt, Errand, Fault, Kind, Message, cut, line, marked};
use crate::models::target::host_name;

const MOST_PEOPLE: usize = 50;
/// RFC 5321, section 4.5.3.1.
const LONGEST_ADDRESS: usize = 254;
const SUBJECT: usize = 200;

words! {
    /// How the way to the mail server is encrypted.
    Security {
        /// From the first byte (RFC 8314).
        Tls = "tls",
        /// After a greeting, and not otherwise (RFC 3207).
        StartTls = "starttls",
        /// Not at all: for a server on the same host.
        None = "none",
    }
}

/// What it takes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Email {
    /// The mail server.
    host: String,
    /// Its port.
    #[serde(default = "submission")]
    port: u16,
    /// How the way there is encrypted.
    #[serde(default = "starttls")]
    security: Security,
    /// For the log-in; empty for none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    username: String,
    /// For the log-in.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    password: String,
    /// Who it is from.
    from: String,
    /// Who it is for.
    to: Vec<String>,
}

/// RFC 6409.
const fn submission() -> u16 {
    587
}

const fn starttls() -> Security {
    Security::StartTls
}

/// One letter, and the way to its mail server.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// The mail server: a name or an address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the way there is encrypted.
    pub security: Security,
    /// Name and password, if there is a log-in.
    pub log_in: Option<(String, String)>,
    /// The sender's address.
    pub from: String,
    /// The receivers' addresses.
    pub to: Vec<String>,
    /// What is said.
    pub words: Words,
    /// The part of its `Message-ID` before the `@`.
    pub id: String,
    /// What joins the letters of one incident: the id that all of them refer to.
    pub thread: String,
}

/// The password is not shown.
impl std::fmt::Debug for Letter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Letter").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What a letter says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    /// The subject.
    pub subject: String,
    /// When the alert was raised.
    pub date: DateTime<Utc>,
    /// As plain text.
    pub text: String,
    /// As HTML.
    pub html: String,
}

impl Kind for Email {
    fn check(&self) -> Result<(), Fault> {
        host_name(&self.host).map_err(|why| ("host", why))?;
        if self.port == 0 {
            return Err(("port", "must be from 1 to 65535".into()));
        }
        if !self.username.is_empty() {
            line("username", &self.username, 500)?;
            line("password", &self.password, 1024)?;
            if self.security == Security::None {
                return Err(("security", "must be tls or starttls where there is a log-in".into()));
            }
        }
        mailbox("from", &self.from)?;
        if self.to.is_empty() || self.to.len() > MOST_PEOPLE {
            return Err(("to", format!("must be 1 to {MOST_PEOPLE} addresses")));
        }
        self.to.iter().try_for_each(|it| mailbox("to", it))
    }

    fn secrets(&mut self) -> Vec<&mut String> {
        vec![&mut self.password]
    }

    fn compose(&self, message: &Message) -> String {
        let words = Words {
            subject: cut(&crate::models::text::tame_line(&message.title(), 4 * SUBJECT), SUBJECT),
            date: message.at,
            text: text(message),
            html: html(message),
        };
        serde_json::to_string(&words).unwrap_or_default()
    }

    fn errand(&self, attempt: &Attempt<'_>) -> Result<Errand, String> {
        let words = serde_json::from_str(attempt.body)
            .map_err(|_other| "what was composed is not a letter")?;
        let log_in = (self.username.clone(), self.password.clone());
        Ok(Errand::Mail(Box::new(Letter {
            host: self.host.clone(),
            port: self.port,
            security: self.security,
            log_in: Some(log_in).filter(|(name, _)| !name.is_empty()),
            from: self.from.clone(),
            to: self.to.clone(),
            words,
            id: attempt.delivery.to_string(),
            thread: format!("pulse-{}", attempt.incident),
        })))
    }
}

/// `local@domain`, without the forms that only a parser loves: no quotes, comments or routes.
fn mailbox(field: &'static str, text: &str) -> Result<(), Fault> {
    let fits = |c: char| c.is_ascii_graphic() && !"<>()[]\\,;:\"@".contains(c);
    let good = text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty()
            && local.len() <= 64
            && local.chars().all(fits)
            && host_name(domain).is_ok()
    });
    if good && text.len() <= LONGEST_ADDRESS {
        return Ok(());
    }
    Err((field, format!("must be an address of e-mail, as in ops@shop.example: {text:?} is not")))
}

fn text(message: &Message) -> String {
    let link = |what: &str, url: &String| format!("{what}: {url}");
    let mut said = vec![message.title(), String::new(), message.lines()];
    let links = [
        message.links.incident.as_ref().map(|url| link("Incident", url)),
        message
            .links
            .acknowledge
            .as_ref()
            .filter(|_| !message.is_over())
            .map(|url| link("Acknowledge", url)),
    ];
    if links.iter().any(Option::is_some) {
        said.push(String::new());
    }
    said.extend(links.into_iter().flatten());
    said.push(String::new());
    said.join("\n")
}

/// Tables and inline styles: what mail programs agree upon.
fn html(message: &Message) -> String {
    let rows = message.facts().into_iter().map(|(what, it)| {
        format!(
            "<tr><th align=\"left\" valign=\"top\" style=\"padding:2px 12px 2px 0\">{what}</th><td>{}</td></tr>",
            marked::html(&it)
        )
    });
    let link = |what: &str, url: &String| format!("<a href=\"{}\">{what}</a>", marked::html(url));
    let links: Vec<_> = [
        message.links.incident.as_ref().map(|url| link("Open the incident", url)),
        message
            .links
            .acknowledge
            .as_ref()
            .filter(|_| !message.is_over())
            .map(|url| link("Acknowledge", url)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let links =
        if links.is_empty() { String::new() } else { format!("<p>{}</p>", links.join(" · ")) };
    format!(
        "<!doctype html><html><body style=\"font-family:sans-serif\"><h2>{}</h2><table>{}</table>{links}</body></html>",
        marked::html(&message.title()),
        rows.collect::<String>(),
    )
}
