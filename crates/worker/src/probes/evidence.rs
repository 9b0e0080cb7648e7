//! What a close look keeps for a person to read, beyond the observation that a run needs.

use http::header::LOCATION;
use http::{Response, Version};
use pulse_core::models::text::tame_line;
use rustls::{ClientConnection, ProtocolVersion};

use crate::egress::Presented;
use crate::probes::certificate::Certificate;

/// More of a `Location` is not shown; a check's own address may be as long.
const LONGEST_LOCATION: usize = 2_048;

/// What was seen on the way, as far as the look came. Texts from the target are tamed and bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// `HTTP/1.1`, say, as the response has it.
    pub http_version: Option<&'static str>,
    /// Where a response with a 3xx status points; it is not followed.
    pub location: Option<String>,
    /// `TLS 1.3`, say; `None` without TLS, and when the handshake failed.
    pub tls_version: Option<&'static str>,
    /// By its name at IANA; `None` as for the version.
    pub cipher_suite: Option<String>,
    /// The server's own certificate, also when it was refused.
    pub certificate: Option<Certificate>,
}

/// Evidence while it is gathered.
#[derive(Debug, Default)]
pub(super) struct Notes {
    evidence: Evidence,
    presented: Presented,
}

impl Notes {
    pub(super) const fn presented(&self) -> &Presented {
        &self.presented
    }

    pub(super) fn secured(&mut self, connection: &ClientConnection) {
        self.evidence.tls_version = connection.protocol_version().and_then(tls_version);
        let suite = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
        // Our library has its own prefix for those of TLS 1.3.
        self.evidence.cipher_suite = suite.map(|name| name.replacen("TLS13_", "TLS_", 1));
    }

    pub(super) fn answered<B>(&mut self, answer: &Response<B>) {
        self.evidence.http_version = http_version(answer.version());
        if answer.status().is_redirection() {
            let location = answer.headers().get(LOCATION);
            self.evidence.location = location.map(|location| {
                tame_line(&String::from_utf8_lossy(location.as_bytes()), LONGEST_LOCATION)
            });
        }
    }

    /// Reads the certificate, which takes longer than a look should be held up for.
    pub(super) fn read(self) -> Evidence {
        let certificate = self.presented.certificate().and_then(|der| Certificate::read(der));
        Evidence { certificate, ..self.evidence }
    }
}

fn http_version(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_10 => Some("HTTP/1.0"),
        Version::HTTP_11 => Some("HTTP/1.1"),
        _ => None,
    }
}

fn tls_version(version: ProtocolVersion) -> Option<&'static str> {
    match version {
        ProtocolVersion::TLSv1_2 => Some("TLS 1.2"),
        ProtocolVersion::TLSv1_3 => Some("TLS 1.3"),
        _ => None,
    }
}
