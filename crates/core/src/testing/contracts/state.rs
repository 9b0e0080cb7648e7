//! What a state store must keep: the ledger, one incident an outage, deliveries that are never lost.
//!
//! Each takes stores of its own, with the clock in the test's hand.

use std::collections::BTreeSet;

use serde_json::json;

use crate::models::alert::{AlertKind, AttemptReport, Incident, Resolution, Settlement};
use crate::models::check::{Check, CheckDraft, Status};
use crate::models::ids::{CheckId, ProjectId, Region};
use crate::models::job::{Job, RunResult};
use crate::models::run::{MissedReason, Outcome, Run};
use crate::ports::Page;
use crate::ports::checks::{Change, CheckFilter, Creation, IdempotencyKey, RunNow};
use crate::ports::clock::Clock;
use crate::ports::history::RunsOf;
use crate::testing::{CheckBuilder, TestStores, a_check, a_result};

const PROJECT: ProjectId = ProjectId::DEFAULT;
const SECOND: i64 = 1_000;

fn page<C>(limit: u32) -> Page<C> {
    Page {
        limit,
        offset: 0,
        after: None,
    }
}

impl TestStores {
    async fn add(&self, check: CheckBuilder) -> Check {
        let check = check.build();
        let created = self
            .stores
            .checks
            .create(check.clone(), None, self.clock.now())
            .await
            .unwrap();
        assert!(matches!(created, Creation::Created(_)));
        check
    }

    /// Claims and commits what is due.
    async fn claim(&self) -> Vec<Job> {
        let claim = self
            .stores
            .schedule
            .claim_due(self.clock.now(), 1_000)
            .await
            .unwrap();
        let jobs = claim.jobs().to_vec();
        claim.commit().await.unwrap();
        jobs
    }

    /// The one job that is due.
    async fn claim_one(&self) -> Job {
        let mut jobs = self.claim().await;
        assert_eq!(jobs.len(), 1, "one job should be due: {jobs:?}");
        jobs.remove(0)
    }

    async fn record(&self, results: &[RunResult]) -> crate::ports::recording::Recorded {
        self.stores
            .records
            .record(results, self.clock.now())
            .await
            .unwrap()
    }

    /// Runs the one check for its slot, with this outcome, and moves on to its next slot.
    async fn run(&self, ok: bool) -> Job {
        let job = self.claim_one().await;
        let result = if ok {
            a_result(&job)
        } else {
            a_result(&job).failed()
        };
        self.record(&[result.build()]).await;
        self.move_to_next_slot(job.check_id).await;
        job
    }

    async fn move_to_next_slot(&self, check: CheckId) {
        let view = self
            .stores
            .checks
            .get(PROJECT, check)
            .await
            .unwrap()
            .unwrap();
        self.clock
            .advance(view.next_run_at.unwrap().0 - self.clock.now().0);
    }

    async fn incidents(&self, check: CheckId) -> Vec<Incident> {
        self.stores
            .alerts
            .incidents(PROJECT, check, page(100))
            .await
            .unwrap()
    }

    async fn alert_kinds(&self, check: CheckId) -> Vec<AlertKind> {
        let mut alerts = self
            .stores
            .alerts
            .alerts(PROJECT, check, page(100))
            .await
            .unwrap();
        alerts.sort_by_key(|alert| (alert.raised_at, alert.kind.sequence()));
        alerts.into_iter().map(|alert| alert.kind).collect()
    }

    /// What history says of a check, oldest first, once everything sealed has been shipped.
    async fn history(&self, check: CheckId) -> Vec<Run> {
        while let Some(shipment) = self
            .stores
            .outbox
            .next(self.clock.now(), 60 * SECOND)
            .await
            .unwrap()
        {
            self.stores.history.append(&shipment).await.unwrap();
            self.stores.outbox.settle(shipment.id).await.unwrap();
        }
        let of = RunsOf {
            project: PROJECT,
            check,
        };
        let mut runs = self.stores.history.runs(of, page(1_000)).await.unwrap();
        runs.reverse();
        runs
    }
}

// --- checks

pub async fn a_new_check_is_due_at_once(t: TestStores) {
    let check = t.add(a_check()).await;

    let view = t
        .stores
        .checks
        .get(PROJECT, check.id)
        .await
        .unwrap()
        .unwrap();
    let job = t.claim_one().await;

    assert_eq!(
        (view.status, view.next_run_at),
        (Status::Pending, Some(t.clock.now()))
    );
    assert_eq!(
        (job.check_id, job.slot, job.version),
        (check.id, t.clock.now(), 1)
    );
}

pub async fn the_same_idempotency_key_makes_one_check(t: TestStores) {
    let key = |hash: u8| {
        Some(IdempotencyKey {
            key: "k".into(),
            request_hash: vec![hash; 32],
        })
    };
    let create = async |hash| {
        t.stores
            .checks
            .create(a_check().build(), key(hash), t.clock.now())
            .await
            .unwrap()
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
        t.stores
            .checks
            .list(PROJECT, &CheckFilter::default(), page(10))
            .await
            .unwrap()
            .len(),
        1
    );

    t.stores
        .checks
        .delete(PROJECT, *ids.first().unwrap(), t.clock.now())
        .await
        .unwrap();
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
    assert_eq!(
        list(Page {
            after: Some(third),
            ..page(1)
        })
        .await,
        [second]
    );
    assert_eq!(
        list(Page {
            offset: 2,
            ..page(10)
        })
        .await,
        [first]
    );
}

pub async fn lists_show_what_the_filter_lets_through(t: TestStores) {
    let shop = a_check()
        .with("name", json!("Shop"))
        .with("tags", json!(["eu", "prod"]));
    let blog = a_check()
        .with("name", json!("Blog 100%_"))
        .with("tags", json!(["eu"]));
    let shop = t.add(shop).await.id;
    let blog = t.add(blog).await.id;
    let idle = t.add(a_check().with("enabled", json!(false))).await.id;
    let list = async |filter| listed(&t, filter, page(10)).await;
    let any = CheckFilter::default;

    assert_eq!(
        list(CheckFilter {
            tags: vec!["eu".into(), "prod".into()],
            ..any()
        })
        .await,
        [shop]
    );
    assert_eq!(
        list(CheckFilter {
            enabled: Some(false),
            ..any()
        })
        .await,
        [idle]
    );
    assert_eq!(
        list(CheckFilter {
            status: Some(Status::Paused),
            ..any()
        })
        .await,
        [idle]
    );
    assert_eq!(
        list(CheckFilter {
            status: Some(Status::Pending),
            ..any()
        })
        .await,
        [blog, shop]
    );
    assert_eq!(
        list(CheckFilter {
            text: Some("100%_".into()),
            ..any()
        })
        .await,
        [blog]
    );
    assert_eq!(
        list(CheckFilter {
            text: Some("sHoP".into()),
            ..any()
        })
        .await,
        [shop]
    );
    assert_eq!(
        list(CheckFilter {
            text: Some("%".into()),
            ..any()
        })
        .await,
        [blog],
        "% is a character"
    );
}

pub async fn a_change_of_a_version_long_gone_is_stale(t: TestStores) {
    let check = t.add(a_check()).await;
    let replace = async |version, name: &str| {
        let draft = CheckDraft::patch(&check.config, json!({ "name": name })).unwrap();
        t.stores
            .checks
            .replace(PROJECT, check.id, version, draft, t.clock.now())
            .await
            .unwrap()
    };

    let (one, two) = tokio::join!(replace(1, "one"), replace(1, "two"));

    let stale = [&one, &two]
        .into_iter()
        .filter(|change| **change == Change::Stale)
        .count();
    assert_eq!(stale, 1, "{one:?} {two:?}");
    assert!(matches!(replace(2, "three").await, Change::Done(_)));
}

pub async fn an_edit_of_what_is_looked_at_runs_at_once_and_closes_the_slot_under_way(
    t: TestStores,
) {
    let check = t.add(a_check().alerting_after(2)).await;
    let old = t.claim_one().await;
    t.clock.advance(SECOND);

    let draft = CheckDraft::patch(&check.config, json!({ "url": "http://other.test/" })).unwrap();
    t.stores
        .checks
        .replace(PROJECT, check.id, 1, draft, t.clock.now())
        .await
        .unwrap();
    let new = t.claim_one().await;
    let late = t.record(&[a_result(&old).failed().build()]).await;
    t.record(&[a_result(&new).build()]).await;

    assert_eq!((new.slot, new.version), (t.clock.now(), 2));
    assert_eq!(
        (late.applied, late.stale),
        (0, 1),
        "a result of the old definition says nothing of the new"
    );
    let outcomes: Vec<_> = t
        .history(check.id)
        .await
        .into_iter()
        .map(|run| (run.slot, run.outcome))
        .collect();
    assert_eq!(
        outcomes,
        [
            (old.slot, Outcome::Missed(MissedReason::Edited)),
            (new.slot, Outcome::Ok)
        ]
    );
}

pub async fn an_edit_of_the_name_leaves_the_schedule_alone(t: TestStores) {
    let check = t.add(a_check()).await;
    let job = t.claim_one().await;
    let draft = CheckDraft::patch(&check.config, json!({ "name": "Another" })).unwrap();

    t.stores
        .checks
        .replace(PROJECT, check.id, 1, draft, t.clock.now())
        .await
        .unwrap();

    assert_eq!(t.claim().await, []);
    assert_eq!(t.record(&[a_result(&job).build()]).await.applied, 1);
}

pub async fn a_paused_check_is_never_due_and_its_incident_is_over(t: TestStores) {
    let check = t.add(a_check().telling("http://sink.test/")).await;
    t.run(false).await;
    let under_way = t.claim_one().await;
    let set = async |version, enabled: bool| {
        let view = t
            .stores
            .checks
            .get(PROJECT, check.id)
            .await
            .unwrap()
            .unwrap();
        let draft = CheckDraft::patch(&view.check.config, json!({ "enabled": enabled })).unwrap();
        t.stores
            .checks
            .replace(PROJECT, check.id, version, draft, t.clock.now())
            .await
            .unwrap()
    };

    set(1, false).await;
    t.clock.advance(3_600 * SECOND);

    assert_eq!(t.claim().await, []);
    assert_eq!(
        t.stores
            .checks
            .run_now(PROJECT, check.id, t.clock.now())
            .await
            .unwrap(),
        RunNow::Paused
    );
    assert_eq!(t.record(&[a_result(&under_way).build()]).await.stale, 1);
    assert_eq!(
        t.incidents(check.id).await[0].resolution,
        Some(Resolution::Paused)
    );
    assert_eq!(
        t.alert_kinds(check.id).await,
        [AlertKind::Opened, AlertKind::Resolved]
    );
    let last = t.history(check.id).await.pop().unwrap();
    assert_eq!(
        (last.slot, last.outcome),
        (under_way.slot, Outcome::Missed(MissedReason::Paused))
    );

    set(2, true).await;
    assert_eq!(
        t.claim_one().await.slot,
        t.clock.now(),
        "resumed, it runs at once"
    );
}

pub async fn a_deleted_check_is_gone_and_its_last_alert_is_still_delivered(t: TestStores) {
    let check = t.add(a_check().telling("http://sink.test/")).await;
    t.run(false).await;

    assert!(
        t.stores
            .checks
            .delete(PROJECT, check.id, t.clock.now())
            .await
            .unwrap()
    );

    assert_eq!(t.stores.checks.get(PROJECT, check.id).await.unwrap(), None);
    assert!(
        !t.stores
            .checks
            .delete(PROJECT, check.id, t.clock.now())
            .await
            .unwrap()
    );
    assert_eq!(t.claim().await, []);
    let opened = t
        .stores
        .deliveries
        .claim(t.clock.now(), 10, 30 * SECOND)
        .await
        .unwrap()
        .remove(0);
    let report = AttemptReport::default();
    t.stores
        .deliveries
        .settle(&opened, &report, Settlement::Delivered, t.clock.now())
        .await
        .unwrap();
    let resolved = t
        .stores
        .deliveries
        .claim(t.clock.now(), 10, 30 * SECOND)
        .await
        .unwrap()
        .remove(0);
    assert!(resolved.body.contains("incident.resolved") && resolved.body.contains("deleted"));
    assert!(!resolved.secret.is_empty());
}

pub async fn a_run_asked_for_is_due_now_and_takes_no_slot_away(t: TestStores) {
    let check = t.add(a_check().every(600)).await;
    let first = t.claim_one().await;
    t.record(&[a_result(&first).build()]).await;
    t.clock.advance(10 * SECOND);

    let due = t
        .stores
        .checks
        .run_now(PROJECT, check.id, t.clock.now())
        .await
        .unwrap();
    let extra = t.claim_one().await;

    assert!(matches!(due, RunNow::Due(_)));
    assert_eq!(extra.slot, t.clock.now());
    assert_eq!(t.record(&[a_result(&extra).build()]).await.applied, 1);
}

// --- the ledger

pub async fn rival_schedulers_never_claim_a_slot_twice(t: TestStores) {
    for _ in 0..200 {
        t.add(a_check()).await;
    }

    let claims = (0..4).map(|_| async {
        let mut slots = Vec::new();
        loop {
            let claim = t
                .stores
                .schedule
                .claim_due(t.clock.now(), 20)
                .await
                .unwrap();
            if claim.jobs().is_empty() {
                return slots;
            }
            slots.extend(claim.jobs().iter().map(|job| (job.check_id, job.slot)));
            claim.commit().await.unwrap();
        }
    });
    let claimed: Vec<_> = futures_util::future::join_all(claims)
        .await
        .into_iter()
        .flatten()
        .collect();

    // SKIP LOCKED may leave rows for a later round: what counts is that none came twice.
    let left = t.claim().await.len();
    assert_eq!(claimed.len() + left, 200);
    assert_eq!(claimed.iter().collect::<BTreeSet<_>>().len(), claimed.len());
}

pub async fn a_claim_that_is_not_committed_never_happened(t: TestStores) {
    t.add(a_check()).await;

    let dropped = t
        .stores
        .schedule
        .claim_due(t.clock.now(), 10)
        .await
        .unwrap();
    let first = dropped.jobs().to_vec();
    drop(dropped);
    let second = crate::testing::eventually("the row is free again", async || {
        let jobs = t.claim().await;
        (!jobs.is_empty()).then_some(jobs)
    })
    .await;

    assert_eq!(first.len(), 1);
    assert_eq!(first[0].slot, second[0].slot);
}

pub async fn a_slot_without_a_result_and_slots_behind_are_told_as_missed(t: TestStores) {
    let check = t.add(a_check().every(60)).await;
    let lost = t.claim_one().await;
    t.clock.advance(600 * SECOND);

    let next = t.claim_one().await;
    let zombie = t.record(&[a_result(&lost).build()]).await;
    t.record(&[a_result(&next).build()]).await;

    assert_eq!((zombie.applied, zombie.stale), (0, 1));
    let runs = t.history(check.id).await;
    let told: Vec<_> = runs.iter().map(|run| (run.outcome, run.slots)).collect();
    let late = told[1].1;
    assert_eq!(
        told,
        [
            (Outcome::Missed(MissedReason::Lost), 1),
            (Outcome::Missed(MissedReason::Late), late),
            (Outcome::Ok, 1),
        ]
    );
    let grid = check.schedule();
    let mut slot = runs[0].slot;
    let slots: u32 = runs.iter().map(|run| run.slots).sum();
    for _ in 1..slots {
        slot = grid.following(slot);
    }
    assert_eq!(
        slot, next.slot,
        "every slot from the first to the last is told, each once"
    );
}

pub async fn a_result_of_a_claim_that_was_rolled_back_counts_once(t: TestStores) {
    let check = t.add(a_check()).await;
    let claim = t
        .stores
        .schedule
        .claim_due(t.clock.now(), 10)
        .await
        .unwrap();
    let job = claim.jobs()[0].clone();
    drop(claim);

    let recorded = crate::testing::eventually("the row is free again", async || {
        let recorded = t.record(&[a_result(&job).build()]).await;
        (recorded.applied == 1).then_some(recorded)
    })
    .await;

    assert_eq!(recorded.stale, 0);
    assert_eq!(t.claim().await, [], "its slot is not run again");
    assert_eq!(t.history(check.id).await.len(), 1);
}

pub async fn rival_recorders_apply_each_result_once(t: TestStores) {
    let mut checks = Vec::new();
    for _ in 0..50 {
        checks.push(t.add(a_check().telling("http://sink.test/")).await);
    }
    let results: Vec<_> = t
        .claim()
        .await
        .iter()
        .map(|job| a_result(job).failed().build())
        .collect();

    let (a, b, c) = tokio::join!(t.record(&results), t.record(&results), t.record(&results));

    assert_eq!(a.applied + b.applied + c.applied, 50);
    assert_eq!(a.opened + b.opened + c.opened, 50);
    for check in checks {
        assert_eq!(t.incidents(check.id).await.len(), 1);
        assert_eq!(t.history(check.id).await.len(), 1);
    }
}

// --- incidents

pub async fn three_failures_in_a_row_open_one_incident_and_a_good_run_resolves_it(t: TestStores) {
    let check = t
        .add(a_check().alerting_after(3).telling("http://sink.test/"))
        .await;
    t.run(true).await;
    let first = t.run(false).await;
    t.run(false).await;
    assert_eq!(t.incidents(check.id).await, []);
    t.run(false).await;
    t.run(false).await;
    let view = t
        .stores
        .checks
        .get(PROJECT, check.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(view.status, Status::Down);
    let good = t.run(true).await;

    let incidents = t.incidents(check.id).await;
    assert_eq!(incidents.len(), 1);
    assert_eq!(
        (incidents[0].started_at, incidents[0].resolved_at),
        (first.slot, Some(good.slot))
    );
    assert_eq!(incidents[0].cause, "status 500, expected any 2xx");
    assert_eq!(
        t.alert_kinds(check.id).await,
        [AlertKind::Opened, AlertKind::Resolved]
    );
}

pub async fn regions_share_one_incident(t: TestStores) {
    let check = t.add(a_check().from_regions(&["east", "west"])).await;
    let (east, west) = (
        Region::parse("east").unwrap(),
        Region::parse("west").unwrap(),
    );
    let round = async |east_ok: bool, west_ok: bool| {
        let jobs = t.claim().await;
        assert_eq!(jobs.len(), 2);
        let result = |job: &Job| {
            let ok = if job.region == east { east_ok } else { west_ok };
            if ok {
                a_result(job).build()
            } else {
                a_result(job).failed().build()
            }
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
    let open = t
        .incidents(check.id)
        .await
        .into_iter()
        .filter(|it| it.resolved_at.is_none())
        .count();
    assert_eq!(open, 0);
}

// --- deliveries

pub async fn deliveries_keep_their_order_and_their_bytes(t: TestStores) {
    let check = t.add(a_check().telling("http://sink.test/hook")).await;
    t.run(false).await;
    t.run(true).await;
    let claim = async || {
        t.stores
            .deliveries
            .claim(t.clock.now(), 10, 30 * SECOND)
            .await
            .unwrap()
    };
    let settle = async |lease, settlement| {
        let report = AttemptReport {
            status: Some(500),
            ..AttemptReport::default()
        };
        t.stores
            .deliveries
            .settle(lease, &report, settlement, t.clock.now())
            .await
            .unwrap()
    };

    let first = claim().await;
    assert_eq!(first.len(), 1, "the resolved one waits for the opened one");
    assert!(first[0].body.contains("incident.opened"));
    assert!(claim().await.is_empty(), "it is leased");
    assert!(settle(&first[0], Settlement::RetryIn(5_000)).await);
    assert!(
        claim().await.is_empty(),
        "it waits for its next attempt, and the resolved one with it"
    );
    t.clock.advance(5 * SECOND);
    let second = claim().await;
    assert_eq!(
        (second[0].id, &second[0].body),
        (first[0].id, &first[0].body)
    );
    assert_eq!((second[0].number, second[0].schedule_step), (2, 2));
    assert!(settle(&second[0], Settlement::Delivered).await);
    let resolved = claim().await;
    assert!(resolved[0].body.contains("incident.resolved"));

    let attempts = t
        .stores
        .alerts
        .attempts(PROJECT, check.id, page(10))
        .await
        .unwrap();
    let told: Vec<_> = attempts
        .iter()
        .map(|it| (it.kind, it.number, it.finished_at.is_some()))
        .collect();
    assert_eq!(
        told,
        [
            ("resolved", 1, false),
            ("opened", 2, true),
            ("opened", 1, true)
        ]
    );
}

pub async fn a_delivery_whose_alerter_died_is_sent_again_and_the_dead_settle_nothing(
    t: TestStores,
) {
    t.add(a_check().telling("http://sink.test/")).await;
    t.run(false).await;
    let claim = async || {
        t.stores
            .deliveries
            .claim(t.clock.now(), 10, 30 * SECOND)
            .await
            .unwrap()
    };
    let dead = claim().await.remove(0);
    t.clock.advance(31 * SECOND);

    let heir = claim().await.remove(0);
    let report = AttemptReport::default();
    let late = t
        .stores
        .deliveries
        .settle(&dead, &report, Settlement::Dead, t.clock.now())
        .await
        .unwrap();
    let good = t
        .stores
        .deliveries
        .settle(&heir, &report, Settlement::Delivered, t.clock.now())
        .await
        .unwrap();

    assert_eq!((dead.id, dead.number, heir.number), (heir.id, 1, 2));
    assert_eq!((late, good), (false, true));
}

pub async fn a_slow_channel_never_takes_all_places(t: TestStores) {
    for _ in 0..20 {
        t.add(a_check().telling("http://slow.test/")).await;
    }
    t.add(a_check().telling("http://quick.test/")).await;
    let results: Vec<_> = t
        .claim()
        .await
        .iter()
        .map(|job| a_result(job).failed().build())
        .collect();
    t.record(&results).await;

    let leased = t
        .stores
        .deliveries
        .claim(t.clock.now(), 64, 30 * SECOND)
        .await
        .unwrap();
    let more = t
        .stores
        .deliveries
        .claim(t.clock.now(), 64, 30 * SECOND)
        .await
        .unwrap();

    let slow = leased
        .iter()
        .filter(|lease| lease.url.contains("slow"))
        .count();
    assert_eq!(
        (slow, leased.len()),
        (crate::ports::deliveries::PER_CHANNEL as usize, slow + 1)
    );
    assert!(more.is_empty(), "the slow channel has its share");
}

pub async fn a_dead_delivery_can_be_replayed_from_the_start_of_its_schedule(t: TestStores) {
    let check = t.add(a_check().telling("http://sink.test/")).await;
    t.run(false).await;
    let claim = async || {
        t.stores
            .deliveries
            .claim(t.clock.now(), 10, 30 * SECOND)
            .await
            .unwrap()
    };
    let lease = claim().await.remove(0);
    let report = AttemptReport::default();
    t.stores
        .deliveries
        .settle(&lease, &report, Settlement::Dead, t.clock.now())
        .await
        .unwrap();
    assert!(claim().await.is_empty());

    let replayed = t
        .stores
        .alerts
        .replay(PROJECT, check.id, lease.id, t.clock.now())
        .await
        .unwrap();
    let again = claim().await.remove(0);

    assert!(replayed);
    assert_eq!(
        (again.id, again.number, again.schedule_step),
        (lease.id, 2, 1)
    );
    assert_eq!(again.body, lease.body);
    let elsewhere = CheckId::generate();
    assert!(
        !t.stores
            .alerts
            .replay(PROJECT, elsewhere, lease.id, t.clock.now())
            .await
            .unwrap()
    );
}

// --- history on its way

pub async fn a_shipment_that_was_begun_comes_again_with_the_same_bytes(t: TestStores) {
    t.add(a_check()).await;
    t.run(true).await;
    let next = async || {
        t.stores
            .outbox
            .next(t.clock.now(), 600 * SECOND)
            .await
            .unwrap()
    };
    let first = next().await.unwrap();
    t.run(true).await;
    let second = next().await.unwrap();
    assert_ne!(first.id, second.id);
    assert_eq!(next().await, None);
    t.clock.advance(601 * SECOND);

    let again = next().await.unwrap();

    assert_eq!(again, first);
    t.stores.outbox.settle(first.id).await.unwrap();
    t.stores.outbox.settle(second.id).await.unwrap();
    t.clock.advance(601 * SECOND);
    assert_eq!(next().await, None);
}

pub async fn waiting_history_has_a_bound_and_what_is_dropped_is_counted(t: TestStores) {
    t.add(a_check()).await;
    for _ in 0..4 {
        t.run(true).await;
    }
    let all = t.stores.outbox.bound(u64::MAX).await.unwrap();

    let bounded = t.stores.outbox.bound(all.bytes * 5 / 8).await.unwrap();

    assert_eq!((all.batches, all.dropped_rows), (4, 0));
    assert_eq!((bounded.batches, bounded.dropped_rows), (2, 2));
}

pub async fn what_nobody_needs_is_forgotten_and_the_rest_is_kept(t: TestStores) {
    let kept = t.add(a_check()).await;
    let gone = t.add(a_check()).await;
    t.stores
        .checks
        .delete(PROJECT, gone.id, t.clock.now())
        .await
        .unwrap();
    t.clock.advance(8 * 86_400 * SECOND);

    assert!(!t.stores.schedule.forget_old(t.clock.now()).await.unwrap());

    assert!(
        t.stores
            .checks
            .get(PROJECT, kept.id)
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(
        t.stores
            .schedule
            .specs(&[gone.id, kept.id])
            .await
            .unwrap()
            .len(),
        1
    );
}
