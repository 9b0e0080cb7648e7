//! TLS: certificates that are no good, and handshakes that are none.

use super::{After, Door, End, Kind, Must, OK, PROTOCOL, Paper, Part, TIMEOUT, TLS, Talk, must};
use Part::{Bytes, Words};

const IN_TLS: &str = "during the TLS handshake";
const WELL: Talk = Talk {
    after: After::Request,
    says: &[Words("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")],
    then: End::Close,
};

/// A server of TLS 1.0: the version, a random of 32 bytes, no session, a suite of old, no compression.
const OLD_HELLO: &[u8] = b"\x16\x03\x01\x00\x2a\x02\x00\x00\x26\x03\x01\
    0123456789abcdef0123456789abcdef\x00\x00\x2f\x00";

/// Somebody who shows a certificate and is well besides.
const fn showing(name: &'static str, paper: Paper, must: Must) -> Kind {
    Kind { name, scheme: "https", door: Door::Secured(paper, WELL), must }
}

/// Somebody who answers the first words of the handshake with something else.
const fn after_hello(name: &'static str, says: &'static [Part], then: End, must: Must) -> Kind {
    let talk = Talk { after: After::AnyWord, says, then };
    Kind { name, scheme: "https", door: Door::Bare(talk), must }
}

pub(super) const KINDS: &[Kind] = &[
    showing("tls-well", Paper::Good, must(OK, "")),
    showing("tls-expired", Paper::Expired, must(TLS, "the certificate expired on")),
    showing("tls-not-yet", Paper::Early, must(TLS, "the certificate is not valid before")),
    showing("tls-wrong-host", Paper::AnotherHost, must(TLS, "for another host")),
    showing("tls-self-signed", Paper::SelfSigned, must(TLS, "self-signed")),
    showing("tls-unknown-authority", Paper::Stranger, must(TLS, "from an unknown authority")),
    Kind {
        name: "tls-expired-handshake",
        scheme: "tls",
        door: Door::Secured(Paper::Expired, WELL),
        must: must(TLS, "the certificate expired on"),
    },
    Kind {
        name: "tls-closed-unanswered",
        scheme: "https",
        door: Door::Secured(
            Paper::Good,
            Talk { after: After::Request, says: &[], then: End::Close },
        ),
        must: must(PROTOCOL, "was closed before"),
    },
    Kind {
        name: "tls-silent-inside",
        scheme: "https",
        door: Door::Secured(
            Paper::Good,
            Talk { after: After::Request, says: &[], then: End::Silence },
        ),
        must: must(TIMEOUT, "timed out after"),
    },
    Kind {
        name: "tls-endless-head",
        scheme: "https",
        door: Door::Secured(
            Paper::Good,
            Talk {
                after: After::Request,
                says: &[Words("HTTP/1.1 200 OK\r\n")],
                then: End::Flood(b"x-one: more\r\n"),
            },
        ),
        must: must(super::TOO_LARGE, "the response's head is over"),
    },
    after_hello("tls-garbage", &[], End::Flood(b"\x9d\x07\x13\x80"), must(TLS, "not TLS")),
    after_hello(
        "plain-http-for-tls",
        &[Words("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")],
        End::Close,
        must(TLS, "not TLS"),
    ),
    after_hello(
        "tls-alert",
        &[Bytes(b"\x15\x03\x03\x00\x02\x02\x28")],
        End::Close,
        must(TLS, "the server refused the TLS handshake: HandshakeFailure"),
    ),
    after_hello("tls-old", &[Bytes(OLD_HELLO)], End::Silence, must(TLS, "handshake failed")),
    after_hello("tls-closed", &[], End::Close, must(TLS, IN_TLS)),
    after_hello("tls-reset", &[], End::Reset, must(TLS, IN_TLS)),
    after_hello("tls-silence", &[], End::Silence, must(TIMEOUT, "timed out after")),
    after_hello("tls-drip", &[], End::Drip(b"\x16\x03\x03\x40\x00\x02"), must(TIMEOUT, "")),
    after_hello(
        "tls-closed-in-record",
        &[Bytes(b"\x16\x03\x03\x02")],
        End::Close,
        must(TLS, IN_TLS),
    ),
    after_hello(
        "tls-empty-records",
        &[],
        End::Flood(b"\x16\x03\x03\x00\x00"),
        must(TLS, "handshake failed"),
    ),
    after_hello("tls-warnings", &[], End::Flood(b"\x15\x03\x03\x00\x02\x01\x70"), must(TLS, "")),
    after_hello(
        "tls-changes-of-cipher",
        &[],
        End::Flood(b"\x14\x03\x03\x00\x01\x01"),
        must(TLS, "handshake failed"),
    ),
    after_hello(
        "tls-endless-message",
        &[Bytes(b"\x16\x03\x03\x40\x00\x02\xff\xff\xff")],
        End::Flood(&[0x16; 4096]),
        must(TLS, "handshake failed"),
    ),
    Kind {
        name: "tls-handshake-silence",
        scheme: "tls",
        door: Door::Bare(Talk { after: After::Nothing, says: &[], then: End::Silence }),
        must: must(TIMEOUT, "timed out after"),
    },
];
