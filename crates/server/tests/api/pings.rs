//! Checks that wait: made, called by their jobs, and everything that is refused.

use axum::body::Body;
use axum::http::Request;
use pulse_core::models::heartbeat::{MOST_OUTPUT_BYTES, PingToken};
use serde_json::{Value, json};

use super::client::{Answer, Client, asking};
use super::fake::Fake;
use super::world::{World, each};

/// A check that waits, and where its job calls.
async fn a_waiting(world: &World, more: &Value) -> (String, String) {
    let mut body = json!({"url": "heartbeat://"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let check = world.a_check(&body).await;
    let url = world.get(&check).await["ping_url"].as_str().unwrap().to_owned();
    (check, url)
}

fn calling(line: &str, output: impl Into<Body>) -> Request<Body> {
    asking(line).body(output.into()).unwrap()
}

impl World {
    async fn call(&self, line: &str) -> Answer {
        self.client.ask(line).await
    }

    async fn newest_run(&self, check: &str) -> Value {
        // Nothing is due; what was recorded is shipped.
        self.later(1, true).await;
        self.get(&format!("{check}/runs?limit=1")).await["items"][0].clone()
    }
}

#[tokio::test]
async fn a_check_that_waits_says_where_its_job_calls_and_what_is_expected() {
    let world = World::new().await;

    let (check, url) = a_waiting(&world, &json!({"interval_seconds": 3600})).await;

    let shown = world.get(&check).await;
    assert!(PingToken::parse(url.strip_prefix("/ping/").unwrap()).is_some(), "{url}");
    assert_eq!((&shown["status"], &shown["alert_threshold"]), (&json!("pending"), &json!(1)));
    assert_eq!((&shown["interval_seconds"], &shown["next_run_at"]), (&json!(3600), &Value::Null));
    let nothing = json!({
        "cron": null, "timezone": null, "grace_seconds": 300, "expected_at": null,
        "deadline_at": null, "started_at": null, "last_ping_at": null,
    });
    assert_eq!(shown["heartbeat"], nothing);
    let at = shown["created_at"].clone();
    assert_eq!(world.call(&format!("GET {url}")).await.good(200), json!({"result": "taken"}));

    let shown = world.get(&check).await;

    assert_eq!((&shown["status"], &shown["last_run_at"]), (&json!("up"), &at));
    assert_eq!(shown["heartbeat"]["last_ping_at"], at);
    assert_ne!(shown["heartbeat"]["expected_at"], Value::Null);
    assert_ne!(shown["heartbeat"]["deadline_at"], shown["heartbeat"]["expected_at"]);
}

#[tokio::test]
async fn a_job_says_how_it_is_by_its_path() {
    let world = World::new().await;
    let (check, url) = a_waiting(&world, &json!({})).await;
    for (line, outcome, error) in [
        ("POST {}", "ok", Value::Null),
        ("GET /api/v1{}/fail", "fail", json!("the job reported a failure")),
        ("GET {}/0", "ok", Value::Null),
        ("POST /api/v1{}/7", "fail", json!("the job ended with exit code 7")),
        ("POST /api/v1{}", "ok", Value::Null),
    ] {
        world.stores.clock.advance(1_000);
        world.call(&line.replace("{}", &url)).await.good(200);

        let run = world.newest_run(&check).await;
        assert_eq!((&run["outcome"], &run["error"]), (&json!(outcome), &error), "{line}");
    }
    world.call(&format!("POST {url}/start")).await.good(200);
    world.stores.clock.advance(1_500);
    world.call(&format!("POST {url}")).await.good(200);

    assert_eq!(world.newest_run(&check).await["latency_ms"], 1500.0);
    let incidents = world.get(&format!("{check}/incidents")).await;
    assert_eq!(each(&incidents, "resolution"), [json!("recovered"), json!("recovered")]);
}

#[tokio::test]
async fn the_output_of_a_job_is_kept_as_text_to_a_bound() {
    let world = World::new().await;
    let (check, url) = a_waiting(&world, &json!({})).await;

    world
        .client
        .send(calling(&format!("POST {url}/1"), b"no \xff space\x1b[0m".to_vec()))
        .await
        .good(200);
    let run = world.newest_run(&check).await;
    assert_eq!(run["evidence"]["reply"], "no \u{fffd} space [0m");
    assert_eq!((&run["class"], &run["detail"]), (&json!("heartbeat"), &json!("reported")));
    assert_eq!(run["evidence"]["facts"], json!([{"name": "exit_code", "value": "1"}]));

    world.stores.clock.advance(1_000);
    let long = "x".repeat(2_000_000);
    world.client.send(calling(&format!("POST {url}"), long)).await.good(200);
    let run = world.newest_run(&check).await;
    assert_eq!(run["evidence"]["reply"].as_str().unwrap().len(), MOST_OUTPUT_BYTES);
    assert_eq!(
        (&run["outcome"], &run["evidence"]["reply_bytes"]),
        (&json!("ok"), &json!(2_000_000))
    );
}

#[tokio::test]
async fn what_nobody_waits_for_is_not_found() {
    let world = World::new().await;
    let (check, url) = a_waiting(&world, &json!({})).await;

    for path in [
        "/ping/0".to_owned(),
        format!("/ping/{}", "0".repeat(32)),
        format!("/ping/{}/start", "0".repeat(32)),
        url.to_uppercase().replace("/PING", "/ping"),
        format!("{url}/256"),
        format!("{url}/stop"),
        format!("{url}/1/2"),
    ] {
        for method in ["GET", "POST"] {
            let answer = world.call(&format!("{method} {path}")).await;
            assert_eq!(answer.problem(404).0, "not-found", "{method} {path}");
        }
    }
    assert_eq!(world.call(&format!("GET {url}?all=well")).await.problem(400).0, "bad-query");
    assert_eq!(world.call(&format!("DELETE {url}")).await.problem(405).0, "method-not-allowed");
    assert_eq!(world.get(&check).await["heartbeat"]["last_ping_at"], Value::Null);
}

#[tokio::test]
async fn a_paused_check_is_told_and_a_check_that_waits_is_not_run() {
    let world = World::new().await;
    let (check, url) = a_waiting(&world, &json!({})).await;

    assert_eq!(world.call(&format!("POST {check}/run")).await.problem(409).0, "not-run");
    let body = json!({"name": "a", "url": "heartbeat://"});
    let tried = world.client.tell("POST /checks/test", &body).await;
    assert_eq!(tried.problem(422), ("validation".into(), vec!["/url".into()]));
    world.post(&format!("{check}/pause"), 200).await;

    let answer = world.call(&format!("POST {url}")).await;

    assert_eq!(answer.good(200), json!({"result": "paused"}));
    assert_eq!(world.get(&check).await["heartbeat"]["last_ping_at"], Value::Null);
}

#[tokio::test]
async fn a_store_that_is_away_is_told_to_the_job_and_noted() {
    let api = Fake::Away.api();
    let lost = api.lost_pings.clone();
    let client = Client::of(api);

    let answer = client.ask(&format!("GET /ping/{}", "0".repeat(32))).await;

    assert_eq!(answer.problem(503).0, "store-unavailable");
    assert_eq!(lost.count(), 1);
}

#[tokio::test]
async fn a_cron_expression_takes_the_place_of_the_interval() {
    let world = World::new().await;
    let nightly = json!({"cron": "0 3 * * *", "timezone": "Europe/Berlin", "grace_seconds": 900});
    let (check, _) = a_waiting(&world, &json!({"interval_seconds": 60})).await;
    let patch = async |body: Value| world.client.tell(&format!("PATCH {check}"), &body).await;

    let patched = patch(json!({ "heartbeat": nightly })).await.good(200);

    assert_eq!(patched["interval_seconds"], Value::Null);
    for (field, value) in nightly.as_object().unwrap() {
        assert_eq!(patched["heartbeat"][field], *value, "{field}");
    }
    assert_eq!(patch(json!({"name": "b"})).await.good(200)["heartbeat"]["cron"], "0 3 * * *");
    let both = patch(json!({"interval_seconds": 60})).await;
    assert_eq!(both.problem(422).1, ["/interval_seconds"]);
    let back = json!({"interval_seconds": 90, "heartbeat": {"cron": null, "timezone": null}});
    let back = patch(back).await.good(200);
    assert_eq!(
        (&back["interval_seconds"], &back["heartbeat"]["grace_seconds"]),
        (&json!(90), &json!(900))
    );
}

#[tokio::test]
async fn what_means_nothing_to_a_check_that_waits_is_refused() {
    let client = Client::of(Fake::Empty.api());
    for (field, value) in [
        ("method", json!("POST")),
        ("timeout_ms", json!(100)),
        ("retry", json!({"attempts": 2})),
        ("assertions", json!([{"source": "status", "comparison": "equals", "target": 200}])),
        ("tls", json!({"verify": false})),
        ("ip_family", json!("4")),
        ("upside_down", json!(true)),
        ("send", json!("PING")),
        ("regions", json!(["eu"])),
        ("heartbeat", json!({"cron": "0 3 30 2 *"})),
        ("heartbeat", json!({"cron": "0 3 * * *", "timezone": "Mars"})),
        ("heartbeat", json!({"every": 5})),
    ] {
        let body = json!({"name": "a", "url": "heartbeat://", field: value});
        let answer = client.tell("POST /checks", &body).await;
        assert_eq!(answer.problem(422).1, [format!("/{field}")], "{body}");
    }
    for (url, pointer) in [("heartbeat://backup", "/url"), ("http://h", "/heartbeat")] {
        let body = json!({"name": "a", "url": url, "heartbeat": {"grace_seconds": 5}});
        assert_eq!(client.tell("POST /checks", &body).await.problem(422).1, [pointer], "{url}");
    }
    let usual = json!({"name": "a", "url": "heartbeat://", "regions": ["default"]});
    client.tell("POST /checks", &usual).await.good(201);
}
