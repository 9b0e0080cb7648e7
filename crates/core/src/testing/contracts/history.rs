//! What a history store must keep: every run once, sums that agree with them.

use chrono::DurationRound;

use crate::models::ids::{BatchId, CheckId, ProjectId, Region};
use crate::models::run::{FailClass, MissedReason, Observation, Outcome, Phases, Run};
use crate::models::schedule::Slot;
use crate::ports::Page;
use crate::ports::history::{MetricsOf, RunsOf, Shipment};
use crate::stores::history_row::write_lines;
use crate::testing::TestStores;

const PROJECT: ProjectId = ProjectId::DEFAULT;
const MINUTE: i64 = 60_000;

fn a_run(check: CheckId, slot: Slot, outcome: Outcome, total_us: u32) -> Run {
    let seen = Observation {
        started_at: slot.plus(3).time(),
        status_code: (outcome == Outcome::Ok).then_some(200),
        phases: Phases { connect_us: Some(100), total_us: Some(total_us), ..Phases::default() },
        address: Some(std::net::Ipv4Addr::LOCALHOST.into()),
        error: (outcome != Outcome::Ok).then(|| "refused".to_owned()),
    };
    Run {
        project_id: PROJECT,
        check_id: check,
        region: Region::default(),
        slot,
        slots: 1,
        outcome,
        attempt: 1,
        observation: (!matches!(outcome, Outcome::Missed(_))).then_some(seen),
    }
}

fn a_gap(check: CheckId, slot: Slot, slots: u32) -> Run {
    Run { slots, attempt: 0, ..a_run(check, slot, Outcome::Missed(MissedReason::Late), 0) }
}

/// The beginning of this day: stores forget minutes after two days.
fn today() -> Slot {
    Slot(Slot::from(chrono::Utc::now()).0.div_euclid(86_400_000) * 86_400_000)
}

fn shipment(runs: &[Run]) -> Shipment {
    Shipment { id: BatchId::generate(), rows: write_lines(runs).unwrap(), leased_until: Slot(0) }
}

impl TestStores {
    async fn runs(&self, check: CheckId, page: Page<(Slot, String)>) -> Vec<Run> {
        self.stores.history.runs(RunsOf { project: PROJECT, check }, page).await.unwrap()
    }
}

fn page(limit: u32) -> Page<(Slot, String)> {
    Page { limit, offset: 0, after: None }
}

pub async fn runs_come_back_as_they_were_newest_first(t: TestStores) {
    let (check, now) = (CheckId::generate(), today());
    let runs = [
        a_run(check, now, Outcome::Ok, 1_234),
        a_run(check, now.plus(MINUTE), Outcome::Fail(FailClass::Connect), 200),
        a_gap(check, now.plus(2 * MINUTE), 5),
    ];
    t.stores.history.append(&shipment(&runs)).await.unwrap();
    t.stores
        .history
        .append(&shipment(&[a_run(CheckId::generate(), now, Outcome::Ok, 1)]))
        .await
        .unwrap();

    let all = t.runs(check, page(10)).await;
    let first = t.runs(check, page(1)).await;
    let after = Some((first[0].slot, first[0].region.to_string()));
    let rest = t.runs(check, Page { after, ..page(10) }).await;

    let expected: Vec<Run> = runs.iter().rev().cloned().collect();
    assert_eq!(all, expected);
    assert_eq!([first, rest].concat(), expected);
    let other = RunsOf { project: ProjectId(uuid::Uuid::max()), check };
    assert_eq!(t.stores.history.runs(other, page(10)).await.unwrap(), []);
}

pub async fn a_shipment_that_arrives_twice_counts_once(t: TestStores) {
    let (check, now) = (CheckId::generate(), today());
    let sent =
        shipment(&[a_run(check, now, Outcome::Ok, 1_000), a_gap(check, now.plus(MINUTE), 7)]);

    for _ in 0..3 {
        t.stores.history.append(&sent).await.unwrap();
    }

    assert_eq!(t.runs(check, page(10)).await.len(), 2);
    let total = t.stores.history.metrics(an_hour(check)).await.unwrap().total;
    assert_eq!((total.ok, total.missed), (1, 7));
}

fn an_hour(check: CheckId) -> MetricsOf {
    let from = today().time().duration_trunc(chrono::TimeDelta::minutes(1)).unwrap();
    MetricsOf {
        project: PROJECT,
        check,
        from,
        until: from + chrono::TimeDelta::hours(1),
        bucket_seconds: 60,
    }
}

pub async fn sums_agree_with_the_runs_in_every_width(t: TestStores) {
    let check = CheckId::generate();
    let start = today();
    let mut runs = Vec::new();
    for minute in 0..240_i64 {
        let slot = start.plus(minute * MINUTE + 7_000);
        let us = u32::try_from(minute + 1).unwrap() * 1_000;
        runs.push(a_run(check, slot, Outcome::Ok, us));
        if minute % 10 == 0 {
            runs.push(a_run(check, slot.plus(1_000), Outcome::Fail(FailClass::Timeout), 500_000));
        }
    }
    runs.push(a_gap(check, start.plus(5 * MINUTE + 30_000), 3));
    // In several shipments, so that sums are added to.
    for part in runs.chunks(50) {
        t.stores.history.append(&shipment(part)).await.unwrap();
    }

    for (bucket_seconds, buckets) in [(60, 240), (900, 16), (3_600, 4), (86_400, 1)] {
        let of = MetricsOf {
            project: PROJECT,
            check,
            from: start.time(),
            until: start.plus(86_400_000).time(),
            bucket_seconds,
        };
        let metrics = t.stores.history.metrics(of).await.unwrap();

        assert_eq!(metrics.buckets.len(), buckets, "{bucket_seconds}");
        let total = metrics.total;
        assert_eq!((total.ok, total.failed, total.missed), (240, 24, 3), "{bucket_seconds}");
        assert_eq!(metrics.buckets.iter().map(|(_, sum)| sum.ok).sum::<u64>(), 240);
        assert!(metrics.buckets.is_sorted_by_key(|(start, _)| *start));
        let latency = total.latency.unwrap();
        // 1 to 240 ms evenly, the timeouts without an answer left out.
        for (found, exact) in [
            (latency.mean_ms, 120.5),
            (latency.p50_ms, 120.5),
            (latency.p95_ms, 228.0),
            (latency.p99_ms, 237.6),
        ] {
            assert!((found / exact - 1.0).abs() < 0.04, "{bucket_seconds}: {found} for {exact}");
        }
    }
}

pub async fn an_empty_life_has_empty_sums(t: TestStores) {
    let metrics = t.stores.history.metrics(an_hour(CheckId::generate())).await.unwrap();

    assert_eq!(metrics, crate::ports::history::Metrics::default());
}

pub async fn preparing_again_changes_nothing(t: TestStores) {
    let (check, now) = (CheckId::generate(), today());
    t.stores.history.append(&shipment(&[a_run(check, now, Outcome::Ok, 1_000)])).await.unwrap();

    let (one, two) = tokio::join!(t.stores.history.prepare(), t.stores.history.prepare());
    t.stores.history.retain(now).await.unwrap();

    assert!(one.is_ok() && two.is_ok());
    assert_eq!(t.runs(check, page(10)).await.len(), 1);
}
