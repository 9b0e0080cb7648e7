//! Receivers that fail: left alone for a while, stood in for, given up, and heard of again.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{PROJECT, SECOND};
use crate::models::alert::{LeasedDelivery, Settlement};
use crate::models::breaker::{Breaker, GIVEN_UP, GONE, OPENS_AT};
use crate::models::ids::SettingId;
use crate::models::setting::SettingKind;
use crate::ports::clock::Clock;
use crate::ports::deliveries::{PER_CHANNEL, STANDS_IN_AFTER, Standing};
use crate::ports::settings::{ChannelState, SettingChange};
use crate::testing::{TestStores, a_check, a_result};

const AGAIN: Settlement = Settlement::RetryIn(5_000);
const HOUR: i64 = 3_600 * SECOND;

impl TestStores {
    /// A channel that falls back to another.
    async fn channel_before(&self, name: &str, fallback: SettingId) -> SettingId {
        let id = self.channel(name).await;
        self.change(id, &json!({ "fallback": fallback })).await;
        id
    }

    async fn change(&self, id: SettingId, patch: &Value) {
        let mut setting = self.get_setting(SettingKind::Channel, id).await.unwrap();
        crate::models::check::merge_patch(&mut setting.config, patch.clone());
        setting.version += 1;
        assert_eq!(self.stores.settings.replace(&setting).await.unwrap(), SettingChange::Done);
    }

    async fn state(&self, id: SettingId) -> ChannelState {
        let states = self.stores.settings.channel_states(PROJECT, &[id]).await.unwrap();
        states.into_iter().next().map(|(_, state)| state).unwrap_or_default()
    }

    async fn standing(&self) -> Standing {
        self.stores.deliveries.standing(self.clock.now()).await.unwrap()
    }

    async fn tell_stand_ins(&self) -> u64 {
        let now = self.clock.now();
        let since = now.plus(-STANDS_IN_AFTER.num_milliseconds());
        self.stores.deliveries.tell_stand_ins(since, 100, now).await.unwrap()
    }

    /// So many checks that are down, each looked at once an hour, and each told by itself.
    async fn go_down(&self, checks: usize) {
        self.without_storms().await;
        for _ in 0..checks {
            self.add(a_check().every(3_600)).await;
        }
        let jobs = self.claim().await;
        assert_eq!(jobs.len(), checks);
        let results: Vec<_> = jobs.iter().map(|job| a_result(job).failed().build()).collect();
        self.record(&results).await;
    }

    /// Claims what is due for one channel alone.
    async fn claim_for(&self, id: SettingId) -> Vec<LeasedDelivery> {
        let (ours, others): (Vec<_>, Vec<_>) =
            self.claim_deliveries().await.into_iter().partition(|it| it.receiver == id.to_string());
        assert_eq!(others, [], "nothing else should be due");
        ours
    }

    /// Fails what is due at a channel until its breaker opens.
    async fn open_breaker(&self, id: SettingId) {
        for _ in 0..=OPENS_AT {
            if self.state(id).await.failing.is_some_and(|it| it.open_until.is_some()) {
                return;
            }
            for lease in self.claim_for(id).await {
                self.settle(&lease, AGAIN).await;
            }
        }
        panic!("a breaker opens after so many failures");
    }
}

/// Who was told what, without order.
fn told(leases: &[LeasedDelivery]) -> BTreeSet<(String, &'static str)> {
    leases.iter().map(|lease| (lease.receiver.clone(), lease.kind.as_str())).collect()
}

pub async fn a_receiver_that_fails_is_left_alone_and_one_probe_says_that_it_is_back(t: TestStores) {
    let ops = t.channel("ops").await;
    t.route(&[], &[ops]).await;
    t.go_down(8).await;

    t.open_breaker(ops).await;
    let failing = t.state(ops).await.failing.unwrap();
    assert!(failing.failures >= OPENS_AT);
    assert_eq!(failing.breaker(t.clock.now()), Breaker::Open);
    assert_eq!(t.standing().await, Standing { open: 1, ..Standing::default() });
    assert_eq!(t.claim_deliveries().await, [], "it is open");
    t.clock.advance(5 * SECOND);
    assert_eq!(t.standing().await, Standing { half_open: 1, ..Standing::default() });
    let probe = t.claim_for(ops).await;
    assert_eq!(probe.len(), 1);
    assert_eq!(t.claim_deliveries().await, [], "one probe is enough");
    t.settle(&probe[0], AGAIN).await;
    assert_eq!(t.claim_deliveries().await, [], "it is open again");
    t.clock.advance(9 * SECOND);
    assert_eq!(t.claim_deliveries().await, [], "for longer");
    t.clock.advance(SECOND);
    let probe = t.claim_for(ops).await;
    assert_eq!(probe.len(), 1);
    t.settle(&probe[0], Settlement::Delivered).await;

    assert_eq!(t.state(ops).await, ChannelState::default());
    assert_eq!(t.standing().await, Standing::default());
    let mut arrived = 1;
    for _ in 0..20 {
        let due = t.claim_for(ops).await;
        arrived += due.len();
        for lease in due {
            t.settle(&lease, Settlement::Delivered).await;
        }
    }
    assert_eq!(arrived, 8, "nothing was lost meanwhile");
}

pub async fn what_an_open_breaker_holds_uses_up_no_retries_and_holds_up_nobody(t: TestStores) {
    let (ops, lead) = (t.channel("ops").await, t.channel("lead").await);
    t.route(&[], &[ops]).await;
    t.go_down(20).await;
    t.open_breaker(ops).await;
    t.route(&[], &[lead]).await;
    t.go_down(1).await;

    let lead_is_told = t.claim_for(lead).await;
    t.settle(&lead_is_told[0], Settlement::Delivered).await;
    t.clock.advance(24 * HOUR);
    let probe = t.claim_for(ops).await;

    assert_eq!((lead_is_told.len(), probe.len()), (1, 1));
    t.settle(&probe[0], Settlement::Delivered).await;
    let due = t.claim_for(ops).await;
    let waited: Vec<_> = due.iter().filter(|lease| lease.schedule_step == 1).collect();
    assert!(!waited.is_empty(), "a day later its schedule begins: {due:?}");
}

pub async fn a_test_gets_past_an_open_breaker_and_closes_it(t: TestStores) {
    let ops = t.channel("ops").await;
    t.route(&[], &[ops]).await;
    t.go_down(5).await;
    t.open_breaker(ops).await;

    let failing = t.send_test(ops).await;
    t.settle(&failing, Settlement::Dead).await;
    let before = t.state(ops).await.failing.unwrap();
    let good = t.send_test(ops).await;
    t.settle(&good, Settlement::Delivered).await;

    assert_eq!(before.failures, OPENS_AT, "a test that fails says that somebody is at work");
    assert_eq!(t.state(ops).await, ChannelState::default());
}

pub async fn what_is_given_up_is_told_to_the_fallback_once_and_in_order(t: TestStores) {
    let lead = t.channel("lead").await;
    let ops = t.channel_before("ops", lead).await;
    t.route(&[], &[ops]).await;
    t.add(a_check()).await;
    t.run(false).await;
    t.run(true).await;

    let opened = t.claim_for(ops).await.remove(0);
    t.settle(&opened, Settlement::Dead).await;
    assert!(!t.settle(&opened, Settlement::Dead).await, "it is settled");
    let due = t.claim_deliveries().await;
    // The stand-in hears of both edges, as whoever is stood in for.
    let both = [(ops.to_string(), "resolved"), (lead.to_string(), "opened")].into();
    assert_eq!(told(&due), both);
    let (resolved, stand_in): (Vec<_>, Vec<_>) =
        due.into_iter().partition(|it| it.receiver == ops.to_string());
    t.settle(&resolved[0], Settlement::Dead).await;
    assert_eq!(t.claim_deliveries().await, [], "resolved waits for opened there, too");
    assert_ne!((stand_in[0].id, &stand_in[0].body), (opened.id, &opened.body));
    assert!(stand_in[0].body.contains("is down"), "{}", stand_in[0].body);
    t.settle(&stand_in[0], Settlement::Delivered).await;
    let last = t.claim_for(lead).await;
    assert_eq!(told(&last), [(lead.to_string(), "resolved")].into());
    assert_eq!(t.standing().await.dead, 2);
}

pub async fn a_fallback_that_hears_of_it_after_its_end_hears_the_end(t: TestStores) {
    let lead = t.channel("lead").await;
    let ops = t.channel_before("ops", lead).await;
    t.route(&[], &[ops]).await;
    t.add(a_check()).await;
    let late_at = t.clock.now().0 + STANDS_IN_AFTER.num_milliseconds();
    t.run(false).await;
    let opened = t.claim_for(ops).await.remove(0);
    t.settle(&opened, Settlement::RetryIn(300_000)).await;
    t.run(true).await;

    // That it opened has waited for too long by now, that it is over has not.
    t.clock.advance(late_at - t.clock.now().0);
    assert_eq!(t.tell_stand_ins().await, 1);

    for kind in ["opened", "resolved"] {
        let due = t.claim_for(lead).await;
        assert_eq!(told(&due), [(lead.to_string(), kind)].into());
        t.settle(&due[0], Settlement::Delivered).await;
    }
    // It comes back, and takes all: nobody is told twice.
    t.clock.advance(300 * SECOND);
    for kind in ["opened", "resolved"] {
        let due = t.claim_for(ops).await;
        assert_eq!(told(&due), [(ops.to_string(), kind)].into());
        t.settle(&due[0], Settlement::Delivered).await;
    }
    assert_eq!(t.claim_deliveries().await, []);
}

pub async fn an_end_that_races_with_a_fallback_is_heard_by_it(t: TestStores) {
    let lead = t.channel("lead").await;
    let ops = t.channel_before("ops", lead).await;
    t.route(&[], &[ops]).await;
    t.without_storms().await;
    let check = t.add(a_check()).await;
    for _ in 0..10 {
        t.run(false).await;
        let opened = t.claim_for(ops).await.remove(0);
        let well = [a_result(&t.claim_one().await).build()];

        tokio::join!(t.settle(&opened, Settlement::Dead), t.record(&well));

        t.move_to_next_slot(check.id).await;
        let mut heard = Vec::new();
        for _ in 0..3 {
            for due in t.claim_deliveries().await {
                heard.extend(told(std::slice::from_ref(&due)));
                t.settle(&due, Settlement::Delivered).await;
            }
        }
        heard.sort_unstable();
        let mut all = vec![
            (lead.to_string(), "opened"),
            (lead.to_string(), "resolved"),
            (ops.to_string(), "resolved"),
        ];
        all.sort_unstable();
        assert_eq!(heard, all);
    }
}

pub async fn who_stands_in_for_a_channel_that_is_off_is_reminded(t: TestStores) {
    let lead = t.channel("lead").await;
    let ops = t.channel_before("ops", lead).await;
    t.change(ops, &json!({"enabled": false})).await;
    t.ladder(ops, ops).await;
    t.go_down(1).await;
    assert_eq!(t.tell_all().await, [(lead.to_string(), "opened")].into());

    let told = t.follow(20).await;

    let of = |kind| (told.iter().filter(|it| it.2 == kind).map(|it| it.0)).collect::<Vec<_>>();
    assert_eq!(of("opened").len(), 0, "a step that names it again reminds");
    assert_eq!(of("reminder"), [5, 10, 15]);
    assert!(told.iter().all(|it| it.1 == lead.to_string()), "{told:?}");
}

pub async fn who_takes_over_from_a_channel_goes_on_being_reminded(t: TestStores) {
    let lead = t.channel("lead").await;
    let ops = t.channel_before("ops", lead).await;
    t.ladder(ops, lead).await;
    t.go_down(1).await;
    assert_eq!(t.tell_all().await, [(ops.to_string(), "opened")].into());
    t.change(ops, &json!({"enabled": false})).await;

    let told = t.follow(6).await;

    assert_eq!(told, [(5, lead.to_string(), "reminder")]);
}

pub async fn nobody_is_reminded_instead_of_what_is_over(t: TestStores) {
    let lead = t.channel("lead").await;
    let ops = t.channel_before("ops", lead).await;
    t.ladder(ops, ops).await;
    t.without_storms().await;
    let check = t.add(a_check().every(3_600)).await;
    let down = t.claim_one().await;
    t.record(&[a_result(&down).failed().build()]).await;
    let opened = t.claim_for(ops).await.remove(0);
    t.settle(&opened, Settlement::RetryIn(3_600_000)).await;
    t.clock.advance(STANDS_IN_AFTER.num_milliseconds());
    t.tell_stand_ins().await;
    assert_eq!(t.tell_all().await, [(lead.to_string(), "opened")].into());
    t.clock.advance(180 * SECOND);
    t.follow_up().await;
    t.stores.checks.run_now(PROJECT, check.id, t.clock.now()).await.unwrap();
    let well = t.claim_one().await;
    t.record(&[a_result(&well).build()]).await;
    assert_eq!(t.tell_all().await, [(lead.to_string(), "resolved")].into());

    t.clock.advance(STANDS_IN_AFTER.num_milliseconds());
    t.tell_stand_ins().await;

    assert_eq!(t.tell_all().await, [].into(), "its last word is that it is over");
}

pub async fn fallbacks_in_a_circle_are_told_once_each(t: TestStores) {
    let first = t.channel("first").await;
    let second = t.channel_before("second", first).await;
    t.change(first, &json!({ "fallback": second })).await;
    t.route(&[], &[first]).await;
    t.go_down(1).await;

    for channel in [first, second] {
        let due = t.claim_for(channel).await;
        assert_eq!(due.len(), 1);
        t.settle(&due[0], Settlement::Dead).await;
    }

    assert_eq!(t.claim_deliveries().await, []);
    t.change(first, &json!({"enabled": false})).await;
    t.change(second, &json!({"enabled": false})).await;
    t.go_down(1).await;
    assert_eq!(t.claim_deliveries().await, [], "nobody is left to be told");
}

pub async fn a_channel_that_is_gone_is_switched_off_and_its_fallback_is_told(t: TestStores) {
    let lead = t.channel("lead").await;
    let ops = t.channel_before("ops", lead).await;
    t.route(&[], &[ops]).await;
    t.go_down(3).await;

    let due = t.claim_for(ops).await;
    t.settle(&due[0], Settlement::Gone).await;

    let now = t.get_setting(SettingKind::Channel, ops).await.unwrap();
    assert_eq!((&now.config["enabled"], now.version), (&json!(false), 3));
    let (at, reason) = t.state(ops).await.disabled.unwrap();
    assert_eq!((at, reason.as_str()), (t.clock.now(), GONE));
    assert_eq!(t.standing().await.disabled, 1);
    // What was under way at the time, and what is raised from now on, is told to the fallback.
    t.settle(&due[1], AGAIN).await;
    t.settle(&due[2], Settlement::Gone).await;
    t.clock.advance(5 * SECOND);
    t.go_down(1).await;
    let due = t.claim_deliveries().await;
    let for_lead: Vec<_> = due.iter().filter(|it| it.receiver == lead.to_string()).collect();
    assert_eq!(for_lead.len(), 4, "of two given up, of one that is new, of the channel: {due:?}");
    let of_itself =
        for_lead.iter().filter(|it| it.body.contains("Channel ops was switched off")).count();
    assert_eq!(of_itself, 1, "once");
    let left: Vec<_> = due.iter().filter(|it| it.receiver == ops.to_string()).collect();
    assert!(left.len() == 1 && left[0].is_switched_off());
    for lease in &for_lead {
        t.settle(lease, Settlement::Delivered).await;
    }
    t.settle(left[0], Settlement::Unsent).await;
    assert_eq!(told(&t.claim_deliveries().await), [(lead.to_string(), "opened")].into());

    t.change(ops, &json!({"enabled": true})).await;
    assert_eq!(t.state(ops).await, ChannelState::default());
    t.go_down(1).await;
    assert_eq!(told(&t.claim_deliveries().await), [(ops.to_string(), "opened")].into());
}

pub async fn an_attempt_at_an_older_version_of_a_channel_does_not_switch_it_off(t: TestStores) {
    let ops = t.channel("ops").await;
    t.route(&[], &[ops]).await;
    t.go_down(1).await;
    let due = t.claim_for(ops).await;
    t.change(ops, &json!({"config": {"topic": "elsewhere"}})).await;

    t.settle(&due[0], Settlement::Gone).await;

    let now = t.get_setting(SettingKind::Channel, ops).await.unwrap();
    assert_eq!((&now.config["enabled"], now.version), (&json!(true), 2));
    assert_eq!(t.state(ops).await.disabled, None);
}

pub async fn a_channel_that_does_nothing_but_fail_is_switched_off_and_all_others_are_told(
    t: TestStores,
) {
    let (ops, lead) = (t.channel("ops").await, t.channel("lead").await);
    let off = t.channel("off").await;
    t.change(off, &json!({"enabled": false})).await;
    t.route(&[], &[ops]).await;
    t.go_down(6).await;
    t.open_breaker(ops).await;
    t.clock.advance(71 * HOUR);
    let probe = t.claim_for(ops).await.remove(0);
    t.settle(&probe, AGAIN).await;
    assert_eq!(t.state(ops).await.disabled, None);
    t.clock.advance(HOUR);

    let probe = t.claim_for(ops).await.remove(0);
    t.settle(&probe, AGAIN).await;

    assert_eq!(t.state(ops).await.disabled.unwrap().1, GIVEN_UP);
    let due = t.claim_deliveries().await;
    let (theirs, ours): (Vec<_>, Vec<_>) =
        due.into_iter().partition(|it| it.receiver == ops.to_string());
    assert_eq!(told(&ours), [(lead.to_string(), "opened")].into());
    assert!(ours[0].body.contains(GIVEN_UP), "{}", ours[0].body);
    assert_eq!(theirs.len(), 5, "what it had held is given up now");
    assert!(theirs.iter().all(LeasedDelivery::is_switched_off));
}

pub async fn what_is_on_its_way_to_a_removed_channel_is_told_to_the_fallback_it_had(t: TestStores) {
    let lead = t.channel("lead").await;
    let ops = t.channel_before("ops", lead).await;
    t.route(&[], &[ops]).await;
    t.go_down(1).await;
    let removed = t.stores.settings.remove(PROJECT, SettingKind::Channel, ops).await;
    assert!(removed.unwrap());

    let due = t.claim_for(ops).await.remove(0);
    t.settle(&due, Settlement::Unsent).await;

    assert_eq!(due.channel, None);
    assert_eq!(told(&t.claim_deliveries().await), [(lead.to_string(), "opened")].into());
}

pub async fn a_fallback_is_told_of_what_waits_too_long_and_the_channel_as_well(t: TestStores) {
    let lead = t.channel("lead").await;
    let ops = t.channel_before("ops", lead).await;
    t.route(&[], &[ops]).await;
    t.go_down(1).await;
    let due = t.claim_for(ops).await.remove(0);
    t.settle(&due, Settlement::RetryIn(300_000)).await;
    t.clock.advance(STANDS_IN_AFTER.num_milliseconds() - 1);
    assert_eq!(t.tell_stand_ins().await, 0);
    t.clock.advance(1);

    let looked_at = (t.tell_stand_ins().await, t.tell_stand_ins().await);

    assert_eq!(looked_at, (1, 0), "once");
    let stand_in = t.claim_for(lead).await.remove(0);
    t.settle(&stand_in, Settlement::Delivered).await;
    t.clock.advance(300 * SECOND);
    let again = t.claim_for(ops).await.remove(0);
    assert_eq!((again.id, again.number), (due.id, 2), "it goes on being tried");
    t.settle(&again, Settlement::Dead).await;
    assert_eq!(t.claim_deliveries().await, [], "the fallback knows");
}

pub async fn a_thousand_outages_at_once_are_written_and_taken_in_bounded_time(t: TestStores) {
    let channels = [t.channel("a").await, t.channel("b").await, t.channel("c").await];
    t.route(&[], &channels).await;
    t.without_storms().await;
    for _ in 0..1_000 {
        t.add(a_check().every(3_600)).await;
    }
    let jobs = t.claim().await;
    let results: Vec<_> = jobs.iter().map(|job| a_result(job).failed().build()).collect();

    let began = Instant::now();
    let recorded = t.record(&results).await;
    let writing = began.elapsed();
    let began = Instant::now();
    let due = t.claim_deliveries().await;
    let claiming = began.elapsed();

    assert_eq!((recorded.opened, due.len()), (1_000, 3 * PER_CHANNEL as usize));
    // The store ends any statement after 5 s: none took so long. All of them together may, where the
    // machine is busy.
    assert!(writing < Duration::from_secs(15), "{writing:?}");
    assert!(claiming < Duration::from_secs(5), "{claiming:?}");
}
