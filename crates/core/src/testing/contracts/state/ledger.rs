//! The ledger: every slot is handed out once, and ends once, whoever races.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::SECOND;
use crate::models::run::{MissedReason, Outcome};
use crate::models::schedule::Reach;
use crate::ports::clock::Clock;
use crate::testing::{TestStores, a_check, a_result, eventually};

pub async fn rival_schedulers_never_claim_a_slot_twice(t: TestStores) {
    for _ in 0..200 {
        t.add(a_check()).await;
    }

    let claims = (0..4).map(|_| async {
        let mut slots = Vec::new();
        loop {
            let claim = t.stores.schedule.claim_due(t.clock.now().into(), 20).await.unwrap();
            if claim.jobs().is_empty() {
                return slots;
            }
            slots.extend(claim.jobs().iter().map(|job| (job.check_id, job.slot)));
            claim.commit().await.unwrap();
        }
    });
    let claimed: Vec<_> = join_all(claims).await.into_iter().flatten().collect();

    // SKIP LOCKED may leave rows for a later round: what counts is that none came twice.
    let left = t.claim().await.len();
    assert_eq!(claimed.len() + left, 200);
    assert_eq!(claimed.iter().collect::<BTreeSet<_>>().len(), claimed.len());
}

pub async fn a_check_under_way_takes_no_place_of_one_that_is_due(t: TestStores) {
    let busy = t.add(a_check().every(5).with("timeout_ms", 4_000.into())).await;
    t.claim_one().await;
    t.move_to_next_slot(busy.id).await;
    t.clock.advance(1);
    let due = t.add(a_check()).await;

    let claim = t.stores.schedule.claim_due(t.clock.now().into(), 1).await.unwrap();

    assert_eq!(claim.jobs().iter().map(|job| job.check_id).collect::<Vec<_>>(), [due.id]);
}

pub async fn slots_are_handed_out_as_far_ahead_as_a_claim_reaches(t: TestStores) {
    let slot = t.clock.now();
    t.add(a_check()).await;

    let too_early = Reach::ahead(slot.plus(-101), 100);
    let none = t.stores.schedule.claim_due(too_early, 10).await.unwrap().jobs().to_vec();
    let early = Reach::ahead(slot.plus(-100), 100);
    let ahead = t.stores.schedule.claim_due(early, 10).await.unwrap().jobs().to_vec();

    assert_eq!(none, []);
    assert_eq!(
        ahead.iter().map(|job| (job.slot, job.due_in_ms)).collect::<Vec<_>>(),
        [(slot, 100)]
    );
}

pub async fn a_claim_that_is_not_committed_never_happened(t: TestStores) {
    t.add(a_check()).await;

    let dropped = t.stores.schedule.claim_due(t.clock.now().into(), 10).await.unwrap();
    let first = dropped.jobs().to_vec();
    drop(dropped);
    let second = eventually("the row is free again", async || {
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
    assert_eq!(slot, next.slot, "every slot from the first to the last is told, each once");
}

pub async fn a_result_of_a_claim_that_was_rolled_back_counts_once(t: TestStores) {
    let check = t.add(a_check()).await;
    let claim = t.stores.schedule.claim_due(t.clock.now().into(), 10).await.unwrap();
    let job = claim.jobs()[0].clone();
    drop(claim);

    let recorded = eventually("the row is free again", async || {
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
    let results: Vec<_> =
        t.claim().await.iter().map(|job| a_result(job).failed().build()).collect();

    let (a, b, c) = tokio::join!(t.record(&results), t.record(&results), t.record(&results));

    assert_eq!(a.applied + b.applied + c.applied, 50);
    assert_eq!(a.opened + b.opened + c.opened, 50);
    for check in checks {
        assert_eq!(t.incidents(check.id).await.len(), 1);
        assert_eq!(t.history(check.id).await.len(), 1);
    }
}
