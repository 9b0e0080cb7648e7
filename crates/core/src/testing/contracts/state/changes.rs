//! Changes between runs: told once, each kind by itself, and no more than are kept.

use super::{PROJECT, SECOND, page};
use crate::models::ids::CheckId;
use crate::models::traits::{Change, TraitKind, Traits};
use crate::ports::Page;
use crate::testing::{TestStores, a_check, a_result};

const HOUR: i64 = 3_600 * SECOND;

fn at(last: &[u8]) -> Traits {
    let addresses = last.iter().map(|last| [192, 0, 2, *last].into()).collect();
    Traits { addresses, ..Traits::default() }
}

fn to(url: &str) -> Traits {
    Traits { redirect: Some(url.to_owned()), ..Traits::default() }
}

impl TestStores {
    /// Runs the one check for its slot, sees this, and moves on; how many changes were told.
    async fn see(&self, traits: Traits) -> u64 {
        let job = self.claim_one().await;
        let recorded = self.record(&[a_result(&job).seeing(traits).build()]).await;
        self.move_to_next_slot(job.check_id).await;
        recorded.changes.iter().sum()
    }

    async fn changes(&self, check: Option<CheckId>, kind: Option<TraitKind>) -> Vec<Change> {
        self.stores.changes.changes(PROJECT, check, kind, page(1_000)).await.unwrap()
    }
}

pub async fn what_changes_between_runs_is_told_and_what_was_not_seen_is_no_change(t: TestStores) {
    let check = t.add(a_check()).await.id;
    let both = Traits { redirect: Some("/a".to_owned()), ..at(&[1, 2]) };

    assert_eq!(t.see(both.clone()).await, 0, "seen for the first time");
    assert_eq!(t.see(both.clone()).await, 0);
    assert_eq!(t.see(Traits::default()).await, 0);
    t.run(false).await;
    assert_eq!(t.see(at(&[1, 2])).await, 0);
    assert_eq!(t.see(both).await, 0);
    let job = t.claim_one().await;
    let both = Traits { redirect: Some("/b".to_owned()), ..at(&[3]) };
    let result = [a_result(&job).seeing(both).build()];
    assert_eq!(t.record(&result).await.changes, [1, 0, 1]);
    assert_eq!(t.record(&result).await.changes, [0; 3], "it is stale");

    let [redirect, addresses] = &*t.changes(Some(check), None).await else { panic!() };
    assert_eq!((addresses.kind, redirect.kind), (TraitKind::Addresses, TraitKind::Redirect));
    assert_eq!((&addresses.before, &addresses.after), (&at(&[1, 2]), &at(&[3])));
    assert_eq!((&redirect.before, &redirect.after), (&to("/a"), &to("/b")));
    assert_eq!(
        (addresses.slot, addresses.check_id, &addresses.region),
        (job.slot, check, &job.region)
    );
    let first = Page { after: Some(redirect.id), ..page(10) };
    let next = t.stores.changes.changes(PROJECT, None, None, first).await.unwrap();
    assert_eq!(next, std::slice::from_ref(addresses));
    let of_kind = t.changes(None, Some(TraitKind::Addresses)).await;
    assert_eq!(of_kind, std::slice::from_ref(addresses));
    assert_eq!(t.changes(Some(CheckId::generate()), None).await, []);
}

pub async fn another_target_is_no_change_of_the_one_before(t: TestStores) {
    let check = t.add(a_check()).await;
    t.see(at(&[1])).await;
    t.patch(check.id, 1, serde_json::json!({"url": "http://other.test/"})).await;

    assert_eq!(t.see(at(&[2])).await, 0);
    assert_eq!(t.see(at(&[3])).await, 1);
    let changes = t.changes(None, None).await;
    assert_eq!((changes.len(), &changes[0].before), (1, &at(&[2])));
}

pub async fn of_many_changes_the_newest_are_kept(t: TestStores) {
    let check = t.add(a_check().every(60)).await.id;
    t.see(to("/")).await;
    let mut told = 0;
    for day in 0..4 {
        for n in 0..60 {
            told += t.see(to(&format!("/{day}/{n}"))).await;
        }
        t.clock.advance(25 * HOUR);
        t.claim_one().await;
        t.clock.advance(HOUR);
    }

    let kept = t.changes(Some(check), None).await;
    assert_eq!((told, kept.len()), (240, 200));
    assert_eq!(kept[0].after, to("/3/59"));
}
