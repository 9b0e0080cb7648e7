//! Incidents: one an outage, over all regions.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use super::{PROJECT, SECOND};
use crate::models::alert::AlertKind;
use crate::models::check::Status;
use crate::models::ids::Region;
use crate::models::job::{Job, RunResult};
use crate::ports::recording::Recorded;
use crate::testing::{TestStores, a_check, a_result};

pub async fn three_failures_in_a_row_open_one_incident_and_a_good_run_resolves_it(t: TestStores) {
    let check = t.add(a_check().alerting_after(3).telling("http://sink.test/")).await;
    t.run(true).await;
    let first = t.run(false).await;
    t.run(false).await;
    assert_eq!(t.incidents(check.id).await, []);
    t.run(false).await;
    t.run(false).await;
    let view = t.stores.checks.get(PROJECT, check.id).await.unwrap().unwrap();
    assert_eq!(view.status, Status::Down);
    let good = t.run(true).await;

    let incidents = t.incidents(check.id).await;
    assert_eq!(incidents.len(), 1);
    assert_eq!((incidents[0].started_at, incidents[0].resolved_at), (first.slot, Some(good.slot)));
    assert_eq!(incidents[0].cause, "status 500, expected any 2xx");
    assert_eq!(t.alert_kinds(check.id).await, [AlertKind::Opened, AlertKind::Resolved]);
}

pub async fn regions_share_one_incident(t: TestStores) {
    let check = t.add(a_check().from_regions(&["east", "west"])).await;
    let (east, west) = (Region::parse("east").unwrap(), Region::parse("west").unwrap());
    let round = async |east_ok: bool, west_ok: bool| {
        let jobs = t.claim().await;
        assert_eq!(jobs.len(), 2);
        let result = |job: &Job| {
            let ok = if job.region == east { east_ok } else { west_ok };
            if ok { a_result(job).build() } else { a_result(job).failed().build() }
        };
        let results: Vec<_> = jobs.iter().map(result).collect();
        let (first, second): (Vec<_>, Vec<_>) = results.into_iter().partition(|r| r.region == west);
        // At the same time, in two transactions.
        tokio::join!(t.record(&first), t.record(&second));
        t.move_to_next_slot(check.id).await;
    };

    round(false, false).await;
    assert_eq!(t.incidents(check.id).await.len(), 1);
    round(true, false).await;
    assert_eq!(t.incidents(check.id).await[0].resolved_at, None);
    round(true, true).await;
    let incidents = t.incidents(check.id).await;
    assert_eq!(incidents.len(), 1);
    assert!(incidents[0].resolved_at.is_some());
    round(false, true).await;
    round(true, false).await;
    round(true, true).await;
    let open =
        t.incidents(check.id).await.into_iter().filter(|it| it.resolved_at.is_none()).count();
    assert_eq!(open, 0);
}

pub async fn regions_that_move_at_the_same_time_agree_on_the_incident(t: TestStores) {
    const CHECKS: u64 = 25;
    const REGIONS: [&str; 4] = ["east", "north", "south", "west"];
    const OUTAGES: usize = 5;
    let mut checks = Vec::new();
    for _ in 0..CHECKS {
        checks.push(t.add(a_check().from_regions(&REGIONS)).await.id);
    }
    // Each region's results in a transaction of their own, all at the same time.
    let round = async |ok: bool| {
        let mut results: BTreeMap<Region, Vec<RunResult>> = BTreeMap::new();
        for job in t.claim().await {
            let result = if ok { a_result(&job) } else { a_result(&job).failed() };
            results.entry(job.region).or_default().push(result.build());
        }
        let recorded = join_all(results.values().map(|results| t.record(results))).await;
        t.clock.advance(120 * SECOND);
        let sum = |of: fn(&Recorded) -> u64| recorded.iter().map(of).sum::<u64>();
        (sum(|it| it.applied), sum(|it| it.opened), sum(|it| it.resolved))
    };

    for outage in 1..=OUTAGES {
        let down = round(false).await;
        let up = round(true).await;

        let runs = CHECKS * REGIONS.len() as u64;
        assert_eq!(down, (runs, CHECKS, 0), "outage {outage}: the first region opens, once");
        assert_eq!(up, (runs, 0, CHECKS), "outage {outage}: the last region resolves, once");
    }
    for check in checks {
        assert_eq!(t.incidents(check).await.len(), OUTAGES);
    }
}
