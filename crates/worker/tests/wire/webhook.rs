//! What a receiver of webhooks gets, and what becomes of a delivery.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use http::{HeaderMap, HeaderName, HeaderValue};
use pulse_core::models::address::AddressPolicy;
use pulse_core::models::alert::{AlertKind, LeasedDelivery, Settlement};
use pulse_core::models::backoff::RETRY_DELAYS;
use pulse_core::models::channel::ChannelSpec;
use pulse_core::models::ids::{AttemptId, DeliveryId, IncidentId, ProjectId};
use pulse_worker::egress::Egress;
use pulse_worker::notifiers::AttemptOutcome;
use pulse_worker::notifiers::Notifier;
use standardwebhooks::Webhook;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::servers::{Server, header};

pub fn secret() -> String {
    format!("whsec_{}", STANDARD.encode([7; 32]))
}

pub fn a_delivery(url: impl Into<String>) -> LeasedDelivery {
    LeasedDelivery {
        id: DeliveryId::generate(),
        attempt_id: AttemptId::generate(),
        number: 1,
        schedule_step: 1,
        project_id: ProjectId::DEFAULT,
        incident_id: IncidentId::generate(),
        kind: AlertKind::Opened,
        receiver: String::new(),
        channel: Some(ChannelSpec::webhook(url.into(), secret())),
        addressee: None,
        body: r#"{"type":"incident.opened","name":"Müller \u0041"}"#.to_owned(),
        left: Vec::new(),
    }
}

fn notifier() -> Notifier {
    Notifier::new(&Egress::new(AddressPolicy::open()).unwrap()).unwrap()
}

async fn send(delivery: &LeasedDelivery) -> AttemptOutcome {
    notifier().send(delivery, Utc::now().timestamp()).await
}

async fn answered(answer: &str) -> AttemptOutcome {
    let server = Server::answering(answer).await;
    send(&a_delivery(server.url())).await
}

/// Milliseconds until the next attempt.
fn wait_of(outcome: &AttemptOutcome) -> u64 {
    match outcome.settlement {
        Settlement::RetryIn(wait) => wait,
        other => panic!("{other:?}: {:?}", outcome.report),
    }
}

fn around(step: usize) -> std::ops::RangeInclusive<u64> {
    let base = u64::try_from(RETRY_DELAYS[step - 1].as_millis()).unwrap();
    base * 8 / 10..=base * 12 / 10
}

#[tokio::test]
async fn a_receiver_can_verify_what_it_gets_with_anyones_library() {
    let server = Server::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    let delivery = a_delivery(format!("{}hook?token=t", server.url()));

    let outcome = send(&delivery).await;

    assert_eq!(outcome.settlement, Settlement::Delivered);
    let request = server.requests.only();
    assert!(request.starts_with("POST /hook?token=t HTTP/1.1\r\n"), "{request}");
    assert_eq!(request.split_once("\r\n\r\n").unwrap().1, delivery.body);
    assert_eq!(header(&request, "content-type"), Some("application/json"));
    assert_eq!(header(&request, "user-agent"), Some(concat!("Pulse/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(header(&request, "webhook-id"), Some(delivery.id.to_string().as_str()));
    let mut headers = HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let value = HeaderValue::from_str(header(&request, name).unwrap()).unwrap();
        headers.insert(HeaderName::from_static(name), value);
    }
    let theirs = Webhook::new(&secret()).unwrap();
    theirs.verify(delivery.body.as_bytes(), &headers).unwrap();
    assert!(theirs.verify(b"{}", &headers).is_err());
}

#[tokio::test]
async fn every_attempt_has_the_same_id_and_body_and_a_signature_of_its_own() {
    let server = Server::answering("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n").await;
    let (delivery, notifier) = (a_delivery(server.url()), notifier());
    // As it is claimed again: all but its id, its address and its bytes have moved on.
    let again = LeasedDelivery {
        attempt_id: AttemptId::generate(),
        number: 2,
        schedule_step: 2,
        ..delivery.clone()
    };

    notifier.send(&delivery, 1_700_000_000).await;
    notifier.send(&again, 1_700_000_005).await;

    let requests = server.requests.all();
    let [first, second] = [0, 1].map(|n| requests[n].as_str());
    assert_eq!(header(first, "webhook-id"), header(second, "webhook-id"));
    assert_eq!(first.split_once("\r\n\r\n").unwrap().1, second.split_once("\r\n\r\n").unwrap().1);
    assert_eq!(header(second, "webhook-timestamp"), Some("1700000005"));
    assert_ne!(header(first, "webhook-signature"), header(second, "webhook-signature"));
}

#[tokio::test]
async fn the_report_shows_what_was_sent_and_what_came_back() {
    let outcome =
        answered("HTTP/1.1 200 OK\r\nx-note: hi\r\ncontent-length: 6\r\n\r\nok\0\x1b[1").await;

    let report = outcome.report;
    let sent: Vec<_> = report.request_headers.iter().map(|(name, _)| name.as_str()).collect();
    for name in
        ["content-type", "user-agent", "webhook-id", "webhook-timestamp", "webhook-signature"]
    {
        assert!(sent.contains(&name), "{sent:?}");
    }
    assert_eq!(report.status, Some(200));
    assert!(report.response_headers.contains(&("x-note".to_owned(), "hi".to_owned())));
    assert_eq!(report.response_body.as_deref(), Some("ok  [1"));
    assert_eq!((report.error, report.timed_out), (None, false));
}

#[tokio::test]
async fn only_a_2xx_is_an_arrival_and_a_410_is_final() {
    for status in [200, 202, 204, 299] {
        let outcome = answered(&format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n")).await;
        assert_eq!(outcome.settlement, Settlement::Delivered, "{status}");
    }
    for status in [301, 304, 400, 401, 404, 408, 429, 500, 503, 599] {
        let outcome = answered(&format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n")).await;
        assert!(around(1).contains(&wait_of(&outcome)), "{status}");
        assert_eq!(outcome.report.status, Some(status));
    }

    let gone = answered("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(gone.settlement, Settlement::Gone);
}

#[tokio::test]
async fn waits_follow_the_schedule_until_it_ends() {
    let server = Server::answering("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n").await;

    let third = send(&LeasedDelivery { schedule_step: 3, ..a_delivery(server.url()) }).await;
    let last =
        send(&LeasedDelivery { schedule_step: 10, number: 25, ..a_delivery(server.url()) }).await;

    assert!(around(3).contains(&wait_of(&third)));
    assert_eq!(last.settlement, Settlement::Dead);
}

#[tokio::test]
async fn a_receiver_may_ask_for_patience() {
    let asked = async |value: &str| {
        wait_of(
            &answered(&format!(
                "HTTP/1.1 429 Slow\r\nretry-after: {value}\r\ncontent-length: 0\r\n\r\n"
            ))
            .await,
        )
    };

    assert_eq!(asked("120").await, 120_000);
    assert_eq!(asked("999999999999999999999").await, 3_600_000);
    let date =
        (Utc::now() + Duration::from_mins(5)).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    assert!((295_000..=300_000).contains(&asked(&date).await));
    for nonsense in ["1", "-5", "nan", "soon"] {
        assert!(around(1).contains(&asked(nonsense).await), "{nonsense}");
    }
}

#[tokio::test]
async fn a_forbidden_receiver_is_not_visited_by_address_nor_by_name() {
    let public = AddressPolicy::public_and(Vec::new());
    let notifier = Notifier::new(&Egress::new(public).unwrap()).unwrap();
    let server = Server::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    for host in ["127.0.0.1", "2130706433", "[::ffff:127.0.0.1]", "localhost"] {
        let delivery = a_delivery(format!("http://{host}:{}/", server.port()));

        let outcome = notifier.send(&delivery, Utc::now().timestamp()).await;

        let told = outcome.report.error.as_deref().unwrap();
        assert_eq!(told, "no connection: the address is not one that may be reached from here");
        assert!(matches!(outcome.settlement, Settlement::RetryIn(_)), "{host}");
    }
    assert_eq!(server.requests.all(), Vec::<String>::new());
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_leads_nowhere() {
    let elsewhere = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    for status in [301, 302, 307, 308] {
        let location = format!(
            "HTTP/1.1 {status} X\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
            elsewhere.url()
        );

        let outcome = answered(&location).await;

        assert!(around(1).contains(&wait_of(&outcome)));
        assert_eq!(outcome.report.status, Some(status));
    }
    assert!(elsewhere.requests.all().is_empty());
}

#[tokio::test]
async fn a_receiver_that_hangs_costs_the_deadline() {
    let server = Server::stalling_after("").await;
    let began = Instant::now();

    let patience = notifier().with_deadline(Duration::from_millis(200));
    let outcome = patience.send(&a_delivery(server.url()), 1).await;

    assert!(began.elapsed() < Duration::from_secs(2));
    assert!(around(1).contains(&wait_of(&outcome)));
    assert!(outcome.report.timed_out);
    assert!((200..2000).contains(&outcome.report.latency_ms));
    assert_eq!(outcome.report.error.as_deref(), Some("no response within 200 ms"));
    assert_eq!((outcome.report.status, outcome.report.response_body), (None, None));
}

#[tokio::test]
async fn an_arrival_stays_one_when_its_body_never_ends() {
    let server = Server::stalling_after("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nok").await;

    let outcome =
        notifier().with_deadline(Duration::from_secs(1)).send(&a_delivery(server.url()), 1).await;

    assert_eq!(outcome.settlement, Settlement::Delivered);
    assert_eq!(outcome.report.response_body.as_deref(), Some("ok"));
    assert!(outcome.report.timed_out);
}

#[tokio::test]
async fn an_endless_answer_is_cut_at_16_kib() {
    let server = Server::after_request(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        while stream.write_all(&[b'x'; 8192]).await.is_ok() {}
    })
    .await;
    let began = Instant::now();

    let outcome = send(&a_delivery(server.url())).await;

    assert_eq!(outcome.settlement, Settlement::Delivered);
    assert_eq!(outcome.report.response_body.map(|body| body.len()), Some(16 * 1024));
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn headers_are_kept_in_bounds() {
    let many = "x-many: value\r\n".repeat(150);
    let long = format!("x-long: {}\r\n", "y".repeat(5000));
    let odd = "x-odd: caf\u{e9}\t!\r\n";

    let report =
        answered(&format!("HTTP/1.1 200 OK\r\n{long}{odd}content-length: 0\r\n{many}\r\n"))
            .await
            .report;

    assert_eq!(report.response_headers.len(), 100);
    let value = |wanted: &str| {
        report.response_headers.iter().find(|(name, _)| name == wanted).unwrap().1.clone()
    };
    assert_eq!(value("x-long").len(), 1024);
    assert_eq!(value("x-odd"), "café\t!");
}

#[tokio::test]
async fn a_receiver_that_is_away_is_tried_again_and_its_address_is_not_told() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();

    let refused = send(&a_delivery(format!("http://{free}/token-s3cret"))).await;
    let unknown = send(&a_delivery("https://token-s3cret.invalid/token-s3cret")).await;
    let garbage = answered("SSH-2.0-OpenSSH_9.2p1\r\n").await;

    for outcome in [&refused, &unknown, &garbage] {
        assert!(around(1).contains(&wait_of(outcome)));
        assert!(!outcome.report.error.as_ref().unwrap().contains("s3cret"));
    }
    assert_eq!(refused.report.error.unwrap(), "no connection: Connection refused (os error 111)");
    assert_eq!(unknown.report.error.unwrap(), "no connection: the name does not exist");
    assert_eq!(garbage.report.error.unwrap(), "no response: invalid HTTP version parsed");
}

#[tokio::test]
async fn what_can_never_be_sent_is_dead_at_once_and_says_why() {
    let signed_with = |secret: &str| {
        let channel = ChannelSpec::webhook("http://127.0.0.1:1/".into(), secret.into());
        LeasedDelivery { channel: Some(channel), ..a_delivery("") }
    };
    let cases = [
        (a_delivery("not a url"), "the address is not a URL: relative URL without a base"),
        (a_delivery("ftp://h/"), "the address is not an http or https URL"),
        (a_delivery(""), "the address is not a URL: relative URL without a base"),
        (signed_with("whsec_%%%"), "the webhook's secret is not whsec_ and base64"),
        (signed_with(""), "the webhook's secret is not whsec_ and base64"),
    ];
    for (delivery, why) in cases {
        let outcome = send(&delivery).await;

        assert_eq!(outcome.settlement, Settlement::Unsent);
        assert_eq!(outcome.report.error.as_deref(), Some(why));
    }
}
