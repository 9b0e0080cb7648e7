//! The code that looks. A new kind of check is one more module here, and a line in `other`.
//!
//! A probe tells what it saw and, if the look ended early, why. It does not judge: see `judge`. One
//! deadline holds over everything, from the name to the last byte.

mod bounded;
mod certificate;
mod coding;
mod database;
mod dns;
mod drive;
mod everywhere;
mod failures;
mod grpc;
mod headers;
mod http;
mod http2;
mod icmp;
mod leaves;
mod log_in;
mod mysql;
mod notes;
mod peer;
mod postgres;
mod proxied;
mod reach;
mod redis;
mod smtp;
mod starttls;
mod talk;
mod tcp;
mod tls;
mod tokens;
mod trace;
mod turns;
mod udp;
mod websocket;
mod wire;

use std::fmt;
use std::time::Duration;

use ::http::HeaderValue;
use ::http::header::{InvalidHeaderName, InvalidHeaderValue};
use ::http::method::InvalidMethod;
use ::http::uri::InvalidUri;
use async_trait::async_trait;
use pulse_core::models::particulars;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::run::{Detail, FailClass, InconclusiveReason, Observation, Outcome};
use pulse_core::models::scheme::Scheme;
use pulse_core::models::target::Target;
use rustls::pki_types::InvalidDnsNameError;
use url::Host;

pub(crate) use coding::Decoded;
pub use notes::Notes;
pub(crate) use smtp::sending as mail;

use crate::egress::{Egress, Way};
use crate::judge::{Among, Expectations};
use http::{HttpProbe, PreparedHttp};
use leaves::Leaves;
use tokens::{Client, Tokens};
use trace::Trace;

/// Why a definition cannot be probed. The API lets none of these through.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// Not an address of any kind that is known.
    #[error("the address {0}")]
    Target(String),
    /// Not a URL.
    #[error("the address is not a URL")]
    Url(#[source] url::ParseError),
    /// A URL of something else.
    #[error("the address names no host")]
    Address,
    /// It is not looked at.
    #[error("nobody can look at it: Pulse waits for its job to call")]
    Waits,
    /// TLS has no such names.
    #[error("the host is not a name that a certificate can be for")]
    ServerName(#[from] InvalidDnsNameError),
    /// Not the path of a request.
    #[error("the path cannot be asked for")]
    Path(#[source] InvalidUri),
    /// Not a method.
    #[error("the method is not one")]
    Method(#[source] InvalidMethod),
    /// Not the name of a header.
    #[error("a header's name is not one")]
    HeaderName(#[source] InvalidHeaderName),
    /// Not a header's value; which one is not said, it may be a secret.
    #[error("a header's value cannot be sent")]
    HeaderValue(#[source] InvalidHeaderValue),
    /// A field that the probe needs is not what it can use.
    #[error("{field} {detail}")]
    Field {
        /// The field's name.
        field: &'static str,
        /// What is wrong with it.
        detail: String,
    },
}

/// A kind of look that is rarer than a request over HTTP: one virtual call a run is nothing to it.
#[async_trait]
trait Probe: fmt::Debug + Send + Sync {
    /// Looks once, and writes down in `trace` what it sees and how far it gets. The caller holds the
    /// deadline: dropping the future must give everything up at once.
    async fn walk(&self, egress: &Egress, trace: &mut Trace) -> Result<(), ProbeFailure>;
}

/// A definition, parsed, so that a look does nothing that could be done once. Keep it by check and
/// version.
#[derive(Debug)]
pub struct Prepared {
    kind: Kind,
    expectations: Expectations,
    /// `None` where the way is that of all.
    way: Option<Way>,
    /// Who asks for a token before each look; `None` where none is needed.
    client: Option<Client>,
    /// The host whose addresses are looked at one by one; `None` where the first that answers will do.
    everywhere: Option<Host<String>>,
}

#[derive(Debug)]
enum Kind {
    Http(Box<PreparedHttp>),
    Other(Box<dyn Probe>),
}

impl Prepared {
    /// Parses everything that does not change from run to run.
    pub fn new(spec: &ProbeSpec) -> Result<Self, PrepareError> {
        let target = Target::parse(&spec.url).map_err(PrepareError::Target)?;
        particulars::check_spec(target.scheme, spec)
            .map_err(|(field, detail)| PrepareError::Field { field, detail })?;
        let expectations = Expectations::of(spec, target.scheme)
            .map_err(|detail| PrepareError::Field { field: "assertions", detail })?;
        let host = target.host.clone();
        let kind = if target.scheme.is_http() {
            let http = PreparedHttp::new(spec)?;
            Kind::Http(Box::new(http.keeping_body(expectations.read_everything())))
        } else {
            Kind::Other(other(target, spec)?)
        };
        let way = Way::of(spec).map_err(|(field, detail)| PrepareError::Field { field, detail })?;
        let client = Client::of(spec)?;
        let everywhere = host.filter(|_| !spec.addresses.is_usual());
        Ok(Self { kind, expectations, way, client, everywhere })
    }

    /// From now on these headers are not sent on to another origin: they carry secrets.
    pub fn keep_at_origin(&mut self, headers: &[String]) {
        if let Kind::Http(http) = &mut self.kind {
            http.keep_at_origin(headers);
        }
    }

    /// From now on the body is not sent on to another origin: it carries secrets.
    pub fn keep_body_at_origin(&mut self) {
        if let Kind::Http(http) = &mut self.kind {
            http.keep_body_at_origin();
        }
    }

    /// What the look is judged by.
    #[must_use]
    pub const fn expectations(&self) -> &Expectations {
        &self.expectations
    }
}

/// The probe of every kind but HTTP.
fn other(target: Target, spec: &ProbeSpec) -> Result<Box<dyn Probe>, PrepareError> {
    Ok(match target.scheme {
        Scheme::Http | Scheme::Https => return Err(PrepareError::Address),
        Scheme::Heartbeat => return Err(PrepareError::Waits),
        Scheme::Tcp => Box::new(tcp::Tcp::new(target, spec)?),
        Scheme::Tls => Box::new(tls::Tls::new(&target, spec)?),
        Scheme::Udp => Box::new(udp::Udp::new(target, spec)?),
        Scheme::Icmp => Box::new(icmp::Icmp::new(target)?),
        Scheme::Dns => Box::new(dns::Dns::new(target, spec)?),
        Scheme::Grpc | Scheme::Grpcs => Box::new(grpc::Grpc::new(target, spec)?),
        Scheme::Ws | Scheme::Wss => Box::new(websocket::WebSocket::new(target, spec)?),
        Scheme::Redis | Scheme::Rediss => Box::new(redis::Redis::new(target, spec)?),
        Scheme::Postgres => Box::new(postgres::Postgres::new(target, spec)?),
        Scheme::Mysql => Box::new(mysql::Mysql::new(target, spec)?),
        Scheme::Smtp => Box::new(smtp::Smtp::new(&target, spec)?),
    })
}

/// All probes; one serves all runs.
#[derive(Clone, Debug, Default)]
pub struct Probes {
    http: HttpProbe,
    tokens: Tokens,
    leaves: Leaves,
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
        // Boxed, because most checks go the way of all.
        let own = target.way.as_ref().map(|way| Box::new(egress.on(way)));
        let way = own.as_deref().unwrap_or(egress);
        let mut trace = Trace::begin(timeout).of_run(run);
        if let Some(host) = &target.everywhere {
            // Boxed, so that other looks do not carry the size of many.
            return Box::pin(everywhere::look(self, (egress, way), (target, host), trace)).await;
        }
        let ended = self.look_along((egress, way), target, &mut trace).await;
        let mut sight = Sight::of(trace, ended);
        sight.observation.traits = sight.notes.traits(&self.leaves);
        sight
    }

    /// Looks once by this way, for what is left of the timeout.
    async fn look_along(
        &self,
        (egress, way): (&Egress, &Egress),
        target: &Prepared,
        trace: &mut Trace,
    ) -> Result<(), ProbeFailure> {
        let left = trace.left();
        let walk = async {
            if let Some(client) = &target.client {
                // Boxed, because most looks need none.
                let by_proxy = target.way.as_ref().map(|way| egress.by_proxy_of(way));
                let egress = by_proxy.as_ref().unwrap_or(egress);
                Box::pin(self.authorize(egress, client, trace)).await?;
            }
            self.walk(way, target, trace).await
        };
        let ended = tokio::time::timeout(left, walk).await;
        let (seen, notes) = trace.so_far();
        if let (Some(client), Some(token)) = (&target.client, notes.token())
            && is_unauthorized(seen, notes)
        {
            self.tokens.forget(client, token);
        }
        ended.unwrap_or_else(|_late| cut_off(trace))
    }

    /// Gets the token that the look asks with. Whom to trust at the target says nothing of the token
    /// server, so it is reached as everybody is; by the check's proxy, if there is no other way.
    async fn authorize(
        &self,
        egress: &Egress,
        client: &Client,
        trace: &mut Trace,
    ) -> Result<(), ProbeFailure> {
        trace.awaits_token();
        let token = self.tokens.of(client, &self.http, egress, trace.left()).await?;
        trace.sets_out_with(token);
        Ok(())
    }

    async fn walk(
        &self,
        egress: &Egress,
        target: &Prepared,
        trace: &mut Trace,
    ) -> Result<(), ProbeFailure> {
        match &target.kind {
            Kind::Http(target) => self.http.walk(egress, target, trace).await,
            Kind::Other(probe) => probe.walk(egress, trace).await,
        }
    }
}

/// Whether the target says that it does not know the token, in the words of HTTP or gRPC.
fn is_unauthorized(seen: &Observation, notes: &Notes) -> bool {
    seen.status_code == Some(401) || notes.fact("grpc_status") == Some("16")
}

/// What a look at a target brought.
#[derive(Debug)]
pub struct Sight {
    /// What was seen up to its end; its `error` is empty until it is judged.
    pub observation: Observation,
    /// What was picked up on the way.
    pub notes: Box<Notes>,
    /// Why the look ended before everything was seen, if it did.
    pub ended: Result<(), ProbeFailure>,
    /// Where several addresses were looked at, how it stands among them.
    pub among: Option<Among>,
}

impl Sight {
    fn of(trace: Trace, ended: Result<(), ProbeFailure>) -> Self {
        let (observation, notes) = trace.end();
        Self { observation, notes, ended, among: None }
    }

    /// The deadline came.
    fn cut_off(mut trace: Trace) -> Self {
        let ended = cut_off(&mut trace);
        Self::of(trace, ended)
    }
}

/// How a look ends that the deadline cuts off.
fn cut_off(trace: &mut Trace) -> Result<(), ProbeFailure> {
    let timeout = trace.timeout();
    if trace.waiting().is_any() {
        return Err(failures::capped(timeout));
    }
    let told = trace.told_when_late();
    told.unwrap_or_else(|| Err(failures::timed_out(timeout, trace.step())))
}

/// Why a look ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeFailure {
    /// Never `ok`.
    outcome: Outcome,
    /// What exactly, where there is a word for it.
    pub(crate) detail: Option<Detail>,
    /// For the check's owner; not tamed, and without header values or bodies.
    pub(crate) sentence: String,
}

impl ProbeFailure {
    /// The target is at fault.
    pub(crate) fn of_target(class: FailClass, sentence: impl Into<String>) -> Self {
        Self { outcome: Outcome::Fail(class), detail: None, sentence: sentence.into() }
    }

    /// This worker ran out of something of its own.
    pub(crate) fn of_worker(sentence: impl Into<String>) -> Self {
        Self::inconclusive(InconclusiveReason::Local, sentence)
    }

    /// It is not the target that is at fault.
    pub(crate) fn inconclusive(reason: InconclusiveReason, sentence: impl Into<String>) -> Self {
        let outcome = Outcome::Inconclusive(reason);
        Self { outcome, detail: None, sentence: sentence.into() }
    }

    /// The same, with a finer word for it.
    pub(crate) fn with(self, detail: impl Into<Option<Detail>>) -> Self {
        Self { detail: detail.into(), ..self }
    }

    /// There was no token to ask with, for this reason. The target was not looked at.
    pub(crate) fn about_token(self) -> Self {
        let sentence = format!("no token: {}", self.sentence);
        Self { sentence, ..self }.with(Detail::Token)
    }

    /// The proxy is at fault. The target was not looked at.
    pub(crate) fn about_proxy(self) -> Self {
        let sentence = format!("at the proxy: {}", self.sentence);
        Self { sentence, ..self }.with(Detail::Proxy)
    }

    /// Whether somebody answered, and said no.
    pub(crate) fn is_refusal(&self) -> bool {
        self.outcome == Outcome::Fail(FailClass::Refused)
    }

    /// Whether it tells nothing about the target, because nobody got as far.
    pub(crate) fn is_short_of_target(&self) -> bool {
        matches!(self.detail, Some(Detail::Token | Detail::Proxy))
    }

    pub(crate) fn is_too_large(&self) -> bool {
        self.outcome == Outcome::Fail(FailClass::TooLarge)
    }

    /// What it means for the run.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }
}
