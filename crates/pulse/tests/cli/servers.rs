//! Servers that are absent, slow, confused, hostile, or somebody else.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::{TcpListener, TcpSocket};

use crate::binary::Pulse;
use crate::stub::{ID, Stub, a_check, answer, broken, good, problem};
use crate::world::World;

#[tokio::test]
async fn without_a_server_one_is_told_how_to_get_one() {
    // Bound, so that nobody else gets it, and not listening.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());

    let told = Pulse::at(&url).bad(3, &["check", "list"]).await;

    assert_eq!(
        told,
        format!(
            "pulse: {url} does not answer (connection refused); start one with `pulse up`, or set PULSE_URL\n"
        )
    );
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_after_ten_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let began = Instant::now();

    let told = Pulse::at(&url).bad(3, &["check", "list"]).await;

    assert!(told.contains(" does not answer (nothing within 10 s); "), "{told}");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_is_no_pulse_is_told_as_such() {
    for (status, media_type, body) in [
        (200, "text/html", "<html>".to_owned()),
        (200, "application/json", "{}".to_owned()),
        (200, "application/json", r#"{"items": [{}], "next_cursor": null}"#.to_owned()),
        (404, "text/html", "<html>no such page</html>".to_owned()),
        (200, "application/json", "[".repeat(100_000)),
    ] {
        let stub = Stub::new(move |_, _| answer(status, media_type, body.clone())).await;

        let told = stub.pulse.bad(3, &["check", "list"]).await;

        assert!(told.starts_with(&format!("pulse: {} answers with ", stub.url)), "{told}");
        assert!(told.ends_with("is PULSE_URL right?\n"), "{told}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let stub = Stub::new(|_, _| answer(200, "application/json", vec![b' '; 17 << 20])).await;

    let told = stub.pulse.bad(3, &["check", "list"]).await;

    assert!(told.contains("answers with more than 16 MiB"), "{told}");
}

#[tokio::test]
async fn a_list_without_end_is_given_up() {
    let page = json!({"items": [], "next_cursor": "on-and-on"});
    let stub = Stub::new(move |_, _| good(&page)).await;

    let done = stub.pulse.run(&["check", "list"]).await;

    assert_eq!((done.code, done.out.as_str()), (0, ""));
    assert!(done.err.contains("there are more"), "{}", done.err);
}

#[tokio::test]
async fn a_fault_of_the_server_ends_with_3_and_can_be_reported() {
    let stub = Stub::new(|_, _| problem(500, "internal", "It broke.")).await;
    let away = Stub::new(|_, _| answer(502, "text/html", "bad gateway")).await;

    let told = stub.pulse.bad(3, &["check", "show", ID]).await;
    let of_proxy = away.pulse.bad(3, &["check", "show", ID]).await;

    assert_eq!(told, format!("pulse: {}: It broke. (request r-1)\n", stub.url));
    assert!(
        of_proxy.ends_with("answers with status 502 Bad Gateway; try again in a moment\n"),
        "{of_proxy}"
    );
}

#[tokio::test]
async fn the_token_goes_to_the_server_that_was_named_and_to_no_other() {
    let other = Stub::new(|_, _| good(&a_check())).await;
    let elsewhere = format!("{}/stolen", other.url);
    let stub = Stub::new(move |_, asked| {
        if asked.line.contains("/checks/") {
            return good(&a_check());
        }
        let mut response = answer(307, "text/html", "");
        response.headers_mut().insert("location", elsewhere.parse().unwrap());
        response
    })
    .await;
    let pulse = stub.pulse.clone().env("PULSE_TOKEN", "s3cret");

    pulse.good(&["check", "show", ID]).await;
    let told = pulse.bad(3, &["check", "list"]).await;

    let sent: Vec<_> = stub.asked().iter().map(|it| it.headers["authorization"].clone()).collect();
    assert_eq!(sent, ["Bearer s3cret", "Bearer s3cret"]);
    assert!(told.contains(&format!("a redirect to {}/stolen", other.url)), "{told}");
    assert_eq!(other.asked().len(), 0);
}

#[tokio::test]
async fn without_the_right_token_one_is_told_to_look_at_it() {
    let stub = Stub::new(|_, _| answer(401, "text/html", "")).await;

    let told = stub.pulse.bad(2, &["check", "list"]).await;

    assert!(
        told.ends_with("status 401 Unauthorized; is the token right (PULSE_TOKEN)?\n"),
        "{told}"
    );
}

#[tokio::test]
async fn a_server_on_this_machine_is_asked_without_a_proxy() {
    let world = World::new().await;
    let proxy = Stub::new(|_, _| answer(502, "text/html", "")).await;

    let through = |name: &str| world.pulse.clone().env(name, &proxy.url);
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        through(name).good(&["check", "list"]).await;
    }
    let afar = Pulse::at("http://pulse.invalid").env("http_proxy", &proxy.url);
    afar.bad(3, &["check", "list"]).await;

    assert_eq!(proxy.asked().len(), 1, "what is elsewhere is asked through the proxy");
}

#[tokio::test]
async fn a_creation_whose_answer_got_lost_is_repeated_under_the_same_key() {
    let stub = Stub::new(|n, _| if n == 0 { broken() } else { good(&a_check()) }).await;

    stub.pulse.good(&["check", "add", "http://shop.test/"]).await;

    let keys: Vec<_> =
        stub.asked().iter().map(|it| it.headers["idempotency-key"].clone()).collect();
    assert_eq!((keys.len(), &keys[0]), (2, &keys[1]));
}

#[tokio::test]
async fn a_change_that_others_overtook_is_made_on_what_they_left() {
    let stub = Stub::new(|n, asked| match asked.line.split(' ').next() {
        Some("GET") => good(&a_check()),
        _ if n < 4 => problem(409, "conflict", "Others kept changing this check."),
        _ => good(&a_check()),
    })
    .await;

    stub.pulse.good(&["check", "edit", ID, "--name", "b"]).await;

    let methods: Vec<_> =
        stub.asked().iter().map(|it| it.line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(methods, ["GET", "PATCH", "GET", "PATCH", "GET", "PATCH"]);
}

#[tokio::test]
async fn a_change_that_others_always_overtake_is_given_up() {
    let stub = Stub::new(|_, asked| {
        if asked.line.starts_with("GET") {
            return good(&a_check());
        }
        problem(409, "conflict", "Others kept changing this check; read it again.")
    })
    .await;

    let edited = stub.pulse.bad(2, &["check", "edit", ID, "--name", "b"]).await;
    let tries = stub.asked().iter().filter(|it| it.line.starts_with("PATCH")).count();
    let paused = stub.pulse.bad(2, &["check", "pause", ID]).await;

    assert_eq!(edited, "pulse: Others kept changing this check; read it again.\n");
    assert_eq!(tries, 4);
    assert!(paused.contains("Others kept changing"), "{paused}");
}
