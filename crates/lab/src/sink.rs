//! Where webhooks go: every delivery is verified and written down, then answered as told.
//!
//! A hook is a path `/hook/{name}` with a secret and a play. Signatures are verified by the
//! reference library of Standard Webhooks, not by the code that made them.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use standardwebhooks::Webhook;
use tokio::task::AbortHandle;
use uuid::Uuid;

use crate::clock;
use crate::http1::{self, After, Connection, Oracle, Request};
use crate::log::Log;

/// How a hook answers.
#[derive(Clone, Copy, Debug, Default)]
pub enum Play {
    /// With 200.
    #[default]
    Accept,
    /// With `status`, `times` over (`None`: for ever), then with 200.
    Refuse {
        /// For example 500, 410 or 429.
        status: u16,
        /// How often before it accepts.
        times: Option<u32>,
        /// Sent as `Retry-After`, in seconds.
        retry_after_s: Option<u32>,
    },
    /// Never.
    Hang,
    /// With a reset of the connection.
    Reset,
}

/// One request that arrived at a hook.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The name in the path `/hook/{name}`.
    pub hook: String,
    /// `webhook-id`; empty when there was none.
    pub id: String,
    /// `webhook-timestamp`, in seconds since 1970.
    pub timestamp: Option<i64>,
    /// The body as it came.
    pub body: Bytes,
    /// SHA-256 of the body, in hex.
    pub body_hash: String,
    /// Whether signature and timestamp hold against the hook's secret.
    pub signature_ok: bool,
    /// What the body tells; `None` when it is not what `docs/API.md` describes.
    pub told: Option<Told>,
    /// When the request had arrived, in microseconds since 1970.
    pub at_us: i64,
    /// The status served; `None` when the connection was reset or left hanging.
    pub status: Option<u16>,
}

impl Delivery {
    /// Whether the sink took it, so that the sender may rest.
    #[must_use]
    pub fn accepted(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// The alert a body tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Which edge.
    pub edge: Edge,
    /// Of which incident.
    pub incident: Uuid,
    /// Of which check.
    pub check: Uuid,
}

/// An edge of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
pub enum Edge {
    /// It began.
    #[serde(rename = "incident.opened", alias = "opened")]
    Opened,
    /// It is over.
    #[serde(rename = "incident.resolved", alias = "resolved")]
    Resolved,
}

/// The server and its log. It stops listening when dropped.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    desk: Arc<Desk>,
    accepting: AbortHandle,
}

#[derive(Debug, Default)]
struct Desk {
    hooks: Mutex<HashMap<String, Hook>>,
    deliveries: Log<Delivery>,
    down: AtomicBool,
}

#[derive(Debug, Default)]
struct Hook {
    secret: String,
    play: Play,
}

impl Sink {
    /// Listens on a free port.
    pub async fn start() -> io::Result<Self> {
        let desk = Arc::new(Desk::default());
        let (address, accepting) = http1::serve(Arc::clone(&desk)).await?;
        Ok(Self { address, desk, accepting })
    }

    /// Where the hook of this name is found.
    #[must_use]
    pub fn url(&self, hook: &str) -> String {
        format!("http://{}/hook/{hook}", self.address)
    }

    /// Sets the secret (`whsec_...`) that a hook verifies with.
    pub fn trust(&self, hook: &str, secret: &str) {
        let mut hooks = self.desk.hooks();
        secret.clone_into(&mut hooks.entry(hook.to_owned()).or_default().secret);
    }

    /// Sets how a hook answers from its next request on.
    pub fn play(&self, hook: &str, play: Play) {
        self.desk.hooks().entry(hook.to_owned()).or_default().play = play;
    }

    /// While down, every new connection is reset before a word is read.
    pub fn set_down(&self, down: bool) {
        self.desk.down.store(down, Ordering::Relaxed);
    }

    /// Every delivery, in the order of arrival.
    #[must_use]
    pub fn deliveries(&self) -> &Log<Delivery> {
        &self.desk.deliveries
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A fresh secret in the form of Standard Webhooks.
#[must_use]
pub fn new_secret() -> String {
    let bytes = [Uuid::now_v7().into_bytes(), Uuid::now_v7().into_bytes()].concat();
    format!("whsec_{}", base64::engine::general_purpose::STANDARD.encode(bytes))
}

impl Desk {
    fn hooks(&self) -> MutexGuard<'_, HashMap<String, Hook>> {
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hook's secret, and how it answers this time.
    fn turn(&self, name: &str) -> (String, Play) {
        let mut hooks = self.hooks();
        let hook = hooks.entry(name.to_owned()).or_default();
        let play = hook.play;
        if let Play::Refuse { times: Some(left), .. } = &mut hook.play {
            if *left == 0 {
                hook.play = Play::Accept;
                return (hook.secret.clone(), Play::Accept);
            }
            *left -= 1;
        }
        (hook.secret.clone(), play)
    }
}

impl Oracle for Desk {
    fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    async fn meet(&self, connection: &mut Connection, request: Request) -> io::Result<After> {
        let at_us = clock::now_us();
        let Some(name) = request.path.strip_prefix("/hook/") else {
            return connection.answer(404, "", &request).await;
        };
        let (secret, play) = self.turn(name);
        self.deliveries.push(written_down(name, &secret, play, &request, at_us));
        match play {
            Play::Accept => connection.answer(200, "", &request).await,
            Play::Refuse { status, retry_after_s, .. } => {
                let extra =
                    retry_after_s.map(|s| format!("retry-after: {s}\r\n")).unwrap_or_default();
                connection.answer(status, &extra, &request).await
            }
            Play::Reset => connection.reset(),
            Play::Hang => connection.hang().await,
        }
    }
}

fn written_down(hook: &str, secret: &str, play: Play, asked: &Request, at_us: i64) -> Delivery {
    let header = |name| asked.headers.get(name).and_then(|value| value.to_str().ok());
    Delivery {
        hook: hook.to_owned(),
        id: header(standardwebhooks::HEADER_WEBHOOK_ID).unwrap_or_default().to_owned(),
        timestamp: header(standardwebhooks::HEADER_WEBHOOK_TIMESTAMP)
            .and_then(|text| text.parse().ok()),
        body_hash: hex(&Sha256::digest(&asked.body)),
        signature_ok: signature_holds(secret, &asked.body, &asked.headers),
        told: told(&asked.body),
        body: asked.body.clone(),
        at_us,
        status: match play {
            Play::Accept => Some(200),
            Play::Refuse { status, .. } => Some(status),
            Play::Hang | Play::Reset => None,
        },
    }
}

fn signature_holds(secret: &str, body: &[u8], headers: &HeaderMap) -> bool {
    Webhook::new(secret).is_ok_and(|webhook| webhook.verify(body, headers).is_ok())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

fn told(body: &[u8]) -> Option<Told> {
    #[derive(Deserialize)]
    struct Payload {
        r#type: Edge,
        data: Parts,
    }
    #[derive(Deserialize)]
    struct Parts {
        check: Named,
        incident: Named,
    }
    #[derive(Deserialize)]
    struct Named {
        id: Uuid,
    }
    let payload: Payload = serde_json::from_slice(body).ok()?;
    let Parts { check, incident } = payload.data;
    Some(Told { edge: payload.r#type, incident: incident.id, check: check.id })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn deliver(sink: &Sink, secret: &str) -> u16 {
        let (check, incident) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let body = format!(
            r#"{{"type":"incident.opened","data":{{"check":{{"id":"{check}"}},"incident":{{"id":"{incident}"}}}}}}"#
        );
        let now = clock::now_ms() / 1000;
        let signature = Webhook::new(secret).unwrap().sign("msg_1", now, body.as_bytes()).unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let sent = client
            .post(sink.url("a"))
            .header("webhook-id", "msg_1")
            .header("webhook-timestamp", now)
            .header("webhook-signature", signature)
            .body(body)
            .send();
        sent.await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn a_delivery_is_verified_and_written_down() {
        let sink = Sink::start().await.unwrap();
        let secret = new_secret();
        sink.trust("a", &secret);

        deliver(&sink, &secret).await;
        deliver(&sink, &new_secret()).await;

        let seen = sink.deliveries().copy();
        assert_eq!((seen[0].signature_ok, seen[1].signature_ok), (true, false));
        assert_eq!((seen[0].id.as_str(), seen[0].accepted()), ("msg_1", true));
        assert_eq!(seen[0].body_hash.len(), 64);
        let told = seen[0].told.unwrap();
        assert_eq!((told.edge, told.check), (Edge::Opened, Uuid::from_u128(1)));
    }

    #[tokio::test]
    async fn a_hook_refuses_as_often_as_told_and_then_accepts() {
        let sink = Sink::start().await.unwrap();
        let secret = new_secret();
        sink.trust("a", &secret);
        sink.play("a", Play::Refuse { status: 500, times: Some(2), retry_after_s: None });

        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(deliver(&sink, &secret).await);
        }

        assert_eq!(statuses, [500, 500, 200]);
    }
}
