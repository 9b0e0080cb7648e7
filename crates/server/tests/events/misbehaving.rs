//! Clients that misbehave are bounded and told, and nobody else notices.

use std::time::Duration;

use pulse_core::models::check::{Check, Status};
use pulse_core::testing::{a_check, eventually};
use pulse_server::live::LiveOptions;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::sockets::Socket;
use super::streams::Stream;
use super::world::{World, an_event};

/// Few events behind, and impatient.
fn strict() -> LiveOptions {
    LiveOptions {
        behind: 200,
        ping: Duration::from_millis(200),
        silence: Duration::from_secs(3),
        writing: Duration::from_secs(1),
        untaken: Duration::from_secs(30),
        ..LiveOptions::default()
    }
}

impl World {
    /// `rounds` times 100 events, each round once the one before has been heard.
    async fn storm(&self, check: &Check, rounds: usize, listener: &mut Stream) {
        for _ in 0..rounds {
            self.happen(vec![an_event(check.id, Status::Up); 100]);
            for _ in 0..100 {
                assert_eq!(listener.event().await.event, "check.status_changed");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_read_too_slowly_is_told_so_and_goes_on() {
    let world = World::with(strict()).await;
    let check = world.a_check(a_check().with("name", json!("x".repeat(200)))).await;
    let (mut slow, _) = Stream::open(world.address(), "/events", &[]).await;
    let (mut quick, _) = Stream::open(world.address(), "/events", &[]).await;

    world.storm(&check, 20, &mut quick).await;

    let mut heard = 0;
    let resync = loop {
        let said = slow.event().await;
        if said.event == "resync" {
            break said;
        }
        heard += 1;
    };
    assert!(heard < 2_000, "it missed some");
    assert_eq!(resync.data["reason"], "slow");
    world.happens(&check, Status::Down);
    while slow.event().await.data["to"] != "down" {}
    assert_eq!(world.servers[0].counted("pulse_event_resyncs_total{reason=\"slow\"}"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_never_read_is_cut_off() {
    let world = World::with(LiveOptions { untaken: Duration::from_secs(1), ..strict() }).await;
    let check = world.a_check(a_check().with("name", json!("x".repeat(200)))).await;
    let (_deaf, _) = Stream::open(world.address(), "/events", &[]).await;
    let (mut quick, _) = Stream::open(world.address(), "/events", &[]).await;
    let clients = "pulse_event_clients{transport=\"sse\"}";
    assert_eq!(world.servers[0].counted(clients), 2);

    world.storm(&check, 20, &mut quick).await;

    eventually("it is cut off", async || (world.servers[0].counted(clients) == 1).then_some(()))
        .await;
    world.storm(&check, 1, &mut quick).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_never_reads_is_ended_and_nobody_else_notices() {
    let world = World::with(strict()).await;
    let check = world.a_check(a_check().with("name", json!("x".repeat(200)))).await;
    let _deaf = Socket::hearing(world.address(), &json!({})).await;
    let (mut quick, _) = Stream::open(world.address(), "/events", &[]).await;
    let clients = "pulse_event_clients{transport=\"websocket\"}";
    assert_eq!(world.servers[0].counted(clients), 1);

    world.storm(&check, 20, &mut quick).await;

    eventually("it is ended", async || (world.servers[0].counted(clients) == 0).then_some(()))
        .await;
    world.storm(&check, 1, &mut quick).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_understood_ends_only_who_sent_it_with_a_code_that_says_why() {
    let world = World::alone().await;
    let check = world.a_check(a_check()).await;
    let mut other = Socket::hearing(world.address(), &json!({})).await;
    let frame = |bytes: &'static [u8]| {
        Message::Frame(Frame::message(bytes, OpCode::Data(Data::Text), true))
    };

    for (code, message) in [
        (1009, Message::text("x".repeat(1024 * 1024))),
        (1009, Message::binary(vec![0; 1024 * 1024])),
        (1007, Message::text("hello")),
        (1007, Message::text("[1, 2]")),
        (1007, frame(b"\xff\xfe")),
        (1003, Message::binary(vec![1, 2, 3])),
    ] {
        let mut socket = Socket::hearing(world.address(), &json!({})).await;
        socket.say(message).await;
        assert_eq!(socket.end().await, Some(code));
    }

    world.happens(&check, Status::Up);
    assert_eq!(other.event().await["to"], "up");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_frame_at_all_ends_who_sent_it() {
    let world = World::alone().await;
    let mut socket = Socket::hearing(world.address(), &json!({})).await;

    socket.0.get_mut().write_all(&[0xff; 64]).await.unwrap();

    assert_eq!(socket.end().await, Some(1002));
    let garbage = "pulse_event_clients_ended_total{reason=\"garbage\"}";
    assert_eq!(world.servers[0].counted(garbage), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_that_makes_no_sense_is_told_and_the_one_before_holds() {
    let world = World::alone().await;
    let check = world.a_check(a_check()).await;
    let mut socket = Socket::hearing(world.address(), &json!({})).await;

    let wrong = socket.subscribe(&json!({"types": ["boom"], "checks": ["7"]})).await;
    let unknown = socket.subscribe(&json!({"colour": "red"})).await;
    world.happens(&check, Status::Up);

    let pointers = |answer: &Value| {
        let errors = answer["errors"].as_array().unwrap();
        errors.iter().map(|error| error["pointer"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(pointers(&wrong), ["types", "checks"]);
    assert_eq!((unknown["type"].as_str(), pointers(&unknown).len()), (Some("error"), 1));
    assert_eq!(socket.event().await["to"], "up");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_too_much_is_sent_away() {
    let world = World::alone().await;
    let mut socket = Socket::connect(world.address()).await;

    for _ in 0..100 {
        socket.say(Message::text(r#"{"type":"subscribe"}"#)).await;
    }

    assert_eq!(socket.end().await, Some(1008));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_answers_pings_stays_and_who_is_silent_is_sent_away() {
    let world = World::with(strict()).await;
    let check = world.a_check(a_check()).await;
    let mut there = Socket::hearing(world.address(), &json!({})).await;
    let gone = Socket::hearing(world.address(), &json!({})).await;
    // Whoever reads answers pings: it hears until the other has been sent away.
    let silent = "pulse_event_clients_ended_total{reason=\"silent\"}";
    let reading = tokio::spawn(async move {
        let event = there.event().await;
        (there, event)
    });

    eventually("the silent one is sent away", async || {
        (world.servers[0].counted(silent) == 1).then_some(())
    })
    .await;
    tokio::time::sleep(strict().silence).await;
    world.happens(&check, Status::Up);

    let (_there, event) = reading.await.unwrap();
    assert_eq!(event["to"], "up");
    let mut gone = gone;
    assert_eq!(gone.end().await, Some(1008));
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_so_many_clients_more_are_told_so_until_one_leaves() {
    let world = World::with(LiveOptions { clients: 2, ..LiveOptions::default() }).await;
    let address = world.address();
    let (stream, _) = Stream::open(address, "/events", &[]).await;
    let _socket = Socket::connect(address).await;

    let refused = Stream::ask(address, "/events", &[]).await;

    assert_eq!(refused.head[0], "HTTP/1.1 503 Service Unavailable");
    assert!(refused.head.iter().any(|line| line == "retry-after: 5"), "{:?}", refused.head);
    drop(stream);
    eventually("there is a place again", async || {
        let again = Stream::ask(address, "/events", &[]).await;
        (again.head[0] == "HTTP/1.1 200 OK").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_web_sites_may_not_listen_unless_they_are_allowed() {
    let origins = vec!["https://status.example".to_owned()];
    let world = World::with(LiveOptions { origins, ..LiveOptions::default() }).await;
    let address = world.address();
    let own = format!("http://{address}");
    let upgrade = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    for (origin, status) in [
        ("https://evil.example", "HTTP/1.1 403 Forbidden"),
        ("null", "HTTP/1.1 403 Forbidden"),
        (own.as_str(), "HTTP/1.1 101 Switching Protocols"),
        ("https://status.example", "HTTP/1.1 101 Switching Protocols"),
    ] {
        let headers = [&upgrade[..], &[("origin", origin)]].concat();
        let socket = Stream::ask(address, "/ws", &headers).await;
        assert_eq!(socket.head[0], status, "{origin}");
        let stream = Stream::ask(address, "/events", &[("origin", origin)]).await;
        assert_eq!(stream.head[0].contains("403"), status.contains("403"), "{origin}");
        let named = stream
            .head
            .iter()
            .any(|line| *line == format!("access-control-allow-origin: {origin}"));
        assert_eq!(named, origin == "https://status.example");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_in_vain_is_told_what_would_be_right() {
    let world = World::alone().await;

    let plain = Stream::ask(world.address(), "/ws", &[]).await;
    let wrong = Stream::ask(world.address(), "/events?type=boom&colour=red", &[]).await;

    assert_eq!(plain.head[0], "HTTP/1.1 426 Upgrade Required");
    assert!(plain.head.iter().any(|line| line == "upgrade: websocket"), "{:?}", plain.head);
    assert_eq!(wrong.head[0], "HTTP/1.1 400 Bad Request");
}
