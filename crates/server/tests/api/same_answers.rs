//! The same calls get the same answers, whatever the stores: only ids, times and cursors differ, and
//! those differ in the same places.

use std::collections::BTreeMap;

use axum::http::header;
use pulse_core::models::alert::{AttemptReport, Settlement};
use pulse_core::testing::Profile;
use serde_json::{Value, json};

use super::api::client::telling;
use super::api::world::World;

/// A user's afternoon: every call, and what was answered.
struct Journey {
    world: World,
    told: Vec<String>,
}

impl Journey {
    async fn call(&mut self, line: &str, body: Option<Value>) -> Value {
        let answer = match &body {
            Some(body) => self.world.client.tell(line, body).await,
            None => self.world.client.ask(line).await,
        };
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let header = |name: &str| answer.header(name).to_owned();
        self.told.push(format!(
            "{line} -> {} {} {} {} {text}",
            answer.status,
            header("content-type"),
            header("etag"),
            header("location"),
        ));
        serde_json::from_str(&text).unwrap_or_default()
    }

    async fn get(&mut self, path: &str) -> Value {
        self.call(&format!("GET {path}"), None).await
    }

    async fn create(&mut self, body: Value) -> String {
        let created = self.call("POST /checks", Some(body)).await;
        format!("/checks/{}", created["id"].as_str().unwrap())
    }

    /// Runs the check at once, soon after; so soon that no other slot of its grid can be due.
    async fn run(&mut self, check: &str, good: bool) {
        self.call(&format!("POST {check}/run"), None).await;
        self.world.later(10, good).await;
    }

    /// Follows a list page by page.
    async fn walk(&mut self, path: &str) {
        let mut page = self.get(path).await;
        while let Some(cursor) = page["next_cursor"].as_str().map(str::to_owned) {
            page = self.get(&format!("{path}&cursor={cursor}")).await;
        }
    }
}

async fn journey(profile: Profile) -> Vec<String> {
    let mut j = Journey { world: World::on(profile).await, told: Vec::new() };
    configuring(&mut j).await;
    watching(&mut j).await;
    mistaken(&mut j).await;
    j.told
}

async fn configuring(j: &mut Journey) {
    for (place, name) in
        ["Shop", "ÄPFEL & Birnen", "日本 'quoted' %_", "b\\ack\"slash"].iter().enumerate()
    {
        j.create(json!({
            "name": name, "url": format!("http://h{place}.test/?q=%20{place}"), "tags": ["all", format!("t{place}")],
            "headers": {"X-Odd": "väl,ue"}, "method": "POST", "body": "{\"a\": \"b\u{1F600}\"}",
            "regions": ["eu", "us"], "interval_seconds": 60, "timeout_ms": 1500, "alert_threshold": 2,
            "alert_window": 3, "recovery_threshold": 2,
        }))
        .await;
    }
    let keyed = json!({"name": "Keyed", "url": "http://keyed.test/", "enabled": false});
    for body in [keyed.clone(), keyed, json!({"name": "Other", "url": "http://o.test/"})] {
        let mut request = telling("POST /checks", &body);
        request.headers_mut().insert("idempotency-key", "one".parse().unwrap());
        let answer = j.world.client.send(request).await;
        j.told.push(format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body)));
    }
    for query in [
        "limit=2",
        "limit=3&tag=all",
        "tag=all&tag=t1",
        "search=%C3%84pfel",
        "search=%C3%A4pfel",
        "search=SHOP",
        "search=%25_",
        "search=h2.test",
        "search=%22",
        "status=pending",
        "status=paused",
        "enabled=false",
        "enabled=true&limit=1",
        "offset=1&limit=2",
    ] {
        j.walk(&format!("/checks?{query}")).await;
    }
    let check = j.create(json!({"name": "Edited", "url": "http://e.test/"})).await;
    j.call(&format!("PATCH {check}"), Some(json!({"name": "Again", "tags": ["x"]}))).await;
    j.call(&format!("PATCH {check}"), Some(json!({"url": "http://e.test/2", "regions": ["asia"]})))
        .await;
    j.call(&format!("PATCH {check}"), Some(json!({"enabled": false}))).await;
    j.call(&format!("POST {check}/run"), None).await;
    j.call(&format!("PUT {check}"), Some(json!({"name": "Whole", "url": "http://w.test/"}))).await;
    let mut request = telling(&format!("PATCH {check}"), &json!({"name": "Late"}));
    request.headers_mut().insert(header::IF_MATCH, "\"1\"".parse().unwrap());
    let answer = j.world.client.send(request).await;
    j.told.push(format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body)));
    j.get(&check).await;
    j.call(&format!("DELETE {check}"), None).await;
    j.call(&format!("DELETE {check}"), None).await;
    j.get(&check).await;
}

async fn watching(j: &mut Journey) {
    let check = j
        .create(json!({
            "name": "Watched", "url": "http://down.test/", "alert_threshold": 2,
            "webhook_url": "http://sink.test/hook", "webhook_secret": "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX",
        }))
        .await;
    for good in [true, false, false, false] {
        j.run(&check, good).await;
        j.get(&check).await;
    }
    for settlement in [Settlement::RetryIn(5_000), Settlement::Dead] {
        for lease in j.world.deliveries().await {
            let report = AttemptReport {
                request_headers: vec![("webhook-id".into(), "x".into())],
                status: Some(503),
                response_headers: vec![("a".into(), "1".into()), ("a".into(), "2".into())],
                response_body: Some("busy".into()),
                latency_ms: 12,
                ..AttemptReport::default()
            };
            j.world.settle(&lease, report, settlement).await;
        }
        j.get(&format!("{check}/webhooks")).await;
        j.world.stores.clock.advance(6_000);
    }
    let attempts = j.get(&format!("{check}/webhooks")).await;
    let delivery = attempts["items"][0]["delivery_id"].as_str().unwrap().to_owned();
    j.call(&format!("POST {check}/webhooks/{delivery}/replay"), None).await;
    let due = j.world.deliveries().await;
    j.world.settle(&due[0], AttemptReport::default(), Settlement::Delivered).await;
    j.walk("/deliveries?limit=1").await;
    j.walk(&format!("/deliveries/{delivery}/attempts?limit=1")).await;
    let from = json!({"from": "2000-01-01T00:00:00Z"});
    j.call("POST /deliveries/replay", Some(from)).await;
    j.run(&check, true).await;
    for path in ["", "/runs?limit=2", "/incidents?limit=1", "/alerts?limit=1", "/webhooks?limit=1"]
    {
        j.walk(&format!("{check}{path}{}", if path.contains('?') { "" } else { "?" })).await;
    }
    for query in ["window=1h&interval=1m", "window=24h&interval=1h", "window=7d&interval=1d", ""] {
        j.get(&format!("{check}/metrics?{query}")).await;
    }
    for query in ["status=up", "status=degraded", "status=down", "status=pending&limit=2"] {
        j.walk(&format!("/checks?{query}")).await;
    }
    j.call(&format!("PATCH {check}"), Some(json!({"enabled": false}))).await;
    j.walk(&format!("{check}/runs?limit=5")).await;
}

async fn mistaken(j: &mut Journey) {
    for body in [
        json!({}),
        json!({"name": "", "url": "ftp://x"}),
        json!({"name": "x\u{0}y", "url": "http://x.test/", "body": "a\u{0}b", "tags": ["\u{0}"]}),
        json!({"name": "x", "url": "http://x.test/", "interval_seconds": 1, "timeout_ms": 5000}),
        json!({"name": "x", "url": "http://x.test/", "surprise": 1}),
    ] {
        j.call("POST /checks", Some(body)).await;
    }
    for path in [
        "/checks/nonsense",
        "/checks/01a1fce1-1ee4-76cd-a9ff-9a2be74095bf",
        "/checks?limit=0",
        "/checks?cursor=zzz",
        "/checks?status=odd",
        "/nowhere",
    ] {
        j.get(path).await;
    }
}

/// When a check runs next depends on its id, so that load spreads: that it is to run is compared.
fn without_phase(line: &str) -> String {
    let mut parts = line.split("\"next_run_at\":\"");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.split_once('"').map_or("", |(_time, rest)| rest);
        plain.push_str("\"next_run_at\":\"some time\"");
        plain.push_str(rest);
    }
    plain
}

/// Ids, times and cursors by the order in which they first appear.
fn comparable(told: &[String]) -> Vec<String> {
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    told.iter()
        .map(|line| without_phase(line))
        .map(|line| {
            let mut plain = String::new();
            let mut rest = line.as_str();
            while let Some(first) = rest.chars().next() {
                let word = rest.split(|c: char| !is_of_word(c)).next().unwrap_or_default();
                let word = word.trim_end_matches('.');
                if word.is_empty() {
                    plain.push(first);
                    rest = &rest[first.len_utf8()..];
                    continue;
                }
                if varies(word) {
                    let place = known.len();
                    let name = known.entry(word.to_owned()).or_insert_with(|| format!("<{place}>"));
                    plain.push_str(name);
                } else {
                    plain.push_str(word);
                }
                rest = &rest[word.len()..];
            }
            plain
        })
        .collect()
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_:.+=".contains(c)
}

/// A UUID, a time, or a cursor, which has one of them in it.
fn varies(word: &str) -> bool {
    let is_uuid = word.len() == 36 && word.matches('-').count() == 4;
    let is_time =
        word.len() >= 20 && word.starts_with("20") && word.ends_with('Z') && word.contains('T');
    let has = |is: fn(&char) -> bool| word.chars().any(|c| is(&c));
    let is_cursor = word.len() >= 20
        && !word.contains(['.', ':'])
        && has(char::is_ascii_uppercase)
        && has(char::is_ascii_lowercase);
    is_uuid || is_time || is_cursor || word.starts_with("cursor=")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_calls_get_the_same_answers() {
    let told = [Profile::Embedded, Profile::Scaled, Profile::ScaledFurther].map(journey);
    let told = futures_util::future::join_all(told).await;
    let [embedded, scaled, further] = [0, 1, 2].map(|place| comparable(&told[place]));

    assert!(embedded.len() > 80, "{} answers", embedded.len());
    for (place, line) in embedded.iter().enumerate() {
        assert_eq!(
            line, &scaled[place],
            "\nembedded: {}\nscaled: {}",
            told[0][place], told[1][place]
        );
        // Percentiles of few runs differ between digests; everything else is the same.
        if !line.contains("/metrics") {
            assert_eq!(line, &further[place], "with ClickHouse: {}", told[2][place]);
        }
    }
    assert_eq!(embedded.len(), scaled.len());
    assert_eq!(embedded.len(), further.len());
}
