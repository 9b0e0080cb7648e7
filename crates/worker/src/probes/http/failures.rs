//! What went wrong with a request or its answer. Sentences never quote what a server sent.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::iter::successors;

use pulse_core::models::run::FailClass;

use super::exchange::{MOST_HEAD, MOST_HEADERS};
use crate::egress::is_local_exhaustion;
use crate::probes::ProbeFailure;
use crate::probes::failures::{broken, exhausted, tls_cause, untrusted};
use crate::probes::wire::USED_UP;

/// The exchange failed before there was a status.
pub(super) fn before_head(error: &hyper::Error) -> ProbeFailure {
    if error.is_parse_too_large() || is_used_up(error) {
        let kib = MOST_HEAD / 1024;
        let sentence = format!("the response's head is over {kib} KiB or {MOST_HEADERS} headers");
        return ProbeFailure::of_target(FailClass::TooLarge, sentence);
    }
    if let Some(cause) = io_cause(error) {
        return broken_off(cause);
    }
    if error.is_incomplete_message() {
        return protocol("the connection was closed before a whole response came");
    }
    if error.is_parse() {
        return protocol(format!("what came back is not HTTP/1.1: {error}"));
    }
    // The connection was of no use any more when it was to be asked.
    if error.is_canceled() {
        return protocol("the server spoke or hung up before it was asked");
    }
    let innermost = chain(error).last().map_or_else(String::new, ToString::to_string);
    protocol(format!("the exchange failed: {innermost}"))
}

fn broken_off(error: &io::Error) -> ProbeFailure {
    if is_local_exhaustion(error) {
        return exhausted(error);
    }
    if let Some(cause) = tls_cause(error) {
        return untrusted(cause);
    }
    let sentence = match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
            "the connection was reset before a response came".to_owned()
        }
        _ => format!("the connection broke before a response came: {error}"),
    };
    ProbeFailure::of_target(FailClass::Connect, sentence).with(broken(error))
}

/// The status was read, and the body not.
pub(super) fn in_body(error: &hyper::Error) -> ProbeFailure {
    match io_cause(error) {
        Some(cause) if is_local_exhaustion(cause) => exhausted(cause),
        Some(cause) if cause.kind() == ErrorKind::UnexpectedEof => {
            protocol("the body ended too early")
        }
        Some(cause) if cause.kind() == ErrorKind::ConnectionReset => {
            protocol("the connection was reset in the middle of the body")
        }
        _ => protocol("the body is broken"),
    }
}

fn protocol(sentence: impl Into<String>) -> ProbeFailure {
    ProbeFailure::of_target(FailClass::Protocol, sentence)
}

/// Whether it was our own limit that ended the reading.
pub(super) fn is_used_up(error: &hyper::Error) -> bool {
    io_cause(error).is_some_and(|cause| cause.kind() == USED_UP)
}

fn io_cause(error: &hyper::Error) -> Option<&io::Error> {
    chain(error).find_map(|cause| cause.downcast_ref())
}

fn chain(error: &hyper::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    successors(Some(error as &(dyn Error + 'static)), |error| (*error).source())
}
