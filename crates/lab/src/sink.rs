//! Where webhooks go: every delivery is verified and written down, then answered as told.
//!
//! A hook is a path `/hook/{name}`, or anything beneath it, with a secret and a play. Signatures are verified by the
//! reference library of Standard Webhooks, not by the code that made them.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::HeaderMap;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_TIMESTAMP, Webhook};
use tokio::task::AbortHandle;
use uuid::Uuid;

use crate::clock;
use crate::fleet::free_port;
use crate::http1::{self, After, Connection, Oracle, Request};
use crate::log::Log;

/// An answer that comes when no sender waits for it any more.
const TOO_LATE: Duration = Duration::from_secs(16);

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
    /// With 200, after so long.
    Slow(Duration),
    /// With 500 the first time that a body comes, then with 200.
    Again,
    /// Never.
    Hang,
    /// With 200, a second after the sender has given up.
    Late,
    /// With a reset of the connection.
    Reset,
    /// Now this way, now that.
    Moody(Moods),
}

/// A share of failures, drawn from a seed in the order of arrival.
#[derive(Clone, Copy, Debug)]
pub struct Moods {
    /// Decides which requests fail, and how.
    pub seed: u64,
    /// How many of a thousand requests fail.
    pub per_mille: u16,
    /// Of them those that cost the sender its whole patience, by silence or a late answer. Few of
    /// them are enough to fill a channel's places for a while.
    pub silent_per_mille: u16,
    /// How often one delivery fails at most: each failure makes the next wait several times longer.
    pub most: u32,
    /// Alerts raised before this instant, in milliseconds since 1970, are accepted.
    pub since_ms: i64,
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
    /// The status served; `None` when the sender saw none.
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
    /// When it was raised, in milliseconds since 1970.
    pub raised_ms: i64,
    /// The first failing slot, likewise.
    pub from_ms: i64,
    /// The first good slot, likewise; `None` while it is open.
    pub until_ms: Option<i64>,
}

/// An edge of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
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
    /// `None` while it is down.
    accepting: Option<AbortHandle>,
}

#[derive(Debug, Default)]
struct Desk {
    hooks: Mutex<HashMap<String, Hook>>,
    deliveries: Log<Delivery>,
}

#[derive(Debug, Default)]
struct Hook {
    secret: String,
    play: Play,
    /// What a moody hook draws from.
    random: Option<StdRng>,
    /// How often it has failed a delivery.
    failed: HashMap<String, u32>,
}

impl Sink {
    /// Listens on a port that stays its own while it is down.
    pub async fn start() -> anyhow::Result<Self> {
        let desk = Arc::new(Desk::default());
        let (address, accepting) = http1::serve(Arc::clone(&desk), free_port()?).await?;
        Ok(Self { address, desk, accepting: Some(accepting) })
    }

    /// Where the hook of this name is found.
    #[must_use]
    pub fn url(&self, hook: &str) -> String {
        format!("http://{}/hook/{hook}", self.address)
    }

    /// The address that it listens at.
    #[must_use]
    pub const fn ip(&self) -> IpAddr {
        self.address.ip()
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

    /// Goes down: connections are cut where they are, and the port refuses new ones.
    pub fn down(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
        }
    }

    /// Comes back on the same port.
    pub async fn up(&mut self) -> io::Result<()> {
        self.down();
        let (_, accepting) = http1::serve(Arc::clone(&self.desk), self.address.port()).await?;
        self.accepting = Some(accepting);
        Ok(())
    }

    /// Every delivery, in the order of arrival.
    #[must_use]
    pub fn deliveries(&self) -> &Log<Delivery> {
        &self.desk.deliveries
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.down();
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

    /// The hook's secret, and how it answers this delivery this time; never `Moody`.
    fn turn(&self, name: &str, id: &str, hash: &str, told: Option<Told>) -> (String, Play) {
        let mut hooks = self.hooks();
        let hook = hooks.entry(name.to_owned()).or_default();
        let play = match hook.play {
            Play::Moody(moods) => hook.mood(moods, id, told),
            Play::Again if hook.failed.insert(hash.to_owned(), 1).is_none() => {
                Play::Refuse { status: 500, times: None, retry_after_s: None }
            }
            Play::Again | Play::Refuse { times: Some(0), .. } => Play::Accept,
            play => play,
        };
        if let Play::Refuse { times: Some(left), .. } = &mut hook.play {
            *left = left.saturating_sub(1);
        }
        (hook.secret.clone(), play)
    }
}

impl Hook {
    fn mood(&mut self, moods: Moods, id: &str, told: Option<Told>) -> Play {
        let random = self.random.get_or_insert_with(|| StdRng::seed_from_u64(moods.seed));
        // Drawn for every request, so that the n-th meets the same whatever became of the others.
        let (draw, kind) = (random.random_range(0..1000), random.random_range(0..4));
        let failed = self.failed.get(id).copied().unwrap_or(0);
        let spared = told.is_none_or(|told| told.raised_ms < moods.since_ms);
        if draw >= moods.per_mille || failed >= moods.most || spared {
            return Play::Accept;
        }
        self.failed.insert(id.to_owned(), failed + 1);
        match kind {
            _ if draw < moods.silent_per_mille / 2 => Play::Hang,
            _ if draw < moods.silent_per_mille => Play::Late,
            0 => Play::Reset,
            _ => Play::Refuse { status: 500, times: None, retry_after_s: None },
        }
    }
}

impl Oracle for Desk {
    async fn meet(&self, connection: &mut Connection, request: Request) -> io::Result<After> {
        let at_us = clock::now_us();
        let Some(name) = request.path.strip_prefix("/hook/") else {
            return connection.answer(404, "", &request).await;
        };
        let name = name.split('/').next().unwrap_or_default();
        let (id, told) =
            (header(&request, HEADER_WEBHOOK_ID).unwrap_or_default(), told(&request.body));
        let body_hash = hash(&request.body);
        let (secret, play) = self.turn(name, id, &body_hash, told);
        self.deliveries.push(Delivery {
            hook: name.to_owned(),
            id: id.to_owned(),
            timestamp: header(&request, HEADER_WEBHOOK_TIMESTAMP)
                .and_then(|text| text.parse().ok()),
            body_hash,
            signature_ok: signature_holds(&secret, &request.body, &request.headers),
            told,
            body: request.body.clone(),
            at_us,
            status: seen(play),
        });
        match play {
            Play::Accept | Play::Moody(_) | Play::Again => {
                connection.answer(200, "", &request).await
            }
            Play::Slow(wait) => {
                tokio::time::sleep(wait).await;
                connection.answer(200, "", &request).await
            }
            Play::Late => {
                tokio::time::sleep(TOO_LATE).await;
                connection.answer(200, "", &request).await
            }
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

/// The status that the sender sees.
fn seen(play: Play) -> Option<u16> {
    match play {
        Play::Accept | Play::Moody(_) | Play::Again | Play::Slow(_) => Some(200),
        Play::Refuse { status, .. } => Some(status),
        Play::Hang | Play::Late | Play::Reset => None,
    }
}

fn header<'a>(asked: &'a Request, name: &str) -> Option<&'a str> {
    asked.headers.get(name).and_then(|value| value.to_str().ok())
}

fn signature_holds(secret: &str, body: &[u8], headers: &HeaderMap) -> bool {
    Webhook::new(secret).is_ok_and(|webhook| webhook.verify(body, headers).is_ok())
}

/// SHA-256, in hex.
pub(crate) fn hash(body: &[u8]) -> String {
    hex(&Sha256::digest(body))
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
        timestamp: DateTime<Utc>,
        data: Parts,
    }
    #[derive(Deserialize)]
    struct Parts {
        check: Named,
        incident: Incident,
    }
    #[derive(Deserialize)]
    struct Named {
        id: Uuid,
    }
    #[derive(Deserialize)]
    struct Incident {
        id: Uuid,
        started_at: DateTime<Utc>,
        resolved_at: Option<DateTime<Utc>>,
    }
    let Payload { r#type, timestamp, data } = serde_json::from_slice(body).ok()?;
    Some(Told {
        edge: r#type,
        incident: data.incident.id,
        check: data.check.id,
        raised_ms: timestamp.timestamp_millis(),
        from_ms: data.incident.started_at.timestamp_millis(),
        until_ms: data.incident.resolved_at.map(|at| at.timestamp_millis()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The status that the sender saw; `None` when it saw none.
    async fn deliver(sink: &Sink, id: &str, secret: &str) -> Option<u16> {
        let (check, incident) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let body = format!(
            r#"{{"type":"incident.opened","timestamp":"1970-01-01T00:00:09Z","data":{{"check":{{"id":"{check}"}},
            "incident":{{"id":"{incident}","started_at":"1970-01-01T00:00:07Z","resolved_at":null}}}}}}"#
        );
        let now = clock::now_ms() / 1000;
        let signature = Webhook::new(secret).unwrap().sign(id, now, body.as_bytes()).unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let sent = client
            .post(sink.url("a"))
            .timeout(Duration::from_secs(5))
            .header("webhook-id", id)
            .header("webhook-timestamp", now)
            .header("webhook-signature", signature)
            .body(body)
            .send();
        sent.await.ok().map(|answer| answer.status().as_u16())
    }

    #[tokio::test]
    async fn a_delivery_is_verified_and_written_down() {
        let sink = Sink::start().await.unwrap();
        let secret = new_secret();
        sink.trust("a", &secret);

        deliver(&sink, "msg_1", &secret).await;
        deliver(&sink, "msg_1", &new_secret()).await;

        let seen = sink.deliveries().copy();
        assert_eq!((seen[0].signature_ok, seen[1].signature_ok), (true, false));
        assert_eq!((seen[0].id.as_str(), seen[0].accepted()), ("msg_1", true));
        assert_eq!(seen[0].body_hash.len(), 64);
        let told = seen[0].told.unwrap();
        assert_eq!((told.edge, told.check), (Edge::Opened, Uuid::from_u128(1)));
        assert_eq!((told.raised_ms, told.from_ms, told.until_ms), (9000, 7000, None));
    }

    #[tokio::test]
    async fn a_hook_refuses_as_often_as_told_and_then_accepts() {
        let sink = Sink::start().await.unwrap();
        let secret = new_secret();
        sink.trust("a", &secret);
        sink.play("a", Play::Refuse { status: 500, times: Some(2), retry_after_s: None });

        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(deliver(&sink, "msg_1", &secret).await);
        }

        assert_eq!(statuses, [Some(500), Some(500), Some(200)]);
    }

    #[tokio::test]
    async fn a_sink_that_is_down_refuses_and_comes_back_where_it_was() {
        let mut sink = Sink::start().await.unwrap();
        let secret = new_secret();

        sink.down();
        let meanwhile = deliver(&sink, "msg_1", &secret).await;
        sink.up().await.unwrap();
        let afterwards = deliver(&sink, "msg_1", &secret).await;

        assert_eq!((meanwhile, afterwards), (None, Some(200)));
        assert_eq!(sink.deliveries().copy().len(), 1);
    }

    #[tokio::test]
    async fn moods_follow_from_the_seed_and_end_for_each_delivery() {
        let moods = Moods { seed: 7, per_mille: 500, silent_per_mille: 0, most: 2, since_ms: 0 };
        let mut runs = Vec::new();
        for _ in 0..2 {
            let sink = Sink::start().await.unwrap();
            sink.play("a", Play::Moody(moods));
            for id in (0..10).flat_map(|id| [id; 6]) {
                deliver(&sink, &format!("msg_{id}"), &new_secret()).await;
            }
            runs.push(
                sink.deliveries()
                    .read(|all| all.iter().map(|delivery| delivery.status).collect::<Vec<_>>()),
            );
        }

        assert_eq!(runs[0], runs[1]);
        assert!(runs[0].chunks(6).all(|id| id.iter().filter(|it| **it != Some(200)).count() <= 2));
        assert!(runs[0].iter().filter(|it| **it != Some(200)).count() > 10);
    }

    #[tokio::test]
    async fn alerts_raised_before_the_moods_began_are_spared() {
        let sink = Sink::start().await.unwrap();
        let moods =
            Moods { seed: 7, per_mille: 1000, silent_per_mille: 0, most: 9, since_ms: 9001 };
        sink.play("a", Play::Moody(moods));

        assert_eq!(deliver(&sink, "msg_1", &new_secret()).await, Some(200));
    }
}
