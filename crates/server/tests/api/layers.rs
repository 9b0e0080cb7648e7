//! What holds for every request: it is answered, safely, whatever happens behind it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use serde_json::json;

use super::client::{Client, asking, telling};
use super::fake::{Fake, Steps};

#[tokio::test]
async fn a_store_that_is_away_is_told_with_when_to_try_again() {
    let client = Client::of(Fake::Away.api());

    let answer = client.ask("GET /checks").await;

    assert_eq!(answer.problem(503).0, "store-unavailable");
    assert_eq!(answer.header("retry-after"), "5");
}

#[tokio::test]
async fn faults_of_pulse_are_told_without_what_is_nobodys_business() {
    for fake in [Fake::Refusing, Fake::Panicking] {
        let answer = Client::of(fake.api()).ask("GET /checks").await;

        assert_eq!(answer.problem(500).0, "internal");
        assert!(!String::from_utf8_lossy(&answer.body).contains("s3cret"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_waits_ten_seconds_at_most() {
    let client = Client::of(Fake::Stuck.api());
    let began = tokio::time::Instant::now();

    let answer = client.ask("GET /checks").await;

    assert_eq!(answer.problem(503).0, "timeout");
    assert_eq!(began.elapsed().as_secs(), 10);
    assert_eq!(answer.header("retry-after"), "5");
}

#[tokio::test(start_paused = true)]
async fn a_caller_of_a_store_that_has_gone_waits_two_seconds_at_most() {
    let client = Client::of(Fake::Gone.api());
    let began = tokio::time::Instant::now();

    let answers = futures_util::future::join_all([
        client.ask("GET /checks"),
        client.ask("GET /checks?limit=1"),
    ])
    .await;

    for answer in answers {
        assert_eq!(answer.problem(503).0, "store-unavailable");
        assert_eq!(answer.header("retry-after"), "5");
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_handler_goes_on_when_its_caller_has_gone() {
    let steps = Arc::new(Steps::default());
    let client = Client::of(Fake::Waiting(steps.clone()).api());

    let request = tokio::spawn(async move { client.ask("GET /checks").await });
    steps.asked.notified().await;
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());
    steps.go_on.notify_one();

    let went_on = tokio::time::timeout(Duration::from_secs(5), steps.went_on.notified()).await;
    assert!(went_on.is_ok());
}

#[tokio::test]
async fn a_request_keeps_its_id_or_gets_one() {
    let client = Client::of(Fake::Empty.api());
    let with = async |id: &str| {
        client
            .send(asking("GET /checks").header("x-request-id", id).body(Body::empty()).unwrap())
            .await
    };

    assert_eq!(with("abc-123").await.header("x-request-id"), "abc-123");
    let made = with("not plain <script>").await;
    assert!(uuid::Uuid::parse_str(made.header("x-request-id")).is_ok());
    assert_ne!(client.ask("GET /checks").await.header("x-request-id"), made.header("x-request-id"));
}

#[tokio::test]
async fn every_answer_is_safe_to_show_in_a_browser() {
    let client = Client::of(Fake::Empty.api());

    for line in [
        "GET /checks",
        "GET /nothing",
        "PUT /checks",
        "GET /openapi.json",
        "GET /docs/",
        "GET /docs",
    ] {
        let answer = client.ask(line).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{line}");
        assert!(answer.header("content-security-policy").contains("default-src 'none'"), "{line}");
        assert!(!answer.header("x-request-id").is_empty(), "{line}");
    }
    assert_eq!(client.ask("GET /checks").await.header("cache-control"), "no-store");
}

#[tokio::test]
async fn pages_of_other_sites_may_look_at_nothing_they_could_not_and_change_nothing() {
    let client = Client::of(Fake::Empty.api());
    let from = async |site: &str| {
        let mut request = telling("POST /checks", &json!({"name": "a", "url": "http://h"}));
        request.headers_mut().insert("sec-fetch-site", site.parse().unwrap());
        client.send(request).await
    };

    for site in ["cross-site", "same-site"] {
        assert_eq!(from(site).await.problem(403).0, "cross-site");
    }
    for site in ["same-origin", "none"] {
        assert_eq!(from(site).await.status, 201);
    }
    let read =
        asking("GET /checks").header("sec-fetch-site", "cross-site").body(Body::empty()).unwrap();
    let read = client.send(read).await;
    assert_eq!(read.status, 200);
    assert_eq!(read.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn a_head_request_gets_the_headers_alone() {
    let client = Client::of(Fake::Empty.api());

    let answer = client.ask("HEAD /checks").await;

    assert_eq!(answer.status, 200);
    assert!(answer.body.is_empty());
}
