//! How far a run got, and how long each step took.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use chrono::Utc;
use http::Response;
use pulse_core::models::run::{Observation, Phases};
use rustls::ClientConnection;

use super::evidence::{Evidence, Notes};
use crate::egress::Presented;

/// What a run is doing. Shown as the end of "timed out while …".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Resolve,
    Connect,
    Secure,
    Wait,
    Read,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolving the name",
            Self::Connect => "connecting",
            Self::Secure => "shaking hands for TLS",
            Self::Wait => "waiting for the first byte",
            Self::Read => "reading the body",
        })
    }
}

/// Written by a run as it goes, so that what it saw outlives it when the deadline cuts it off.
#[derive(Debug)]
pub(super) struct Trace {
    began: Instant,
    step_began: Instant,
    step: Step,
    seen: Observation,
    /// Only when somebody looks closely: a worker's run pays for the pointer and no more.
    notes: Option<Box<Notes>>,
}

impl Trace {
    pub(super) fn begin() -> Self {
        let now = Instant::now();
        let seen = Observation {
            started_at: Utc::now(),
            status_code: None,
            phases: Phases::default(),
            address: None,
            error: None,
        };
        Self { began: now, step_began: now, step: Step::Resolve, seen, notes: None }
    }

    pub(super) fn begin_closely() -> Self {
        Self { notes: Some(Box::default()), ..Self::begin() }
    }

    /// Forgets what was seen so far: the look begins anew.
    pub(super) fn begin_again(&mut self) {
        let closely = self.notes.is_some();
        *self = if closely { Self::begin_closely() } else { Self::begin() };
    }

    /// The look goes on elsewhere: what was seen so far is not what the target is judged by. The clock
    /// runs on.
    pub(super) fn redirected(&mut self) {
        self.next(Step::Resolve);
        self.seen.phases = Phases::default();
        self.seen.status_code = None;
        self.seen.address = None;
    }

    pub(super) fn step(&self) -> Step {
        self.step
    }

    /// The addresses are known; a literal had nothing to be resolved.
    pub(super) fn resolved(&mut self, by_name: bool) {
        let took = self.next(Step::Connect);
        self.seen.phases.dns_us = by_name.then_some(took);
    }

    pub(super) fn connected(&mut self, address: IpAddr) {
        self.seen.phases.connect_us = Some(self.next(Step::Secure));
        self.seen.address = Some(address);
    }

    /// Where to keep the certificate; `None` when nobody will ask for it.
    pub(super) fn presented(&self) -> Option<&Presented> {
        self.notes.as_ref().map(|notes| notes.presented())
    }

    pub(super) fn secured(&mut self, connection: &ClientConnection) {
        self.seen.phases.tls_us = Some(self.next(Step::Wait));
        if let Some(notes) = &mut self.notes {
            notes.secured(connection);
        }
    }

    /// The request goes out now.
    pub(super) fn asked(&mut self) {
        self.next(Step::Wait);
    }

    pub(super) fn answered<B>(&mut self, answer: &Response<B>) {
        self.seen.phases.first_byte_us = Some(self.next(Step::Read));
        self.seen.status_code = Some(answer.status().as_u16());
        if let Some(notes) = &mut self.notes {
            notes.answered(answer);
        }
    }

    /// The run is over, wherever it got.
    pub(super) fn end(mut self) -> Observation {
        self.seen.phases.total_us = Some(micros(self.began.elapsed()));
        self.seen
    }

    /// As [`Self::end`], with what was noted on the way. What was noted is read after the clock has
    /// stopped.
    pub(super) fn end_closely(mut self) -> (Observation, Evidence) {
        let notes = self.notes.take();
        (self.end(), notes.map(|notes| notes.read()).unwrap_or_default())
    }

    /// Goes on to another step; how long the last one took.
    fn next(&mut self, step: Step) -> u32 {
        let now = Instant::now();
        let took = micros(now - self.step_began);
        self.step_began = now;
        self.step = step;
        took
    }
}

/// More than an hour is an hour and something.
fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}
