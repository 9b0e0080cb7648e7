//! Deliveries: recorded before they are made, in order, the same bytes each time, fair to all channels.

use serde_json::json;

use super::{PROJECT, SECOND, page};
use crate::models::alert::{AttemptReport, LEFT, Settlement};
use crate::models::breaker::OPENS_AT;
use crate::models::ids::CheckId;
use crate::models::schedule::Slot;
use crate::ports::checks::AttemptsOf;
use crate::ports::clock::Clock;
use crate::ports::deliveries::{PER_CHANNEL, RETRIES_PER_CHANNEL};
use crate::testing::{TestStores, a_check, a_result};

pub async fn deliveries_keep_their_order_and_their_bytes(t: TestStores) {
    let check = t.add(a_check().telling("http://sink.test/hook")).await;
    t.run(false).await;
    t.run(true).await;

    let first = t.claim_deliveries().await;
    assert_eq!(first.len(), 1, "the resolved one waits for the opened one");
    assert!(first[0].body.contains("incident.opened"));
    assert!(t.claim_deliveries().await.is_empty(), "it is leased");
    assert!(t.settle(&first[0], Settlement::RetryIn(5_000)).await);
    assert!(
        t.claim_deliveries().await.is_empty(),
        "it waits for its next attempt, and the resolved one with it"
    );
    t.clock.advance(5 * SECOND);
    let second = t.claim_deliveries().await;
    assert_eq!((second[0].id, &second[0].body), (first[0].id, &first[0].body));
    assert_eq!((second[0].number, second[0].schedule_step), (2, 2));
    assert!(t.settle(&second[0], Settlement::Delivered).await);
    let resolved = t.claim_deliveries().await;
    assert!(resolved[0].body.contains("incident.resolved"));

    let attempts =
        t.stores.alerts.attempts(PROJECT, AttemptsOf::Check(check.id), page(10)).await.unwrap();
    let told: Vec<_> =
        attempts.iter().map(|it| (it.kind, it.number, it.finished_at.is_some())).collect();
    assert_eq!(told, [("resolved", 1, false), ("opened", 2, true), ("opened", 1, true)]);
}

pub async fn a_delivery_whose_alerter_died_is_sent_again_and_the_dead_settle_nothing(
    t: TestStores,
) {
    t.add(a_check().telling("http://sink.test/")).await;
    t.run(false).await;
    let dead = t.claim_deliveries().await.remove(0);
    t.clock.advance(31 * SECOND);

    let heir = t.claim_deliveries().await.remove(0);
    let late = t.settle(&dead, Settlement::Dead).await;
    let good = t.settle(&heir, Settlement::Delivered).await;

    assert_eq!((dead.id, dead.number, heir.number), (heir.id, 1, 2));
    assert_eq!((late, good), (false, true));
}

pub async fn a_slow_channel_never_takes_all_places(t: TestStores) {
    for _ in 0..20 {
        t.add(a_check().telling("http://slow.test/")).await;
    }
    t.add(a_check().telling("http://quick.test/")).await;
    let results: Vec<_> =
        t.claim().await.iter().map(|job| a_result(job).failed().build()).collect();
    t.record(&results).await;

    let leased = t.claim_deliveries().await;
    let more = t.claim_deliveries().await;

    let slow = leased.iter().filter(|lease| lease.receiver.contains("slow")).count();
    assert_eq!((slow, leased.len()), (PER_CHANNEL as usize, slow + 1));
    assert!(more.is_empty(), "the slow channel has its share");
}

impl TestStores {
    /// One more check has something to tell the one channel.
    async fn one_more_is_down(&self) {
        self.add(a_check().every(3_600).telling("http://sink.test/")).await;
        let job = self.claim_one().await;
        self.record(&[a_result(&job).failed().build()]).await;
    }
}

pub async fn what_failed_before_is_not_held_up_by_what_is_new(t: TestStores) {
    t.one_more_is_down().await;
    let failed = t.claim_deliveries().await.remove(0);
    t.settle(&failed, Settlement::RetryIn(5_000)).await;
    t.clock.advance(4 * SECOND);
    t.one_more_is_down().await;
    let under_way = t.claim_deliveries().await;
    t.clock.advance(SECOND);

    let again = t.claim_deliveries().await;

    assert_eq!((under_way.len(), under_way[0].number), (1, 1));
    let again: Vec<_> = again.iter().map(|lease| (lease.id, lease.number)).collect();
    assert_eq!(again, [(failed.id, 2)]);
}

pub async fn what_is_new_is_not_held_up_by_what_failed_before(t: TestStores) {
    // As many as open no breaker.
    for _ in 1..OPENS_AT {
        t.one_more_is_down().await;
        let failed = t.claim_deliveries().await.remove(0);
        t.settle(&failed, Settlement::RetryIn(5_000)).await;
    }
    t.clock.advance(10 * SECOND);
    t.one_more_is_down().await;

    let numbers: Vec<_> = t.claim_deliveries().await.iter().map(|lease| lease.number).collect();

    assert_eq!(numbers.iter().filter(|number| **number == 1).count(), 1, "the new one");
    let again = numbers.iter().filter(|number| **number == 2).count();
    assert_eq!(again, RETRIES_PER_CHANNEL as usize);
}

pub async fn who_was_not_reached_is_named_to_the_next_attempt(t: TestStores) {
    t.add(a_check().telling("http://sink.test/hook")).await;
    t.run(false).await;
    let first = t.claim_deliveries().await.remove(0);
    assert_eq!(first.left, Vec::<String>::new());
    let left = vec![(LEFT.to_owned(), "a@b.example, c@d.example".to_owned())];
    let partly =
        AttemptReport { status: Some(250), response_headers: left, ..AttemptReport::default() };
    let (deliveries, now) = (&t.stores.deliveries, t.clock.now());

    let settled = deliveries.settle(&first, &partly, Settlement::RestIn(5_000), now).await;

    assert!(settled.unwrap());
    t.clock.advance(5 * SECOND);
    let second = t.claim_deliveries().await.remove(0);
    assert_eq!(second.left, ["a@b.example", "c@d.example"]);
    t.settle(&second, Settlement::RetryIn(5_000)).await;
    t.clock.advance(5 * SECOND);
    assert_eq!(t.claim_deliveries().await[0].left, Vec::<String>::new());
}

pub async fn what_is_replayed_after_its_end_ends_again(t: TestStores) {
    let check = t.add(a_check().telling("http://sink.test/hook")).await;
    t.run(false).await;
    t.run(true).await;
    let opened = t.claim_deliveries().await.remove(0);
    t.settle(&opened, Settlement::Dead).await;
    let resolved = t.claim_deliveries().await.remove(0);
    t.settle(&resolved, Settlement::Delivered).await;
    let (alerts, now) = (&t.stores.alerts, t.clock.now());

    assert!(alerts.replay(PROJECT, Some(check.id), opened.id, now).await.unwrap());
    for replayed in [&opened, &resolved] {
        let due = t.claim_deliveries().await;
        assert_eq!(due.iter().map(|it| it.id).collect::<Vec<_>>(), [replayed.id]);
        let settled =
            if replayed.id == opened.id { Settlement::Dead } else { Settlement::Delivered };
        t.settle(&due[0], settled).await;
    }

    let all = Slot(0)..now.plus(1);
    assert_eq!(alerts.replay_dead(PROJECT, None, all, 10, now).await.unwrap(), 1, "one was dead");
    for replayed in [&opened, &resolved] {
        let due = t.claim_deliveries().await;
        assert_eq!(due.iter().map(|it| it.id).collect::<Vec<_>>(), [replayed.id]);
        t.settle(&due[0], Settlement::Delivered).await;
    }
    assert!(alerts.replay(PROJECT, Some(check.id), resolved.id, now).await.unwrap());
    assert_eq!(t.claim_deliveries().await.len(), 1, "an end alone begins nothing");
}

pub async fn a_dead_delivery_can_be_replayed_from_the_start_of_its_schedule(t: TestStores) {
    let check = t.add(a_check().telling("http://sink.test/")).await;
    t.run(false).await;
    let lease = t.claim_deliveries().await.remove(0);
    t.settle(&lease, Settlement::Dead).await;
    assert!(t.claim_deliveries().await.is_empty());

    let replayed =
        t.stores.alerts.replay(PROJECT, Some(check.id), lease.id, t.clock.now()).await.unwrap();
    let again = t.claim_deliveries().await.remove(0);

    assert!(replayed);
    assert_eq!((again.id, again.number, again.schedule_step), (lease.id, 2, 1));
    assert_eq!(again.body, lease.body);
    let elsewhere = CheckId::generate();
    assert!(
        !t.stores.alerts.replay(PROJECT, Some(elsewhere), lease.id, t.clock.now()).await.unwrap()
    );
}

pub async fn the_end_is_told_to_whoever_heard_the_beginning(t: TestStores) {
    let check = t.add(a_check().telling("http://first.test/")).await;
    t.run(false).await;
    let opened = t.claim_deliveries().await.remove(0);
    t.settle(&opened, Settlement::Delivered).await;

    t.patch(check.id, 1, json!({ "webhook_url": "http://second.test/" })).await;
    t.run(true).await;

    let resolved = t.claim_deliveries().await.remove(0);
    assert!(resolved.body.contains("incident.resolved"));
    assert_eq!(
        (opened.receiver.as_str(), resolved.receiver.as_str()),
        ("http://first.test/", "http://first.test/")
    );
}
