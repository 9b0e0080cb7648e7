//! Thirty situations that are judged by another program as well, and why the two differ where they do.

use super::{End, Kind, OK, Part, STATUS, answer, must};
use Part::Words;

const BODY: &str = "content-length: 2\r\n\r\nok";

/// What is met every day; no harm is meant. The checks of the lab expect 200.
pub(super) const KINDS: &[Kind] = &[
    answer("well", &[Words("HTTP/1.1 200 OK\r\n"), Words(BODY)], End::Close, must(OK, "")),
    answer("no-content", &[Words("HTTP/1.1 204 None\r\n\r\n")], End::Close, must(STATUS, "204")),
    answer("not-modified", &[Words("HTTP/1.1 304 Same\r\n\r\n")], End::Close, must(STATUS, "304")),
    answer(
        "not-found",
        &[Words("HTTP/1.1 404 No\r\n"), Words(BODY)],
        End::Close,
        must(STATUS, "404"),
    ),
    answer("ill", &[Words("HTTP/1.1 500 Ill\r\n"), Words(BODY)], End::Close, must(STATUS, "500")),
    answer("busy", &[Words("HTTP/1.1 503 Busy\r\n"), Words(BODY)], End::Close, must(STATUS, "503")),
    answer(
        "old-and-well",
        &[Words("HTTP/1.0 200 OK\r\n\r\nuntil the end")],
        End::Close,
        must(OK, ""),
    ),
];

/// In the order in which they are told.
pub const SITUATIONS: [&str; 30] = [
    "well",
    "no-content",
    "old-and-well",
    "not-modified",
    "not-found",
    "ill",
    "busy",
    "nobody-there",
    "closed-unanswered",
    "reset-unanswered",
    "silence",
    "half-a-head",
    "garbage",
    "icy",
    "status-99",
    "status-999",
    "nul-in-header",
    "some-more-headers",
    "many-headers",
    "length-too-long",
    "two-lengths",
    "closed-in-chunk",
    "reset-in-body",
    "silent-body",
    "endless-body",
    "gzip-bomb",
    "redirect-loop",
    "redirect-nowhere",
    "tls-expired",
    "plain-http-for-tls",
];

/// Where Pulse and the exporter differ, and why.
pub const EXPLAINED: &[(&str, &str)] = &[
    (
        "nul-in-header",
        "a NUL in a header's value is no HTTP (RFC 9110, section 5.5); Go lets it pass",
    ),
    ("many-headers", "600 headers: Pulse takes 500 and 256 KiB, Go takes any number in 1 MiB"),
    ("endless-body", "Pulse reads 64 KiB and is content, the exporter reads on until its timeout"),
    (
        "gzip-bomb",
        "Pulse reads 64 KiB, and inflates them for who asks; the exporter reads on until its timeout",
    ),
];
