//! Looks at a target by opening a WebSocket (RFC 6455), and by what is said over it if that is asked.
//!
//! Of what comes back 64 KiB are read at most, in messages of no more; pings are answered. What was
//! opened is closed as the protocol has it, and the other side is not waited for long.

use std::borrow::Cow;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::header::{AUTHORIZATION, CONNECTION, HOST, HeaderMap, HeaderValue, UPGRADE};
use http::{Request, Uri};
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::run::FailClass;
use pulse_core::models::scheme::Scheme;
use pulse_core::models::target::Target;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use url::{Host, Position, Url};

use super::talk::{MOST_REPLY, Talk, unmet};
use super::trace::Trace;
use super::wire::{MOST_WIRE, Metered, USED_UP};
use super::{PrepareError, Probe, ProbeFailure, failures, headers, reach};
use crate::egress::Egress;

const AT_ONCE: usize = 4 * 1024;
/// A message counts for no less than this, however small it is.
const LEAST_MESSAGE: usize = 64;
/// For so long the other side's farewell is waited for.
const FAREWELL: Duration = Duration::from_millis(100);
const CLOSED: &str = "the connection was closed before what was expected came";
const NOT_IN_WHAT_IS_READ: &str = "what was expected is not in the first 64 KiB of messages";

/// Where to open it, and what to say.
#[derive(Debug)]
pub(super) struct WebSocket {
    host: Host<String>,
    port: u16,
    /// `None` without TLS.
    server_name: Option<ServerName<'static>>,
    uri: Uri,
    headers: HeaderMap,
    message: Option<Message>,
    talk: Talk,
}

impl WebSocket {
    pub(super) fn new(target: Target, spec: &ProbeSpec) -> Result<Self, PrepareError> {
        let host = target.host.ok_or(PrepareError::Address)?;
        let encrypted = target.scheme == Scheme::Wss;
        let server_name = encrypted.then(|| reach::server_name(&host)).transpose()?;
        let url = Url::parse(&spec.url).map_err(PrepareError::Url)?;
        Ok(Self {
            host,
            port: target.port,
            server_name,
            uri: url[..Position::AfterQuery].parse().map_err(PrepareError::Path)?,
            headers: handshake(spec, &url)?,
            message: spec.send.clone().map(Message::text),
            talk: Talk::new(spec)?,
        })
    }

    /// A key is for one handshake alone.
    fn request(&self, trace: &Trace) -> Request<()> {
        let mut request = Request::new(());
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().clone_from(&self.headers);
        if let Some(token) = trace.authorization() {
            request.headers_mut().insert(AUTHORIZATION, token.clone());
        }
        request.headers_mut().extend(trace.run().map(|run| (headers::PULSE_RUN, run)));
        // It is base64, so it is always a value.
        if let Ok(key) = HeaderValue::from_str(&generate_key()) {
            request.headers_mut().insert("sec-websocket-key", key);
        }
        request
    }

    async fn open<S>(&self, stream: S, trace: &mut Trace) -> Result<(), ProbeFailure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        trace.asked();
        let config = WebSocketConfig::default()
            .read_buffer_size(AT_ONCE)
            .write_buffer_size(0)
            .max_message_size(Some(MOST_REPLY))
            .max_frame_size(Some(MOST_REPLY));
        let metered = Metered::new(stream, MOST_WIRE);
        let request = self.request(trace);
        let opened = client_async_with_config(request, metered, Some(config)).await;
        let (mut socket, answer) = opened.map_err(|error| not_opened(error, trace))?;
        trace.answered(answer.into_parts().0);
        if let Some(message) = &self.message {
            socket.send(message.clone()).await.map_err(|error| broken(&error))?;
        }
        if self.talk.expects_reply() {
            self.wait_for_reply(&mut socket, trace).await?;
        }
        trace.seen_all();
        take_leave(socket, trace).await;
        Ok(())
    }

    /// Reads messages until one is what was expected.
    async fn wait_for_reply<S>(
        &self,
        socket: &mut WebSocketStream<S>,
        trace: &mut Trace,
    ) -> Result<(), ProbeFailure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut room = MOST_REPLY;
        while room > 0 {
            let message = match socket.next().await {
                Some(message) => message.map_err(|error| broken(&error))?,
                None => return Err(unmet(CLOSED)),
            };
            room = room.saturating_sub(message.len().max(LEAST_MESSAGE));
            match message {
                Message::Text(_) | Message::Binary(_) => {
                    let said = message.into_data();
                    trace.read(said.clone());
                    if self.talk.is_met_by(&said) {
                        return Ok(());
                    }
                }
                Message::Close(_) => return Err(unmet(CLOSED)),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
        Err(unmet(NOT_IN_WHAT_IS_READ))
    }
}

#[async_trait]
impl Probe for WebSocket {
    async fn walk(&self, egress: &Egress, trace: &mut Trace) -> Result<(), ProbeFailure> {
        let tcp = reach::connect(egress, &self.host, self.port, trace).await?;
        match &self.server_name {
            None => self.open(tcp, trace).await,
            Some(name) => {
                let tls = reach::secure(egress, name.clone(), tcp, trace).await?;
                self.open(tls, trace).await
            }
        }
    }
}

/// What belongs to the protocol is not the check's to say. Extensions are not spoken here.
fn handshake(spec: &ProbeSpec, url: &Url) -> Result<HeaderMap, PrepareError> {
    let mut headers = headers::of(spec)?;
    if !headers.contains_key(HOST) {
        let host = HeaderValue::from_str(&url[Position::BeforeHost..Position::AfterPort]);
        headers.insert(HOST, host.map_err(PrepareError::HeaderValue)?);
    }
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert("sec-websocket-version", HeaderValue::from_static("13"));
    headers.remove("sec-websocket-extensions");
    Ok(headers)
}

/// Says farewell, and hears the other side's if it comes soon. Whether it does is not what is looked
/// at.
async fn take_leave<S>(mut socket: WebSocketStream<S>, trace: &Trace)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let farewell = async {
        let _gone = socket.close(None).await;
        while let Some(Ok(_late)) = socket.next().await {}
    };
    // Never so long that the deadline comes in between.
    let _silent = timeout(FAREWELL.min(trace.left() / 2), farewell).await;
}

/// The server did not agree to the handshake.
fn not_opened(error: Error, trace: &mut Trace) -> ProbeFailure {
    match error {
        Error::Http(answer) => {
            let (head, body) = answer.into_parts();
            let sentence = format!("status {}, expected 101", head.status.as_u16());
            trace.answered(head);
            if let Some(body) = body.filter(|body| !body.is_empty()) {
                trace.read(Bytes::from(body));
            }
            ProbeFailure::of_target(FailClass::Status, sentence)
        }
        Error::AttackAttempt | Error::Capacity(CapacityError::TooManyHeaders) => {
            let sentence = "the answer to the handshake is too large, or comes in too many pieces";
            ProbeFailure::of_target(FailClass::TooLarge, sentence)
        }
        Error::Protocol(ProtocolError::HandshakeIncomplete) => {
            protocol("the connection was closed before the handshake was answered")
        }
        Error::Protocol(ProtocolError::HttparseError(_)) | Error::HttpFormat(_) => {
            protocol("what came back is not HTTP/1.1")
        }
        Error::Protocol(ProtocolError::SecWebSocketAcceptKeyMismatch) => {
            protocol("the answer to the handshake does not fit its key")
        }
        error => broken(&error),
    }
}

/// It was open, or about to be.
fn broken(error: &Error) -> ProbeFailure {
    match error {
        Error::Io(cause) if cause.kind() == USED_UP => unmet(NOT_IN_WHAT_IS_READ),
        Error::Io(cause) => match failures::tls_cause(cause) {
            Some(cause) => failures::untrusted(cause),
            None => failures::talking(cause),
        },
        Error::Capacity(_) => unmet(NOT_IN_WHAT_IS_READ),
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => unmet(CLOSED),
        Error::Utf8(_) => protocol("what came back is no WebSocket: text that is not UTF-8"),
        Error::Protocol(broken) => {
            protocol(format!("what came back is no WebSocket: {}", told(broken)))
        }
        _ => protocol("what came back is no WebSocket"),
    }
}

/// The library's own words, as the end of a sentence.
fn told(broken: &ProtocolError) -> Cow<'static, str> {
    match broken {
        ProtocolError::MissingUpgradeWebSocketHeader
        | ProtocolError::MissingConnectionUpgradeHeader => "another upgrade".into(),
        ProtocolError::SecWebSocketSubProtocolError(_) => "another subprotocol".into(),
        other => other.to_string().to_lowercase().into(),
    }
}

fn protocol(sentence: impl Into<String>) -> ProbeFailure {
    ProbeFailure::of_target(FailClass::Protocol, sentence)
}
