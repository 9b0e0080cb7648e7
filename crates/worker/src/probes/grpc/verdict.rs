//! What the end of a call over gRPC means for a health check.

use http::HeaderMap;
use percent_encoding::percent_decode;
use pulse_core::models::run::FailClass;

use super::message;
use crate::probes::ProbeFailure;
use crate::probes::trace::Trace;

/// The words of the specification, by their numbers.
const WORDS: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
const SERVING: u64 = 1;

/// How a call ended: by the trailers that come last, or the headers where nothing else comes. Another
/// status than 0 is left to assertions, if they are about that.
pub(super) fn of(
    last: &HeaderMap,
    answer: &[u8],
    asserts_status: bool,
    trace: &mut Trace,
) -> Result<(), ProbeFailure> {
    let Some(status) = last.get("grpc-status") else {
        return Err(protocol("the answer ended without a status of gRPC"));
    };
    let status: Option<u16> = status.to_str().ok().and_then(|text| text.parse().ok());
    let Some(status) = status else {
        return Err(protocol("the status of gRPC is not a number"));
    };
    let word = WORDS.get(usize::from(status)).copied().unwrap_or("no word");
    trace.tell("grpc_status", status.to_string());
    trace.tell("grpc_status_name", word);
    if let Some(told) = last.get("grpc-message").filter(|told| !told.is_empty()) {
        trace.tell("grpc_message", percent_decode(told.as_bytes()).decode_utf8_lossy());
    }
    match status {
        0 => {}
        _ if asserts_status => return Ok(()),
        _ => return Err(refused(status, word)),
    }
    let state = message::state(answer).ok_or_else(|| protocol("the answer is no health status"))?;
    let word = message::state_word(state);
    trace.tell("state", word.clone());
    if state == SERVING {
        return Ok(());
    }
    Err(ProbeFailure::of_target(FailClass::Refused, format!("the service says {word}")))
}

fn refused(status: u16, word: &str) -> ProbeFailure {
    let (class, sentence) = match status {
        4 => (FailClass::Timeout, format!("the server ran out of time: {word}")),
        5 => (FailClass::Refused, format!("the server knows no such service: {word}")),
        7 | 16 => (FailClass::Refused, format!("the server refuses who asks: {word}")),
        12 => (FailClass::Refused, format!("the server tells nobody its health: {word}")),
        _ => (FailClass::Refused, format!("the server answered {status}, {word}")),
    };
    ProbeFailure::of_target(class, sentence)
}

pub(super) fn protocol(sentence: impl Into<String>) -> ProbeFailure {
    ProbeFailure::of_target(FailClass::Protocol, sentence)
}
