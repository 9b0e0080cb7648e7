//! The page behind a link in a message, as a browser and as a program that looks through mail see it.

use axum::body::Body;
use axum::http::header;
use chrono::TimeDelta;
use pulse_core::models::installation::{Installation, LINKS_LAST, LinkKey};
use pulse_core::ports::clock::Clock;
use serde_json::{Value, json};
use uuid::Uuid;

use super::client::{Answer, asking};
use super::world::World;

/// A world with an incident, and the way of a link that acknowledges it.
struct Linked {
    world: World,
    incident: String,
    link: String,
}

const URL: &str = "https://pulse.example";

impl Linked {
    async fn new() -> Self {
        let world = World::new().await;
        let upkeep = &world.stores.stores.upkeep;
        upkeep.introduce(&LinkKey::of([7; 32]), Some(URL)).await.unwrap();
        let hook = json!({"alert_threshold": 1, "interval_seconds": 60, "webhook_url": "http://w.test/hook"});
        world.a_check(&hook).await;
        world.later(0, false).await;
        let said: Value = serde_json::from_str(&world.deliveries().await[0].body).unwrap();
        let link = said["data"]["links"]["acknowledge"].as_str().unwrap();
        let link = link.strip_prefix(URL).unwrap().to_owned();
        let incident = format!("/incidents/{}", said["data"]["incident"]["id"].as_str().unwrap());
        let shown = said["data"]["links"]["incident"].as_str().unwrap();
        assert_eq!(shown, format!("{URL}/api/v1{incident}"));
        Self { world, incident, link }
    }

    async fn status(&self) -> Value {
        self.world.get(&self.incident).await["status"].clone()
    }

    async fn open(&self, link: &str) -> Answer {
        self.world.client.ask(&format!("GET {link}")).await
    }

    async fn send(&self, link: &str, form: &str) -> Answer {
        let request = asking(&format!("POST {link}"))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin");
        self.world.client.send(request.body(Body::from(form.to_owned())).unwrap()).await
    }
}

fn html(answer: &Answer, status: u16) -> String {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.header("content-security-policy").contains("form-action 'self'"));
    assert_eq!(answer.header("referrer-policy"), "same-origin");
    String::from_utf8(answer.body.to_vec()).unwrap()
}

#[tokio::test]
async fn a_link_asks_and_only_the_form_acknowledges() {
    let it = Linked::new().await;

    for _ in 0..3 {
        let page = html(&it.open(&it.link).await, 200);
        assert!(page.contains("Shop is down") && page.contains("expected any 2xx"), "{page}");
        assert!(page.contains("<form method=\"post\">"), "{page}");
    }
    let head = it.world.client.ask(&format!("HEAD {}", it.link)).await;
    assert_eq!((head.status.as_u16(), it.status().await), (200, json!("open")));

    let done = html(&it.send(&it.link, "by=Ada+%3Cb%3E&note=on+it%0D%0Anow").await, 200);
    assert!(done.contains("Acknowledged by Ada &lt;b&gt;") && !done.contains("<form"), "{done}");
    let story = it.world.get(&it.incident).await;
    assert_eq!(story["acknowledged_by"], "Ada <b>");
    let acknowledged = &story["timeline"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&acknowledged["event"], &acknowledged["text"]),
        (&json!("acknowledged"), &json!("on it\r\nnow"))
    );
    let again = html(&it.send(&it.link, "by=Bob").await, 200);
    assert!(again.contains("by Ada"), "{again}");
    assert!(html(&it.open(&it.link).await, 200).contains("Acknowledged by Ada"));
}

#[tokio::test]
async fn a_form_may_be_sent_empty_and_what_is_wrong_with_it_is_told() {
    let it = Linked::new().await;

    let wrong = html(&it.send(&it.link, &format!("by={}", "x".repeat(201))).await, 422);
    assert!(wrong.contains("Your name must have"), "{wrong}");
    assert_eq!(it.status().await, "open");
    html(&it.send(&it.link, "by=+&note=").await, 200);
    assert_eq!(it.status().await, "acknowledged");
    assert_eq!(it.world.get(&it.incident).await["acknowledged_by"], Value::Null);
}

#[tokio::test]
async fn a_link_that_was_changed_or_has_expired_says_so_and_does_nothing() {
    let it = Linked::new().await;
    let mut changed = it.link.clone();
    let last = changed.pop().unwrap();
    let middle = if changed.ends_with('A') { 'B' } else { 'A' };
    changed.pop();
    changed.extend([middle, last]);
    let elsewhere = Installation { link_key: LinkKey::of([8; 32]), public_url: None };
    let now = it.world.stores.clock.now().time();
    let id = it.incident.strip_prefix("/incidents/").unwrap().parse::<Uuid>().unwrap();
    let foreign = elsewhere.token(pulse_core::models::ids::IncidentId(id), now + LINKS_LAST);
    let cut = &it.link[..it.link.len() - 10];

    for link in [&changed, &format!("/ack/{}", foreign.unwrap()), cut, "/ack/x", "/ack/%00"] {
        for answer in [it.open(link).await, it.send(link, "by=Eve").await] {
            assert!(html(&answer, 403).contains("not as Pulse sent it"), "{link}");
        }
    }
    it.world.stores.clock.advance((LINKS_LAST + TimeDelta::seconds(1)).num_milliseconds());
    for answer in [it.open(&it.link).await, it.send(&it.link, "by=Eve").await] {
        assert!(html(&answer, 410).contains("worked until"));
    }
    assert_eq!(it.status().await, "open");
}

#[tokio::test]
async fn a_page_of_another_site_acknowledges_nothing() {
    let it = Linked::new().await;
    let request = asking(&format!("POST {}", it.link)).header("sec-fetch-site", "cross-site");

    let answer = it.world.client.send(request.body(Body::from("by=Eve")).unwrap()).await;

    assert_eq!(answer.problem(403).0, "cross-site");
    assert_eq!(it.status().await, "open");
}

#[tokio::test]
async fn a_link_to_what_is_over_says_so() {
    let it = Linked::new().await;
    it.world.later(120_000, true).await;

    assert!(html(&it.open(&it.link).await, 200).contains("It is over since"));
    assert!(html(&it.send(&it.link, "by=Ada").await, 200).contains("over already"));
    assert_eq!(it.status().await, "resolved");
}
