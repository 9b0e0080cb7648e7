//! Everything below HTTP and TLS: who lets in, and who ends.

use super::{After, CONNECT, Door, End, Kind, OK, PROTOCOL, Part, TIMEOUT, Talk, must};

const ENDED: &[&str] = &["connect", "protocol"];

const fn at_once(says: &'static [Part], then: End) -> Door {
    Door::Bare(Talk { after: After::Nothing, says, then })
}

pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "nobody-there",
        scheme: "http",
        door: Door::Closed,
        must: must(CONNECT, "the connection was refused"),
    },
    Kind {
        name: "queue-full",
        scheme: "http",
        door: Door::Full,
        must: must(TIMEOUT, "timed out after"),
    },
    Kind {
        name: "half-open",
        scheme: "http",
        door: at_once(&[], End::Silence),
        must: must(TIMEOUT, "timed out after"),
    },
    // Whoever closes with a request unread resets, and the order in which the two are seen is open.
    Kind {
        name: "closed-at-once",
        scheme: "http",
        door: at_once(&[], End::Close),
        must: must(ENDED, ""),
    },
    Kind {
        name: "reset-at-once",
        scheme: "http",
        door: at_once(&[], End::Reset),
        must: must(ENDED, ""),
    },
    Kind {
        name: "greeting",
        scheme: "http",
        door: at_once(&[Part::Words("220 mail.example ESMTP\r\n")], End::Silence),
        must: must(PROTOCOL, ""),
    },
    Kind {
        name: "tcp-nobody-there",
        scheme: "tcp",
        door: Door::Closed,
        must: must(CONNECT, "the connection was refused"),
    },
    Kind {
        name: "tcp-queue-full",
        scheme: "tcp",
        door: Door::Full,
        must: must(TIMEOUT, "timed out after"),
    },
    Kind {
        name: "tcp-flood",
        scheme: "tcp",
        door: at_once(&[], End::Flood(b"more and ")),
        must: must(OK, ""),
    },
    Kind {
        name: "tcp-silence",
        scheme: "tcp",
        door: at_once(&[], End::Silence),
        must: must(OK, ""),
    },
    Kind {
        name: "tls-queue-full",
        scheme: "tls",
        door: Door::Full,
        must: must(TIMEOUT, "timed out after"),
    },
    Kind {
        name: "tls-nobody-there",
        scheme: "tls",
        door: Door::Closed,
        must: must(CONNECT, "the connection was refused"),
    },
];
