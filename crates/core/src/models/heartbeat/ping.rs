//! What a job says when it calls.

use std::fmt;

use super::seen;
use crate::models::evidence::Evidence;
use crate::models::run::{Detail, FailClass, Observation, Outcome, Phases};
use crate::models::schedule::Slot;
use crate::models::text::tame;

/// Bytes of output that are kept of a ping.
pub const MOST_OUTPUT_BYTES: usize = 10 * 1024;
const TOKEN_DIGITS: usize = 32;

/// What a job calls by: 128 bits, in 32 hexadecimal digits of lower case. Whoever knows it may speak
/// for the job, so it is not shown to logs.
#[derive(Clone, PartialEq, Eq)]
pub struct PingToken(String);

impl PingToken {
    /// The token of these bits, which must be random.
    #[must_use]
    pub fn of(bits: u128) -> Self {
        Self(format!("{bits:032x}"))
    }

    /// `None` for what is no token.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let fits = text.len() == TOKEN_DIGITS && text.bytes().all(is_digit);
        fits.then(|| Self(text.to_owned()))
    }

    /// Its digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PingToken(..)")
    }
}

/// What a ping says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// A run has ended, and all is well.
    Success,
    /// A run begins.
    Start,
    /// A run has ended, and not well.
    Fail,
    /// A run has ended with this exit code; 0 is well.
    Exit(u8),
}

impl Signal {
    /// What the last segment of a ping's path says: `start`, `fail`, or a number of 0 to 255.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "start" => Some(Self::Start),
            "fail" => Some(Self::Fail),
            number if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                number.parse().ok().map(Self::Exit)
            }
            _ => None,
        }
    }

    /// The word for its kind: `success`, `start` or `fail`.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Success | Self::Exit(0) => "success",
            Self::Start => "start",
            Self::Fail | Self::Exit(_) => "fail",
        }
    }
}

/// A call of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ping {
    signal: Signal,
    /// Tamed and cut; `None` when it brought nothing.
    output: Option<String>,
    output_bytes: u64,
}

impl Ping {
    /// A call that brought `output`, the first of `output_bytes`. What is no UTF-8 is replaced, and
    /// what is over [`MOST_OUTPUT_BYTES`] cut off.
    #[must_use]
    pub fn new(signal: Signal, output: &[u8], output_bytes: u64) -> Self {
        let text = tame(&String::from_utf8_lossy(output), MOST_OUTPUT_BYTES);
        Self { signal, output: (!text.is_empty()).then_some(text), output_bytes }
    }

    /// A call that brought nothing.
    #[must_use]
    pub fn bare(signal: Signal) -> Self {
        Self::new(signal, &[], 0)
    }

    /// What it says.
    #[must_use]
    pub const fn signal(&self) -> Signal {
        self.signal
    }

    pub(super) const fn outcome(&self) -> Outcome {
        match self.signal {
            Signal::Success | Signal::Start | Signal::Exit(0) => Outcome::Ok,
            Signal::Fail | Signal::Exit(_) => Outcome::Fail(FailClass::Heartbeat),
        }
    }

    /// What it told of a run that ended at `at` and began at `started`, where that is known.
    pub(super) fn observation(&self, started: Option<Slot>, at: Slot) -> Observation {
        let error = match self.signal {
            Signal::Success | Signal::Start | Signal::Exit(0) => None,
            Signal::Fail => Some("the job reported a failure".to_owned()),
            Signal::Exit(code) => Some(format!("the job ended with exit code {code}")),
        };
        let lasted_ms = started.map(|started| at.0.saturating_sub(started.0).max(0));
        let total_us = lasted_ms.and_then(|ms| u32::try_from(ms.saturating_mul(1_000)).ok());
        Observation {
            phases: Phases { total_us, ..Phases::default() },
            ..seen(started.unwrap_or(at), error, self.evidence(lasted_ms))
        }
    }

    /// A run that was well and said nothing has none.
    fn evidence(&self, lasted_ms: Option<i64>) -> Option<Evidence> {
        let failed = self.outcome() != Outcome::Ok;
        if !failed && self.output.is_none() {
            return None;
        }
        let mut facts = Vec::new();
        if let Signal::Exit(code) = self.signal {
            facts.push(("exit_code".to_owned(), code.to_string()));
        }
        // The phase ends at 71 minutes; a job may take longer.
        facts.extend(lasted_ms.map(|ms| ("lasted_ms".to_owned(), ms.to_string())));
        Some(Evidence {
            detail: failed.then_some(Detail::Reported),
            reply: self.output.clone(),
            reply_bytes: self.output.is_some().then_some(self.output_bytes),
            facts,
            ..Evidence::default()
        })
    }
}
