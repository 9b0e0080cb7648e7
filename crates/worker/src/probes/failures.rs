//! What went wrong on the way to a target, as a class and a sentence for the check's owner.
//!
//! Sentences never quote what a server sent: no header, no body, no name from a certificate.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::time::Duration;

use chrono::DateTime;
use pulse_core::models::run::{Detail, FailClass, InconclusiveReason};
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError};

use super::trace::Step;
use super::{ProbeFailure, certificate};
use crate::egress::{Presented, ResolveError, is_local_exhaustion};

pub(super) fn timed_out(timeout: Duration, step: Step) -> ProbeFailure {
    let sentence = format!("timed out after {} ms while {step}", timeout.as_millis());
    ProbeFailure::of_target(FailClass::Timeout, sentence).with(step.detail())
}

/// The turn at an address did not come.
pub(super) fn capped(timeout: Duration) -> ProbeFailure {
    let sentence = format!(
        "its turn did not come within {} ms: as much as may be was under way to the address",
        timeout.as_millis()
    );
    ProbeFailure::inconclusive(InconclusiveReason::Capped, sentence)
}

pub(super) fn resolve(error: &ResolveError) -> ProbeFailure {
    let sentence = match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    match error {
        ResolveError::CannotAsk(_) => ProbeFailure::of_worker(sentence),
        ResolveError::Forbidden | ResolveError::ForbiddenResolver => {
            ProbeFailure::of_target(FailClass::ForbiddenAddress, sentence)
        }
        ResolveError::NoSuchName => {
            ProbeFailure::of_target(FailClass::Dns, sentence).with(Detail::NxDomain)
        }
        ResolveError::NoAddress | ResolveError::NoneOfFamily(_) => {
            ProbeFailure::of_target(FailClass::Dns, sentence).with(Detail::NoRecord)
        }
        ResolveError::Silent => {
            ProbeFailure::of_target(FailClass::Timeout, sentence).with(Step::Resolve.detail())
        }
        ResolveError::NoAnswer(_) => {
            ProbeFailure::of_target(FailClass::Dns, sentence).with(Detail::ServFail)
        }
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
    ProbeFailure::of_target(FailClass::Connect, sentence).with(broken(error))
}

/// The finer word for a connection that was not granted, or broke.
pub(super) fn broken(error: &io::Error) -> Option<Detail> {
    match error.kind() {
        ErrorKind::ConnectionRefused => Some(Detail::Refused),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            Some(Detail::Reset)
        }
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Some(Detail::Unreachable),
        _ => None,
    }
}

/// What the system says of a place that datagrams were sent to.
pub(super) fn datagram(error: &io::Error) -> ProbeFailure {
    match error.kind() {
        ErrorKind::ConnectionRefused => {
            let closed = ProbeFailure::of_target(FailClass::Connect, "the port is closed");
            closed.with(Detail::Refused)
        }
        _ => connect(error),
    }
}

/// A connection that was there broke while something was said over it.
pub(super) fn talking(error: &io::Error) -> ProbeFailure {
    if is_local_exhaustion(error) {
        return exhausted(error);
    }
    let sentence = match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
            "the connection was reset before a reply came".to_owned()
        }
        ErrorKind::UnexpectedEof => "the connection was closed before a reply came".to_owned(),
        _ => format!("the connection broke before a reply came: {error}"),
    };
    ProbeFailure::of_target(FailClass::Connect, sentence).with(broken(error))
}

pub(super) fn exhausted(error: &io::Error) -> ProbeFailure {
    ProbeFailure::of_worker(format!("this worker has run out of something of its own: {error}"))
}

/// `presented` is what the server has shown by then.
pub(super) fn tls(error: &io::Error, presented: &Presented) -> ProbeFailure {
    if is_local_exhaustion(error) {
        return exhausted(error);
    }
    match tls_cause(error) {
        Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer))
            if presented.chain().first().is_some_and(|der| certificate::is_self_signed(der)) =>
        {
            let sentence = "the certificate is self-signed";
            return ProbeFailure::of_target(FailClass::Tls, sentence).with(Detail::SelfSigned);
        }
        Some(cause) => return untrusted(cause),
        None => {}
    }
    let sentence = match error.kind() {
        ErrorKind::UnexpectedEof => "the connection was closed during the TLS handshake".to_owned(),
        ErrorKind::ConnectionReset => {
            "the connection was reset during the TLS handshake".to_owned()
        }
        _ => format!("the TLS handshake failed: {error}"),
    };
    ProbeFailure::of_target(FailClass::Tls, sentence).with(Detail::Handshake)
}

pub(super) fn tls_cause(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// Whether the server ended the handshake because it speaks nothing of what was offered.
pub(super) fn is_no_common_protocol(error: &io::Error) -> bool {
    let alert = AlertDescription::NoApplicationProtocol;
    matches!(tls_cause(error), Some(rustls::Error::AlertReceived(told)) if *told == alert)
}

pub(super) fn untrusted(error: &rustls::Error) -> ProbeFailure {
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
    let detail = match error {
        rustls::Error::InvalidCertificate(error) => certificate_detail(error),
        _ => Detail::Handshake,
    };
    ProbeFailure::of_target(FailClass::Tls, sentence).with(detail)
}

const fn certificate_detail(error: &CertificateError) -> Detail {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Detail::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Detail::NotYetValid
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Detail::WrongHost
        }
        CertificateError::UnknownIssuer => Detail::UnknownCa,
        CertificateError::Revoked => Detail::Revoked,
        _ => Detail::Handshake,
    }
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
            "the certificate is from an unknown authority".to_owned()
        }
        CertificateError::Revoked => "the certificate has been revoked".to_owned(),
        error => format!("the certificate is not acceptable: {error}"),
    }
}

fn day(at: UnixTime) -> String {
    let time = i64::try_from(at.as_secs()).ok().and_then(|secs| DateTime::from_timestamp(secs, 0));
    time.map_or_else(|| "an impossible day".to_owned(), |time| time.format("%Y-%m-%d").to_string())
}
