//! Checks: created once, listed, changed without losing a change, paused and deleted for good.

use std::collections::BTreeSet;

use serde_json::json;

use super::{PROJECT, SECOND, page};
use crate::models::alert::{AlertKind, Resolution, Settlement};
use crate::models::check::Status;
use crate::models::ids::CheckId;
use crate::models::run::{MissedReason, Outcome};
use crate::ports::Page;
use crate::ports::checks::{Change, CheckFilter, Creation, IdempotencyKey, RunNow};
use crate::ports::clock::Clock;
use crate::testing::{TestStores, a_check, a_result};

pub async fn a_new_check_is_due_at_once(t: TestStores) {
    let check = t.add(a_check()).await;

    let view = t.stores.checks.get(PROJECT, check.id).await.unwrap().unwrap();
    let job = t.claim_one().await;

    assert_eq!((view.status, view.next_run_at), (Status::Pending, Some(t.clock.now())));
    assert_eq!((job.check_id, job.slot, job.version), (check.id, t.clock.now(), 1));
}

pub async fn the_same_idempotency_key_makes_one_check(t: TestStores) {
    let key = |hash: u8| Some(IdempotencyKey { key: "k".into(), request_hash: vec![hash; 32] });
    let create = async |hash| {
        t.stores.checks.create(a_check().build(), key(hash), t.clock.now()).await.unwrap()
    };

    let (one, two) = tokio::join!(create(1), create(1));
    let other = create(2).await;

    let ids: BTreeSet<CheckId> = [&one, &two]
        .into_iter()
        .map(|creation| match creation {
            Creation::Created(view) | Creation::Replayed(view) => view.check.id,
            refused => panic!("{refused:?}"),
        })
        .collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(other, Creation::KeyReused);
    assert_eq!(
        t.stores.checks.list(PROJECT, &CheckFilter::default(), page(10)).await.unwrap().len(),
        1
    );

    t.stores.checks.delete(PROJECT, *ids.first().unwrap(), t.clock.now()).await.unwrap();
    assert_eq!(create(1).await, Creation::Gone);
}

async fn listed(t: &TestStores, filter: CheckFilter, page: Page<CheckId>) -> Vec<CheckId> {
    let found = t.stores.checks.list(PROJECT, &filter, page).await.unwrap();
    found.into_iter().map(|view| view.check.id).collect()
}

pub async fn lists_are_newest_first_and_paged(t: TestStores) {
    let first = t.add(a_check()).await.id;
    let second = t.add(a_check()).await.id;
    let third = t.add(a_check()).await.id;
    let list = async |page| listed(&t, CheckFilter::default(), page).await;

    assert_eq!(list(page(10)).await, [third, second, first]);
    assert_eq!(list(Page { after: Some(third), ..page(1) }).await, [second]);
    assert_eq!(list(Page { offset: 2, ..page(10) }).await, [first]);
}

pub async fn lists_show_what_the_filter_lets_through(t: TestStores) {
    let shop = a_check().with("name", json!("Shop")).with("tags", json!(["eu", "prod"]));
    let blog = a_check().with("name", json!("Blog 100%_")).with("tags", json!(["eu"]));
    let shop = t.add(shop).await.id;
    let blog = t.add(blog).await.id;
    let idle = t.add(a_check().with("enabled", json!(false))).await.id;
    let list = async |filter| listed(&t, filter, page(10)).await;
    let any = CheckFilter::default;

    assert_eq!(list(CheckFilter { tags: vec!["eu".into(), "prod".into()], ..any() }).await, [shop]);
    assert_eq!(list(CheckFilter { enabled: Some(false), ..any() }).await, [idle]);
    assert_eq!(list(CheckFilter { status: Some(Status::Paused), ..any() }).await, [idle]);
    assert_eq!(list(CheckFilter { status: Some(Status::Pending), ..any() }).await, [blog, shop]);
    assert_eq!(list(CheckFilter { text: Some("100%_".into()), ..any() }).await, [blog]);
    assert_eq!(list(CheckFilter { text: Some("sHoP".into()), ..any() }).await, [shop]);
    assert_eq!(
        list(CheckFilter { text: Some("%".into()), ..any() }).await,
        [blog],
        "% is a character"
    );
}

pub async fn a_change_of_a_version_long_gone_is_stale(t: TestStores) {
    let check = t.add(a_check()).await;
    let replace =
        async |version, name: &str| t.patch(check.id, version, json!({ "name": name })).await;

    let (one, two) = tokio::join!(replace(1, "one"), replace(1, "two"));

    let stale = [&one, &two].into_iter().filter(|change| **change == Change::Stale).count();
    assert_eq!(stale, 1, "{one:?} {two:?}");
    assert!(matches!(replace(2, "three").await, Change::Done(_)));
}

pub async fn an_edit_of_what_is_looked_at_runs_at_once_and_closes_the_slot_under_way(
    t: TestStores,
) {
    let check = t.add(a_check().alerting_after(2)).await;
    let old = t.claim_one().await;
    t.clock.advance(SECOND);

    t.patch(check.id, 1, json!({ "url": "http://other.test/" })).await;
    let new = t.claim_one().await;
    let late = t.record(&[a_result(&old).failed().build()]).await;
    t.record(&[a_result(&new).build()]).await;

    assert_eq!((new.slot, new.version), (t.clock.now(), 2));
    assert_eq!(
        (late.applied, late.stale),
        (0, 1),
        "a result of the old definition says nothing of the new"
    );
    let outcomes: Vec<_> =
        t.history(check.id).await.into_iter().map(|run| (run.slot, run.outcome)).collect();
    assert_eq!(
        outcomes,
        [(old.slot, Outcome::Missed(MissedReason::Edited)), (new.slot, Outcome::Ok)]
    );
}

pub async fn an_edit_of_the_name_leaves_the_schedule_alone(t: TestStores) {
    let check = t.add(a_check()).await;
    let job = t.claim_one().await;

    t.patch(check.id, 1, json!({ "name": "Another" })).await;

    assert_eq!(t.claim().await, []);
    assert_eq!(t.record(&[a_result(&job).build()]).await.applied, 1);
}

pub async fn a_paused_check_is_never_due_and_its_incident_is_over(t: TestStores) {
    let check = t.add(a_check().telling("http://sink.test/")).await;
    t.run(false).await;
    let under_way = t.claim_one().await;
    let set = async |version, enabled: bool| {
        t.patch(check.id, version, json!({ "enabled": enabled })).await
    };

    set(1, false).await;
    t.clock.advance(3_600 * SECOND);

    assert_eq!(t.claim().await, []);
    assert_eq!(
        t.stores.checks.run_now(PROJECT, check.id, t.clock.now()).await.unwrap(),
        RunNow::Paused
    );
    assert_eq!(t.record(&[a_result(&under_way).build()]).await.stale, 1);
    assert_eq!(t.incidents(check.id).await[0].resolution, Some(Resolution::Paused));
    assert_eq!(t.alert_kinds(check.id).await, [AlertKind::Opened, AlertKind::Resolved]);
    let last = t.history(check.id).await.pop().unwrap();
    assert_eq!((last.slot, last.outcome), (under_way.slot, Outcome::Missed(MissedReason::Paused)));

    set(2, true).await;
    assert_eq!(t.claim_one().await.slot, t.clock.now(), "resumed, it runs at once");
}

pub async fn a_deleted_check_is_gone_and_its_last_alert_is_still_delivered(t: TestStores) {
    let check = t.add(a_check().telling("http://sink.test/")).await;
    t.run(false).await;

    assert!(t.stores.checks.delete(PROJECT, check.id, t.clock.now()).await.unwrap());

    assert_eq!(t.stores.checks.get(PROJECT, check.id).await.unwrap(), None);
    assert!(!t.stores.checks.delete(PROJECT, check.id, t.clock.now()).await.unwrap());
    assert_eq!(t.claim().await, []);
    let opened = t.claim_deliveries().await.remove(0);
    t.settle(&opened, Settlement::Delivered).await;
    let resolved = t.claim_deliveries().await.remove(0);
    assert!(resolved.body.contains("incident.resolved") && resolved.body.contains("deleted"));
    assert!(
        matches!(&resolved.channel, Some(channel) if !channel.secrets().concat().is_empty()),
        "signed still"
    );
}

pub async fn a_run_asked_for_is_due_now_and_takes_no_slot_away(t: TestStores) {
    let check = t.add(a_check().every(600)).await;
    let first = t.claim_one().await;
    t.record(&[a_result(&first).build()]).await;
    t.clock.advance(10 * SECOND);

    let due = t.stores.checks.run_now(PROJECT, check.id, t.clock.now()).await.unwrap();
    let extra = t.claim_one().await;

    assert!(matches!(due, RunNow::Due(_)));
    assert_eq!(extra.slot, t.clock.now());
    assert_eq!(t.record(&[a_result(&extra).build()]).await.applied, 1);
}
