//! Asks a server over gRPC for the health of a service, by the standard call
//! `grpc.health.v1.Health/Check`; without a service, for that of the server as a whole.
//!
//! Nothing but `SERVING` is well, unless assertions say which status is expected. The deadline is told to the server, and held here all the same.

mod message;
mod verdict;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, TE};
use http::{Method, Request, StatusCode, request};
use pulse_core::models::assertion::{Assertion, Source};
use pulse_core::models::probe_spec::{ProbeSpec, USUAL_BODY_BYTES};
use pulse_core::models::run::FailClass;
use pulse_core::models::scheme::Scheme;
use pulse_core::models::target::Target;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use url::Host;

use super::trace::Trace;
use super::{PrepareError, Probe, ProbeFailure, headers, http2, reach};
use crate::egress::{Egress, Offer};

const CHECK: &str = "/grpc.health.v1.Health/Check";
const GRPC: &str = "application/grpc";
/// A health status has two bytes, and whatever a later version adds.
const MOST_ANSWER: usize = 4 * 1024;
/// A piece counts for no less than this, because each costs a turn of the task.
const LEAST_PIECE: usize = 64;

/// Whom to ask, and what.
#[derive(Debug)]
pub(super) struct Grpc {
    host: Host<String>,
    port: u16,
    /// `None` without TLS.
    server_name: Option<ServerName<'static>>,
    head: request::Parts,
    body: Bytes,
    /// Whether assertions say which status is expected.
    asserts_status: bool,
}

impl Grpc {
    pub(super) fn new(target: Target, spec: &ProbeSpec) -> Result<Self, PrepareError> {
        let host = target.host.ok_or(PrepareError::Address)?;
        let encrypted = target.scheme == Scheme::Grpcs;
        let server_name = encrypted.then(|| reach::server_name(&host)).transpose()?;
        let (mut head, ()) = Request::new(()).into_parts();
        head.method = Method::POST;
        head.uri = CHECK.parse().map_err(PrepareError::Path)?;
        head.headers = metadata(spec, &host, target.port)?;
        let detail = || "have a Host that is none in HTTP/2".to_owned();
        let head = http2::in_its_words(head, encrypted)
            .ok_or_else(|| PrepareError::Field { field: "headers", detail: detail() })?;
        let (head, ()) = head.into_parts();
        let body = message::request(&target.path);
        let about_status = |it: &Assertion| it.rule.is_about(Source::GrpcStatus);
        let asserts_status = spec.assertions.iter().any(about_status);
        Ok(Self { host, port: target.port, server_name, head, body, asserts_status })
    }

    async fn ask<S>(&self, stream: S, trace: &mut Trace) -> Result<(), ProbeFailure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut head = self.head.clone();
        head.headers.insert("grpc-timeout", timeout(trace));
        if let Some(token) = trace.authorization() {
            head.headers.insert(AUTHORIZATION, token.clone());
        }
        head.headers.extend(trace.run().map(|run| (headers::PULSE_RUN, run)));
        let (request, body) = (Request::from_parts(head, ()), self.body.clone());
        let talk = |asking| async move {
            let answer = http2::ask(asking, request, body, trace).await?;
            let (head, body) = answer.into_parts();
            let refusal = no_grpc(head.status, &head.headers);
            let headers = head.headers.clone();
            trace.answered(head);
            refusal.map_or(Ok(()), Err)?;
            let (answer, trailers) = read(body).await?;
            let last = trailers.as_ref().unwrap_or(&headers);
            verdict::of(last, &answer, self.asserts_status, trace)
        };
        http2::open(stream, USUAL_BODY_BYTES).await?.converse(talk).await
    }
}

#[async_trait]
impl Probe for Grpc {
    async fn walk(&self, egress: &Egress, trace: &mut Trace) -> Result<(), ProbeFailure> {
        let tcp = reach::connect(egress, &self.host, self.port, trace).await?;
        match &self.server_name {
            None => self.ask(tcp, trace).await,
            Some(name) => {
                let name = name.clone();
                let tls = reach::secure_for(egress, name, tcp, Offer::Http2, trace).await?;
                self.ask(tls, trace).await
            }
        }
    }
}

/// What belongs to the protocol is not the check's to say.
fn metadata(spec: &ProbeSpec, host: &Host<String>, port: u16) -> Result<HeaderMap, PrepareError> {
    let mut headers = headers::of(spec)?;
    if !headers.contains_key(HOST) {
        let authority = HeaderValue::from_str(&format!("{host}:{port}"));
        headers.insert(HOST, authority.map_err(PrepareError::HeaderValue)?);
    }
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(GRPC));
    headers.insert("grpc-accept-encoding", HeaderValue::from_static("identity"));
    headers.remove("grpc-encoding");
    Ok(headers)
}

/// How long the server may take, in milliseconds; it has eight digits for them.
fn timeout(trace: &Trace) -> HeaderValue {
    let left = trace.left().as_millis().clamp(1, 99_999_999);
    HeaderValue::from_str(&format!("{left}m")).unwrap_or(HeaderValue::from_static("1m"))
}

/// Why what answered is no gRPC, if it is none.
fn no_grpc(status: StatusCode, headers: &HeaderMap) -> Option<ProbeFailure> {
    if status != StatusCode::OK {
        let sentence = format!("status {}, expected 200: no gRPC answered", status.as_u16());
        return Some(ProbeFailure::of_target(FailClass::Status, sentence));
    }
    let kind = headers.get(CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
    let is_grpc = kind.starts_with(GRPC.as_bytes());
    (!is_grpc).then(|| verdict::protocol("what answered is not gRPC"))
}

async fn read(mut body: RecvStream) -> Result<(Bytes, Option<HeaderMap>), ProbeFailure> {
    let (mut answer, mut room) = (BytesMut::new(), MOST_ANSWER);
    while let Some(piece) = body.data().await {
        let piece = piece.map_err(|error| http2::in_body(&error))?;
        room = room
            .checked_sub(piece.len().max(LEAST_PIECE))
            .ok_or_else(|| verdict::protocol("the answer is too long for a health status"))?;
        answer.extend_from_slice(&piece);
    }
    let trailers = body.trailers().await.map_err(|error| http2::in_body(&error))?;
    Ok((answer.freeze(), trailers))
}
