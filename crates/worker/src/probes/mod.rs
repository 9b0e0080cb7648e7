//! The code that looks. A new kind of check is one more module here, and a line in [`Prepared`].
//!
//! A probe tells what it saw and, if the look ended early, why. It does not judge: see `judge`. One
//! deadline holds over everything, from the name to the last byte.

pub mod certificate;
mod evidence;
mod failures;
pub mod http;
mod reach;
pub mod tcp;
pub mod tls;
mod trace;

use std::time::Duration;

use ::http::HeaderValue;
use pulse_core::models::expected_status::ExpectedStatus;
use pulse_core::models::job::ProbeSpec;
use pulse_core::models::run::{FailClass, InconclusiveReason, Observation, Outcome};
use pulse_core::models::target::{Scheme, Target};

pub use evidence::Evidence;

use crate::egress::Egress;
use http::{HttpProbe, PrepareError, PreparedHttp};
use tcp::PreparedTcp;
use tls::PreparedTls;
use trace::Trace;

/// A definition, parsed, so that a look does nothing that could be done once. Keep it by check and
/// version.
#[derive(Debug)]
pub enum Prepared {
    /// `http` and `https`.
    Http(Box<PreparedHttp>),
    /// `tcp`.
    Tcp(PreparedTcp),
    /// `tls`.
    Tls(PreparedTls),
}

impl Prepared {
    /// Parses everything that does not change from run to run.
    pub fn new(spec: &ProbeSpec) -> Result<Self, PrepareError> {
        let target = Target::parse(&spec.url).map_err(PrepareError::Target)?;
        match target.scheme {
            Scheme::Http | Scheme::Https => PreparedHttp::new(spec).map(Box::new).map(Self::Http),
            Scheme::Tcp => Ok(Self::Tcp(PreparedTcp::new(target))),
            Scheme::Tls => {
                PreparedTls::new(target).map(Self::Tls).map_err(PrepareError::ServerName)
            }
        }
    }

    /// The statuses that are expected; `None` for any 2xx, or where there are none.
    #[must_use]
    pub const fn expected_status(&self) -> Option<&ExpectedStatus> {
        match self {
            Self::Http(target) => target.expected_status(),
            Self::Tcp(_) | Self::Tls(_) => None,
        }
    }

    /// Whether an answer has a status.
    #[must_use]
    pub const fn has_status(&self) -> bool {
        matches!(self, Self::Http(_))
    }
}

/// All probes; one serves all runs.
#[derive(Clone, Debug, Default)]
pub struct Probes {
    http: HttpProbe,
}

impl Probes {
    /// Looks once, for `timeout` at most over everything from the name to the end of the body.
    ///
    /// `run` is sent as `Pulse-Run` where there are headers, so that targets can tell one run from
    /// another.
    pub async fn look(
        &self,
        egress: &Egress,
        target: &Prepared,
        run: Option<HeaderValue>,
        timeout: Duration,
    ) -> Sight {
        let mut trace = Trace::begin();
        let walk = self.walk(egress, target, run, &mut trace);
        let ended = tokio::time::timeout(timeout, walk).await;
        let ended = ended.unwrap_or_else(|_| Err(failures::timed_out(timeout, trace.step())));
        Sight { observation: trace.end(), ended }
    }

    /// Looks as [`Self::look`] does, and keeps what a run has no use for: see [`Evidence`].
    pub async fn look_closely(
        &self,
        egress: &Egress,
        target: &Prepared,
        timeout: Duration,
    ) -> (Sight, Evidence) {
        let mut trace = Trace::begin_closely();
        let walk = self.walk(egress, target, None, &mut trace);
        let ended = tokio::time::timeout(timeout, walk).await;
        let ended = ended.unwrap_or_else(|_| Err(failures::timed_out(timeout, trace.step())));
        let (observation, evidence) = trace.end_closely();
        (Sight { observation, ended }, evidence)
    }

    async fn walk(
        &self,
        egress: &Egress,
        target: &Prepared,
        run: Option<HeaderValue>,
        trace: &mut Trace,
    ) -> Result<(), ProbeFailure> {
        match target {
            Prepared::Http(target) => self.http.walk(egress, target, run, trace).await,
            // Boxed, so that the usual run does not carry the size of others.
            Prepared::Tcp(target) => Box::pin(target.walk(egress, trace)).await,
            Prepared::Tls(target) => Box::pin(target.walk(egress, trace)).await,
        }
    }
}

/// What a look at a target brought.
#[derive(Debug)]
pub struct Sight {
    /// What was seen up to its end; its `error` is empty until it is judged.
    pub observation: Observation,
    /// Why the look ended before everything was seen, if it did.
    pub ended: Result<(), ProbeFailure>,
}

/// Why a look ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeFailure {
    /// `None` when it was this worker that could not look.
    class: Option<FailClass>,
    /// For the check's owner; not tamed, and without header values or bodies.
    pub(crate) sentence: String,
}

impl ProbeFailure {
    /// The target is at fault.
    pub(crate) fn of_target(class: FailClass, sentence: impl Into<String>) -> Self {
        Self { class: Some(class), sentence: sentence.into() }
    }

    /// This worker ran out of something of its own.
    pub(crate) fn of_worker(sentence: impl Into<String>) -> Self {
        Self { class: None, sentence: sentence.into() }
    }

    pub(crate) fn is_too_large(&self) -> bool {
        self.class == Some(FailClass::TooLarge)
    }

    /// What it means for the run.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.class.map_or(Outcome::Inconclusive(InconclusiveReason::Local), Outcome::Fail)
    }
}
