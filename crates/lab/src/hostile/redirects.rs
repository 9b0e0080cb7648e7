//! Answers that lead astray.

use super::{
    After, CONNECT, Door, End, Kind, PROTOCOL, Paper, Part, STATUS, TIMEOUT, TLS, Talk, answer,
    must,
};
use Part::{Bytes, Many, Wait, Words};

const FOUND: &str = "HTTP/1.1 302 Found\r\ncontent-length: 0\r\nlocation: ";
const END: &str = "\r\n\r\n";
const TOO_OFTEN: &str = "redirected more than";
const NOWHERE: &str = "points to no address that can be looked at";

pub(super) const KINDS: &[Kind] = &[
    answer(
        "redirect-to-itself",
        &[Words(FOUND), Words(END)],
        End::Close,
        must(PROTOCOL, TOO_OFTEN),
    ),
    answer(
        "redirect-loop",
        &[Words(FOUND), Words("/again"), Words(END)],
        End::Close,
        must(PROTOCOL, TOO_OFTEN),
    ),
    answer(
        "redirect-chain",
        &[Words(FOUND), Words("deeper/"), Words(END)],
        End::Close,
        must(PROTOCOL, TOO_OFTEN),
    ),
    answer(
        "redirect-with-endless-body",
        &[Words("HTTP/1.1 307 On\r\nlocation: /on\r\n\r\n")],
        End::Flood(&[b'x'; 4096]),
        must(PROTOCOL, TOO_OFTEN),
    ),
    answer(
        "redirect-very-far",
        &[Words(FOUND), Words("/"), Many("far/", 5_000), Words(END)],
        End::Close,
        must(PROTOCOL, NOWHERE),
    ),
    answer(
        "redirect-to-ftp",
        &[Words(FOUND), Words("ftp://127.0.0.1/"), Words(END)],
        End::Close,
        must(PROTOCOL, NOWHERE),
    ),
    answer(
        "redirect-to-file",
        &[Words(FOUND), Words("file:///etc/passwd"), Words(END)],
        End::Close,
        must(PROTOCOL, NOWHERE),
    ),
    answer(
        "redirect-to-script",
        &[Words(FOUND), Words("javascript:alert(1)"), Words(END)],
        End::Close,
        must(PROTOCOL, NOWHERE),
    ),
    answer(
        "redirect-to-no-url",
        &[Words(FOUND), Words("http://[::1"), Words(END)],
        End::Close,
        must(PROTOCOL, NOWHERE),
    ),
    answer(
        "redirect-to-no-utf8",
        &[Words(FOUND), Bytes(b"/\xff\xfe"), Words(END)],
        End::Close,
        must(PROTOCOL, NOWHERE),
    ),
    answer(
        "redirect-to-nobody",
        &[Words(FOUND), Words("http://127.0.0.1:1/"), Words(END)],
        End::Close,
        must(CONNECT, "the connection was refused"),
    ),
    answer(
        "redirect-nowhere",
        &[Words("HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n")],
        End::Close,
        must(STATUS, "status 302"),
    ),
    answer(
        "redirect-slowly",
        &[Wait(900), Words(FOUND), Words("on/"), Words(END)],
        End::Close,
        must(TIMEOUT, "timed out after"),
    ),
    Kind {
        name: "redirect-to-plain",
        scheme: "https",
        door: Door::Secured(
            Paper::Good,
            Talk {
                after: After::Request,
                says: &[Words(FOUND), Words("https://127.0.0.2:1/"), Words(END)],
                then: End::Close,
            },
        ),
        must: must(CONNECT, "the connection was refused"),
    },
    Kind {
        name: "redirect-behind-an-expired-certificate",
        scheme: "https",
        door: Door::Secured(
            Paper::Expired,
            Talk {
                after: After::Request,
                says: &[Words(FOUND), Words("/"), Words(END)],
                then: End::Close,
            },
        ),
        must: must(TLS, "the certificate expired on"),
    },
];
