//! Messages of PostgreSQL's protocol, bounded before they are read.

use bytes::{BufMut, BytesMut};
use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::{ErrorResponseBody, Message};
use postgres_protocol::message::frontend;
use pulse_core::models::run::FailClass;

use super::super::ProbeFailure;
use super::super::bounded::{Bounded, Lack};
use super::super::log_in::refused;
use super::super::reach::Duplex;
use super::super::talk::MOST_REPLY;
use super::super::trace::Trace;

/// The length counts itself.
const LENGTH_BYTES: usize = 4;
const SQLSTATE: u8 = b'C';
const MESSAGE: u8 = b'M';

/// The next message. One that announces more than is ever read is not waited for.
pub(super) async fn next<S: Duplex>(
    server: &mut Bounded<S>,
    trace: &mut Trace,
) -> Result<Message, Lack> {
    let kind = server.exactly(1, trace).await?[0];
    rest(kind, server, trace).await
}

/// The message of which the first byte was read already.
async fn rest<S: Duplex>(
    kind: u8,
    server: &mut Bounded<S>,
    trace: &mut Trace,
) -> Result<Message, Lack> {
    let length = server.exactly(LENGTH_BYTES, trace).await?;
    let announced = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    let body = announced.checked_sub(LENGTH_BYTES).ok_or_else(|| Lack::Lost(garbage()))?;
    if body > MOST_REPLY {
        return Err(Lack::Spent);
    }
    let body = server.exactly(body, trace).await?;
    let mut whole = BytesMut::with_capacity(1 + LENGTH_BYTES + body.len());
    whole.put_u8(kind);
    whole.extend_from_slice(&length);
    whole.extend_from_slice(&body);
    let read = Message::parse(&mut whole).ok().flatten();
    read.ok_or_else(|| Lack::Lost(garbage()))
}

/// Asks for TLS: whether the server will have it.
pub(in super::super) async fn request_tls<S: Duplex>(
    server: &mut Bounded<S>,
    trace: &mut Trace,
) -> Result<bool, ProbeFailure> {
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    server.say(&request).await?;
    let answer = server.exactly(1, trace).await.map_err(Lack::of_long_reply)?;
    match answer[0] {
        b'S' => Ok(true),
        b'N' => Ok(false),
        b'E' => match rest(b'E', server, trace).await {
            Ok(Message::ErrorResponse(error)) => Err(refused("TLS", &reason(&error))),
            Err(Lack::Lost(failure)) => Err(failure),
            _ => Err(garbage()),
        },
        _ => Err(garbage()),
    }
}

/// What an error says: its code, and the sentence.
pub(super) fn reason(error: &ErrorResponseBody) -> String {
    let (mut code, mut sentence) = (String::new(), String::new());
    let mut fields = error.fields();
    while let Ok(Some(field)) = fields.next() {
        let value = || String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            SQLSTATE => code = value(),
            MESSAGE => sentence = value(),
            _ => {}
        }
    }
    match code.as_str() {
        "" => "an error without a code".to_owned(),
        code => format!("{code} {sentence}"),
    }
}

pub(super) fn garbage() -> ProbeFailure {
    ProbeFailure::of_target(FailClass::Protocol, "what came back is not PostgreSQL")
}
