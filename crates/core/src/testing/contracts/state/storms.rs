//! Many incidents at once: told of as one, and none of them left out.

use futures_util::future::join_all;
use serde_json::json;

use super::{PROJECT, SECOND, page};
use crate::models::alert::AlertKind;
use crate::models::channel::Severity;
use crate::models::ids::{CheckId, IncidentId};
use crate::models::incident::{Act, IncidentKind, Report};
use crate::models::setting::SettingKind;
use crate::models::telling::MutedBy;
use crate::ports::clock::Clock;
use crate::ports::incidents::IncidentFilter;
use crate::testing::{TestStores, a_check, a_result};

/// Every check is due once in any.
const HOUR: i64 = 3_600 * SECOND;

impl TestStores {
    /// So many checks that are looked at once an hour.
    async fn many(&self, checks: usize) -> Vec<CheckId> {
        let mut ids = Vec::new();
        for n in 0..checks {
            let check = a_check().every(3_600).with("name", json!(format!("Shop {n}")));
            ids.push(self.add(check).await.id);
        }
        ids
    }

    /// Runs what is due: these fail, all others are well.
    async fn fail_some(&self, failing: &[CheckId]) {
        let jobs = self.claim().await;
        let results: Vec<_> = jobs
            .iter()
            .map(|job| {
                let result = a_result(job);
                let fails = failing.contains(&job.check_id);
                if fails { result.failed().build() } else { result.build() }
            })
            .collect();
        self.record(&results).await;
    }

    /// So many that have just become degraded, and a route of both severities.
    async fn many_degraded(&self, checks: usize) -> Vec<CheckId> {
        let ops = self.channel("ops").await;
        let route = json!({"name": "r", "severities": ["degraded", "down"], "channels": [ops]});
        self.configure(SettingKind::Route, route).await;
        let checks = self.many(checks).await;
        let jobs = self.claim().await;
        let slow: Vec<_> = jobs.iter().map(|job| a_result(job).degraded().build()).collect();
        self.record(&slow).await;
        checks
    }

    /// Does not wait for their next slots.
    async fn fail_at_once(&self, checks: &[CheckId]) {
        self.run_all_now(checks, checks).await;
    }

    /// What people were told since the last time: how many of each kind, and what the first said.
    async fn heard(&self) -> (usize, usize, String) {
        let (mut opened, mut resolved, mut first) = (0, 0, String::new());
        loop {
            let due = self.claim_deliveries().await;
            if due.is_empty() {
                return (opened, resolved, first);
            }
            for lease in &due {
                let settled = crate::models::alert::Settlement::Delivered;
                assert!(self.settle(lease, settled).await);
                opened += usize::from(lease.kind.as_str() == "opened");
                resolved += usize::from(lease.kind.as_str() == "resolved");
                if first.is_empty() {
                    first.clone_from(&lease.body);
                }
            }
        }
    }

    async fn run_now(&self, check: CheckId) {
        self.stores.checks.run_now(PROJECT, check, self.clock.now()).await.unwrap();
    }

    /// Runs these at once; some of them fail.
    async fn run_all_now(&self, checks: &[CheckId], failing: &[CheckId]) {
        self.clock.advance(SECOND);
        for check in checks {
            self.run_now(*check).await;
        }
        self.fail_some(failing).await;
    }

    async fn the_storm(&self) -> IncidentId {
        let only = IncidentFilter { kind: Some(IncidentKind::Storm), ..IncidentFilter::default() };
        self.stores.incidents.list(PROJECT, &only, page(10)).await.unwrap().remove(0).id
    }

    /// A storm of which the first of these channels has heard; the other is a step after it.
    async fn storm_on_a_ladder(&self) -> (String, String) {
        let (ops, lead) = (self.channel("ops").await, self.channel("lead").await);
        self.ladder(ops, lead).await;
        let checks = self.many(30).await;
        self.fail_some(&checks).await;
        self.clock.advance(5 * SECOND);
        self.follow_up().await;
        assert_eq!(self.tell_all().await, [(ops.to_string(), "opened")].into());
        (ops.to_string(), lead.to_string())
    }

    async fn storms(&self) -> usize {
        let only = IncidentFilter { kind: Some(IncidentKind::Storm), ..IncidentFilter::default() };
        self.stores.incidents.list(PROJECT, &only, page(10)).await.unwrap().len()
    }
}

pub async fn many_incidents_at_once_are_told_as_one(t: TestStores) {
    let ops = t.channel("ops").await;
    t.route(&[], &[ops]).await;
    let checks = t.many(30).await;

    t.fail_some(&checks).await;
    assert_eq!(t.heard().await.0, 0, "too many to be told by themselves");
    t.clock.advance(5 * SECOND);
    t.follow_up().await;

    let (opened, _, said) = t.heard().await;
    assert_eq!((opened, t.storms().await), (1, 1));
    assert!(said.contains("30 checks went down"), "{said}");
    assert!(said.contains("all share the address 127.0.0.1; Shop 0, Shop 1"), "{said}");
    let incident = t.incidents(checks[0]).await.remove(0);
    assert_eq!(incident.telling.unwrap().muted.unwrap().by, MutedBy::Storm);
    t.clock.advance(2 * HOUR);
    t.fail_some(&[]).await;
    assert_eq!(t.heard().await.1, 0);
    t.follow_up().await;
    let (opened, resolved, said) = t.heard().await;
    assert_eq!((opened, resolved), (0, 1), "{said}");
    for check in checks {
        assert_eq!(t.alert_kinds(check).await, []);
    }
    t.clock.advance(2 * HOUR);
    t.follow_up().await;
    assert_eq!(t.heard().await.0, 0);
}

pub async fn no_more_are_told_by_themselves_than_may_be(t: TestStores) {
    let ops = t.channel("ops").await;
    t.route(&[], &[ops]).await;
    let mut alone = 0;

    for _ in 0..5 {
        let checks = t.many(3).await;
        t.fail_some(&checks).await;
        alone += t.heard().await.0;
        t.clock.advance(SECOND);
    }
    t.clock.advance(5 * SECOND);
    t.follow_up().await;

    assert_eq!(alone, 3, "as many as fit, five at most");
    let (opened, _, said) = t.heard().await;
    assert!(opened == 1 && said.contains("15 checks went down"), "the storm lists all: {said}");
}

pub async fn what_fails_when_a_storm_gathers_no_more_is_told_by_itself(t: TestStores) {
    let ops = t.channel("ops").await;
    t.route(&[], &[ops]).await;
    let checks = t.many(30).await;
    t.fail_some(&checks).await;
    for _ in 0..2 {
        t.clock.advance(61 * SECOND);
        t.follow_up().await;
    }
    assert_eq!(t.heard().await.0, 1);

    let other = t.many(1).await;
    t.fail_some(&other).await;

    assert_eq!((t.heard().await.0, t.storms().await), (1, 1));
    assert_eq!(t.alert_kinds(other[0]).await, [AlertKind::Opened]);
    t.clock.advance(2 * HOUR);
    t.fail_some(&[]).await;
    assert_eq!(t.heard().await.1, 1);
    t.follow_up().await;
    assert_eq!(t.heard().await.1, 1, "the storm is over");
}

pub async fn what_goes_down_in_a_storm_of_degraded_checks_is_news(t: TestStores) {
    let checks = t.many_degraded(10).await;
    t.clock.advance(5 * SECOND);
    t.follow_up().await;
    let (opened, _, said) = t.heard().await;
    assert!(opened == 1 && said.contains("10 checks became degraded"), "{said}");

    t.fail_at_once(&checks).await;
    t.clock.advance(5 * SECOND);
    t.follow_up().await;

    let (opened, _, said) = t.heard().await;
    assert_eq!((opened, t.storms().await), (1, 2), "{said}");
    assert!(said.contains("10 checks went down"), "{said}");
    t.clock.advance(61 * SECOND);
    t.follow_up().await;
    t.follow_up().await;
    let (_, resolved, said) = t.heard().await;
    assert_eq!(resolved, 1, "{said}");
    assert!(said.contains("10 checks became degraded: over, and some went down"), "{said}");
}

pub async fn what_people_report_makes_no_storm(t: TestStores) {
    let ops = t.channel("ops").await;
    t.route(&[], &[ops]).await;
    for n in 0..8 {
        let report = Report {
            title: format!("Report {n}"),
            cause: String::new(),
            severity: Severity::Down,
            tags: Vec::new(),
        };
        t.stores.incidents.report(PROJECT, &report, None, t.clock.now()).await.unwrap();
    }

    let checks = t.many(1).await;
    t.fail_some(&checks).await;

    assert_eq!((t.heard().await.0, t.storms().await), (9, 0));
}

pub async fn what_was_told_of_a_check_as_degraded_leaves_room_for_it_to_go_down(t: TestStores) {
    let checks = t.many_degraded(4).await;
    assert_eq!(t.heard().await.0, 4);

    t.fail_at_once(&checks).await;

    let (opened, resolved, said) = t.heard().await;
    assert_eq!((opened, resolved, t.storms().await), (4, 4, 0), "{said}");
}

pub async fn a_storm_takes_the_steps_of_routes_until_somebody_sees_to_it(t: TestStores) {
    let (ops, lead) = t.storm_on_a_ladder().await;

    t.clock.advance(10 * 60 * SECOND);
    t.follow_up().await;

    assert_eq!(t.tell_all().await, [(ops.clone(), "reminder"), (lead, "opened")].into());
    let (storm, act) = (t.the_storm().await, Act::default());
    t.stores.incidents.acknowledge(PROJECT, storm, &act, t.clock.now()).await.unwrap();
    t.clock.advance(20 * 60 * SECOND);
    t.follow_up().await;
    assert_eq!(t.tell_all().await, [].into(), "somebody sees to it");
    t.clock.advance(2 * HOUR);
    t.fail_some(&[]).await;
    t.follow_up().await;
    assert_eq!(t.heard().await.1, 2, "and who has heard of it hears that it is over");
}

pub async fn what_fails_after_somebody_sees_to_a_storm_is_told(t: TestStores) {
    let ops = t.channel("ops").await;
    t.route(&[], &[ops]).await;
    let (checks, other) = (t.many(30).await, t.many(1).await);
    t.fail_some(&checks).await;
    t.clock.advance(5 * SECOND);
    t.follow_up().await;
    assert_eq!(t.heard().await.0, 1);
    let storm = t.the_storm().await;
    let act = Act::default();
    t.stores.incidents.acknowledge(PROJECT, storm, &act, t.clock.now()).await.unwrap();
    t.follow_up().await;

    t.fail_at_once(&other).await;

    let (opened, _, said) = t.heard().await;
    assert!(opened == 1 && said.contains("Shop 0"), "{said}");
    assert_eq!(t.storms().await, 1);
    let more = t.many(10).await;
    t.fail_at_once(&more).await;
    t.clock.advance(5 * SECOND);
    t.follow_up().await;
    let (opened, _, said) = t.heard().await;
    assert!(opened == 1 && said.contains("11 checks went down"), "another storm: {said}");
}

pub async fn a_check_that_comes_and_goes_is_no_storm(t: TestStores) {
    let ops = t.channel("ops").await;
    t.route(&[], &[ops]).await;
    let check = t.add(a_check().every(5)).await.id;

    for _ in 0..6 {
        t.run(false).await;
        t.run(true).await;
    }

    assert_eq!((t.heard().await.0, t.storms().await), (6, 0));
    t.clock.advance(HOUR);
    let five = t.many(5).await;
    t.fail_some(&five).await;
    for _ in 0..2 {
        t.clock.advance(SECOND);
        t.run_all_now(&five, &[]).await;
        t.run_all_now(&five, &five).await;
    }
    assert_eq!(t.storms().await, 0, "five that come and go are five");
    t.clock.advance(HOUR);
    t.fail_some(&[]).await;
    t.heard().await;
    let others = t.many(8).await;
    t.clock.advance(SECOND);
    t.run_now(check).await;
    t.fail_some(&[&others[..], &[check]].concat()).await;
    t.clock.advance(5 * SECOND);
    t.follow_up().await;
    let said = t.heard().await.2;
    assert!(said.contains("9 checks went down"), "{said}");
}

pub async fn a_silence_over_all_of_a_storm_holds_what_is_left_to_tell(t: TestStores) {
    let (_, lead) = t.storm_on_a_ladder().await;

    t.silence(30).await;

    assert_eq!(t.follow(25).await, [], "neither steps nor reminders");
    let told = t.follow(10).await;
    assert!(told.iter().any(|(_, who, kind)| (who, *kind) == (&lead, "opened")));
    assert_eq!(t.storms().await, 1);
}

pub async fn rivals_who_record_at_once_tell_no_more_by_themselves_than_may_be(t: TestStores) {
    let ops = t.channel("ops").await;
    t.route(&[], &[ops]).await;
    t.many(40).await;
    let jobs = t.claim().await;
    let results: Vec<_> = jobs.iter().map(|job| a_result(job).failed().build()).collect();

    let rivals = results.chunks(2).map(|some| t.record(some));
    join_all(rivals).await;
    let (alone, _, _) = t.heard().await;
    t.clock.advance(5 * SECOND);
    t.follow_up().await;

    assert!(alone <= 5, "{alone}");
    let (opened, _, said) = t.heard().await;
    assert!(opened == 1 && said.contains("40 checks went down"), "{opened}: {said}");
}

pub async fn what_outlasts_a_storm_is_told_by_itself(t: TestStores) {
    let ops = t.channel("ops").await;
    t.route(&[], &[ops]).await;
    let checks = t.many(30).await;
    t.fail_some(&checks).await;
    t.clock.advance(5 * SECOND);
    t.follow_up().await;
    t.heard().await;

    t.clock.advance(2 * HOUR);
    t.fail_some(&checks[..4]).await;
    t.follow_up().await;
    t.follow_up().await;

    let (opened, resolved, _) = t.heard().await;
    assert_eq!((opened, resolved), (4, 1));
    t.clock.advance(2 * HOUR);
    t.fail_some(&[]).await;
    assert_eq!(t.heard().await.1, 4, "who heard of one hears of its end");
}

pub async fn a_check_s_own_webhook_is_told_in_any_storm(t: TestStores) {
    let ops = t.channel("ops").await;
    t.route(&[], &[ops]).await;
    let mut checks = t.many(30).await;
    checks.push(t.add(a_check().every(3_600).telling("http://sink.test/")).await.id);

    t.fail_some(&checks).await;
    assert_eq!(t.heard().await.0, 1);
    t.clock.advance(2 * HOUR);
    t.fail_some(&[]).await;

    assert_eq!(t.heard().await.1, 1);
}

pub async fn a_breaker_without_a_limit_never_trips(t: TestStores) {
    let ops = t.channel("ops").await;
    t.route(&[], &[ops]).await;
    t.without_storms().await;
    let checks = t.many(60).await;

    t.fail_some(&checks).await;

    assert_eq!((t.heard().await.0, t.storms().await), (60, 0));
}
