//! Any HTTP endpoint, in the form of Standard Webhooks: <https://www.standardwebhooks.com>.
//!
//! The body is Pulse's own, documented in `docs/API.md`, or what the channel's template makes of it.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{
    AlertKind, Attempt, Errand, Fault, Kind, Message, NO_REFERENCE, Post, address, template,
};
use crate::models::check::{header_faults, webhook_secret};
use crate::models::evidence::is_secret;
use crate::models::secret::mentions;

const MOST_HEADERS: usize = 20;

/// What it takes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// The endpoint.
    url: String,
    /// Signs: `whsec_` and base64.
    secret: String,
    /// Signs as well, while receivers change over from it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    previous_secret: String,
    /// Sent besides Pulse's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    /// What is sent instead of Pulse's own body; see [`template`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    template: Option<String>,
}

impl Webhook {
    /// The shorthand of a check: an endpoint and the secret that signs for it.
    #[must_use]
    pub fn plain(url: String, secret: String) -> Self {
        let (previous_secret, headers, template) = (String::new(), BTreeMap::new(), None);
        Self { url, secret, previous_secret, headers, template }
    }
}

impl Kind for Webhook {
    fn check(&self) -> Result<(), Fault> {
        address("url", &self.url)?;
        webhook_secret(self.secret.clone()).map_err(|why| ("secret", why))?;
        if !self.previous_secret.is_empty() {
            webhook_secret(self.previous_secret.clone()).map_err(|why| ("previous_secret", why))?;
        }
        if self.headers.len() > MOST_HEADERS {
            return Err(("headers", format!("must be at most {MOST_HEADERS} headers")));
        }
        header_faults(&self.headers).map_err(|why| ("headers", why))?;
        if self.headers.values().any(|value| mentions(value)) {
            return Err(("headers", NO_REFERENCE.to_owned()));
        }
        let ours = |name: &String| name.to_ascii_lowercase().starts_with("webhook-");
        if let Some(name) = self.headers.keys().find(|name| ours(name)) {
            return Err(("headers", format!("{name} is set by Pulse itself")));
        }
        let template = self.template.as_deref().map_or(Ok(()), template::check);
        template.map_err(|why| ("template", why))
    }

    fn secrets(&mut self) -> Vec<&mut String> {
        let headers = self.headers.iter_mut();
        let theirs = headers.filter(|(name, _)| is_secret(&name.to_ascii_lowercase()));
        let own = [&mut self.secret, &mut self.previous_secret];
        own.into_iter().chain(theirs.map(|(_, value)| value)).collect()
    }

    fn compose(&self, message: &Message) -> String {
        let said = event(message);
        let own = self.template.as_deref().and_then(|text| template::render(text, &said).ok());
        // A template was tried when it was saved. One that fails all the same must not swallow an alert.
        own.unwrap_or_else(|| said.to_string())
    }

    fn errand(&self, attempt: &Attempt<'_>) -> Result<Errand, String> {
        let (id, timestamp) = (attempt.delivery.to_string(), attempt.now.to_string());
        let previous = Some(&self.previous_secret).filter(|key| !key.is_empty());
        let signatures: Vec<String> = std::iter::once(&self.secret)
            .chain(previous)
            .map(|key| sign(key, &id, &timestamp, attempt.body))
            .collect::<Result<_, _>>()?;
        let named = |name: &str| self.headers.keys().any(|it| it.eq_ignore_ascii_case(name));
        let mut post =
            Post { url: self.url.clone(), headers: Vec::new(), body: attempt.body.into() };
        if !named("content-type") {
            post = post.with("content-type", "application/json");
        }
        let own =
            self.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
        post.headers.extend(own);
        Ok(Errand::Post(
            post.with("webhook-id", id)
                .with("webhook-timestamp", timestamp)
                .with("webhook-signature", signatures.join(" ")),
        ))
    }
}

/// `v1,` and the HMAC-SHA256 of `id.timestamp.body` in base64.
fn sign(secret: &str, id: &str, timestamp: &str, body: &str) -> Result<String, String> {
    let secret = secret.strip_prefix("whsec_").unwrap_or(secret);
    let key = STANDARD.decode(secret).ok().filter(|key| !key.is_empty());
    let key = key.ok_or("the webhook's secret is not whsec_ and base64")?;
    let mac = Hmac::<Sha256>::new_from_slice(&key);
    let mut mac = mac.map_err(|_length| "the webhook's signature cannot be made")?;
    for part in [id, ".", timestamp, ".", body] {
        mac.update(part.as_bytes());
    }
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

/// Pulse's own body. What is not known is `null`.
pub(super) fn event(message: &Message) -> Value {
    let kind = match message.kind {
        AlertKind::Test => "test".to_owned(),
        edge => format!("incident.{edge}"),
    };
    let at = super::message::exact;
    let (check, incident) = (&message.check, &message.incident);
    let before = incident
        .before
        .map(|it| json!({ "status": it.state, "calm_since": at(it.calm_since.time()) }));
    json!({
        "type": kind,
        "timestamp": at(message.at),
        "data": {
            "title": message.title(),
            "severity": message.severity,
            "check": { "id": check.id, "name": check.name, "url": check.url, "tags": check.tags },
            "incident": {
                "id": incident.id,
                "kind": incident.kind,
                "started_at": at(incident.started_at),
                "resolved_at": incident.resolved_at.map(at),
                "resolution": incident.resolution,
                "resolved_by": incident.resolved_by,
                "cause": incident.cause,
                "regions": incident.seen.as_ref().map(|seen| &seen.from),
                "before": before,
            },
            "links": { "incident": message.links.incident, "acknowledge": message.links.acknowledge },
        },
    })
}
