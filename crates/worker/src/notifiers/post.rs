//! Makes one request over HTTP, as a channel composed it.
//!
//! The body is sent byte for byte as it was fixed when the alert was raised; only a timestamp and
//! signatures over it may be new. Redirects are not followed: a moved receiver must be told to Pulse.
//! Nothing a receiver sends is obeyed beyond its status and `Retry-After`.

use std::error::Error;
use std::iter::successors;
use std::time::{Duration, Instant};

use chrono::DateTime;
use http::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use pulse_core::models::alert::AttemptReport;
use pulse_core::models::backoff::parse_retry_after;
use pulse_core::models::channel::Post;
use pulse_core::models::text::tame;
use reqwest::{Method, Request, Response, Url};

use super::{Attempted, Verdict};
use crate::egress::{Egress, GuardedClient, ResolveError, SendError};

/// Shorter than receivers usually keep a connection, so that a reused one is seldom stale. An outage
/// of a thousand checks should not cost its receiver a thousand handshakes.
const KEEP_IDLE: Duration = Duration::from_secs(4);
const MOST_IDLE: usize = 4;
const MOST_BODY: usize = 16 * 1024;
const MOST_HEADERS: usize = 100;
const LONGEST_HEADER: usize = 1024;
const LONGEST_ERROR: usize = 500;
const OURS: &str = concat!("Pulse/", env!("CARGO_PKG_VERSION"));

/// Sends requests; one serves all deliveries.
#[derive(Clone, Debug)]
pub(super) struct PostNotifier {
    client: GuardedClient,
}

impl PostNotifier {
    pub(super) fn new(egress: &Egress) -> Result<Self, reqwest::Error> {
        let client = egress.client(|builder| {
            builder
                .referer(false)
                .retry(reqwest::retry::never())
                .http1_max_headers(5 * MOST_HEADERS)
                .pool_idle_timeout(KEEP_IDLE)
                .pool_max_idle_per_host(MOST_IDLE)
        })?;
        Ok(Self { client })
    }

    /// Makes one attempt, at `now` in seconds since the Unix epoch, within `deadline`.
    pub(super) async fn send(&self, post: &Post, now: i64, deadline: Duration) -> Attempted {
        let request = match compose(post) {
            Ok(request) => request,
            Err(error) => return Attempted::unsendable(error),
        };
        let began = Instant::now();
        let mut answer = Answer::default();
        answer.report.request_headers = listed(request.headers());
        let exchange = self.exchange(request, now, &mut answer);
        if tokio::time::timeout(deadline, exchange).await.is_err() {
            answer.cut_off(deadline);
        }
        answer.attempted(began.elapsed())
    }

    /// Writes into `answer` as it goes: what has come by the deadline counts.
    async fn exchange(&self, request: Request, now: i64, answer: &mut Answer) {
        match self.client.send(request).await {
            Err(error) => answer.report.error = Some(describe(error)),
            Ok(response) => answer.read(response, now).await,
        }
    }
}

/// An error means that the attempt cannot even be made: trying again would change nothing.
fn compose(post: &Post) -> Result<Request, String> {
    let url =
        Url::parse(&post.url).map_err(|wrong| format!("the address is not a URL: {wrong}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("the address is not an http or https URL".into());
    }
    let mut request = Request::new(Method::POST, url);
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(USER_AGENT, HeaderValue::from_static(OURS));
    for (name, value) in &post.headers {
        let wrong = || format!("the header {name} cannot be sent");
        let value = HeaderValue::try_from(value).map_err(|_value| wrong())?;
        headers.insert(HeaderName::try_from(name).map_err(|_name| wrong())?, value);
    }
    *request.body_mut() = Some(post.body.clone().into());
    Ok(request)
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

    /// A 2xx is the only good answer; 410 says never to come back.
    fn attempted(mut self, took: Duration) -> Attempted {
        let body = tame(&String::from_utf8_lossy(&self.body), MOST_BODY);
        self.report.response_body = self.report.status.map(|_answered| body);
        self.report.latency_ms = u32::try_from(took.as_millis()).unwrap_or(u32::MAX);
        let verdict = match self.report.status {
            Some(200..=299) => Verdict::Delivered,
            Some(410) => Verdict::Gone,
            _ => Verdict::Again(self.retry_after),
        };
        Attempted { report: self.report, verdict }
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
