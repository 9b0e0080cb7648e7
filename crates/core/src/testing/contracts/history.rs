//! What a history store must keep: every run once, sums that agree with them.

use chrono::DurationRound;

use crate::models::evidence::Evidence;
use crate::models::ids::{BatchId, CheckId, ProjectId, Region};
use crate::models::run::{
    Detail, FailClass, InconclusiveReason, MissedReason, Observation, Outcome, Phases, Run,
};
use crate::models::schedule::Slot;
use crate::ports::history::{History, MetricsOf, RunsOf, Shipment, Summary};
use crate::ports::{Page, StoreError};
use crate::stores::history_row::HistoryRow;
use crate::stores::row_binary;

/// For how long a store under test keeps runs.
pub const KEPT_DAYS: u32 = 3_650;

const PROJECT: ProjectId = ProjectId::DEFAULT;
const MINUTE: i64 = 60_000;
const DAY: i64 = 86_400_000;

fn a_run(check: CheckId, slot: Slot, outcome: Outcome, total_us: u32) -> Run {
    let seen = Observation {
        started_at: slot.plus(3).time(),
        status_code: (outcome == Outcome::Ok).then_some(200),
        phases: Phases { connect_us: Some(100), total_us: Some(total_us), ..Phases::default() },
        address: Some(std::net::Ipv4Addr::LOCALHOST.into()),
        error: (outcome != Outcome::Ok).then(|| "refused".to_owned()),
        evidence: None,
        traits: None,
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
    Slot(Slot::from(chrono::Utc::now()).0.div_euclid(DAY) * DAY)
}

fn shipment(runs: &[Run]) -> Shipment {
    shipment_of(runs.iter().map(HistoryRow::from))
}

fn shipment_of<'a>(rows: impl Iterator<Item = HistoryRow<'a>>) -> Shipment {
    let mut packed = Vec::new();
    for row in rows {
        row_binary::write(&row, &mut packed);
    }
    Shipment { id: BatchId::generate(), rows: packed, leased_until: Slot(0) }
}

async fn runs_of(history: &dyn History, check: CheckId, page: Page<(Slot, String)>) -> Vec<Run> {
    history.runs(RunsOf { project: PROJECT, check }, page).await.unwrap()
}

fn page(limit: u32) -> Page<(Slot, String)> {
    Page { limit, offset: 0, after: None }
}

pub async fn runs_come_back_as_they_were_newest_first(history: &dyn History) {
    let (check, now) = (CheckId::generate(), today());
    let runs = [
        a_run(check, now, Outcome::Ok, 1_234),
        a_run(check, now.plus(MINUTE), Outcome::Fail(FailClass::Connect), 200),
        a_gap(check, now.plus(2 * MINUTE), 5),
    ];
    history.append(&shipment(&runs)).await.unwrap();
    history.append(&shipment(&[a_run(CheckId::generate(), now, Outcome::Ok, 1)])).await.unwrap();

    let all = runs_of(history, check, page(10)).await;
    let first = runs_of(history, check, page(1)).await;
    let after = Some((first[0].slot, first[0].region.to_string()));
    let rest = runs_of(history, check, Page { after, ..page(10) }).await;

    let expected: Vec<Run> = runs.iter().rev().cloned().collect();
    assert_eq!(all, expected);
    assert_eq!([first, rest].concat(), expected);
    let other = RunsOf { project: ProjectId(uuid::Uuid::max()), check };
    assert_eq!(history.runs(other, page(10)).await.unwrap(), []);
}

pub async fn every_kind_of_run_comes_back_as_it_was(history: &dyn History) {
    let (check, now) = (CheckId::generate(), today());
    let mut outcomes = vec![Outcome::Ok, Outcome::Degraded];
    outcomes.extend(FailClass::ALL.iter().map(|class| Outcome::Fail(*class)));
    outcomes.extend(InconclusiveReason::ALL.iter().map(|it| Outcome::Inconclusive(*it)));
    outcomes.extend(MissedReason::ALL.iter().map(|reason| Outcome::Missed(*reason)));
    let addresses = [None, "192.0.2.255".parse().ok(), "2001:db8::ffff".parse().ok()];
    let errors = [None, Some("status 502,\n expected \"200\" \\ 'ok' – not é".to_owned())];
    let evidence = [
        None,
        Some(Box::new(Evidence {
            detail: Some(Detail::Refused),
            reply: Some("{\"a\": \"b\\n\"}".to_owned()),
            facts: vec![("looks".to_owned(), "3".to_owned())],
            ..Evidence::default()
        })),
        None,
    ];
    // Clocks may lie.
    let started = [0, 1, -1, 4_321, -3 * DAY, 90 * DAY];
    let mut runs = Vec::new();
    for (number, outcome) in (0..).zip(outcomes.iter().cycle().take(60)) {
        let at = now.plus(i64::from(number) * MINUTE);
        let us = |factor: u32| (number % factor != 0).then_some(number * 7_919 * factor);
        let seen = Observation {
            started_at: at.plus(started[number as usize % started.len()]).time(),
            status_code: u16::try_from(number % 4 * 180).ok().filter(|code| *code > 0),
            phases: Phases {
                dns_us: us(2),
                connect_us: us(3),
                tls_us: us(4),
                first_byte_us: us(5),
                total_us: if number == 1 { Some(u32::MAX) } else { us(6) },
            },
            address: addresses[number as usize % addresses.len()],
            error: errors[number as usize % errors.len()].clone(),
            evidence: evidence[number as usize % evidence.len()].clone(),
            traits: None,
        };
        let run = Run { attempt: 1 + number % 3, ..a_run(check, at, *outcome, 0) };
        runs.push(match outcome {
            Outcome::Missed(_) => Run { attempt: 0, slots: 1 + number, ..run },
            _ => Run { observation: Some(seen), ..run },
        });
    }

    history.append(&shipment(&runs)).await.unwrap();

    runs.reverse();
    assert_eq!(runs_of(history, check, page(100)).await, runs);
}

pub async fn a_run_in_words_of_a_newer_version_hides_alone(history: &dyn History) {
    let (check, now) = (CheckId::generate(), today());
    let known = a_run(check, now, Outcome::Ok, 1_000);
    let newer = a_run(check, now.plus(MINUTE), Outcome::Fail(FailClass::TooLarge), 1_000);
    let newer = HistoryRow { reason: "boredom".into(), ..HistoryRow::from(&newer) };
    let sent = shipment_of([HistoryRow::from(&known), newer].into_iter());

    history.append(&sent).await.unwrap();

    assert_eq!(runs_of(history, check, page(10)).await, [known]);
    let total = history.metrics(an_hour(check)).await.unwrap().total;
    assert_eq!((total.ok, total.failed), (1, 1));
}

pub async fn runs_of_several_regions_come_in_one_list_a_page_at_a_time(history: &dyn History) {
    let (check, now) = (CheckId::generate(), today());
    let mut runs = Vec::new();
    // In step, except that one region has more, one has older ones, and one has none of late.
    for (region, minutes) in [("eu", 20..30), ("ap", 18..30), ("us", 3..30), ("za", 3..9)] {
        for minute in minutes {
            let run = a_run(check, now.plus(minute * MINUTE), Outcome::Ok, 1_000);
            runs.push(Run { region: Region::parse(region).unwrap(), ..run });
        }
    }
    history.append(&shipment(&runs)).await.unwrap();
    runs.sort_by(|a, b| (b.slot, &b.region).cmp(&(a.slot, &a.region)));

    for limit in [1, 2, 7, 1_000] {
        let (mut walked, mut after) = (Vec::new(), None);
        // One that stands still is told, and not waited for.
        while walked.len() <= runs.len() {
            let next = runs_of(history, check, Page { limit, offset: 0, after }).await;
            let Some(last) = next.last() else { break };
            after = Some((last.slot, last.region.to_string()));
            walked.extend(next);
        }
        assert_eq!(walked, runs, "{limit}");
    }
    for (start, offset) in [(0, 0), (0, 5), (4, 0), (4, 1), (5, 30), (6, 500)] {
        let last = &runs[start];
        let after = Some((last.slot, last.region.to_string()));
        let found = runs_of(history, check, Page { limit: 6, offset, after }).await;
        let expected = runs.iter().skip(start + 1 + offset as usize).take(6);
        assert!(found.iter().eq(expected), "after {start}, {offset} skipped: {found:?}");
    }
}

pub async fn a_large_shipment_of_many_days_arrives_whole(history: &dyn History) {
    let (check, days) = (CheckId::generate(), 40);
    let first = today().plus(-days * DAY);
    let mut runs = Vec::new();
    for day in 0..days {
        for number in 0..300 {
            let slot = first.plus(day * DAY + number * 10_000);
            runs.push(a_run(check, slot, Outcome::Ok, 1_000));
        }
    }

    history.append(&shipment(&runs)).await.unwrap();

    let of = MetricsOf {
        project: PROJECT,
        check,
        from: first.time(),
        until: today().time(),
        bucket_seconds: 86_400,
    };
    let metrics = history.metrics(of).await.unwrap();
    assert_eq!(metrics.total.ok, 12_000);
    assert!(metrics.buckets.iter().all(|(_, sum)| sum.ok == 300));
    let oldest = Page { limit: 20_000, offset: 11_990, after: None };
    runs.truncate(10);
    runs.reverse();
    assert_eq!(runs_of(history, check, oldest).await, runs);
}

pub async fn a_shipment_with_bytes_that_are_no_row_leaves_nothing_behind(history: &dyn History) {
    let (check, now) = (CheckId::generate(), today());
    let runs: Vec<Run> =
        (0..6_000).map(|number| a_run(check, now.plus(number * 10), Outcome::Ok, 1_000)).collect();
    let good = shipment(&runs);

    let cut = &good.rows[..good.rows.len() / runs.len() - 1];
    for wrong in [&b"{"[..], b"null", b"\0", cut] {
        let rows = [&good.rows, wrong].concat();
        let told = history.append(&Shipment { rows, ..good.clone() }).await;

        assert!(
            matches!(told, Err(StoreError::Unreadable { .. } | StoreError::Refused { .. })),
            "{wrong:?}: {told:?}"
        );
        assert_eq!(runs_of(history, check, page(1)).await, [], "{wrong:?}");
        assert_eq!(history.metrics(an_hour(check)).await.unwrap().total, Summary::default());
    }
    history.append(&good).await.unwrap();
    assert_eq!(runs_of(history, check, page(10_000)).await.len(), 6_000);
}

pub async fn a_shipment_that_arrives_twice_counts_once(history: &dyn History) {
    let (check, now) = (CheckId::generate(), today());
    let sent =
        shipment(&[a_run(check, now, Outcome::Ok, 1_000), a_gap(check, now.plus(MINUTE), 7)]);

    for _ in 0..3 {
        history.append(&sent).await.unwrap();
    }

    assert_eq!(runs_of(history, check, page(10)).await.len(), 2);
    let total = history.metrics(an_hour(check)).await.unwrap().total;
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

pub async fn sums_agree_with_the_runs_in_every_width(history: &dyn History) {
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
        history.append(&shipment(part)).await.unwrap();
    }

    for (bucket_seconds, buckets) in [(60, 240), (900, 16), (3_600, 4), (86_400, 1)] {
        let of = MetricsOf {
            project: PROJECT,
            check,
            from: start.time(),
            until: start.plus(86_400_000).time(),
            bucket_seconds,
        };
        let metrics = history.metrics(of).await.unwrap();

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

pub async fn what_is_old_is_forgotten_and_the_rest_is_kept(history: &dyn History) {
    let (check, before) = (CheckId::generate(), today());
    let now = before.plus(3 * DAY);
    let (old, young) =
        (a_run(check, before, Outcome::Ok, 1_000), a_run(check, now, Outcome::Ok, 1_000));
    history.append(&shipment(&[old.clone(), young.clone()])).await.unwrap();
    let summed = async |bucket_seconds| {
        let of = MetricsOf {
            project: PROJECT,
            check,
            from: before.time(),
            until: now.plus(DAY).time(),
            bucket_seconds,
        };
        let buckets = history.metrics(of).await.unwrap().buckets;
        buckets.into_iter().map(|(start, _)| Slot::from(start)).collect::<Vec<_>>()
    };
    let both = [old.slot, young.slot];

    history.retain(now).await.unwrap();

    assert_eq!(runs_of(history, check, page(10)).await, [young.clone(), old]);
    assert_eq!(summed(60).await, [young.slot]);
    assert_eq!((summed(3_600).await, summed(86_400).await), (both.to_vec(), both.to_vec()));

    // The oldest has been kept for its time, and a day on top: stores may forget whole days.
    history.retain(before.plus((i64::from(KEPT_DAYS) + 2) * DAY)).await.unwrap();

    assert_eq!(runs_of(history, check, page(10)).await, [young]);
    assert_eq!((summed(60).await, summed(86_400).await), (vec![], vec![]));

    history.retain(now.plus((i64::from(KEPT_DAYS) + 2) * DAY)).await.unwrap();

    assert_eq!(runs_of(history, check, page(10)).await, []);
}

pub async fn an_empty_life_has_empty_sums(history: &dyn History) {
    let metrics = history.metrics(an_hour(CheckId::generate())).await.unwrap();

    assert_eq!(metrics, crate::ports::history::Metrics::default());
}

pub async fn preparing_again_changes_nothing(history: &dyn History) {
    let (check, now) = (CheckId::generate(), today());
    history.append(&shipment(&[a_run(check, now, Outcome::Ok, 1_000)])).await.unwrap();

    let (one, two) = tokio::join!(history.prepare(), history.prepare());
    history.retain(now).await.unwrap();

    assert!(one.is_ok() && two.is_ok());
    assert_eq!(runs_of(history, check, page(10)).await.len(), 1);
}
