//! Events: what a transaction made true is told once it is committed, and nothing else.

use serde_json::{Value, json};

use super::{PROJECT, SECOND};
use crate::models::alert::Settlement;
use crate::models::event::{Event, Label};
use crate::ports::clock::Clock;
use crate::testing::{TestStores, a_check, a_result};

/// What waits to be published: kinds and what each tells.
fn told(t: &TestStores) -> Vec<(&'static str, Value)> {
    let told = |event: Event| {
        let text = event.text(Some(&Label::default()));
        (event.kind().as_str(), serde_json::from_str(&text).unwrap())
    };
    t.stores.event_queue.take().events.into_iter().map(told).collect()
}

fn kinds(told: &[(&'static str, Value)]) -> Vec<&'static str> {
    told.iter().map(|(kind, _)| *kind).collect()
}

pub async fn a_change_of_status_and_the_incident_with_it_are_told_once(t: TestStores) {
    let check = t.add(a_check().alerting_after(2)).await;

    t.run(true).await;
    let first = told(&t);
    t.run(true).await;
    t.run(false).await;
    assert_eq!(told(&t), [], "nothing is another than before");
    let job = t.claim_one().await;
    let failed = a_result(&job).failed().build();
    t.record(std::slice::from_ref(&failed)).await;
    let down = told(&t);
    t.record(&[failed]).await;

    assert_eq!(kinds(&first), ["check.status_changed"]);
    assert_eq!((&first[0].1["from"], &first[0].1["to"]), (&json!("pending"), &json!("up")));
    assert_eq!(first[0].1["check_id"], json!(check.id));
    assert_eq!(kinds(&down), ["check.status_changed", "incident.opened"]);
    assert_eq!((&down[0].1["from"], &down[0].1["to"]), (&json!("up"), &json!("down")));
    assert_eq!(down[1].1["cause"], "status 500, expected any 2xx");
    assert_eq!(told(&t), [], "what is stale tells nothing");
}

pub async fn a_check_is_told_as_a_whole_however_its_regions_move(t: TestStores) {
    t.add(a_check().from_regions(&["east", "west"])).await;
    let jobs = t.claim().await;
    assert_eq!(jobs.len(), 2);

    t.record(&[a_result(&jobs[0]).build()]).await;
    let east = told(&t);
    t.record(&[a_result(&jobs[1]).failed().build()]).await;
    let west = told(&t);

    assert_eq!((&east[0].1["from"], &east[0].1["to"]), (&json!("pending"), &json!("up")));
    assert_eq!((&west[0].1["from"], &west[0].1["to"]), (&json!("up"), &json!("down")));
    assert_eq!((east.len(), kinds(&west).len()), (1, 2));
}

pub async fn a_pause_and_its_end_are_told(t: TestStores) {
    let check = t.add(a_check()).await;
    t.run(false).await;
    assert_eq!(kinds(&told(&t)), ["check.status_changed", "incident.opened"]);

    t.patch(check.id, 1, json!({"name": "Another"})).await;
    assert_eq!(told(&t), []);
    t.patch(check.id, 2, json!({"enabled": false})).await;
    let paused = told(&t);
    t.patch(check.id, 3, json!({"enabled": true})).await;
    let resumed = told(&t);

    assert_eq!(kinds(&paused), ["check.status_changed", "incident.resolved"]);
    assert_eq!((&paused[0].1["from"], &paused[0].1["to"]), (&json!("down"), &json!("paused")));
    assert_eq!(paused[1].1["resolution"], "paused");
    assert_eq!((&resumed[0].1["from"], &resumed[0].1["to"]), (&json!("paused"), &json!("pending")));
}

pub async fn each_attempt_at_a_delivery_is_told_by_whoever_settles_it(t: TestStores) {
    let check = t.add(a_check().telling("http://sink.test/s3cret")).await;
    t.run(false).await;
    told(&t);

    let lease = t.claim_deliveries().await.remove(0);
    t.settle(&lease, Settlement::RetryIn(5_000)).await;
    t.clock.advance(5 * SECOND);
    let heir = t.claim_deliveries().await.remove(0);
    t.settle(&lease, Settlement::Dead).await;
    t.settle(&heir, Settlement::Delivered).await;

    let told = told(&t);
    assert_eq!(kinds(&told), ["delivery.failed", "delivery.delivered"]);
    assert_eq!(told[0].1["check_id"], json!(check.id));
    assert_eq!((&told[0].1["attempt"], &told[1].1["attempt"]), (&json!(1), &json!(2)));
    assert_eq!(told[0].1["delivery_id"], json!(lease.id));
    assert!(!told[0].1.to_string().contains("s3cret"), "{}", told[0].1);
}

pub async fn runs_are_told_only_while_somebody_wants_them(t: TestStores) {
    let check = t.add(a_check()).await;
    t.run(true).await;
    assert_eq!(t.stores.event_queue.take().runs, []);

    t.stores.event_queue.want_runs(true);
    t.run(false).await;

    let runs = t.stores.event_queue.take().runs;
    assert_eq!(runs.len(), 1);
    let told: Value = serde_json::from_str(&runs[0].text(None)).unwrap();
    assert_eq!((&told["type"], &told["outcome"]), (&json!("run.finished"), &json!("fail")));
    assert_eq!((told["reason"].as_str(), runs[0].check), (Some("status"), check.id));
}

pub async fn an_edit_that_changed_nothing_tells_nothing(t: TestStores) {
    let check = t.add(a_check()).await;

    t.patch(check.id, 7, json!({"enabled": false})).await;

    assert_eq!(told(&t), []);
}

pub async fn labels_are_those_of_checks_deleted_or_not(t: TestStores) {
    let check = t.add(a_check().with("name", json!("Shop")).with("tags", json!(["eu", "x"]))).await;
    let deleted = t.add(a_check()).await;
    assert!(t.stores.checks.delete(PROJECT, deleted.id, t.clock.now()).await.unwrap());
    let nobody = crate::models::ids::CheckId::generate();

    let mut labels = t.stores.labels.labels(&[nobody, check.id, deleted.id]).await.unwrap();

    labels.sort_by_key(|(id, _)| *id);
    let url = check.config.probe.url.clone();
    let tags = vec!["eu".into(), "x".into()];
    let shop = Label { name: "Shop".into(), url: url.clone(), tags };
    let other = Label { name: "A check".into(), url, tags: vec![] };
    assert_eq!(labels, [(check.id, shop), (deleted.id, other)]);
}
