//! Tells an HTTP endpoint, in the form of Standard Webhooks (standardwebhooks.com).
//!
//! The body is sent byte for byte as it was fixed when the alert was raised; only the timestamp and
//! the signature over it are new on each attempt. Redirects are not followed: a moved receiver must
//! be told to Pulse. Nothing a receiver sends is obeyed beyond its status and `Retry-After`.

use std::error::Error;
use std::iter::successors;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use hmac::{Hmac, KeyInit, Mac};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT};
use pulse_core::models::alert::{AttemptReport, LeasedDelivery, Settlement};
use pulse_core::models::backoff::{next_delay, parse_retry_after};
use pulse_core::models::text::tame;
use reqwest::{Method, Request, Response, Url};
use sha2::Sha256;

use super::AttemptOutcome;
use crate::egress::{Egress, GuardedClient, ResolveError, SendError};

/// Over everything, from the name to the end of the answer's body.
const DEADLINE: Duration = Duration::from_secs(15);
/// Shorter than receivers usually keep a connection, so that a reused one is seldom stale. An outage
/// of a thousand checks should not cost its receiver a thousand handshakes.
const KEEP_IDLE: Duration = Duration::from_secs(4);
const MOST_IDLE: usize = 4;
const MOST_BODY: usize = 16 * 1024;
const MOST_HEADERS: usize = 100;
const LONGEST_HEADER: usize = 1024;
const LONGEST_ERROR: usize = 500;
const OURS: &str = concat!("Pulse/", env!("CARGO_PKG_VERSION"));

/// Sends webhooks; one serves all deliveries.
#[derive(Clone, Debug)]
pub struct WebhookNotifier {
    client: GuardedClient,
    deadline: Duration,
}

impl WebhookNotifier {
    /// Goes out through `egress`; 15 seconds for each attempt.
    pub fn new(egress: &Egress) -> Result<Self, reqwest::Error> {
        let client = egress.client(|builder| {
            builder
                .referer(false)
                .retry(reqwest::retry::never())
                .http1_max_headers(5 * MOST_HEADERS)
                .pool_idle_timeout(KEEP_IDLE)
                .pool_max_idle_per_host(MOST_IDLE)
        })?;
        Ok(Self { client, deadline: DEADLINE })
    }

    /// The same with another limit for each attempt.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Makes one attempt, at `now` in seconds since the Unix epoch, and says what becomes of the
    /// delivery.
    pub async fn send(&self, delivery: &LeasedDelivery, now: i64) -> AttemptOutcome {
        let request = match compose(delivery, now) {
            Ok(request) => request,
            Err(error) => return unsendable(&error),
        };
        let began = Instant::now();
        let mut answer = Answer::default();
        answer.report.request_headers = listed(request.headers());
        let exchange = self.exchange(request, now, &mut answer);
        if tokio::time::timeout(self.deadline, exchange).await.is_err() {
            answer.cut_off(self.deadline);
        }
        let settlement = settle(&answer, delivery.schedule_step, rand::random());
        AttemptOutcome { report: answer.report(began.elapsed()), settlement }
    }

    /// Writes into `answer` as it goes: what has come by the deadline counts.
    async fn exchange(&self, request: Request, now: i64, answer: &mut Answer) {
        match self.client.send(request).await {
            Err(error) => answer.report.error = Some(describe(error)),
            Ok(response) => answer.read(response, now).await,
        }
    }
}

/// Why an attempt cannot even be made. Trying again would change nothing.
#[derive(Debug, thiserror::Error)]
enum ComposeError {
    #[error("the webhook's address is not a URL: {0}")]
    Url(url::ParseError),
    #[error("the webhook's address is not an http or https URL")]
    Scheme,
    #[error("the webhook's secret is not whsec_ and base64")]
    Secret,
    #[error("the webhook's signature cannot be made")]
    Signature,
}

fn unsendable(error: &ComposeError) -> AttemptOutcome {
    let report = AttemptReport { error: Some(error.to_string()), ..AttemptReport::default() };
    AttemptOutcome { report, settlement: Settlement::Dead }
}

fn compose(delivery: &LeasedDelivery, now: i64) -> Result<Request, ComposeError> {
    let url = Url::parse(&delivery.url).map_err(ComposeError::Url)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(ComposeError::Scheme);
    }
    let (id, timestamp) = (delivery.id.to_string(), now.to_string());
    let signature = sign(&delivery.secret, &id, &timestamp, &delivery.body)?;
    let header =
        |value: String| HeaderValue::try_from(value).map_err(|_not_ascii| ComposeError::Signature);
    let mut request = Request::new(Method::POST, url);
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(USER_AGENT, HeaderValue::from_static(OURS));
    headers.insert("webhook-id", header(id)?);
    headers.insert("webhook-timestamp", header(timestamp)?);
    headers.insert("webhook-signature", header(signature)?);
    *request.body_mut() = Some(delivery.body.clone().into());
    Ok(request)
}

/// `v1,` and the HMAC-SHA256 of `id.timestamp.body` in base64.
fn sign(secret: &str, id: &str, timestamp: &str, body: &str) -> Result<String, ComposeError> {
    let secret = secret.strip_prefix("whsec_").unwrap_or(secret);
    let key = STANDARD.decode(secret).map_err(|_secret| ComposeError::Secret)?;
    if key.is_empty() {
        return Err(ComposeError::Secret);
    }
    let mut mac =
        Hmac::<Sha256>::new_from_slice(&key).map_err(|_length| ComposeError::Signature)?;
    for part in [id, ".", timestamp, ".", body] {
        mac.update(part.as_bytes());
    }
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

/// What has come back so far.
#[derive(Debug, Default)]
struct Answer {
    report: AttemptReport,
    body: Vec<u8>,
    retry_after: Option<Duration>,
}

impl Answer {
    async fn read(&mut self, mut response: Response, now: i64) {
        self.report.status = Some(response.status().as_u16());
        self.report.response_headers = listed(response.headers());
        self.retry_after = retry_after(response.headers(), now);
        // A body that breaks off is kept as far as it came: the status has said what matters.
        while let Ok(Some(chunk)) = response.chunk().await {
            let room = MOST_BODY - self.body.len();
            self.body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if self.body.len() == MOST_BODY {
                break;
            }
        }
    }

    fn cut_off(&mut self, deadline: Duration) {
        self.report.timed_out = true;
        if self.report.status.is_none() {
            self.report.error = Some(format!("no response within {} ms", deadline.as_millis()));
        }
    }

    fn report(mut self, took: Duration) -> AttemptReport {
        let body = tame(&String::from_utf8_lossy(&self.body), MOST_BODY);
        self.report.response_body = self.report.status.map(|_answered| body);
        self.report.latency_ms = u32::try_from(took.as_millis()).unwrap_or(u32::MAX);
        self.report
    }
}

/// `jitter` in 0..1. A 2xx is the only good answer; 410 says never to come back.
fn settle(answer: &Answer, schedule_step: u32, jitter: f64) -> Settlement {
    match answer.report.status {
        Some(200..=299) => Settlement::Delivered,
        Some(410) => Settlement::Dead,
        _ => next_delay(schedule_step, answer.retry_after, jitter)
            .map_or(Settlement::Dead, |wait| {
                Settlement::RetryIn(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
            }),
    }
}

fn retry_after(headers: &HeaderMap, now: i64) -> Option<Duration> {
    parse_retry_after(headers.get(RETRY_AFTER)?.to_str().ok()?, DateTime::from_timestamp(now, 0)?)
}

/// The first hundred headers, cut and tamed.
fn listed(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| tame(&String::from_utf8_lossy(bytes), LONGEST_HEADER);
    let both = headers.iter().take(MOST_HEADERS);
    both.map(|(name, value)| (text(name.as_ref()), text(value.as_bytes()))).collect()
}

/// The innermost cause, or what our own resolver said, without the address: it may carry a secret of
/// the receiver's.
fn describe(error: SendError) -> String {
    let error = match error {
        SendError::Forbidden(refusal) => return format!("no connection: {refusal}"),
        SendError::Capped => return format!("no connection: {error}"),
        SendError::Http(error) => error.without_url(),
    };
    let what = if error.is_connect() { "no connection" } else { "no response" };
    let chain: Vec<_> = successors(Some(&error as &dyn Error), |cause| (*cause).source()).collect();
    let telling =
        chain.iter().position(|cause| cause.is::<ResolveError>()).unwrap_or(chain.len() - 1);
    let said =
        chain[telling..].iter().fold(what.to_owned(), |said, cause| format!("{said}: {cause}"));
    tame(&said, LONGEST_ERROR)
}
