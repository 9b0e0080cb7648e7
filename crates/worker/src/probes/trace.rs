//! How far a run got, and how long each step took.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::Utc;
use http::HeaderValue;
use http::response::Parts;
use pulse_core::models::evidence::Answer;
use pulse_core::models::run::{Detail, Observation, Phases};
use rustls::ClientConnection;

use super::ProbeFailure;
use super::http::{Mark, Taken};
use super::notes::Notes;
use super::tokens::Token;
use crate::egress::{Addresses, Presented, Proxy, Waiting};

/// What a run is doing. Shown as the end of "timed out while …".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Authorize,
    Resolve,
    Tunnel,
    Connect,
    Secure,
    Wait,
    Read,
}

impl Step {
    /// The word for not getting any further.
    pub(super) const fn detail(self) -> Detail {
        match self {
            Self::Authorize => Detail::Token,
            Self::Resolve => Detail::WhileResolving,
            Self::Tunnel => Detail::Proxy,
            Self::Connect => Detail::WhileConnecting,
            Self::Secure => Detail::WhileSecuring,
            Self::Wait => Detail::WhileWaiting,
            Self::Read => Detail::WhileReading,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Authorize => "waiting for a token",
            Self::Resolve => "resolving the name",
            Self::Tunnel => "waiting for the proxy",
            Self::Connect => "connecting",
            Self::Secure => "shaking hands for TLS",
            Self::Wait => "waiting for the first byte",
            Self::Read => "reading the answer",
        })
    }
}

/// Written by a run as it goes, so that what it saw outlives it when the deadline cuts it off.
#[derive(Debug)]
pub(super) struct Trace {
    /// Whose look it is, for those that are to be told.
    run: Option<HeaderValue>,
    /// When the look began, and how long it may take; whatever is begun again.
    allowed: (Instant, Duration),
    began: Instant,
    step_began: Instant,
    step: Step,
    seen: Observation,
    /// Boxed: they pass from hand to hand with what a look brought, and each would copy them.
    notes: Box<Notes>,
    when_late: Option<Result<(), ProbeFailure>>,
    waiting: Waiting,
}

impl Trace {
    /// `timeout` is what the caller allows. Nothing here ends by it.
    pub(super) fn begin(timeout: Duration) -> Self {
        let now = Instant::now();
        let seen = Observation::begun(Utc::now());
        Self {
            run: None,
            allowed: (now, timeout),
            began: now,
            step_began: now,
            step: Step::Resolve,
            seen,
            notes: Box::default(),
            when_late: None,
            waiting: Waiting::default(),
        }
    }

    /// The same, of a look whose targets are told of this run.
    pub(super) fn of_run(self, run: Option<HeaderValue>) -> Self {
        Self { run, ..self }
    }

    /// A trace of its own for one of several looks that go on at the same time in the same run.
    pub(super) fn fork(&self) -> Self {
        Self {
            run: self.run.clone(),
            allowed: self.allowed,
            began: self.began,
            step_began: self.began,
            seen: Observation::begun(self.seen.started_at),
            ..Self::begin(self.timeout())
        }
    }

    /// What the caller allows for the whole look.
    pub(super) const fn timeout(&self) -> Duration {
        self.allowed.1
    }

    /// Forgets what was seen so far: the look begins anew.
    pub(super) fn begin_again(&mut self) {
        let (run, allowed, notes) = (self.run.take(), self.allowed, self.notes.begun_again());
        *self = Self { run, allowed, notes: Box::new(notes), ..Self::begin(allowed.1) };
    }

    /// There is no token yet.
    pub(super) fn awaits_token(&mut self) {
        self.next(Step::Authorize);
    }

    /// There is one. The clock of the phases begins now: how long it took is not the target's doing.
    pub(super) fn sets_out_with(&mut self, token: Arc<Token>) {
        self.next(Step::Resolve);
        self.began = self.step_began;
        self.notes.sets_out_with(token);
    }

    /// What proves who asks, where that is another from time to time.
    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        self.notes.token().map(|token| token.authorization())
    }

    /// What targets are told of whose look it is, in the header `Pulse-Run`.
    pub(super) fn run(&self) -> Option<HeaderValue> {
        self.run.clone()
    }

    /// How much of the timeout is left, for those who can be told.
    pub(super) fn left(&self) -> Duration {
        let (since, timeout) = self.allowed;
        timeout.saturating_sub(since.elapsed())
    }

    /// The look goes on elsewhere: what was seen so far is not what the target is judged by. The clock
    /// runs on.
    pub(super) fn redirected(&mut self) {
        self.next(Step::Resolve);
        self.seen.phases = Phases::default();
        self.seen.status_code = None;
        self.seen.address = None;
        self.notes.redirected();
    }

    pub(super) fn step(&self) -> Step {
        self.step
    }

    /// The addresses are known; those of a name are told.
    pub(super) fn resolved(&mut self, name: Option<&Addresses>) {
        let took = self.next(Step::Connect);
        self.seen.phases.dns_us = name.map(|_| took);
        self.notes.resolved(name);
    }

    /// Where the redirects that were followed have led to in the end.
    pub(super) fn led_to(&mut self, address: &str) {
        self.notes.led_to(address);
    }

    pub(super) fn connected(&mut self, address: IpAddr) {
        self.connected_through(Some(address));
    }

    /// A proxy is asked to let the look through.
    pub(super) fn tunnels_through(&mut self, proxy: &Proxy) {
        self.step = Step::Tunnel;
        self.retell("proxy", proxy.to_string());
    }

    /// It does, to this address; `None` where it knows the address alone.
    pub(super) fn connected_through(&mut self, address: Option<IpAddr>) {
        // Attempts at other addresses that still waited are over with this.
        self.waiting = Waiting::default();
        self.seen.phases.connect_us = Some(self.next(Step::Secure));
        self.seen.address = address;
    }

    /// Who is talked to where nothing connects.
    pub(super) fn towards(&mut self, address: IpAddr) {
        self.seen.address = Some(address);
    }

    /// Who waits for a turn at an address.
    pub(super) const fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    /// Where to keep the chain that the server presents.
    pub(super) const fn presented(&self) -> &Presented {
        self.notes.presented()
    }

    /// The TLS handshake begins now, after something else.
    pub(super) fn securing(&mut self) {
        self.next(Step::Secure);
    }

    pub(super) fn secured(&mut self, connection: &ClientConnection) {
        self.seen.phases.tls_us = Some(self.next(Step::Wait));
        self.notes.secured(connection);
    }

    /// The request goes out now. Where several do, the last is the one that is timed.
    pub(super) fn asked(&mut self) {
        self.next(Step::Wait);
        self.seen.phases.first_byte_us = None;
    }

    /// The head of a response over HTTP has come.
    pub(super) fn answered(&mut self, head: Parts) {
        self.seen.status_code = Some(head.status.as_u16());
        self.replied();
        self.notes.answered(head);
    }

    /// The first of an answer has come; only the first time after a request counts.
    pub(super) fn replied(&mut self) {
        if self.seen.phases.first_byte_us.is_none() {
            self.seen.phases.first_byte_us = Some(self.next(Step::Read));
        }
    }

    /// An answer has come, to something that was sent so long ago.
    pub(super) fn replied_after(&mut self, took: Duration) {
        self.next(Step::Read);
        self.seen.phases.first_byte_us = Some(micros(took));
    }

    /// A piece of what came back, to be shown and judged. The caller bounds how much.
    pub(super) fn read(&mut self, piece: Bytes) {
        self.replied();
        self.notes.read(piece);
    }

    /// More came back than is read.
    pub(super) fn cut_off(&mut self) {
        self.notes.cut_off();
    }

    /// Keeps what the look takes of a worker's room until it has been judged.
    pub(super) fn hold(&mut self, taken: Taken) {
        self.notes.hold(taken);
    }

    /// The request is marked, and what comes back may be.
    pub(super) fn marked(&mut self, mark: Mark) {
        self.notes.marked(mark);
    }

    /// What the target said of itself, in the check's own words for it.
    pub(super) fn tell(&mut self, name: &'static str, value: impl Into<String>) {
        self.notes.tell(name, value.into());
    }

    /// The same, and what was told under that name before is forgotten.
    pub(super) fn retell(&mut self, name: &'static str, value: impl Into<String>) {
        self.notes.retell(name, value.into());
    }

    /// How the look has ended if the deadline comes now, where that is no mere lack of time.
    pub(super) fn when_late(&mut self, ended: Result<(), ProbeFailure>) {
        self.when_late = Some(ended);
    }

    /// See [`Self::when_late`].
    pub(super) fn told_when_late(&mut self) -> Option<Result<(), ProbeFailure>> {
        self.when_late.take()
    }

    /// What a name server answered.
    pub(super) fn resolved_to(&mut self, answers: Vec<Answer>) {
        self.notes.resolved_to(answers);
    }

    /// What was seen and picked up so far.
    pub(super) const fn so_far(&self) -> (&Observation, &Notes) {
        (&self.seen, &self.notes)
    }

    /// All was seen. What follows is courtesy, and takes none of the target's time.
    pub(super) fn seen_all(&mut self) {
        self.seen.phases.total_us = Some(micros(self.began.elapsed()));
    }

    /// The run is over, wherever it got.
    pub(super) fn end(mut self) -> (Observation, Box<Notes>) {
        if self.seen.phases.total_us.is_none() {
            self.seen_all();
        }
        (self.seen, self.notes)
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures_util::FutureExt;
    use prometheus::IntCounter;
    use pulse_core::models::address::AddressPolicy;
    use rustls::RootCertStore;
    use url::Host;

    use super::*;
    use crate::egress::Egress;

    #[tokio::test]
    async fn whoever_is_connected_waits_for_no_turn_any_more() {
        let waits = IntCounter::new("waits", "Waits.").unwrap();
        let egress = Egress::with_roots(RootCertStore::empty(), AddressPolicy::open()).unwrap();
        let egress = egress.limited(1, waits);
        let (here, waiting) = (Ipv4Addr::LOCALHOST, Waiting::default());
        let addresses = egress.resolve(&Host::Ipv4(here), &waiting).await.unwrap();
        let _place = egress.admit(&addresses, &waiting).await;

        for connect in [
            |trace: &mut Trace| trace.connected(Ipv4Addr::LOCALHOST.into()),
            |trace: &mut Trace| trace.connected_through(None),
        ] {
            let mut trace = Trace::begin(Duration::from_secs(1));
            assert!(egress.admit(&addresses, trace.waiting()).now_or_never().is_none());
            assert!(trace.waiting().is_any());

            connect(&mut trace);

            assert!(!trace.waiting().is_any());
        }
    }
}
