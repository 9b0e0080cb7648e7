//! What went wrong, as a class and a sentence for the check's owner.
//!
//! Sentences never quote what a server sent: no header, no body, no name from a certificate.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::iter::successors;
use std::time::Duration;

use chrono::DateTime;
use pulse_core::models::run::FailClass;
use rustls::CertificateError;
use rustls::pki_types::UnixTime;

use super::exchange::{MOST_HEAD, MOST_HEADERS};
use super::trace::Step;
use super::wire::USED_UP;
use crate::egress::{ResolveError, is_local_exhaustion};
use crate::probes::ProbeFailure;

pub(super) fn timed_out(timeout: Duration, step: Step) -> ProbeFailure {
    let sentence = format!("timed out after {} ms while {step}", timeout.as_millis());
    ProbeFailure::of_target(FailClass::Timeout, sentence)
}

pub(super) fn resolve(error: &ResolveError) -> ProbeFailure {
    let sentence = match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    match error {
        ResolveError::CannotAsk(_) => ProbeFailure::of_worker(sentence),
        _ => ProbeFailure::of_target(FailClass::Dns, sentence),
    }
}

pub(super) fn connect(error: &io::Error) -> ProbeFailure {
    if is_local_exhaustion(error) {
        return exhausted(error);
    }
    let sentence = match error.kind() {
        ErrorKind::ConnectionRefused => "the connection was refused".to_owned(),
        ErrorKind::ConnectionReset => "the connection was reset".to_owned(),
        ErrorKind::HostUnreachable => "the host is unreachable".to_owned(),
        ErrorKind::NetworkUnreachable => "the network is unreachable".to_owned(),
        ErrorKind::TimedOut => "the network gave up on the connection".to_owned(),
        _ => format!("no connection: {error}"),
    };
    ProbeFailure::of_target(FailClass::Connect, sentence)
}

fn exhausted(error: &io::Error) -> ProbeFailure {
    ProbeFailure::of_worker(format!("this worker has run out of something of its own: {error}"))
}

pub(super) fn tls(error: &io::Error) -> ProbeFailure {
    if is_local_exhaustion(error) {
        return exhausted(error);
    }
    if let Some(cause) = tls_cause(error) {
        return untrusted(cause);
    }
    let sentence = match error.kind() {
        ErrorKind::UnexpectedEof => "the connection was closed during the TLS handshake".to_owned(),
        ErrorKind::ConnectionReset => {
            "the connection was reset during the TLS handshake".to_owned()
        }
        _ => format!("the TLS handshake failed: {error}"),
    };
    ProbeFailure::of_target(FailClass::Tls, sentence)
}

fn tls_cause(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn untrusted(error: &rustls::Error) -> ProbeFailure {
    let sentence = match error {
        rustls::Error::InvalidCertificate(error) => bad_certificate(error),
        rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => {
            "the TLS handshake failed: what came back is not TLS".to_owned()
        }
        rustls::Error::AlertReceived(alert) => {
            format!("the server refused the TLS handshake: {alert:?}")
        }
        error => format!("the TLS handshake failed: {error}"),
    };
    ProbeFailure::of_target(FailClass::Tls, sentence)
}

fn bad_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired => "the certificate has expired".to_owned(),
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("the certificate expired on {}", day(*not_after))
        }
        CertificateError::NotValidYet => "the certificate is not valid yet".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("the certificate is not valid before {}", day(*not_before))
        }
        CertificateError::NotValidForName => "the certificate is for another host".to_owned(),
        CertificateError::NotValidForNameContext { expected, .. } => {
            format!("the certificate is for another host, not for {}", expected.to_str())
        }
        CertificateError::UnknownIssuer => {
            "the certificate is self-signed or from an unknown authority".to_owned()
        }
        CertificateError::Revoked => "the certificate has been revoked".to_owned(),
        error => format!("the certificate is not acceptable: {error}"),
    }
}

fn day(at: UnixTime) -> String {
    let time = i64::try_from(at.as_secs()).ok().and_then(|secs| DateTime::from_timestamp(secs, 0));
    time.map_or_else(|| "an impossible day".to_owned(), |time| time.format("%Y-%m-%d").to_string())
}

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
    ProbeFailure::of_target(FailClass::Connect, sentence)
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
