//! What a look over HTTP sees, and how it fails.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::HeaderValue;
use pulse_core::models::address::AddressPolicy;
use pulse_core::models::expected_status::ExpectedStatus;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::run::{FailClass, InconclusiveReason, Outcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::looking::{Look, PLENTY, get};
use crate::servers::{FOR_EVER, Server, full, header};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn a_good_answer_is_ok_and_every_phase_is_timed() {
    let server = Server::after_request(|mut stream| async move {
        tokio::time::sleep(Duration::from_millis(30)).await;
        stream.write_all(OK.as_bytes()).await.unwrap();
    })
    .await;

    let seen = Look::at(server.url()).expect_ok().await;

    assert_eq!(seen.status_code, Some(200));
    assert_eq!(seen.address, Some(IpAddr::from([127, 0, 0, 1])));
    let phases = seen.phases;
    assert_eq!((phases.dns_us, phases.tls_us), (None, None), "a literal, and no TLS");
    assert!((30_000..1_000_000).contains(&phases.first_byte_us.unwrap()), "{phases:?}");
    assert!(phases.connect_us.unwrap() < 1_000_000, "{phases:?}");
    assert!(phases.total_us >= phases.connect_us.zip(phases.first_byte_us).map(|(a, b)| a + b));
}

#[tokio::test]
async fn a_name_is_resolved_and_that_is_timed_too() {
    let server = Server::answering(OK).await;

    let seen = Look::at(format!("http://localhost:{}/", server.port())).expect_ok().await;

    assert!(seen.phases.dns_us.is_some());
    assert!(server.requests.only().contains(&format!("\r\nHost: localhost:{}\r\n", server.port())));
}

#[tokio::test]
async fn an_ipv6_literal_is_connected_to() {
    let Ok(server) = Server::on("[::1]:0", |mut stream: TcpStream| async move {
        crate::servers::read_request(&mut stream).await;
        stream.write_all(OK.as_bytes()).await.unwrap();
    })
    .await
    else {
        eprintln!("this machine has no IPv6: nothing to look at");
        return;
    };

    let seen = Look::at(server.url()).expect_ok().await;

    assert!(server.url().starts_with("http://[::1]:"));
    assert_eq!(seen.address, Some("::1".parse().unwrap()));
    assert_eq!(seen.phases.dns_us, None);
}

#[tokio::test]
async fn the_request_says_who_asks_and_no_more_than_it_must() {
    let server = Server::answering(OK).await;

    Look::at(format!("{}a/b?c=d#e", server.url())).expect_ok().await;

    let expected = format!(
        "GET /a/b?c=d HTTP/1.1\r\nHost: {}\r\nUser-Agent: Pulse/{}\r\nAccept: */*\r\n\
         Accept-Encoding: identity\r\nConnection: close\r\n\r\n",
        server.address,
        env!("CARGO_PKG_VERSION"),
    );
    assert_eq!(server.requests.only(), expected);
}

#[tokio::test]
async fn a_body_and_headers_are_sent_as_they_are() {
    let server = Server::answering(OK).await;
    let spec = ProbeSpec {
        method: "POST".to_owned(),
        headers: [("X-Key", "s e\tcret"), ("Accept", "text/plain"), ("content-type", "a/b")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        body: Some("{\"ä\": 1}".to_owned()),
        ..get(server.url())
    };

    Look::with(spec).expect_ok().await;

    let request = server.requests.only();
    assert!(request.starts_with("POST / HTTP/1.1\r\n"));
    assert!(request.ends_with("\r\n\r\n{\"ä\": 1}"));
    assert_eq!(header(&request, "x-key"), Some("s e\tcret"));
    assert_eq!(header(&request, "accept"), Some("text/plain"));
    assert_eq!(header(&request, "content-type"), Some("a/b"));
    assert_eq!(header(&request, "content-length"), Some("9"));
    assert_eq!(header(&request, "transfer-encoding"), None);
}

#[tokio::test]
async fn a_large_body_is_sent_whole() {
    let server = Server::answering(OK).await;
    let body = "x".repeat(64 * 1024);
    let spec =
        ProbeSpec { method: "PUT".to_owned(), body: Some(body.clone()), ..get(server.url()) };

    Look::with(spec).expect_ok().await;

    assert!(server.requests.only().ends_with(&body));
}

#[tokio::test]
async fn a_post_without_a_body_says_that_it_is_empty() {
    let server = Server::answering(OK).await;
    let spec = ProbeSpec { method: "POST".to_owned(), ..get(server.url()) };

    Look::with(spec).expect_ok().await;

    assert_eq!(header(&server.requests.only(), "content-length"), Some("0"));
}

#[tokio::test]
async fn a_run_names_itself_when_it_has_a_name() {
    let server = Server::answering(OK).await;

    Look { run: Some(HeaderValue::from_static("a:1:2")), ..Look::at(server.url()) }
        .expect_ok()
        .await;
    Look::at(server.url()).expect_ok().await;

    let requests = server.requests.all();
    assert_eq!(header(&requests[0], "pulse-run"), Some("a:1:2"));
    assert_eq!(header(&requests[1], "pulse-run"), None);
}

#[tokio::test]
async fn answers_without_a_body_are_whole_with_their_head() {
    let head = ProbeSpec { method: "HEAD".to_owned(), ..get("") };
    let cases = [
        (head, "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", 200),
        (get(""), "HTTP/1.1 204 No Content\r\n\r\n", 204),
        (get(""), "HTTP/1.1 304 Not Modified\r\ncontent-length: 1000\r\n\r\n", 304),
    ];
    for (spec, answer, status) in cases {
        let server = Server::stalling_after(answer).await;
        let spec = ProbeSpec {
            url: server.url(),
            expected_status: Some(ExpectedStatus::try_from(status).unwrap()),
            ..spec
        };

        let seen = Look::with(spec).expect_ok().await;

        assert_eq!(seen.status_code, Some(status));
    }
}

#[tokio::test]
async fn bodies_of_every_framing_are_read_to_their_end() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let until_close = "HTTP/1.1 200 OK\r\n\r\nok";
    let old = "HTTP/1.0 200 OK\r\n\r\nok";
    let interim =
        "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    for answer in [chunked, until_close, old, interim] {
        let server = Server::answering(answer).await;

        Look::at(server.url()).expect_ok().await;
    }
}

#[tokio::test]
async fn another_status_than_expected_is_told() {
    let server = Server::answering("HTTP/1.1 502 Bad\r\ncontent-length: 0\r\n\r\n").await;

    let any = Look::at(server.url()).expect_fail(FailClass::Status).await;
    let one = Look::with(ProbeSpec {
        expected_status: Some(ExpectedStatus::try_from(200).unwrap()),
        ..get(server.url())
    });
    let one = one.expect_fail(FailClass::Status).await;

    assert_eq!(
        (any.as_str(), one.as_str()),
        ("status 502, expected any 2xx", "status 502, expected 200")
    );
    let same = Look::with(ProbeSpec {
        expected_status: Some(ExpectedStatus::try_from(502).unwrap()),
        ..get(server.url())
    });
    assert_eq!(same.expect_ok().await.status_code, Some(502));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let elsewhere = Server::answering(OK).await;
    let answer =
        format!("HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", elsewhere.url());
    let server = Server::answering(answer).await;

    let sentence = Look::at(server.url()).expect_fail(FailClass::Status).await;

    assert_eq!(sentence, "status 302, expected any 2xx");
    assert!(elsewhere.requests.all().is_empty());
}

#[tokio::test]
async fn nobody_listening_is_a_refused_connection() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();

    let (outcome, seen) = Look::at(format!("http://{free}/")).once().await;

    assert_eq!(outcome, Outcome::Fail(FailClass::Connect));
    assert_eq!(seen.error.as_deref(), Some("the connection was refused"));
    assert_eq!((seen.status_code, seen.address, seen.phases.connect_us), (None, None, None));
    assert!(seen.phases.total_us.is_some());
}

#[tokio::test]
async fn a_name_that_cannot_exist_is_a_failure_of_its_name() {
    let sentence = Look::at("http://no-such-name.invalid/").expect_fail(FailClass::Dns).await;

    assert_eq!(sentence, "the name does not exist");
}

#[tokio::test]
async fn each_phase_has_the_same_deadline_and_is_named_when_it_is_missed() {
    let full = full().await;
    let mute = Server::raw(|stream| async move {
        tokio::time::sleep(FOR_EVER).await;
        drop(stream);
    })
    .await;
    let half = Server::stalling_after("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nok").await;

    let cases = [
        (format!("http://{}/", full.address), "connecting"),
        (format!("https://{}/", mute.address), "shaking hands for TLS"),
        (mute.url(), "waiting for the first byte"),
        (half.url(), "reading the answer"),
    ];
    let looks = cases.map(|(url, phase)| async move {
        let (outcome, seen) = Look::at(url).within(1_000).once().await;

        assert_eq!(outcome, Outcome::Fail(FailClass::Timeout));
        assert_eq!(seen.error, Some(format!("timed out after 1000 ms while {phase}")));
        let total = seen.phases.total_us.unwrap();
        assert!((1_000_000..3_000_000).contains(&total), "{phase}: {total}");
    });
    join_all(looks).await;
}

#[tokio::test]
async fn what_is_no_http_or_ends_too_early_is_a_failure_of_the_protocol() {
    let cases = [
        ("", "the connection was closed before a whole response came"),
        ("HTTP/1.1 200 OK\r\ncontent-le", "the connection was closed before a whole response came"),
        (
            "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
            "what came back is not HTTP/1.1: invalid HTTP version parsed",
        ),
        (
            "\x15\x03\x01\x00\x02\x02\x16",
            "what came back is not HTTP/1.1: invalid HTTP version parsed",
        ),
        ("HTTP/1.1 abc\r\n\r\n", "what came back is not HTTP/1.1: invalid HTTP status-code parsed"),
        (
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            "what came back is not HTTP/1.1: invalid HTTP header parsed",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
            "what came back is not HTTP/1.1: invalid content-length parsed",
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort", "the body ended too early"),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n",
            "the body ended too early",
        ),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", "the body is broken"),
    ];
    for (answer, sentence) in cases {
        let server = Server::answering(answer).await;

        let said = Look::at(server.url()).expect_fail(FailClass::Protocol).await;

        assert_eq!(said, sentence, "{answer:?}");
    }
}

#[tokio::test]
async fn a_server_that_speaks_first_speaks_no_http() {
    let server = Server::raw(|mut stream| async move {
        stream.write_all(b"220 mail.example ESMTP\r\n").await.unwrap();
        tokio::time::sleep(FOR_EVER).await;
    })
    .await;

    let sentence = Look::at(server.url()).expect_fail(FailClass::Protocol).await;

    // Whichever is seen first, the words or that it is our turn.
    assert!(
        sentence.starts_with("what came back is not HTTP/1.1")
            || sentence == "the server spoke or hung up before it was asked",
        "{sentence}"
    );
}

#[tokio::test]
async fn a_connection_reset_instead_of_an_answer_is_no_connection() {
    let server =
        Server::after_request(|stream| async move { stream.set_zero_linger().unwrap() }).await;

    let sentence = Look::at(server.url()).expect_fail(FailClass::Connect).await;

    assert_eq!(sentence, "the connection was reset before a response came");
}

#[tokio::test]
async fn a_wrong_status_counts_even_if_its_body_never_ends() {
    let server = Server::stalling_after("HTTP/1.1 500 Oh\r\ncontent-length: 10\r\n\r\n").await;

    let (outcome, seen) = Look::at(server.url()).within(1_000).once().await;

    assert_eq!(outcome, Outcome::Fail(FailClass::Status));
    assert_eq!(seen.error.as_deref(), Some("status 500, expected any 2xx"));
}

#[tokio::test]
async fn a_run_leaves_no_connection_and_no_port_behind() {
    let (tell, told) = tokio::sync::oneshot::channel();
    let tell = std::sync::Arc::new(std::sync::Mutex::new(Some(tell)));
    let server = Server::after_request(move |mut stream| {
        let tell = tell.lock().unwrap().take().unwrap();
        async move {
            stream.write_all(OK.as_bytes()).await.unwrap();
            // A plain close would be read as an end of the stream, and wait in TIME_WAIT here.
            let mut more = [0; 1];
            tell.send(stream.read(&mut more).await).unwrap();
        }
    })
    .await;

    Look::at(server.url()).expect_ok().await;

    let error = tokio::time::timeout(PLENTY, told).await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

/// Runs the same test in a process of its own, with few descriptors: here it would take everybody's.
async fn rerun_with_few_descriptors(test: &str) {
    let began = Instant::now();
    let limited = format!("ulimit -n 64 && exec \"$0\" --exact {test} --nocapture");

    let ended = tokio::process::Command::new("sh")
        .args(["-c", &limited])
        .arg(std::env::current_exe().unwrap())
        .env(FEW_DESCRIPTORS, "yes")
        .output()
        .await
        .unwrap();

    let said = String::from_utf8_lossy(&ended.stdout);
    let passed = ended.status.success() && said.contains("1 passed");
    assert!(passed, "{said} after {:?}", began.elapsed());
}

const FEW_DESCRIPTORS: &str = "PULSE_TEST_FEW_DESCRIPTORS";

#[tokio::test]
async fn running_out_of_descriptors_is_no_failure_of_the_target() {
    if std::env::var_os(FEW_DESCRIPTORS).is_none() {
        let test = "http::running_out_of_descriptors_is_no_failure_of_the_target";
        return rerun_with_few_descriptors(test).await;
    }
    let server = Server::answering(OK).await;
    Look::at(server.url()).expect_ok().await;
    let mut hoard = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        hoard.push(file);
    }

    let (outcome, seen) = Look::at(server.url()).through(spare_egress(&mut hoard)).once().await;

    assert_eq!(outcome, Outcome::Inconclusive(InconclusiveReason::Local), "{seen:?}");
    assert!(seen.error.unwrap().starts_with("this worker has run out of something of its own: "));
}

/// Building one needs a few descriptors; all are taken again afterwards.
fn spare_egress(hoard: &mut Vec<std::fs::File>) -> pulse_worker::egress::Egress {
    hoard.truncate(hoard.len() - 5);
    let egress = pulse_worker::egress::Egress::new(AddressPolicy::open()).unwrap();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        hoard.push(file);
    }
    egress
}
