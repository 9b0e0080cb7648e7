//! Looks over `WebSocket`: against servers of a library that others use, nginx, and what is none.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use http::HeaderValue;
use pulse_core::models::probe_spec::{Auth, ProbeSpec};
use pulse_core::models::run::{FailClass, Observation, Outcome};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use crate::looking::Look;
use crate::nginx::Nginx;
use crate::servers::{FOR_EVER, Server, header, read_request};
use crate::tls::{Authority, params};

fn at(server: &Server) -> ProbeSpec {
    ProbeSpec::at(format!("ws://127.0.0.1:{}/chat?room=1", server.port()))
}

fn saying(server: &Server, send: Option<&str>, expect: &str) -> Look {
    Look::with(ProbeSpec {
        send: send.map(str::to_owned),
        expect: Some(expect.to_owned()),
        ..at(server)
    })
}

/// Greets with who came and where to, and says everything back in capitals.
pub async fn shouting<S>(stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut greeting = String::new();
    #[expect(clippy::result_large_err, reason = "the library's own type")]
    let greet = |request: &Request, answer: Response| {
        let said = |name| request.headers().get(name).map_or("nobody", |it| it.to_str().unwrap());
        greeting = format!("{} {} {}", request.uri(), said("authorization"), said("x-mine"));
        Ok(answer)
    };
    let Ok(mut socket) = accept_hdr_async(stream, greet).await else {
        return;
    };
    let _gone = socket.send(Message::Ping("are you there".into())).await;
    let _gone = socket.send(Message::text(greeting)).await;
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Text(text) = message {
            let _gone = socket.send(Message::binary(text.to_uppercase().into_bytes())).await;
        }
    }
}

#[tokio::test]
async fn the_handshake_says_which_run_it_belongs_to() {
    let server = Server::answering("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await;
    let told =
        || server.requests.all().last().and_then(|it| header(it, "pulse-run").map(str::to_owned));

    let look = Look { run: Some(HeaderValue::from_static("check:1:2")), ..Look::with(at(&server)) };
    look.expect_fail(FailClass::Status).await;
    assert_eq!(told().as_deref(), Some("check:1:2"));

    Look::with(at(&server)).expect_fail(FailClass::Status).await;
    assert_eq!(told(), None);
}

/// Agrees to every handshake, and leaves the rest to `talk`.
async fn agreeing<F>(
    talk: impl Fn(WebSocketStream<tokio::net::TcpStream>) -> F + Clone + Send + 'static,
) -> Server
where
    F: Future<Output = ()> + Send + 'static,
{
    Server::raw(move |stream| {
        let talk = talk.clone();
        async move {
            if let Ok(socket) = tokio_tungstenite::accept_async(stream).await {
                talk(socket).await;
            }
        }
    })
    .await
}

/// Agrees to the handshake, says these bytes, and waits.
async fn framing(bytes: impl Into<Arc<[u8]>>) -> Server {
    let bytes = bytes.into();
    Server::raw(move |mut stream| {
        let bytes = Arc::clone(&bytes);
        async move {
        let request = read_request(&mut stream).await;
        let key = derive_accept_key(header(&request, "sec-websocket-key").unwrap().as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: {key}\r\n\r\n"
        );
        let _gone = stream.write_all(answer.as_bytes()).await;
        let _gone = stream.write_all(&bytes).await;
        tokio::time::sleep(FOR_EVER).await;
    }
    })
    .await
}

#[tokio::test]
async fn a_farewell_that_is_not_answered_is_no_time_of_the_target() {
    let server = framing(*b"").await;
    let began = Instant::now();

    let seen = Look::with(at(&server)).expect_ok().await;

    // The farewell is waited for 100 ms, which the look takes and the target does not.
    let (took, total) = (began.elapsed(), seen.phases.total_us.unwrap());
    assert!(took >= Duration::from_millis(100), "{took:?}");
    assert!(Duration::from_micros(total.into()) + Duration::from_millis(90) < took, "{total}");
}

#[tokio::test]
async fn a_socket_that_opens_is_well_and_is_told_what_every_request_is() {
    let server = Server::raw(shouting).await;
    let spec = ProbeSpec {
        headers: [("X-Mine".to_owned(), "yes".to_owned())].into(),
        auth: Some(Auth::Bearer { token: "t".to_owned() }),
        expect: Some("^/chat\\?room=1 Bearer t yes$".to_owned()),
        ..at(&server)
    };

    let bare = Look::with(at(&server)).expect_ok().await;
    let (outcome, seen, evidence) = Look::with(spec).closely().await;

    assert_eq!((bare.status_code, outcome), (Some(101), Outcome::Ok), "{seen:?}");
    assert!(bare.phases.first_byte_us.is_some_and(|us| us > 0));
    assert_eq!(evidence.reply.as_deref(), Some("/chat?room=1 Bearer t yes"));
    assert!(evidence.headers.iter().any(|(name, _)| name == "sec-websocket-accept"));
}

#[tokio::test]
async fn what_is_said_is_answered_by_one_message_or_another() {
    let server = Server::raw(shouting).await;

    saying(&server, Some("ping"), "^PING$").expect_ok().await;
    saying(&server, None, "nobody nobody$").expect_ok().await;
    let silent = saying(&server, Some("ping"), "PONG").within(1_000);

    let told = silent.expect_fail(FailClass::Timeout).await;
    assert_eq!(told, "timed out after 1000 ms while reading the answer");
}

#[tokio::test]
async fn a_socket_in_tls_is_opened_after_the_handshake() {
    let authority = Authority::new();
    let acceptor = authority.issue(&params("localhost")).acceptor();
    let server = Server::raw(move |stream| {
        let accepting = acceptor.accept(stream);
        async move {
            if let Ok(tls) = accepting.await {
                shouting(tls).await;
            }
        }
    })
    .await;
    let look = || {
        Look::with(ProbeSpec {
            send: Some("ping".to_owned()),
            expect: Some("PING".to_owned()),
            ..ProbeSpec::at(format!("wss://localhost:{}/", server.port()))
        })
    };

    let seen = look().through(authority.egress()).expect_ok().await;
    let told = look().through(Authority::new().egress()).expect_fail(FailClass::Tls).await;

    assert!(seen.phases.tls_us.is_some_and(|us| us > 0));
    assert!(told.contains("unknown authority"), "{told}");
}

#[tokio::test]
async fn whoever_does_not_agree_is_told_by_the_status() {
    let authority = Authority::new();
    let locations = "location / { return 404 \"no such room\"; } location /moved { return 301 /; }";
    let nginx = Nginx::start(&authority.issue(&params("localhost")), locations);
    let look = |path: &str| Look::at(format!("ws://127.0.0.1:{}{path}", nginx.plain));

    let (outcome, seen, evidence) = look("/").closely().await;
    assert_eq!((outcome, seen.status_code), (Outcome::Fail(FailClass::Status), Some(404)));
    assert_eq!(seen.error.as_deref(), Some("status 404, expected 101"));
    assert!(
        evidence.headers.iter().any(|(name, value)| name == "server" && value.starts_with("nginx"))
    );
    let told = look("/moved").expect_fail(FailClass::Status).await;
    assert_eq!(told, "status 301, expected 101");
}

#[tokio::test]
async fn an_answer_that_agrees_to_something_else_is_no_websocket() {
    let agreed = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\n";
    for (answer, sentence) in [
        (
            format!("{agreed}upgrade: websocket\r\nsec-websocket-accept: bm90IHRoZSBrZXk=\r\n\r\n"),
            "the answer to the handshake does not fit its key",
        ),
        (
            format!("{agreed}upgrade: websocket\r\n\r\n"),
            "the answer to the handshake does not fit its key",
        ),
        (
            format!("{agreed}upgrade: h2c\r\n\r\n"),
            "what came back is no WebSocket: another upgrade",
        ),
        ("SSH-2.0-x\r\n\r\n".to_owned(), "what came back is not HTTP/1.1"),
        (String::new(), "the connection was closed before the handshake was answered"),
        (
            "HTTP/1.1 101 Swi".to_owned(),
            "the connection was closed before the handshake was answered",
        ),
    ] {
        let server = Server::answering(answer).await;

        assert_eq!(Look::with(at(&server)).expect_fail(FailClass::Protocol).await, sentence);
    }
}

#[tokio::test]
async fn frames_that_break_the_protocol_are_told() {
    let big_ping = [&[0x89, 0x7e, 0x01, 0x00][..], &[0; 256]].concat();
    for (bytes, sentence) in [
        (&[0x83, 0x00][..], "what came back is no WebSocket: "),
        (&[0xf1, 0x00], "what came back is no WebSocket: reserved bits are non-zero"),
        (&[0x81, 0x80, 1, 2, 3, 4], "what came back is no WebSocket: "),
        (&[0x80, 0x00], "what came back is no WebSocket: "),
        (&[0x81, 0x02, 0xff, 0xfe], "what came back is no WebSocket: text that is not UTF-8"),
        (&big_ping, "what came back is no WebSocket: control frame too big"),
    ] {
        let server = framing(bytes).await;

        let told = saying(&server, None, "x").expect_fail(FailClass::Protocol).await;

        assert!(told.starts_with(sentence), "{bytes:?}: {told}");
    }
}

#[tokio::test]
async fn of_messages_64_kib_are_read_and_no_more() {
    let many = agreeing(
        async |mut socket| {
            while socket.send(Message::text("x".repeat(1_000))).await.is_ok() {}
        },
    )
    .await;
    let crumbs =
        agreeing(async |mut socket| while socket.send(Message::text("")).await.is_ok() {}).await;
    let pings =
        agreeing(async |mut socket| while socket.send(Message::Ping("x".into())).await.is_ok() {})
            .await;
    // A frame that announces more than anybody will read.
    let large = framing([0x82, 0x7f, 0, 0, 0, 1, 0, 0, 0, 0]).await;

    for server in [many, crumbs, pings, large] {
        let began = Instant::now();
        let told = saying(&server, None, "y").expect_fail(FailClass::Assertion).await;
        assert_eq!(told, "what was expected is not in the first 64 KiB of messages");
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_socket_that_is_closed_too_early_is_told() {
    let polite = agreeing(async |mut socket| {
        let _gone = socket.close(None).await;
        while let Some(Ok(_)) = socket.next().await {}
    })
    .await;
    let rude = agreeing(async |socket| drop(socket)).await;

    for server in [polite, rude] {
        let told = saying(&server, None, "x").expect_fail(FailClass::Assertion).await;
        assert_eq!(told, "the connection was closed before what was expected came");
    }
}

/// A look with hardly more time than a farewell is given. A busy machine may need all of it for what
/// comes before, so there is more than one try.
async fn hurried(server: &Server) -> Observation {
    for _ in 0..5 {
        let (outcome, seen) = Look::with(at(server)).within(150).once().await;
        if outcome == Outcome::Ok {
            return seen;
        }
    }
    panic!("no look in a hurry was well");
}

#[tokio::test]
async fn a_farewell_is_said_and_not_waited_for() {
    let (heard, mut hearing) = tokio::sync::mpsc::unbounded_channel();
    let polite = agreeing(move |mut socket| {
        let heard = heard.clone();
        async move {
            while let Some(Ok(message)) = socket.next().await {
                heard.send(message).unwrap();
            }
        }
    })
    .await;
    let mute = framing([]).await;

    Look::with(at(&polite)).expect_ok().await;
    let seen = Look::with(at(&mute)).expect_ok().await;
    let hurried = hurried(&mute).await;

    assert!(hearing.recv().await.unwrap().is_close());
    for seen in [seen, hurried] {
        assert!(seen.phases.total_us.unwrap() < 1_000_000, "{seen:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_silent_or_floods_ends_the_handshake_in_time() {
    let silent = Server::stalling_after("").await;
    let endless = Server::after_request(|mut stream| async move {
        let _gone = stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\n").await;
        while stream.write_all(&b"a: b\r\n".repeat(500)).await.is_ok() {}
    })
    .await;

    let told = Look::with(at(&silent)).within(200).expect_fail(FailClass::Timeout).await;
    assert_eq!(told, "timed out after 200 ms while waiting for the first byte");
    let told = Look::with(at(&endless)).expect_fail(FailClass::TooLarge).await;
    assert_eq!(told, "the answer to the handshake is too large, or comes in too many pieces");
}
