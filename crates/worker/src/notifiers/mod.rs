//! Where people are told: the way from what a channel says to its receiver.
//!
//! What each kind of channel says, the models know (`models::channel`). A notifier makes one attempt and
//! says what came of it. It records nothing: see the alerter.

mod mail;
mod post;

use std::time::Duration;

use pulse_core::models::alert::{AlertKind, AttemptReport, LeasedDelivery, Settlement};
use pulse_core::models::backoff::next_delay;
use pulse_core::models::channel::{Attempt, Errand};
use pulse_core::models::probe_spec::MASK;

use crate::egress::Egress;

/// Over everything, from the name to the end of the answer. Shorter than an alerter's lease.
const DEADLINE: Duration = Duration::from_secs(15);
/// Shorter texts than these are words, not secrets that a receiver would repeat.
const SHORTEST_SECRET: usize = 8;

/// One attempt, made.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptOutcome {
    /// What was sent and what came back.
    pub report: AttemptReport,
    /// What becomes of the delivery.
    pub settlement: Settlement,
}

/// What a way to a receiver says of one attempt.
struct Attempted {
    report: AttemptReport,
    verdict: Verdict,
}

enum Verdict {
    Delivered,
    /// To some: others are to be tried again.
    Partly,
    /// Not before so long, if the receiver said so.
    Again(Option<Duration>),
    /// The receiver wants nothing of this one.
    Refused,
    /// The receiver wants nothing any more.
    Gone,
    /// It could not even be tried.
    Unsendable,
}

impl Attempted {
    fn unsendable(error: impl Into<String>) -> Self {
        let report = AttemptReport { error: Some(error.into()), ..AttemptReport::default() };
        Self { report, verdict: Verdict::Unsendable }
    }
}

/// Tells receivers; one serves all deliveries.
#[derive(Clone)]
pub struct Notifier {
    egress: Egress,
    post: post::PostNotifier,
    deadline: Duration,
}

impl std::fmt::Debug for Notifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notifier").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

impl Notifier {
    /// Goes out through `egress`; 15 seconds for each attempt.
    pub fn new(egress: &Egress) -> Result<Self, reqwest::Error> {
        let post = post::PostNotifier::new(egress)?;
        Ok(Self { egress: egress.clone(), post, deadline: DEADLINE })
    }

    /// The same with another limit for each attempt.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Makes one attempt, at `now` in seconds since the Unix epoch, and says what becomes of the
    /// delivery.
    pub async fn send(&self, delivery: &LeasedDelivery, now: i64) -> AttemptOutcome {
        let attempt = Attempt {
            delivery: delivery.id,
            incident: delivery.incident_id,
            kind: delivery.kind,
            body: &delivery.body,
            now,
        };
        let channel = match &delivery.channel {
            Some(_) if delivery.is_switched_off() => Err("the channel is switched off"),
            Some(channel) => Ok(channel),
            None => Err("the channel has been removed"),
        };
        let channel = match channel {
            Ok(channel) => channel,
            Err(why) => {
                let report = Attempted::unsendable(why).report;
                return AttemptOutcome { report, settlement: Settlement::Unsent };
            }
        };
        let mut attempted = match channel.errand(&attempt) {
            Err(error) => Attempted::unsendable(error),
            Ok(Errand::Post(post)) => self.post.send(&post, now, self.deadline).await,
            Ok(Errand::Mail(letter)) => {
                mail::deliver(&self.egress, &letter, &delivery.left, self.deadline).await
            }
        };
        conceal(&mut attempted.report, &channel.secrets());
        let settlement = settle(delivery, &attempted.verdict, rand::random());
        AttemptOutcome { report: attempted.report, settlement }
    }
}

/// `jitter` in 0..1. A test is made once: whoever asked for it looks at what came of it.
fn settle(delivery: &LeasedDelivery, verdict: &Verdict, jitter: f64) -> Settlement {
    let is_test = delivery.kind == AlertKind::Test;
    let again = match verdict {
        Verdict::Delivered => return Settlement::Delivered,
        Verdict::Gone => return Settlement::Gone,
        Verdict::Unsendable => return Settlement::Unsent,
        Verdict::Refused => None,
        Verdict::Again(_) | Verdict::Partly if is_test => None,
        Verdict::Again(asked) => next_delay(delivery.schedule_step, *asked, jitter),
        Verdict::Partly => next_delay(delivery.schedule_step, None, jitter),
    };
    again.map_or(Settlement::Dead, |wait| {
        let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        if matches!(verdict, Verdict::Partly) {
            Settlement::RestIn(ms)
        } else {
            Settlement::RetryIn(ms)
        }
    })
}

/// Secrets and, of an address that is one, the parts of its path, and of a header the words of its value: what a
/// receiver may say again.
fn pieces(secrets: &[String]) -> Vec<&str> {
    let mut pieces: Vec<&str> = secrets.iter().map(String::as_str).collect();
    for (_, rest) in secrets.iter().filter_map(|secret| secret.split_once("://")) {
        pieces.extend(rest.split(['/', '?', '&', '=']).skip(1));
    }
    pieces.extend(secrets.iter().flat_map(|secret| secret.split_ascii_whitespace()));
    pieces.retain(|piece| piece.len() >= SHORTEST_SECRET);
    pieces
}

/// Attempts are shown: what the channel keeps to itself is taken out, also where a receiver repeats it.
fn conceal(report: &mut AttemptReport, secrets: &[String]) {
    let headers = report.request_headers.iter_mut().chain(&mut report.response_headers);
    let texts = headers.map(|(_, value)| value);
    for text in texts.chain(&mut report.response_body).chain(&mut report.error) {
        for secret in pieces(secrets) {
            if text.contains(secret) {
                *text = text.replace(secret, MASK);
            }
        }
    }
    for (name, value) in &mut report.request_headers {
        if name.eq_ignore_ascii_case("authorization") {
            MASK.clone_into(value);
        }
    }
}
