//! What went wrong with an exchange over HTTP/2. Sentences never quote what a server sent.

use std::io::{self, ErrorKind};

use h2::Reason;
use pulse_core::models::run::{Detail, FailClass};

use super::word;
use crate::egress::is_local_exhaustion;
use crate::probes::ProbeFailure;
use crate::probes::failures::exhausted;
use crate::probes::wire::USED_UP;

/// The exchange failed before there was a head.
pub(in crate::probes) fn before_head(error: &h2::Error) -> ProbeFailure {
    let word = || word(error.reason());
    match error.get_io() {
        Some(cause) => broken_off(cause),
        None if unfolds_too_far(error) => too_large(),
        None if error.is_remote() && error.is_go_away() => {
            protocol(format!("the server ended the connection before a response came: {}", word()))
        }
        None if error.is_remote() => {
            protocol(format!("the server refused the request: {}", word()))
        }
        None if error.is_library() => protocol(format!("what came back is not HTTP/2: {}", word())),
        None => protocol("the request cannot be sent over HTTP/2"),
    }
}

fn broken_off(error: &io::Error) -> ProbeFailure {
    if is_local_exhaustion(error) {
        return exhausted(error);
    }
    match error.kind() {
        USED_UP => too_large(),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => ProbeFailure::of_target(
            FailClass::Connect,
            "the connection was reset before a response came",
        )
        .with(Detail::Reset),
        // What lies under it keeps no more of a failure of TLS than its words.
        ErrorKind::InvalidData => {
            let sentence = format!("TLS broke before a response came: {error}");
            ProbeFailure::of_target(FailClass::Tls, sentence).with(Detail::Handshake)
        }
        _ => protocol("the connection was closed before a whole response came"),
    }
}

/// There was a head, and what follows it is broken.
pub(in crate::probes) fn in_body(error: &h2::Error) -> ProbeFailure {
    match error.get_io() {
        Some(cause) if is_local_exhaustion(cause) => exhausted(cause),
        Some(cause) if cause.kind() == ErrorKind::ConnectionReset => {
            protocol("the connection was reset in the middle of the body")
        }
        Some(_closed) => protocol("the body ended too early"),
        None if error.is_remote() => {
            protocol(format!("the server broke the body off: {}", word(error.reason())))
        }
        None => protocol("the body is broken"),
    }
}

/// The server was to speak HTTP/2, and over TLS it chose something else or nothing.
pub(in crate::probes) fn not_spoken() -> ProbeFailure {
    protocol("the server does not offer HTTP/2")
}

pub(super) fn too_large() -> ProbeFailure {
    let kib = super::MOST_HEAD / 1024;
    let most = super::MOST_HEADERS;
    let sentence = format!("the response's head is over {kib} KiB or {most} headers");
    ProbeFailure::of_target(FailClass::TooLarge, sentence)
}

fn protocol(sentence: impl Into<String>) -> ProbeFailure {
    ProbeFailure::of_target(FailClass::Protocol, sentence)
}

/// A flood of continuations, or a few bytes that stand for a great many.
fn unfolds_too_far(error: &h2::Error) -> bool {
    error.is_library() && error.reason() == Some(Reason::ENHANCE_YOUR_CALM)
}

/// Whether it was our own limit that ended the reading.
pub(in crate::probes) fn is_used_up(error: &h2::Error) -> bool {
    error.get_io().is_some_and(|cause| cause.kind() == USED_UP)
}
