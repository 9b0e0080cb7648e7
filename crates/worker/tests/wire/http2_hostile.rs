//! Servers that speak HTTP/2 badly, frame by frame, and what they can cost: the deadline, half a
//! megabyte, and nothing else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pulse_core::models::http_version::HttpVersion;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::run::{FailClass, Outcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::looking::Look;
use crate::servers::{FOR_EVER, Server};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const ACK: u8 = 1;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
/// `:status: 200` as HPACK has it in its static table (RFC 7541, appendix A).
pub const STATUS_200: u8 = 0x88;

/// RFC 9113, section 4.1.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

pub fn settings() -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[])
}

/// A header as HPACK's literal without indexing (RFC 7541, section 6.2.2).
pub fn literal(name: &str, value: &str) -> Vec<u8> {
    [&[0], &*text(name), &*text(value)].concat()
}

fn text(text: &str) -> Vec<u8> {
    let mut coded = Vec::new();
    let mut left = text.len();
    if left < 127 {
        coded.push(u8::try_from(left).unwrap());
    } else {
        coded.push(127);
        left -= 127;
        while left >= 128 {
            coded.push(u8::try_from(left % 128).unwrap() | 128);
            left /= 128;
        }
        coded.push(u8::try_from(left).unwrap());
    }
    coded.extend(text.as_bytes());
    coded
}

/// A whole answer with this status, these headers and this body.
pub fn response(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = literal(":status", status);
    head.extend(headers.iter().flat_map(|(name, value)| literal(name, value)));
    let head = frame(HEADERS, END_HEADERS, 1, &head);
    [settings(), head, frame(DATA, END_STREAM, 1, body)].concat()
}

pub fn redirect_to(location: &str) -> Vec<u8> {
    response("302", &[("location", location)], b"")
}

/// Says these bytes to whoever comes, and then nothing more.
pub async fn answering(bytes: impl FnOnce() -> Vec<u8>) -> Server {
    saying(bytes(), Vec::new(), None).await
}

/// Says `first` once and `then` for ever, as fast as it can or with a pause; nothing when that is
/// nothing. What it is told is read and thrown away.
async fn saying(first: Vec<u8>, then: Vec<u8>, pause: Option<Duration>) -> Server {
    let (first, then): (Arc<[u8]>, Arc<[u8]>) = (first.into(), then.into());
    Server::raw(move |stream| {
        let (first, then) = (Arc::clone(&first), Arc::clone(&then));
        async move {
            let (mut reading, mut writing) = stream.into_split();
            let deaf = async move {
                let mut told = [0; 4096];
                while reading.read(&mut told).await.is_ok_and(|read| read > 0) {}
            };
            let talk = async move {
                let _gone = writing.write_all(&first).await;
                while !then.is_empty() && writing.write_all(&then).await.is_ok() {
                    if let Some(pause) = pause {
                        tokio::time::sleep(pause).await;
                    }
                }
                tokio::time::sleep(FOR_EVER).await;
            };
            tokio::select! { () = deaf => {}, () = talk => {} }
        }
    })
    .await
}

fn two(server: &Server) -> Look {
    let spec = ProbeSpec { http_version: HttpVersion::Two, ..ProbeSpec::at(server.url()) };
    Look::with(spec).within(3_000)
}

fn go_away(last: u32, reason: u32) -> Vec<u8> {
    let payload = [last.to_be_bytes(), reason.to_be_bytes()].concat();
    frame(GO_AWAY, 0, 0, &[&payload, "leak \u{1b}[31m".as_bytes()].concat())
}

#[tokio::test]
async fn an_answer_made_by_hand_is_read() {
    let server = answering(|| response("200", &[("x-a", "b")], b"hello")).await;

    let (outcome, seen, evidence) = two(&server).closely().await;

    assert_eq!(outcome, Outcome::Ok, "{seen:?}");
    assert_eq!(evidence.reply.as_deref(), Some("hello"));
    assert_eq!(evidence.headers, [("x-a".to_owned(), "b".to_owned())]);
}

#[tokio::test]
async fn a_server_that_gives_up_says_why_and_is_not_quoted() {
    let begun = [settings(), frame(HEADERS, END_HEADERS, 1, &[STATUS_200])].concat();
    let reset = |reason: u32| frame(RESET, 0, 1, &reason.to_be_bytes());
    for (said, sentence) in [
        ([settings(), reset(7)].concat(), "the server refused the request: REFUSED_STREAM"),
        (
            [settings(), go_away(0, 11)].concat(),
            "the server ended the connection before a response came: ENHANCE_YOUR_CALM",
        ),
        ([begun.clone(), reset(2)].concat(), "the server broke the body off: INTERNAL_ERROR"),
        ([begun.clone(), go_away(0, 2)].concat(), "the server broke the body off: INTERNAL_ERROR"),
        (response("200", &[("content-length", "10")], b"short"), "the body is broken"),
        (
            [settings(), frame(DATA, 0, 1, b"no head")].concat(),
            "what came back is not HTTP/2: PROTOCOL_ERROR",
        ),
        (
            [settings(), frame(HEADERS, END_HEADERS, 1, &[0xff; 40])].concat(),
            "what came back is not HTTP/2: PROTOCOL_ERROR",
        ),
        (
            [settings(), frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2, 0x82, 0x87, 0x84])]
                .concat(),
            "what came back is not HTTP/2: PROTOCOL_ERROR",
        ),
        (
            b"SSH-2.0-x\r\nand more of it\r\n".to_vec(),
            "what came back is not HTTP/2: FRAME_SIZE_ERROR",
        ),
    ] {
        let server = answering(|| said).await;

        assert_eq!(two(&server).expect_fail(FailClass::Protocol).await, sentence);
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_is_told_from_one_that_is_silent() {
    let begun = [settings(), frame(HEADERS, END_HEADERS, 1, &[STATUS_200])].concat();
    for (said, sentence) in [
        (settings(), "the connection was closed before a whole response came"),
        (settings()[..5].to_vec(), "the connection was closed before a whole response came"),
        (begun.clone(), "the body ended too early"),
    ] {
        let silent = answering(|| said.clone()).await;
        let closing = Server::raw(move |mut stream| {
            let said = said.clone();
            async move {
                let mut told = [0; 4096];
                let _asked = stream.read(&mut told).await;
                let _gone = stream.write_all(&said).await;
                let _closed = stream.shutdown().await;
                while stream.read(&mut told).await.is_ok_and(|read| read > 0) {}
            }
        })
        .await;

        assert_eq!(two(&closing).expect_fail(FailClass::Protocol).await, sentence);
        let told = two(&silent).within(200).expect_fail(FailClass::Timeout).await;
        assert!(told.starts_with("timed out after 200 ms while "), "{told}");
    }
}

#[tokio::test]
async fn floods_end_early_and_in_the_right_class() {
    let head = |flags| frame(HEADERS, flags, 1, &[STATUS_200]);
    let interim = frame(HEADERS, END_HEADERS, 1, &literal(":status", "103"));
    let large = literal("x", &"v".repeat(16_000));
    // One large value in the table of the peer, said again by a single byte each time.
    let bomb = [&[0x88, 0x40], &*text("x"), &*text(&"v".repeat(4_000)), &[0xbe; 12_000]].concat();
    for (what, first, then) in [
        ("settings", settings(), settings()),
        ("pings", settings(), frame(PING, 0, 0, &[0; 8])),
        ("window updates", settings(), frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])),
        ("unknown frames", settings(), frame(0x77, 0, 0, &[0; 8_000])),
        ("interim answers", settings(), interim),
        ("continuations", [settings(), head(0)].concat(), frame(CONTINUATION, 0, 1, &large)),
        ("empty continuations", [settings(), head(0)].concat(), frame(CONTINUATION, 0, 1, &[])),
        ("a bomb", [settings(), frame(HEADERS, END_HEADERS, 1, &bomb)].concat(), Vec::new()),
    ] {
        let server = saying(first, then, None).await;
        let began = Instant::now();

        let (outcome, seen) = two(&server).within(20_000).once().await;

        assert_eq!(outcome, Outcome::Fail(FailClass::TooLarge), "{what}: {seen:?}");
        let told = seen.error.unwrap();
        assert_eq!(told, "the response's head is over 256 KiB or 500 headers", "{what}");
        assert!(began.elapsed() < Duration::from_secs(15), "{what}: {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn heads_up_to_the_limit_pass_and_beyond_it_are_too_large() {
    let head = |headers: Vec<u8>| {
        let block = [vec![STATUS_200], headers].concat();
        let mut pieces = block.chunks(16_000).peekable();
        let mut said = settings();
        let mut kind = HEADERS;
        while let Some(piece) = pieces.next() {
            let flags = if pieces.peek().is_none() { END_HEADERS } else { 0 };
            said.extend(frame(kind, flags, 1, piece));
            kind = CONTINUATION;
        }
        [said, frame(DATA, END_STREAM, 1, b"ok")].concat()
    };
    let large = |kib: usize| literal("x", &"v".repeat(kib * 1024));
    let many = |count: usize| literal("x-header", "v").repeat(count);

    for good in [large(100), large(250), many(400)] {
        let server = answering(|| head(good)).await;
        two(&server).expect_ok().await;
    }
    for bad in [large(257), large(400), many(501)] {
        let server = answering(|| head(bad)).await;
        two(&server).expect_fail(FailClass::TooLarge).await;
    }
}

#[tokio::test]
async fn of_a_body_64_kib_are_awaited_and_not_a_byte_more() {
    // There is room for more than usual only once the server has taken our settings.
    let taken = frame(SETTINGS, ACK, 0, &[]);
    let begun = [settings(), taken, frame(HEADERS, END_HEADERS, 1, &[STATUS_200])].concat();
    let piece = frame(DATA, 0, 1, &[b'x'; 16 * 1024]);
    let enough = answering(|| [&*begun, &*piece.repeat(4)].concat()).await;
    let too_much = saying(begun.clone(), piece.clone(), None).await;
    let one_less = frame(DATA, 0, 1, &[b'x'; 16 * 1024 - 1]);
    let too_little = answering(|| [&*begun, &*piece.repeat(3), &*one_less].concat()).await;
    let crumbs = saying(begun.clone(), frame(DATA, 0, 1, b"x"), None).await;
    let nothings = saying(begun, frame(DATA, 0, 1, b""), None).await;

    two(&enough).expect_ok().await;
    two(&too_much).expect_ok().await;
    two(&too_little).within(300).expect_fail(FailClass::Timeout).await;
    two(&crumbs).expect_ok().await;
    // Frames that say nothing are no body that anybody would send.
    let (outcome, seen) = two(&nothings).once().await;
    assert!(matches!(outcome, Outcome::Ok | Outcome::Fail(FailClass::Protocol)), "{seen:?}");
}

#[tokio::test]
async fn what_drips_ends_at_the_deadline() {
    let begun = [settings(), frame(HEADERS, END_HEADERS, 1, &[STATUS_200])].concat();
    let pause = Some(Duration::from_millis(5));
    let body = saying(begun, frame(DATA, 0, 1, b"x"), pause).await;
    let pings = saying(settings(), frame(PING, 0, 0, &[0; 8]), pause).await;

    let (outcome, seen) = two(&body).within(1_000).once().await;
    assert_eq!((outcome, seen.status_code), (Outcome::Fail(FailClass::Timeout), Some(200)));
    assert_eq!(seen.error.as_deref(), Some("timed out after 1000 ms while reading the answer"));
    let (outcome, seen) = two(&pings).within(1_000).once().await;
    assert_eq!(outcome, Outcome::Fail(FailClass::Timeout));
    assert!((1_000_000..3_000_000).contains(&seen.phases.total_us.unwrap()));
}

#[tokio::test]
async fn noise_of_any_kind_ends_in_an_outcome() {
    let mut state = 7_u64;
    let mut noise = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    for turn in 0..150 {
        let payload: Vec<u8> = (0..noise()).map(|_| noise()).collect();
        let said: Vec<u8> = match turn % 3 {
            0 => payload,
            1 => [settings(), frame(noise() % 11, noise(), u32::from(noise() % 3), &payload)]
                .concat(),
            _ => [settings(), frame(HEADERS, END_HEADERS, 1, &[&[STATUS_200], &*payload].concat())]
                .concat(),
        };
        let server = answering(|| said).await;

        let (outcome, seen) = two(&server).within(150).once().await;

        assert!(matches!(outcome, Outcome::Fail(_) | Outcome::Ok), "{seen:?}");
        assert!(seen.error.is_none_or(|error| error.len() <= 500));
    }
}
