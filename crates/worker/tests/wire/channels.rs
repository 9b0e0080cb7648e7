//! What hosted services would get, at a server of the test's own: where, with which key, and that no
//! key is shown afterwards.

use pulse_core::models::address::AddressPolicy;
use pulse_core::models::alert::{Addressee, AlertKind, LeasedDelivery, Settlement};
use pulse_core::models::channel::ChannelSpec;
use pulse_core::models::ids::SettingId;
use pulse_worker::egress::Egress;
use pulse_worker::notifiers::{AttemptOutcome, Notifier};
use serde_json::{Value, json};

use crate::servers::{Server, header};
use crate::webhook::{a_delivery, secret};

const KEY: &str = "pl4nted-s3cret";

/// The type beside the fields of its configuration, for short.
pub fn channel(mut config: Value) -> ChannelSpec {
    let kind = config.as_object_mut().unwrap().remove("type");
    serde_json::from_value(json!({"type": kind, "config": config})).unwrap()
}

fn told_by(config: Value) -> LeasedDelivery {
    let channel = channel(config).checked().unwrap();
    LeasedDelivery { channel: Some(channel), body: r#"{"a":1}"#.into(), ..a_delivery("") }
}

async fn send(delivery: &LeasedDelivery) -> AttemptOutcome {
    let egress = Egress::new(AddressPolicy::open()).unwrap();
    Notifier::new(&egress).unwrap().send(delivery, 1).await
}

#[tokio::test]
async fn each_service_is_called_where_it_listens_with_its_key_and_no_key_is_shown() {
    let answer = format!("HTTP/1.1 200 OK\r\nx-echo: {KEY}\r\ncontent-length: 14\r\n\r\n{KEY}");
    for (config, line, name, value) in [
        (
            json!({"type": "slack", "url": format!("{{}}services/{KEY}")}),
            "/services/pl4nted-s3cret",
            "content-type",
            "application/json",
        ),
        (
            json!({"type": "telegram", "token": KEY, "chat_id": "1", "server": "{}"}),
            "/botpl4nted-s3cret/sendMessage",
            "content-type",
            "application/json",
        ),
        (
            json!({"type": "pagerduty", "routing_key": KEY, "server": "{}"}),
            "/v2/enqueue",
            "content-type",
            "application/json",
        ),
        (
            json!({"type": "opsgenie", "api_key": KEY, "server": "{}"}),
            "/v2/alerts",
            "authorization",
            "GenieKey pl4nted-s3cret",
        ),
        (
            json!({"type": "ntfy", "topic": "t", "token": KEY, "server": "{}"}),
            "/",
            "authorization",
            "Bearer pl4nted-s3cret",
        ),
        (json!({"type": "gotify", "token": KEY, "server": "{}"}), "/message", "x-gotify-key", KEY),
        (
            json!({"type": "webhook", "url": "{}", "secret": secret(), "headers": {"X-Api-Key": KEY}}),
            "/",
            "x-api-key",
            KEY,
        ),
        (
            json!({"type": "webhook", "url": "{}", "secret": secret(),
                   "headers": {"Authorization": format!("Bearer {KEY}")}}),
            "/",
            "authorization",
            "Bearer pl4nted-s3cret",
        ),
        (
            json!({"type": "pushover", "token": KEY, "user": "user-s3cret", "server": "{}"}),
            "/1/messages.json",
            "content-type",
            "application/json",
        ),
        (
            json!({"type": "alertmanager", "server": "{}", "username": "u", "password": KEY}),
            "/api/v2/alerts",
            "authorization",
            "Basic dTpwbDRudGVkLXMzY3JldA==",
        ),
    ] {
        let server = Server::answering(answer.clone()).await;
        let config = config.to_string().replace("{}", &server.url());
        let delivery = told_by(serde_json::from_str(&config).unwrap());

        let outcome = send(&delivery).await;

        assert_eq!(outcome.settlement, Settlement::Delivered, "{outcome:?}");
        let request = server.requests.only();
        assert!(request.starts_with(&format!("POST {line} HTTP/1.1\r\n")), "{request}");
        assert_eq!(header(&request, name), Some(value), "{request}");
        let shown = format!("{outcome:?}");
        assert!(!shown.contains(KEY) && !shown.contains("dTpwbDRudGVk"), "{shown}");
    }
}

#[tokio::test]
async fn keys_that_belong_in_a_body_are_put_there_for_the_attempt_alone() {
    let server = Server::answering("HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").await;
    let config = json!({"type": "pagerduty", "routing_key": KEY, "server": server.url()});
    let delivery = told_by(config);

    send(&delivery).await;

    let request = server.requests.only();
    let body: Value = serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(body, json!({"a": 1, "routing_key": KEY}));
    assert!(!delivery.body.contains(KEY));
}

#[tokio::test]
async fn a_test_is_made_once_and_a_channel_that_is_gone_is_told_nothing() {
    let server = Server::answering("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n").await;
    let config = json!({"type": "slack", "url": server.url()});
    let test = LeasedDelivery { kind: AlertKind::Test, ..told_by(config.clone()) };
    let gone = LeasedDelivery { channel: None, ..told_by(config.clone()) };
    let off = Addressee { id: SettingId::generate(), version: 1, enabled: false };
    let off = LeasedDelivery { addressee: Some(off), ..told_by(config) };
    let tested_while_off = LeasedDelivery { kind: AlertKind::Test, ..off.clone() };

    let tested = send(&test).await;
    let gone = send(&gone).await;
    let off = send(&off).await;
    send(&tested_while_off).await;

    assert_eq!((tested.report.status, tested.settlement), (Some(500), Settlement::Dead));
    assert_eq!(gone.report.error.as_deref(), Some("the channel has been removed"));
    assert_eq!(off.report.error.as_deref(), Some("the channel is switched off"));
    assert_eq!((gone.settlement, off.settlement), (Settlement::Unsent, Settlement::Unsent));
    assert_eq!(server.requests.all().len(), 2, "that of the two tests");
}
