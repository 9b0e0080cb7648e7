//! What is degraded: an incident of its own severity, told to those who asked for it.

use serde_json::json;

use super::{PROJECT, SECOND};
use crate::models::alert::{AlertKind, Incident, Resolution};
use crate::models::channel::Severity;
use crate::models::check::{Check, Status};
use crate::models::health::State;
use crate::models::ids::SettingId;
use crate::models::incident::{Act, Standing};
use crate::models::job::{Job, RunResult};
use crate::models::schedule::Slot;
use crate::models::setting::SettingKind;
use crate::ports::clock::Clock;
use crate::testing::{TestStores, a_check, a_result};

const TWO_DAYS: u32 = 172_800;

/// How bad it was, from when to when, and why it ended.
type Told = (Severity, Slot, Option<Slot>, Option<Resolution>);

fn told(incident: &Incident) -> Told {
    (incident.severity, incident.started_at, incident.resolved_at, incident.resolution)
}

impl TestStores {
    async fn route_of(&self, severity: Severity, channel: SettingId) {
        let config = json!({"name": "r", "severities": [severity], "channels": [channel]});
        self.configure(SettingKind::Route, config).await;
    }

    /// Oldest first.
    async fn course(&self, check: &Check) -> Vec<Told> {
        self.incidents(check.id).await.iter().rev().map(told).collect()
    }

    /// Runs all that is due, each region or check in the order of its name or making.
    async fn round(&self, outcomes: &str) {
        let mut jobs = self.claim().await;
        jobs.sort_by_key(|job| (job.check_id, job.region.to_string()));
        assert_eq!(jobs.len(), outcomes.len());
        let results = jobs.iter().zip(outcomes.chars());
        let results: Vec<_> = results.map(|(job, outcome)| ended(job, outcome)).collect();
        self.record(&results).await;
    }
}

/// `o`k, `d`egraded or `f`ailed.
fn ended(job: &Job, outcome: char) -> RunResult {
    match outcome {
        'f' => a_result(job).failed().build(),
        'd' => a_result(job).degraded().build(),
        _ => a_result(job).build(),
    }
}

pub async fn what_is_degraded_is_told_to_those_who_asked_for_it(t: TestStores) {
    let (down, slow) = (t.channel("down").await, t.channel("slow").await);
    t.route(&[], &[down]).await;
    t.route_of(Severity::Degraded, slow).await;
    let check = a_check().alerting_after(2).with("recovery_threshold", json!(2));
    let check = t.add(check.telling("http://hooks.test/")).await;

    let slots = t.run_all("oddo").await;

    let incident = t.incidents(check.id).await.remove(0);
    assert_eq!(told(&incident), (Severity::Degraded, slots[1], None, None));
    assert_eq!(incident.cause, "took 900 ms, expected at most 500");
    assert_eq!(incident.before.unwrap().state, State::Up);
    let slow = slow.to_string();
    assert_eq!(t.tell_all().await, [(slow.clone(), "opened")].into());
    t.run_all("o").await;
    assert_eq!(t.tell_all().await, [(slow, "resolved")].into());
    let over = (Severity::Degraded, slots[1], Some(slots[3]), Some(Resolution::Recovered));
    assert_eq!(t.course(&check).await, [over]);
}

pub async fn what_gets_worse_is_another_incident_and_so_is_what_is_left_of_it(t: TestStores) {
    let (down, slow) = (t.channel("down").await, t.channel("slow").await);
    t.route(&[], &[down]).await;
    t.route_of(Severity::Degraded, slow).await;
    let (down, slow) = (down.to_string(), slow.to_string());
    let hook = "http://hooks.test/".to_owned();
    let check = t.add(a_check().telling(&hook)).await;

    let slots = t.run_all("d").await;
    let first = t.incidents(check.id).await.remove(0);
    assert_eq!(t.tell_all().await, [(slow.clone(), "opened")].into());
    let act = Act::default();
    t.stores.incidents.acknowledge(PROJECT, first.id, &act, t.clock.now()).await.unwrap();
    let slots = [slots, t.run_all("f").await].concat();
    let second = t.incidents(check.id).await.remove(0);
    assert_eq!(
        (second.standing(), second.before.unwrap().state),
        (Standing::Open, State::Degraded),
        "whoever sees to what was slow has not heard that it is down"
    );
    let worse = [(slow.clone(), "resolved"), (down.clone(), "opened"), (hook.clone(), "opened")];
    assert_eq!(t.tell_all().await, worse.into());
    let slots = [slots, t.run_all("d").await].concat();
    let better = [(down, "resolved"), (hook, "resolved"), (slow.clone(), "opened")];
    assert_eq!(t.tell_all().await, better.into());
    let slots = [slots, t.run_all("o").await].concat();
    assert_eq!(t.tell_all().await, [(slow, "resolved")].into());

    let of = |severity, from: usize, why| (severity, slots[from], Some(slots[from + 1]), Some(why));
    assert_eq!(
        t.course(&check).await,
        [
            of(Severity::Degraded, 0, Resolution::Worsened),
            of(Severity::Down, 1, Resolution::Eased),
            of(Severity::Degraded, 2, Resolution::Recovered),
        ]
    );
}

pub async fn one_batch_may_bring_what_is_degraded_and_what_is_down(t: TestStores) {
    let check = t.add(a_check().from_regions(&["east", "west"]).every(TWO_DAYS)).await;

    t.round("df").await;

    let course = t.course(&check).await;
    assert_eq!(course.len(), 2, "{course:?}");
    let (first, second) = (course[0], course[1]);
    assert_eq!((first.0, first.3), (Severity::Degraded, Some(Resolution::Worsened)));
    assert_eq!((second.0, second.2), (Severity::Down, None));
}

pub async fn what_one_batch_brings_ends_as_it_would_one_by_one(t: TestStores) {
    let window = a_check().every(60).alerting_after(3).with("alert_window", json!(5));
    let check = t.add(window).await;
    t.run_all("o").await;
    let job = t.claim_one().await;
    let slot = |number: i64| job.slot.plus((number - 1) * 60 * SECOND);

    // Down by slot 8, and as of slot 4; well for a moment at slot 7.
    let results = (1_i64..)
        .zip("odofofof".chars())
        .map(|(number, outcome)| ended(&Job { slot: slot(number), ..job.clone() }, outcome));
    let results: Vec<_> = results.collect();
    assert_eq!(t.record(&results).await.applied, 8);

    let recovered = Some(Resolution::Recovered);
    assert_eq!(
        t.course(&check).await,
        [
            (Severity::Degraded, slot(2), Some(slot(7)), recovered),
            (Severity::Down, slot(4), None, None),
        ]
    );
    assert_eq!(t.status(check.id).await, Status::Down);
}

pub async fn an_edit_ends_what_was_degraded_or_what_was_worse(t: TestStores) {
    let check = t.add(a_check().from_regions(&["east", "west"]).every(TWO_DAYS)).await;
    t.round("fd").await;
    let kinds = async || {
        let course = t.course(&check).await;
        let of = |it: Told| (it.0, it.3);
        course.into_iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(kinds().await, [(Severity::Down, None)]);

    t.patch(check.id, 1, json!({"regions": ["west"]})).await;
    let rest = [(Severity::Down, Some(Resolution::Eased)), (Severity::Degraded, None)];
    assert_eq!(kinds().await, rest);
    t.patch(check.id, 2, json!({"enabled": false})).await;

    assert_eq!(kinds().await[1], (Severity::Degraded, Some(Resolution::Paused)));
}

pub async fn what_is_degraded_holds_nothing_back_that_depends_on_it(t: TestStores) {
    let ops = t.channel("ops").await;
    t.route(&[], &[ops]).await;
    let gateway = t.add(a_check().every(TWO_DAYS)).await;
    let shop = a_check().every(TWO_DAYS).with("depends_on", json!([gateway.id]));
    let shop = t.add(shop).await;
    t.round("df").await;

    t.clock.advance(10 * 60 * SECOND);
    t.follow_up().await;

    assert_eq!(t.alert_kinds(shop.id).await, [AlertKind::Opened]);
    assert_eq!(t.tell_all().await, [(ops.to_string(), "opened")].into());
}

pub async fn what_depends_on_a_check_that_gets_worse_with_it_is_told_under_it(t: TestStores) {
    let ops = t.channel("ops").await;
    t.route(&[], &[ops]).await;
    let gateway = t.add(a_check().every(60)).await;
    let shop = a_check().every(60).alerting_after(3).with("depends_on", json!([gateway.id]));
    let shop = t.add(shop).await;

    for outcomes in ["df", "df", "ff"] {
        t.round(outcomes).await;
        t.clock.advance(120 * SECOND);
    }

    let worst = t.incidents(gateway.id).await.remove(0);
    assert_eq!((worst.severity, worst.resolved_at), (Severity::Down, None));
    let incident = t.incidents(shop.id).await.remove(0);
    assert_eq!(incident.telling.unwrap().under(), Some(worst.id));
    assert_eq!(t.alert_kinds(shop.id).await, []);
}

pub async fn what_goes_down_from_well_in_one_batch_holds_back_what_depends_on_it(t: TestStores) {
    let ops = t.channel("ops").await;
    t.route(&[], &[ops]).await;
    let gateway = t.add(a_check().every(60).from_regions(&["east", "west"])).await;
    let shop = a_check().every(60).alerting_after(3).with("depends_on", json!([gateway.id]));
    let shop = t.add(shop).await;

    for outcomes in ["oof", "oof", "dff"] {
        t.round(outcomes).await;
        t.clock.advance(120 * SECOND);
    }

    assert_eq!(t.course(&gateway).await.len(), 2);
    let outage = t.incidents(gateway.id).await.remove(0).id;
    let incident = t.incidents(shop.id).await.remove(0);
    assert_eq!(incident.telling.unwrap().under(), Some(outage));
    assert_eq!(t.alert_kinds(shop.id).await, []);
}
