//! Bodies, and what is said of them: lengths that lie, chunks that are none, bombs, and no end.

use super::{End, Kind, OK, PROTOCOL, Part, TIMEOUT, answer, must};
use Part::{Bytes, Words};

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
const UNTIL_CLOSED: &str = "HTTP/1.1 200 OK\r\n\r\n";
const IN_BODY: &str = "while reading the";
const BROKEN: &str = "the body is broken";
const EARLY: &str = "the body ended too early";
const NO_HTTP: &str = "not HTTP/1.1";

/// A header of gzip, and the beginning of a block that never ends.
const GZIP: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x62";
/// Thirteen bytes that stand for two thousand zeros.
const GZIP_MORE: &[u8] = b"\x18\x05\xa3\x60\x14\x8c\x82\x51\x30\x0a\x46\xc1\x28";
/// A hundred million zeros, as brotli has them.
const BROTLI: &[u8] = &[
    0xcf, 0xff, 0xff, 0x7f, 0x00, 0x24, 0x00, 0xe2, 0xb1, 0x40, 0x72, 0xef, 0xff, 0x9f, 0xff, 0xff,
    0x0f, 0x80, 0x04, 0x40, 0x1c, 0x16, 0x80, 0xee, 0xfd, 0x3f, 0xff, 0xff, 0xff, 0x01, 0x90, 0x00,
    0x88, 0xc3, 0x02, 0xd0, 0xbd, 0xff, 0xe7, 0xff, 0xff, 0x3f, 0x00, 0x12, 0x00, 0x71, 0x58, 0x00,
    0xba, 0xf7, 0xff, 0xfc, 0xff, 0xff, 0x07, 0x40, 0x02, 0x20, 0x0e, 0x0b, 0x40, 0xf7, 0xfe, 0x3f,
    0xff, 0xc1, 0xeb, 0x01, 0x48, 0x00, 0xc4, 0x61, 0x01, 0xe8, 0x62, 0xd7, 0x03,
];

pub(super) const KINDS: &[Kind] = &[
    answer("body-drip", &[Words(UNTIL_CLOSED)], End::Drip(b"drop"), must(TIMEOUT, IN_BODY)),
    answer("endless-body", &[Words(UNTIL_CLOSED)], End::Flood(&[b'x'; 4096]), must(OK, "")),
    answer(
        "silent-body",
        &[Words("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n")],
        End::Silence,
        must(TIMEOUT, IN_BODY),
    ),
    answer("unending-body", &[Words(UNTIL_CLOSED)], End::Silence, must(TIMEOUT, IN_BODY)),
    answer(
        "gzip-bomb",
        &[Words("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n"), Bytes(GZIP)],
        End::Flood(GZIP_MORE),
        must(OK, ""),
    ),
    answer(
        "brotli-bomb",
        &[
            Words("HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 77\r\n\r\n"),
            Bytes(BROTLI),
        ],
        End::Close,
        must(OK, ""),
    ),
    answer(
        "gzip-as-transfer",
        &[Words("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n"), Bytes(GZIP)],
        End::Flood(GZIP_MORE),
        must(OK, ""),
    ),
    answer(
        "length-too-long",
        &[Words("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort")],
        End::Close,
        must(PROTOCOL, EARLY),
    ),
    answer(
        "length-too-short",
        &[Words("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok and more")],
        End::Flood(b"and more"),
        must(OK, ""),
    ),
    answer(
        "length-negative",
        &[Words("HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nshort")],
        End::Close,
        must(PROTOCOL, NO_HTTP),
    ),
    answer(
        "length-of-words",
        &[Words("HTTP/1.1 200 OK\r\ncontent-length: five\r\n\r\nshort")],
        End::Close,
        must(PROTOCOL, NO_HTTP),
    ),
    answer(
        "length-beyond-numbers",
        &[Words("HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nshort")],
        End::Close,
        must(PROTOCOL, NO_HTTP),
    ),
    answer(
        "length-enormous",
        &[Words("HTTP/1.1 200 OK\r\ncontent-length: 9223372036854775807\r\n\r\n")],
        End::Flood(&[b'x'; 4096]),
        must(OK, ""),
    ),
    answer(
        "two-lengths",
        &[Words("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok!")],
        End::Close,
        must(PROTOCOL, NO_HTTP),
    ),
    answer(
        "transfer-nonsense",
        &[Words("HTTP/1.1 200 OK\r\ntransfer-encoding: \x7f, ,chunked;q=-1, x\r\n\r\n")],
        End::Close,
        must(PROTOCOL, NO_HTTP),
    ),
    answer(
        "chunk-no-size",
        &[Words(CHUNKED), Words("zz\r\nhello\r\n")],
        End::Silence,
        must(PROTOCOL, BROKEN),
    ),
    answer(
        "chunk-beyond-numbers",
        &[Words(CHUNKED), Words("fffffffffffffffffffff\r\n")],
        End::Flood(b"x"),
        must(PROTOCOL, BROKEN),
    ),
    answer(
        "chunk-negative",
        &[Words(CHUNKED), Words("-1\r\n")],
        End::Flood(b"x"),
        must(PROTOCOL, BROKEN),
    ),
    answer(
        "chunk-enormous",
        &[Words(CHUNKED), Words("7fffffffffffffff\r\n")],
        End::Flood(&[b'x'; 4096]),
        must(OK, ""),
    ),
    answer(
        "chunk-without-end-of-line",
        &[Words(CHUNKED), Words("2\r\nokay")],
        End::Silence,
        must(PROTOCOL, BROKEN),
    ),
    answer(
        "chunk-extensions",
        &[Words(CHUNKED), Words("2;")],
        End::Flood(b"extended"),
        must(PROTOCOL, BROKEN),
    ),
    answer("chunk-size-for-ever", &[Words(CHUNKED)], End::Flood(b"0"), must(OK, "")),
    answer("chunk-drip", &[Words(CHUNKED)], End::Drip(b"1\r\nx\r\n"), must(TIMEOUT, IN_BODY)),
    answer("tiny-chunks", &[Words(CHUNKED)], End::Flood(b"1\r\nx\r\n"), must(OK, "")),
    answer(
        "trailers-for-ever",
        &[Words(CHUNKED), Words("2\r\nok\r\n0\r\n")],
        End::Flood(b"x-one: more\r\n"),
        must(PROTOCOL, BROKEN),
    ),
    answer(
        "trailer-drip",
        &[Words(CHUNKED), Words("2\r\nok\r\n0\r\n")],
        End::Drip(b"x-one: more\r\n"),
        must(TIMEOUT, IN_BODY),
    ),
    answer(
        "closed-in-chunk",
        &[Words(CHUNKED), Words("9\r\nshort")],
        End::Close,
        must(PROTOCOL, EARLY),
    ),
    answer(
        "reset-in-body",
        &[Words("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort"), Part::Wait(50)],
        End::Reset,
        must(PROTOCOL, "reset in the middle of the body"),
    ),
];
