//! Health: what is counted is kept from slot to slot, and told as the check's status.

use serde_json::json;

use super::{PROJECT, page};
use crate::models::check::Status;
use crate::ports::checks::CheckFilter;
use crate::testing::{TestStores, a_check, a_result};

pub async fn failures_within_a_window_open_an_incident_and_good_runs_in_a_row_resolve_it(
    t: TestStores,
) {
    let window = a_check().alerting_after(3).with("alert_window", json!(5));
    let check = t.add(window.with("recovery_threshold", json!(2))).await;

    let failing = t.run_all("ofofof").await;
    assert_eq!(t.status(check.id).await, Status::Down);
    let after = t.run_all("ofoo").await;

    let incidents = t.incidents(check.id).await;
    assert_eq!(incidents.len(), 1);
    let told = (incidents[0].started_at, incidents[0].resolved_at);
    assert_eq!(told, (failing[1], Some(after[2])));
    assert_eq!(t.status(check.id).await, Status::Up);
}

pub async fn a_window_outlives_the_outage_before_it_and_forgets_its_failures(t: TestStores) {
    let check = t.add(a_check().alerting_after(3).with("alert_window", json!(10))).await;

    t.run_all("fffoff").await;
    assert_eq!(t.incidents(check.id).await.len(), 1);
    t.run_all("of").await;

    assert_eq!(t.incidents(check.id).await.len(), 2);
}

pub async fn a_check_that_is_alive_and_less_than_well_is_degraded(t: TestStores) {
    let check = t.add(a_check().alerting_after(2).with("recovery_threshold", json!(2))).await;
    t.run_all("od").await;
    assert_eq!(t.status(check.id).await, Status::Up);

    t.run_all("do").await;

    assert_eq!(t.status(check.id).await, Status::Degraded);
    assert_eq!(t.incidents(check.id).await.len(), 1);
    let listed = async |status| {
        let filter = CheckFilter { status: Some(status), ..CheckFilter::default() };
        t.stores.checks.list(PROJECT, &filter, page(10)).await.unwrap().len()
    };
    assert_eq!((listed(Status::Degraded).await, listed(Status::Up).await), (1, 0));
    t.run_all("o").await;
    assert_eq!(t.status(check.id).await, Status::Up);
}

pub async fn the_worst_region_says_how_a_check_is(t: TestStores) {
    let check = t.add(a_check().from_regions(&["east", "north", "west"])).await;
    let round = async |outcomes: &str| {
        let mut jobs = t.claim().await;
        jobs.sort_by(|a, b| a.region.as_str().cmp(b.region.as_str()));
        let result = |(job, outcome)| match outcome {
            'f' => Some(a_result(job).failed().build()),
            'd' => Some(a_result(job).degraded().build()),
            'o' => Some(a_result(job).build()),
            _ => None,
        };
        let results: Vec<_> = jobs.iter().zip(outcomes.chars()).filter_map(result).collect();
        t.record(&results).await;
        let status = t.status(check.id).await;
        // As long as it takes for what brought no result to be given up.
        t.clock.advance(300 * super::SECOND);
        status
    };

    assert_eq!(round("---").await, Status::Pending);
    assert_eq!(round("o--").await, Status::Up);
    assert_eq!(round("od-").await, Status::Degraded);
    assert_eq!(round("odf").await, Status::Down);
    assert_eq!(round("ddo").await, Status::Degraded);
    assert_eq!(round("ooo").await, Status::Up);
    t.patch(check.id, 1, json!({ "enabled": false })).await;
    assert_eq!(t.status(check.id).await, Status::Paused);
}

pub async fn new_thresholds_hold_from_the_next_run_on(t: TestStores) {
    let check = t.add(a_check().alerting_after(3)).await;
    t.run_all("off").await;

    t.patch(check.id, 1, json!({ "alert_window": 4, "recovery_threshold": 2 })).await;
    t.run_all("fof").await;
    assert_eq!(t.status(check.id).await, Status::Up, "a window knows what came since it was set");
    t.run_all("fo").await;
    assert_eq!(t.status(check.id).await, Status::Down);
    t.patch(check.id, 2, json!({ "alert_window": null, "recovery_threshold": null })).await;

    t.run_all("o").await;

    assert_eq!(t.status(check.id).await, Status::Up);
}

pub async fn an_edit_of_what_is_looked_at_forgets_what_was_counted(t: TestStores) {
    let check = t.add(a_check().alerting_after(2).with("alert_window", json!(3))).await;
    t.run_all("of").await;

    t.patch(check.id, 1, json!({ "url": "http://other.test/" })).await;
    t.run_all("f").await;

    assert_eq!(t.incidents(check.id).await, []);
    t.run_all("f").await;
    assert_eq!(t.incidents(check.id).await.len(), 1);
}
