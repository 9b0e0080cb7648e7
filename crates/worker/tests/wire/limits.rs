//! What a hostile server can cost: the deadline, 64 KiB of body and a head, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pulse_core::models::address::AddressPolicy;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::run::{FailClass, Outcome};
use pulse_worker::egress::Egress;
use pulse_worker::probes::{Prepared, Probes};
use rustls::RootCertStore;
use tokio::io::AsyncWriteExt;

use crate::looking::{Look, PLENTY, get};
use crate::servers::Server;

/// Answers `head`, then `part` again and again, as fast as it can or with a pause, for ever.
async fn endless(
    head: &'static str,
    part: Vec<u8>,
    pause: Option<Duration>,
) -> (Server, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let part: Arc<[u8]> = part.into();
    let server = Server::after_request(move |mut stream| {
        let (sent, part) = (Arc::clone(&counted), Arc::clone(&part));
        async move {
            stream.write_all(head.as_bytes()).await.unwrap();
            while stream.write_all(&part).await.is_ok() {
                sent.fetch_add(part.len(), Ordering::Relaxed);
                if let Some(pause) = pause {
                    tokio::time::sleep(pause).await;
                }
            }
        }
    })
    .await;
    (server, sent)
}

#[tokio::test]
async fn an_endless_body_is_read_as_far_as_64_kib_and_is_no_failure() {
    let chunk = format!("2000\r\n{}\r\n", "x".repeat(0x2000)).into_bytes();
    let cases = [
        ("HTTP/1.1 200 OK\r\n\r\n", vec![b'x'; 8192]),
        ("HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n", vec![b'x'; 8192]),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", chunk),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n".to_vec()),
    ];
    for (head, part) in cases {
        let (server, _) = endless(head, part, None).await;
        let began = Instant::now();

        let seen = Look::at(server.url()).expect_ok().await;

        assert_eq!(seen.status_code, Some(200));
        assert!(began.elapsed() < Duration::from_secs(3), "{head:?}: {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn of_a_body_64_kib_are_awaited_and_not_a_byte_more() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
    let enough = Server::stalling_after(head.to_owned() + &"x".repeat(64 * 1024)).await;
    let too_little = Server::stalling_after(head.to_owned() + &"x".repeat(64 * 1024 - 1)).await;

    Look::at(enough.url()).expect_ok().await;
    Look::at(too_little.url()).within(300).expect_fail(FailClass::Timeout).await;
}

#[tokio::test]
async fn a_dripping_body_ends_at_the_deadline() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
    let (server, _) = endless(head, b"x".to_vec(), Some(Duration::from_millis(5))).await;

    let (outcome, seen) = Look::at(server.url()).within(1_000).once().await;

    assert_eq!(outcome, Outcome::Fail(FailClass::Timeout));
    assert_eq!(seen.error.as_deref(), Some("timed out after 1000 ms while reading the answer"));
    assert_eq!(seen.status_code, Some(200));
    assert!((1_000_000..3_000_000).contains(&seen.phases.total_us.unwrap()));
}

#[tokio::test]
async fn a_dripping_head_ends_at_the_deadline() {
    let (server, _) =
        endless("HTTP/1.1 200 OK\r\n", b"a: b\r\n".to_vec(), Some(Duration::from_millis(5))).await;

    let (outcome, seen) = Look::at(server.url()).within(300).once().await;

    assert_eq!(outcome, Outcome::Fail(FailClass::Timeout));
    assert_eq!(
        seen.error.as_deref(),
        Some("timed out after 300 ms while waiting for the first byte")
    );
}

#[tokio::test]
async fn a_flood_instead_of_a_head_is_too_large() {
    let cases = [
        ("HTTP/1.1 200 OK\r\n", b"a: b\r\n".to_vec()),
        ("HTTP/1.1 200 OK\r\na: ", vec![b'x'; 8192]),
        ("", b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec()),
    ];
    for (head, part) in cases {
        let (server, sent) = endless(head, part, None).await;
        let began = Instant::now();

        let sentence = Look::at(server.url()).expect_fail(FailClass::TooLarge).await;

        assert_eq!(sentence, "the response's head is over 256 KiB or 500 headers");
        assert!(began.elapsed() < Duration::from_secs(3), "{head:?}: {:?}", began.elapsed());
        // What was sent beyond the limits sat in the sockets' buffers.
        assert!(sent.load(Ordering::Relaxed) < 32 * 1024 * 1024);
    }
}

#[tokio::test]
async fn big_heads_that_exist_in_the_wild_pass() {
    let many = "x-header: value\r\n".repeat(400);
    let large = format!("set-cookie: {}\r\n", "x".repeat(100 * 1024));
    for headers in [many, large] {
        let server =
            Server::answering(format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{headers}\r\n"))
                .await;

        Look::at(server.url()).expect_ok().await;
    }
}

#[tokio::test]
async fn more_headers_than_usual_are_asked_for_again_once_and_never_of_what_changes_something() {
    let many = "x-header: value\r\n".repeat(400);
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{many}\r\n");
    for (method, requests) in [("GET", 3), ("POST", 2)] {
        let server = Server::answering(answer.clone()).await;
        let spec = ProbeSpec { method: method.to_owned(), ..get(server.url()) };
        let target = Prepared::new(&spec).unwrap();
        let probe = Probes::default();

        for _ in 0..2 {
            let egress = Egress::with_roots(RootCertStore::empty(), AddressPolicy::open()).unwrap();
            let sight = probe.look(&egress, &target, None, PLENTY).await;
            assert_eq!(sight.ended, Ok(()));
            assert_eq!(sight.observation.status_code, Some(200));
        }

        assert_eq!(server.requests.all().len(), requests, "{method}");
    }
}

#[tokio::test]
async fn heads_beyond_the_limits_are_too_large() {
    let many = "x-header: value\r\n".repeat(600);
    let large = format!("set-cookie: {}\r\n", "x".repeat(300 * 1024));
    for headers in [many, large] {
        let server =
            Server::answering(format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{headers}\r\n"))
                .await;

        Look::at(server.url()).expect_fail(FailClass::TooLarge).await;
    }
}

#[tokio::test]
async fn noise_of_any_kind_ends_in_an_outcome() {
    let mut state = 42_u64;
    for turn in 0..200 {
        let noise: Vec<u8> = (0..400)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                state.to_be_bytes()[0]
            })
            .collect();
        let answer = if turn % 2 == 0 {
            [b"HTTP/1.1 200 OK\r\n".as_slice(), &noise].concat()
        } else {
            noise
        };
        let server = Server::answering(answer).await;

        let (outcome, seen) = Look::at(server.url()).within(2000).once().await;

        assert!(matches!(outcome, Outcome::Fail(_) | Outcome::Ok), "{seen:?}");
        assert!(seen.error.is_none_or(|error| error.len() <= 500));
    }
}
