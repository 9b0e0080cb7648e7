//! What happened to a check, on the real stores: runs, incidents, alerts, webhooks, figures.

use pulse_core::models::alert::{AttemptReport, Settlement};
use pulse_core::models::evidence::Evidence;
use serde_json::{Value, json};

use super::world::{World, each};

const MINUTE: i64 = 60_000;

#[tokio::test]
async fn runs_are_listed_newest_first_and_page_by_page() {
    let world = World::new().await;
    let check = world.a_check(&json!({"alert_threshold": 2})).await;
    world.later(0, true).await;
    for _ in 0..4 {
        world.later(2 * MINUTE, true).await;
    }
    world.later(MINUTE, false).await;

    let all = world.get(&format!("{check}/runs")).await;

    let slots: Vec<String> = serde_json::from_value(Value::Array(each(&all, "slot"))).unwrap();
    assert!(slots.windows(2).all(|pair| pair[0] > pair[1]), "{slots:?}");
    let newest = &all["items"][0];
    assert_eq!(
        (&newest["outcome"], &newest["class"], &newest["status_code"]),
        (&json!("fail"), &json!("status"), &json!(500))
    );
    assert_eq!(newest["error"], "status 500, expected any 2xx");
    let oldest = all["items"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&oldest["outcome"], &oldest["class"], &oldest["error"]),
        (&json!("ok"), &json!(null), &json!(null))
    );
    assert_eq!(
        oldest["phases"],
        json!({
            "dns_ms": null, "connect_ms": 0.2, "tls_ms": null, "first_byte_ms": 0.9, "total_ms": 1.2,
        })
    );
    assert!(all["items"].as_array().unwrap().iter().any(|run| run["outcome"] == "missed"));

    let mut found = Vec::new();
    let mut page = world.get(&format!("{check}/runs?limit=2")).await;
    loop {
        found.extend(page["items"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        page = world.get(&format!("{check}/runs?limit=2&cursor={cursor}")).await;
    }
    assert_eq!(json!(found), all["items"]);
}

#[tokio::test]
async fn runs_of_several_regions_at_one_slot_are_all_listed() {
    let world = World::new().await;
    let check = world.a_check(&json!({"regions": ["eu", "us"]})).await;
    world.later(0, true).await;

    let first = world.get(&format!("{check}/runs?limit=1")).await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = world.get(&format!("{check}/runs?limit=1&cursor={cursor}")).await;

    let mut regions = [each(&first, "region"), each(&second, "region")].concat();
    regions.sort_by_key(ToString::to_string);
    assert_eq!(regions, ["eu", "us"]);
    assert_eq!(second["next_cursor"], json!(null));
}

#[tokio::test]
async fn an_outage_is_one_incident_with_an_alert_at_each_edge() {
    let world = World::new().await;
    let check =
        world.a_check(&json!({"alert_threshold": 2, "webhook_url": "http://w.test/"})).await;
    world.later(0, false).await;
    assert_eq!(world.get(&format!("{check}/incidents")).await["items"], json!([]));
    world.later(90_000, false).await;

    let open = world.get(&format!("{check}/incidents")).await["items"][0].clone();
    assert_eq!(open["started_at"], "2026-09-21T14:13:20.000Z");
    assert_eq!((&open["resolved_at"], &open["resolution"]), (&json!(null), &json!(null)));
    assert_eq!(open["cause"], "status 500, expected any 2xx");
    assert_eq!(world.get(&check).await["status"], "down");

    world.later(MINUTE, true).await;
    let closed = world.get(&format!("{check}/incidents")).await;
    assert_eq!(each(&closed, "resolution"), ["recovered"]);
    let alerts = world.get(&format!("{check}/alerts")).await;
    assert_eq!(each(&alerts, "kind"), ["resolved", "opened"]);
    assert_eq!(each(&alerts, "incident_id"), [open["id"].clone(), open["id"].clone()]);
    assert_eq!(each(&alerts, "deliveries"), [1, 1]);
    let page = world.get(&format!("{check}/alerts?limit=1")).await;
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = world.get(&format!("{check}/alerts?limit=1&cursor={cursor}")).await;
    assert_eq!(
        (each(&page, "kind"), each(&rest, "kind")),
        (vec![json!("resolved")], vec![json!("opened")])
    );
}

#[tokio::test]
async fn pausing_a_check_that_is_down_ends_its_incident() {
    let world = World::new().await;
    let check = world.a_check(&json!({"alert_threshold": 1})).await;
    world.later(0, false).await;

    world.post(&format!("{check}/pause"), 200).await;

    let incidents = world.get(&format!("{check}/incidents")).await;
    assert_eq!(each(&incidents, "resolution"), ["paused"]);
}

#[tokio::test]
async fn every_attempt_is_listed_and_a_dead_delivery_can_be_sent_again() {
    let world = World::new().await;
    let check =
        world.a_check(&json!({"alert_threshold": 1, "webhook_url": "http://w.test/hook"})).await;
    world.later(0, false).await;
    let webhooks = format!("{check}/webhooks");

    let first = world.deliveries().await.remove(0);
    let under_way = world.get(&webhooks).await["items"][0].clone();
    assert_eq!(
        (&under_way["finished_at"], &under_way["outcome_unknown"]),
        (&json!(null), &json!(false))
    );
    assert_eq!((&under_way["attempt"], &under_way["retry_number"]), (&json!(1), &json!(0)));
    let busy = AttemptReport {
        request_headers: vec![("webhook-id".into(), first.id.to_string())],
        status: Some(503),
        response_headers: vec![("retry-after".into(), "7".into())],
        response_body: Some("busy".into()),
        latency_ms: 12,
        ..AttemptReport::default()
    };
    world.settle(&first, busy, Settlement::RetryIn(7_000)).await;

    let shown = world.get(&webhooks).await["items"][0].clone();
    assert_eq!(shown["request"]["url"], "http://w.test/hook");
    assert_eq!(shown["request"]["headers"]["webhook-id"], shown["delivery_id"]);
    assert_eq!(shown["request"]["body"], first.body);
    let response = json!({"status": 503, "headers": {"retry-after": "7"}, "body": "busy"});
    assert_eq!((&shown["response"], &shown["state"]), (&response, &json!("pending")));
    assert_eq!(shown["next_retry_at"], "2026-09-21T14:13:27.000Z");

    world.stores.clock.advance(7_000);
    let second = world.deliveries().await.remove(0);
    let late = AttemptReport {
        error: Some("no response within 15000 ms".into()),
        timed_out: true,
        ..AttemptReport::default()
    };
    world.settle(&second, late, Settlement::Dead).await;
    let listed = world.get(&webhooks).await;
    assert_eq!(
        (each(&listed, "attempt"), each(&listed, "retry_number")),
        (vec![json!(2), json!(1)], vec![json!(1), json!(0)])
    );
    assert_eq!(
        (each(&listed, "state"), each(&listed, "timed_out")),
        (vec![json!("dead"); 2], vec![json!(true), json!(false)])
    );
    assert_eq!(
        (&listed["items"][0]["response"], &listed["items"][0]["next_retry_at"]),
        (&json!(null), &json!(null))
    );

    let replay = world.post(&format!("{webhooks}/{}/replay", first.id), 202).await;
    assert_eq!(replay, json!({"delivery_id": first.id, "state": "pending"}));
    let again = world.deliveries().await.remove(0);
    assert_eq!((again.id, &again.body), (first.id, &first.body));
    world.stores.clock.advance(61_000);
    assert_eq!(world.get(&webhooks).await["items"][0]["outcome_unknown"], true);
}

#[tokio::test]
async fn only_deliveries_of_the_check_can_be_sent_again() {
    let world = World::new().await;
    let check =
        world.a_check(&json!({"alert_threshold": 1, "webhook_url": "http://w.test/"})).await;
    let other = world.a_check(&json!({"name": "other"})).await;
    world.later(0, false).await;
    let delivery = world.deliveries().await.remove(0).id;

    for line in [
        format!("POST {other}/webhooks/{delivery}/replay"),
        format!("POST {check}/webhooks/01890a5d-ac96-774b-bcce-b302099a8057/replay"),
    ] {
        assert_eq!(world.client.ask(&line).await.problem(404).0, "not-found", "{line}");
    }
}

#[tokio::test]
async fn figures_count_what_was_observed() {
    let world = World::new().await;
    let check = world.a_check(&json!({"alert_threshold": 100})).await;
    let empty = world.get(&format!("{check}/metrics")).await;
    assert_eq!(
        (&empty["runs"], &empty["uptime"], &empty["coverage"]),
        (&json!(0), &json!(null), &json!(null))
    );
    assert_eq!((&empty["window"], &empty["buckets"]), (&json!("24h"), &json!([])));
    world.later(0, true).await;
    for _ in 0..2 {
        world.later(90_000, true).await;
    }
    world.later(90_000, false).await;

    for (window, bucket_seconds) in [("1h", 60), ("24h", 3600), ("7d", 3600), ("30d", 86_400)] {
        let figures = world.get(&format!("{check}/metrics?window={window}")).await;

        assert_eq!(
            (&figures["window"], &figures["bucket_seconds"]),
            (&json!(window), &json!(bucket_seconds))
        );
        assert_eq!((&figures["runs"], &figures["failures"]), (&json!(4), &json!(1)), "{figures}");
        assert_eq!(figures["uptime"], 0.75);
        let missed = figures["missed"].as_u64().unwrap();
        assert!(
            (figures["coverage"].as_f64().unwrap()
                - 4.0 / f64::from(4 + u32::try_from(missed).unwrap()))
            .abs()
                < 1e-9
        );
        let p50 = figures["latency_ms"]["p50"].as_f64().unwrap();
        assert!((1.1..1.3).contains(&p50), "{p50}");
        let buckets = figures["buckets"].as_array().unwrap();
        let runs: u64 = buckets.iter().map(|bucket| bucket["runs"].as_u64().unwrap()).sum();
        assert_eq!(runs, 4);
        let starts: Vec<_> =
            buckets.iter().map(|bucket| bucket["start"].as_str().unwrap()).collect();
        assert!(starts.is_sorted() && starts[0] >= figures["from"].as_str().unwrap(), "{starts:?}");
    }
}

#[tokio::test]
async fn a_run_is_shown_with_the_command_that_asks_the_same_until_the_check_is_another() {
    let world = World::new().await;
    let check = world.a_check(&json!({"headers": {"cookie": "hush"}})).await;
    let led = Evidence { redirects: 1, ..Evidence::default() };
    for evidence in [Evidence::default(), led] {
        world.later_as(60_000, |result| result.failed().keeping(evidence.clone())).await;
    }
    let curls = async || {
        let runs = world.get(&format!("{check}/runs")).await;
        each(&runs, "evidence").into_iter().map(|it| it["curl"].clone()).collect::<Vec<_>>()
    };

    let told = curls().await;
    // Behind them is a slot that was missed between them.
    let [led, plain, ..] = &*told else { panic!("{told:?}") };
    let (led, plain) = (led.as_str().unwrap(), plain.as_str().unwrap());
    assert!(plain.contains("--resolve shop.test:80:127.0.0.1") && !led.contains("--resolve"));
    assert!(plain.contains("'cookie: ***'") && plain.ends_with(" http://shop.test/"), "{plain}");
    world.stores.clock.advance(1_000);
    world.client.tell(&format!("PATCH {check}"), &json!({"method": "HEAD"})).await.good(200);
    assert!(curls().await.iter().all(Value::is_null));
}
