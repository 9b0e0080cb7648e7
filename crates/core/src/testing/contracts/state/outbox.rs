//! What waits and what goes: history on its way out, and what nobody needs any more.

use super::{PROJECT, SECOND};
use crate::ports::clock::Clock;
use crate::testing::{TestStores, a_check};

pub async fn a_shipment_that_was_begun_comes_again_with_the_same_bytes(t: TestStores) {
    t.add(a_check()).await;
    t.run(true).await;
    let next = async || t.stores.outbox.next(t.clock.now(), 600 * SECOND).await.unwrap();
    let first = next().await.unwrap();
    t.run(true).await;
    let second = next().await.unwrap();
    assert_ne!(first.id, second.id);
    assert_eq!(next().await, None);
    t.clock.advance(601 * SECOND);

    let again = next().await.unwrap();

    assert_eq!((again.id, again.rows), (first.id, first.rows));
    let then = next().await.map(|shipment| shipment.id);
    assert_eq!(then, Some(second.id), "the first is leased again");
    assert_eq!(next().await, None);
    t.stores.outbox.settle(first.id).await.unwrap();
    t.stores.outbox.settle(second.id).await.unwrap();
    t.clock.advance(601 * SECOND);
    assert_eq!(next().await, None);
}

pub async fn a_shipper_that_slept_past_its_lease_is_told_so(t: TestStores) {
    t.add(a_check()).await;
    t.run(true).await;
    let next = async || t.stores.outbox.next(t.clock.now(), 60 * SECOND).await.unwrap();
    let mut slept = next().await.unwrap();
    assert!(t.renew(&mut slept).await, "it is still its own");
    t.clock.advance(61 * SECOND);
    let mut heir = next().await.unwrap();

    assert_eq!(slept.id, heir.id);
    assert!(!t.renew(&mut slept).await);
    assert!(t.renew(&mut heir).await);
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
    t.stores.checks.delete(PROJECT, gone.id, t.clock.now()).await.unwrap();
    t.clock.advance(8 * 86_400 * SECOND);

    assert!(!t.stores.schedule.forget_old(t.clock.now()).await.unwrap());

    assert!(t.stores.checks.get(PROJECT, kept.id).await.unwrap().is_some());
    let mut claim = t.stores.schedule.claim_due(t.clock.now().into(), 10).await.unwrap();
    assert_eq!(claim.specs(&[gone.id, kept.id]).await.unwrap().len(), 1);
}
