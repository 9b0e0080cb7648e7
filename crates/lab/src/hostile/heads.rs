//! What comes before a body: status lines, headers, interim answers, and what is none of them.

use super::{
    After, CONNECT, Door, End, Kind, Must, OK, PROTOCOL, Part, STATUS, TIMEOUT, TOO_LARGE, Talk,
    answer, must,
};
use Part::{Bytes, Many, Words};

const GOOD: &str = "HTTP/1.1 200 OK\r\n";
const BODY: &str = "content-length: 2\r\n\r\nok";
const NO_HTTP: &str = "not HTTP/1.1";
const TOO_MUCH: &str = "the response's head is over";
/// The settings of an HTTP/2 server that has none; those who ask speak HTTP/2 to kinds that begin so.
const SETTINGS: &[u8; 9] = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00";
const IN_HEAD: &str = "while waiting for the first byte";

/// A frame of HTTP/2 that begins so, filled up.
const fn filled<const HEAD: usize, const ALL: usize>(head: &[u8; HEAD], with: u8) -> [u8; ALL] {
    let (mut frame, mut place) = ([with; ALL], 0);
    while place < HEAD {
        frame[place] = head[place];
        place += 1;
    }
    frame
}

/// Of no kind that there is.
const UNKNOWN: [u8; 4_009] = filled(b"\x00\x0f\xa0\x77\x00\x00\x00\x00\x00", 0);
/// More of a head, with one header of 4,000 bytes.
const CONTINUATION: [u8; 4_015] =
    filled(b"\x00\x0f\xa6\x09\x00\x00\x00\x00\x01\x00\x01x\x7f\xa1\x1e", b'v');

/// Whoever speaks HTTP/2 is answered as soon as there is a word.
const fn spoken_to(name: &'static str, says: &'static [Part], then: End, must: Must) -> Kind {
    let talk = Talk { after: After::AnyWord, says, then };
    Kind { name, scheme: "http", door: Door::Bare(talk), must }
}

pub(super) const KINDS: &[Kind] = &[
    answer("head-drip", &[], End::Drip(b"HTTP/1.1 200 OK\r\n"), must(TIMEOUT, IN_HEAD)),
    answer("header-drip", &[Words(GOOD)], End::Drip(b"X-Drip: drop\r\n"), must(TIMEOUT, IN_HEAD)),
    answer("half-a-head", &[Words(GOOD)], End::Silence, must(TIMEOUT, IN_HEAD)),
    answer("silence", &[], End::Silence, must(TIMEOUT, IN_HEAD)),
    answer(
        "many-headers",
        &[Words(GOOD), Many("x-one: more\r\n", 600), Words(BODY)],
        End::Close,
        must(TOO_LARGE, TOO_MUCH),
    ),
    answer(
        "some-more-headers",
        &[Words(GOOD), Many("x-one: more\r\n", 300), Words(BODY)],
        End::Close,
        must(OK, ""),
    ),
    answer(
        "huge-header",
        &[Words(GOOD), Words("x-huge: "), Many("huge", 75_000), Words("\r\n"), Words(BODY)],
        End::Close,
        must(TOO_LARGE, TOO_MUCH),
    ),
    answer(
        "endless-header",
        &[Words(GOOD), Words("x-endless: ")],
        End::Flood(b"and so on "),
        must(TOO_LARGE, TOO_MUCH),
    ),
    answer("endless-name", &[Words(GOOD)], End::Flood(b"x-"), must(TOO_LARGE, TOO_MUCH)),
    answer(
        "endless-headers",
        &[Words(GOOD)],
        End::Flood(b"x-one: more\r\n"),
        must(TOO_LARGE, TOO_MUCH),
    ),
    answer(
        "endless-reason",
        &[Words("HTTP/1.1 200 ")],
        End::Flood(b"because "),
        must(TOO_LARGE, TOO_MUCH),
    ),
    answer(
        "endless-status-line",
        &[Words("HTTP/1.1 ")],
        End::Flood(b"2"),
        must(&["protocol", "too_large"], ""),
    ),
    answer("endless-nothing", &[], End::Flood(b"\r\n"), must(&["too_large", "protocol"], "")),
    answer(
        "interim-for-ever",
        &[],
        End::Flood(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"),
        must(TOO_LARGE, TOO_MUCH),
    ),
    answer(
        "interim-drip",
        &[],
        End::Drip(b"HTTP/1.1 100 Continue\r\n\r\n"),
        must(TIMEOUT, IN_HEAD),
    ),
    answer(
        "switching-protocols",
        &[Words("HTTP/1.1 101 Now\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n")],
        End::Flood(b"\x81\x02hi"),
        must(STATUS, "status 101"),
    ),
    answer("status-000", &[Words("HTTP/1.1 000 Zero\r\n\r\n")], End::Close, must(PROTOCOL, "")),
    answer("status-99", &[Words("HTTP/1.1 99 Low\r\n\r\n")], End::Close, must(PROTOCOL, "")),
    answer("status-1000", &[Words("HTTP/1.1 1000 High\r\n\r\n")], End::Close, must(PROTOCOL, "")),
    answer("status-minus", &[Words("HTTP/1.1 -20 Minus\r\n\r\n")], End::Close, must(PROTOCOL, "")),
    answer(
        "status-999",
        &[Words("HTTP/1.1 999 Most\r\ncontent-length: 0\r\n\r\n")],
        End::Close,
        must(STATUS, "status 999"),
    ),
    answer("http-0.9", &[Words("<h1>hello</h1>\r\n")], End::Close, must(PROTOCOL, NO_HTTP)),
    answer("http-3.7", &[Words("HTTP/3.7 200 OK\r\n\r\n")], End::Close, must(PROTOCOL, NO_HTTP)),
    answer("icy", &[Words("ICY 200 OK\r\n\r\n")], End::Flood(b"music"), must(PROTOCOL, NO_HTTP)),
    answer("garbage", &[], End::Flood(b"\xfe\x00\x9d\x07\x13\x80"), must(PROTOCOL, NO_HTTP)),
    answer("zeros", &[], End::Flood(&[0; 1024]), must(PROTOCOL, NO_HTTP)),
    answer(
        "nul-in-reason",
        &[Words("HTTP/1.1 200 O\0K\r\n"), Words(BODY)],
        End::Close,
        must(PROTOCOL, NO_HTTP),
    ),
    answer(
        "ansi-in-reason",
        &[Words("HTTP/1.1 200 \x1b[2J\x1b]0;gone\x07\r\n"), Words(BODY)],
        End::Close,
        must(PROTOCOL, NO_HTTP),
    ),
    answer(
        "no-utf8-in-reason",
        &[Bytes(b"HTTP/1.1 500 \xff\xfe\xc3\r\n"), Words(BODY)],
        End::Close,
        must(STATUS, "status 500, expected 200"),
    ),
    answer(
        "nul-in-header",
        &[Words(GOOD), Words("x-nul: a\0b\r\n"), Words(BODY)],
        End::Close,
        must(PROTOCOL, NO_HTTP),
    ),
    answer(
        "ansi-in-header",
        &[Words(GOOD), Words("x-ansi: \x1b[31mred\r\n"), Words(BODY)],
        End::Close,
        must(PROTOCOL, NO_HTTP),
    ),
    answer(
        "no-utf8-in-header",
        &[Words(GOOD), Bytes(b"x-odd: \xff\xfe\xc3\r\n"), Words(BODY)],
        End::Close,
        must(OK, ""),
    ),
    answer(
        "header-without-name",
        &[Words(GOOD), Words(": nobody\r\n"), Words(BODY)],
        End::Close,
        must(PROTOCOL, NO_HTTP),
    ),
    answer(
        "h2-settings",
        &[Bytes(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")],
        End::Silence,
        must(PROTOCOL, NO_HTTP),
    ),
    answer(
        "h2-preface",
        &[Words("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")],
        End::Silence,
        must(PROTOCOL, NO_HTTP),
    ),
    answer(
        "h2-goaway",
        &[Bytes(b"\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0b")],
        End::Close,
        must(PROTOCOL, NO_HTTP),
    ),
    answer(
        "h2-resets",
        &[],
        End::Flood(b"\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x08"),
        must(PROTOCOL, NO_HTTP),
    ),
    answer(
        "h2-continuations",
        &[Bytes(b"\x00\x00\x01\x01\x00\x00\x00\x00\x01\x88")],
        End::Flood(b"\x00\x00\x01\x09\x00\x00\x00\x00\x01\x00"),
        must(PROTOCOL, NO_HTTP),
    ),
    spoken_to("http2-unknown", &[Bytes(SETTINGS)], End::Flood(&UNKNOWN), must(TOO_LARGE, TOO_MUCH)),
    spoken_to(
        "http2-continuations",
        &[Bytes(SETTINGS), Bytes(b"\x00\x00\x01\x01\x00\x00\x00\x00\x01\x88")],
        End::Flood(&CONTINUATION),
        must(TOO_LARGE, TOO_MUCH),
    ),
    spoken_to(
        "http2-reset",
        &[Bytes(SETTINGS), Bytes(b"\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x08")],
        End::Silence,
        must(PROTOCOL, ""),
    ),
    spoken_to("http2-silence", &[Bytes(SETTINGS)], End::Silence, must(TIMEOUT, IN_HEAD)),
    answer("closed-unanswered", &[], End::Close, must(PROTOCOL, "was closed before")),
    answer("closed-in-head", &[Words(GOOD)], End::Close, must(PROTOCOL, "was closed before")),
    answer("reset-unanswered", &[], End::Reset, must(CONNECT, "was reset before")),
    answer("reset-in-head", &[Words(GOOD)], End::Reset, must(CONNECT, "was reset before")),
];
