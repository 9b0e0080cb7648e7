//! What is told of incidents that last: when it is due, once, and no longer than they last.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::json;

use super::{PROJECT, SECOND, page};
use crate::models::alert::{AlertKind, Settlement};
use crate::models::check::Check;
use crate::models::ids::{CheckId, SettingId};
use crate::models::job::Job;
use crate::models::setting::SettingKind;
use crate::models::telling::MutedBy;
use crate::ports::checks::Change;
use crate::ports::clock::Clock;
use crate::ports::follow_ups::FollowedUp;
use crate::testing::{TestStores, a_check, a_result};

const MINUTE: i64 = 60 * SECOND;

impl TestStores {
    /// Runs all checks that are due, and says of each how it went; time stands still.
    pub(super) async fn end_all(&self, ok: bool) {
        let results: Vec<_> = self
            .claim()
            .await
            .iter()
            .map(|job| if ok { a_result(job).build() } else { a_result(job).failed().build() })
            .collect();
        self.record(&results).await;
    }

    pub(super) async fn follow_up(&self) -> FollowedUp {
        self.stores.follow_ups.follow_up(self.clock.now(), 100).await.unwrap()
    }

    /// A minute passes, so many times; each time incidents are followed up, and what is due is told.
    pub(super) async fn follow(&self, minutes: i64) -> Vec<(i64, String, &'static str)> {
        let mut told = Vec::new();
        for minute in 1..=minutes {
            self.clock.advance(MINUTE);
            self.follow_up().await;
            told.extend(self.tell_all().await.into_iter().map(|(who, kind)| (minute, who, kind)));
        }
        told
    }

    /// A route that tells `first` at once, `then` after ten minutes, and reminds twice, after 5 and 15.
    pub(super) async fn ladder(&self, first: SettingId, then: SettingId) -> SettingId {
        let config = json!({
            "name": "ladder", "channels": [first],
            "steps": [{"after_minutes": 10, "channels": [then]}],
            "reminders": {"every_minutes": 5, "longest_minutes": 10, "at_most": 2},
        });
        self.configure(SettingKind::Route, config).await
    }

    async fn alerts_of(&self, check: CheckId) -> Vec<(AlertKind, u16, u32)> {
        let alerts = self.stores.alerts.alerts(PROJECT, check, page(100)).await.unwrap();
        alerts.into_iter().rev().map(|it| (it.kind, it.number, it.deliveries)).collect()
    }
}

pub async fn who_is_told_later_is_told_when_it_is_due_and_hears_the_end(t: TestStores) {
    let (ops, lead) = (t.channel("ops").await, t.channel("lead").await);
    t.ladder(ops, lead).await;
    let check = t.add(a_check().every(3_600)).await;
    let (ops, lead) = (ops.to_string(), lead.to_string());

    t.end_all(false).await;
    assert_eq!(t.tell_all().await, [(ops.clone(), "opened")].into());
    let told: BTreeSet<_> = t.follow(60).await.into_iter().collect();

    assert_eq!(
        told,
        [
            (5, ops.clone(), "reminder"),
            (10, lead.clone(), "opened"),
            (15, lead.clone(), "reminder"),
            (15, ops.clone(), "reminder"),
        ]
        .into()
    );
    t.clock.advance(60 * MINUTE);
    t.end_all(true).await;
    assert_eq!(t.tell_all().await, [(ops, "resolved"), (lead, "resolved")].into());
    assert_eq!(t.follow(60).await, []);
    assert_eq!(
        t.alerts_of(check.id).await,
        [
            (AlertKind::Opened, 1, 1),
            (AlertKind::Reminder, 1, 1),
            (AlertKind::Opened, 2, 1),
            (AlertKind::Reminder, 2, 2),
            (AlertKind::Resolved, 1, 2),
        ]
    );
}

pub async fn an_incident_that_is_over_is_not_followed_up(t: TestStores) {
    let (ops, lead) = (t.channel("ops").await, t.channel("lead").await);
    t.ladder(ops, lead).await;
    t.add(a_check().every(60)).await;

    t.end_all(false).await;
    t.clock.advance(90 * SECOND);
    t.end_all(true).await;
    t.clock.advance(60 * MINUTE);

    assert_eq!(t.follow_up().await, FollowedUp::default());
}

pub async fn of_one_incident_alerts_arrive_in_their_order(t: TestStores) {
    let (ops, lead) = (t.channel("ops").await, t.channel("lead").await);
    t.ladder(ops, lead).await;
    t.add(a_check().every(3_600)).await;
    t.end_all(false).await;
    t.clock.advance(5 * MINUTE);
    t.follow_up().await;
    t.clock.advance(5 * MINUTE);
    t.follow_up().await;
    t.clock.advance(100 * MINUTE);
    t.follow_up().await;
    t.end_all(true).await;

    let mut order = Vec::new();
    loop {
        let due = t.claim_deliveries().await;
        let of_ops: Vec<_> = due.iter().filter(|it| it.receiver == ops.to_string()).collect();
        if of_ops.is_empty() {
            break;
        }
        assert_eq!(of_ops.len(), 1, "a later one waits for the earlier");
        order.push(of_ops[0].kind.as_str());
        for lease in &due {
            t.settle(lease, Settlement::Delivered).await;
        }
    }

    assert_eq!(order, ["opened", "reminder", "reminder", "resolved"]);
}

pub async fn rival_servers_follow_each_incident_up_once(t: TestStores) {
    const CHECKS: usize = 60;
    let (ops, lead) = (t.channel("ops").await, t.channel("lead").await);
    t.ladder(ops, lead).await;
    t.without_storms().await;
    for _ in 0..CHECKS {
        t.add(a_check().every(3_600)).await;
    }
    t.end_all(false).await;

    let mut reminded = BTreeSet::new();
    let mut alerts = 0;
    t.clock.advance(5 * MINUTE);
    let now = t.clock.now();
    while alerts < CHECKS as u64 {
        let rounds = (0..4).map(|_| t.stores.follow_ups.follow_up(now, 7));
        let followed: u64 = join_all(rounds).await.into_iter().map(|it| it.unwrap().alerts).sum();
        assert!(followed > 0, "they come forward");
        alerts += followed;
    }
    assert_eq!(t.follow_up().await, FollowedUp::default());

    loop {
        let due = t.claim_deliveries().await;
        if due.is_empty() {
            break;
        }
        for lease in &due {
            t.settle(lease, Settlement::Delivered).await;
            if lease.kind == AlertKind::Reminder {
                assert!(reminded.insert(lease.incident_id), "reminded once");
            }
        }
    }
    assert_eq!(reminded.len(), CHECKS);
}

/// What the incident of a check says of who holds it back.
async fn muted(t: &TestStores, check: CheckId) -> Option<MutedBy> {
    let incident = t.incidents(check).await.remove(0);
    incident.telling.and_then(|memory| memory.muted).map(|muted| muted.by)
}

impl TestStores {
    /// Silences everything for so many minutes from now.
    pub(super) async fn silence(&self, minutes: i64) -> SettingId {
        let now = self.clock.now();
        let config = json!({
            "author": "Ada", "reason": "we know",
            "starts_at": now.time(), "expires_at": now.plus(minutes * MINUTE).time(),
        });
        self.configure(SettingKind::Silence, config).await
    }
}

pub async fn what_a_silence_covers_is_told_when_it_ends_if_it_lasts(t: TestStores) {
    let ops = t.channel("ops").await;
    t.route(&[], &[ops]).await;
    t.silence(30).await;
    let lasting = t.add(a_check().every(3_600).telling("http://sink.test/")).await;
    let passing = t.add(a_check().every(60).telling("http://sink.test/")).await;

    t.end_all(false).await;
    assert_eq!(t.tell_all().await, [].into());
    assert_eq!(muted(&t, lasting.id).await, Some(MutedBy::Silence));
    t.clock.advance(90 * SECOND);
    t.end_all(true).await;
    assert_eq!(t.tell_all().await, [].into(), "nobody heard of it");
    assert_eq!(t.alert_kinds(passing.id).await, []);
    assert_eq!(muted(&t, passing.id).await, Some(MutedBy::Silence), "why, it goes on saying");
    let told = t.follow(40).await;

    let hook = "http://sink.test/".to_owned();
    let told: BTreeSet<_> = told.into_iter().collect();
    assert_eq!(told, [(29, ops.to_string(), "opened"), (29, hook, "opened")].into());
    assert_eq!(t.alert_kinds(passing.id).await, []);
    assert_eq!(muted(&t, lasting.id).await, None);
}

pub async fn what_was_told_before_a_silence_is_told_to_be_over_in_spite_of_it(t: TestStores) {
    let ops = t.channel("ops").await;
    t.route(&[], &[ops]).await;
    t.add(a_check().every(60)).await;
    t.end_all(false).await;
    t.tell_all().await;

    t.silence(30).await;
    t.clock.advance(90 * SECOND);
    t.end_all(true).await;

    assert_eq!(t.tell_all().await, [(ops.to_string(), "resolved")].into());
}

pub async fn what_holds_an_incident_back_may_be_taken_away(t: TestStores) {
    let ops = t.channel("ops").await;
    t.route(&[], &[ops]).await;
    let silence = t.silence(3_000).await;
    t.add(a_check().every(3_600)).await;
    t.end_all(false).await;
    assert_eq!(t.follow(1).await, []);

    let settings = &t.stores.settings;
    assert!(settings.remove(PROJECT, SettingKind::Silence, silence).await.unwrap());
    t.follow_up().await;

    assert_eq!(t.tell_all().await, [(ops.to_string(), "opened")].into());
}

pub async fn incidents_during_maintenance_are_held_until_it_is_over(t: TestStores) {
    let ops = t.channel("ops").await;
    t.route(&[], &[ops]).await;
    let now = t.clock.now();
    let window = json!({"from": now.time(), "to": now.plus(20 * MINUTE).time()});
    let config = json!({"name": "patches", "tags": ["web"], "window": window});
    t.configure(SettingKind::Maintenance, config).await;
    let held = t.add(a_check().every(3_600).with("tags", json!(["web"]))).await;
    let other = t.add(a_check().every(3_600)).await;

    t.end_all(false).await;

    assert_eq!(t.tell_all().await, [(ops.to_string(), "opened")].into());
    assert_eq!(muted(&t, held.id).await, Some(MutedBy::Maintenance));
    assert_eq!(muted(&t, other.id).await, None);
    assert_eq!(t.follow(60).await, [(20, ops.to_string(), "opened")]);
}

impl TestStores {
    /// Runs what is due: checks among these fail, all others are well.
    async fn end_some(&self, failing: &[CheckId]) {
        let result = |job: &Job| {
            let result = a_result(job);
            if failing.contains(&job.check_id) { result.failed().build() } else { result.build() }
        };
        let results: Vec<_> = self.claim().await.iter().map(result).collect();
        self.record(&results).await;
    }
}

pub async fn a_check_that_depends_on_another_is_told_under_it(t: TestStores) {
    let ops = t.channel("ops").await;
    t.route(&[], &[ops]).await;
    let gateway = t.add(a_check().every(60)).await;
    let of_gateway = json!([gateway.id]);
    let shop = t.add(a_check().every(60).with("depends_on", of_gateway.clone())).await;
    let till = t.add(a_check().every(60).with("depends_on", of_gateway)).await;
    let ops = ops.to_string();

    t.end_all(false).await;
    assert_eq!(t.tell_all().await, [(ops.clone(), "opened")].into());
    assert_eq!(t.follow(30).await, [], "whatever it takes");
    let parent = t.incidents(gateway.id).await.remove(0).id;
    let linked = t.incidents(shop.id).await.remove(0).telling.unwrap();
    assert_eq!((linked.parent, linked.muted.unwrap().by), (Some(parent), MutedBy::Parent));
    t.end_some(&[shop.id, till.id]).await;
    assert_eq!(t.tell_all().await, [(ops.clone(), "resolved")].into());
    t.clock.advance(MINUTE);
    t.follow_up().await;
    t.end_some(&[shop.id]).await;
    assert_eq!(t.tell_all().await, [].into(), "the till is over, and nobody heard of it");
    let told = t.follow(5).await;

    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((&told[0].1, told[0].2), (&ops, "opened"));
    assert_eq!(t.alert_kinds(till.id).await, []);
    assert_eq!(muted(&t, shop.id).await, None);
}

pub async fn which_of_two_is_recognised_first_is_no_matter(t: TestStores) {
    let ops = t.channel("ops").await;
    t.route(&[], &[ops]).await;
    let gateway = t.add(a_check().every(60).alerting_after(2)).await;
    let shop = t.add(a_check().every(60).with("depends_on", json!([gateway.id]))).await;

    t.end_all(false).await;
    assert_eq!(t.tell_all().await, [].into(), "the gateway may turn out to be down");
    assert_eq!(muted(&t, shop.id).await, Some(MutedBy::Parent));
    t.clock.advance(90 * SECOND);
    t.end_all(false).await;
    t.follow(30).await;

    let told = t.stores.alerts.alerts(PROJECT, gateway.id, page(10)).await.unwrap();
    assert_eq!((told.len(), t.alert_kinds(shop.id).await), (1, vec![]));
}

pub async fn a_check_whose_parent_is_well_is_told_after_a_moment(t: TestStores) {
    let ops = t.channel("ops").await;
    t.route(&[], &[ops]).await;
    let gateway = t.add(a_check().every(60).alerting_after(2)).await;
    let shop = t.add(a_check().every(60).with("depends_on", json!([gateway.id]))).await;

    t.end_some(&[shop.id]).await;
    assert_eq!(t.tell_all().await, [].into());

    // Two intervals and a run of the gateway: by then it would have been recognised as down, too.
    assert_eq!(t.follow(10).await, [(3, ops.to_string(), "opened")]);
}

pub async fn nothing_depends_on_itself_however_many_edit_at_once(t: TestStores) {
    let (first, second) = (t.add(a_check()).await, t.add(a_check()).await);
    let depend = async |check: &Check, parent: CheckId| {
        t.patch(check.id, check.version, json!({"depends_on": [parent]})).await
    };

    let (one, other) = tokio::join!(depend(&first, second.id), depend(&second, first.id));

    let done = |change: &Change| matches!(change, Change::Done(_));
    let circular = |change: &Change| matches!(change, Change::Circular(_));
    assert!(done(&one) != done(&other), "{one:?} {other:?}");
    assert!(circular(&one) || circular(&other));
}
