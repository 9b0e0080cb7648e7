//! What a way of events must keep: one order for all servers, no event twice, and no silence about
//! what is gone.

use tokio::sync::Notify;
use tokio::time::timeout;

use std::time::Duration;

use crate::models::event::EventId;
use crate::ports::events::{EventBatch, EventLog, MOST_KEPT, Reading};
use crate::testing::eventually;

/// A way of events of the test's own, empty, as two processes see it.
pub struct Events<'a> {
    /// As the one sees it.
    pub one: &'a dyn EventLog,
    /// As the other does.
    pub other: &'a dyn EventLog,
}

fn batch(publisher: &str, number: u64, events: &[&str], runs: &[&str]) -> EventBatch {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    EventBatch { publisher: publisher.to_owned(), number, events: owned(events), runs: owned(runs) }
}

fn texts(reading: &Reading) -> Vec<&str> {
    reading.found.iter().map(|(_, text)| text.as_str()).collect()
}

fn ids(reading: &Reading) -> Vec<EventId> {
    reading.found.iter().map(|(id, _)| *id).collect()
}

pub async fn what_one_appends_all_read_in_one_order_under_the_same_ids(t: Events<'_>) {
    t.one.append(&batch("a", 1, &["1", "2"], &[])).await.unwrap();
    t.other.append(&batch("b", 1, &["3"], &[])).await.unwrap();

    let (here, there) = (
        t.one.events_after(None, 10).await.unwrap(),
        t.other.events_after(None, 10).await.unwrap(),
    );

    assert_eq!(here, there);
    assert_eq!(texts(&here), ["1", "2", "3"]);
    assert!(here.whole && ids(&here).is_sorted_by(|one, next| one < next));
    assert_eq!(here.place, ids(&here).last().copied());
}

pub async fn a_reader_goes_on_after_its_place(t: Events<'_>) {
    t.one.append(&batch("a", 1, &["1", "2", "3", "4"], &[])).await.unwrap();

    let first = t.one.events_after(None, 2).await.unwrap();
    let second = t.other.events_after(first.place, 1).await.unwrap();
    let third = t.one.events_after(second.place, 10).await.unwrap();
    let nothing = t.one.events_after(third.place, 10).await.unwrap();

    assert_eq!(
        [texts(&first), texts(&second), texts(&third)],
        [vec!["1", "2"], vec!["3"], vec!["4"]]
    );
    assert_eq!((nothing.found.len(), nothing.whole, nothing.place), (0, true, third.place));
}

pub async fn an_empty_way_has_no_place_and_misses_nothing(t: Events<'_>) {
    let reading = t.one.events_after(None, 10).await.unwrap();

    assert_eq!(reading, Reading { found: vec![], whole: true, place: None });
    assert_eq!(t.one.newest_runs().await.unwrap(), None);
}

pub async fn a_batch_that_is_appended_again_is_there_once(t: Events<'_>) {
    let first = batch("a", 1, &["1"], &["r"]);
    t.one.append(&first).await.unwrap();
    t.one.append(&first).await.unwrap();
    t.one.append(&batch("a", 2, &["2"], &[])).await.unwrap();
    t.other.attend("a").await.unwrap();
    t.one.append(&first).await.unwrap();

    assert_eq!(texts(&t.one.events_after(None, 10).await.unwrap()), ["1", "2"]);
    assert_eq!(texts(&t.one.runs_after(None, 10).await.unwrap()), ["r"]);
}

pub async fn a_place_that_is_kept_no_more_or_never_was_is_told(t: Events<'_>) {
    let row = vec!["x"; 500];
    t.one.append(&batch("a", 1, &["first"], &[])).await.unwrap();
    let first = t.one.events_after(None, 1).await.unwrap().place;
    let batches = u64::try_from(MOST_KEPT / row.len()).unwrap() + 4;
    for number in 2..batches {
        t.one.append(&batch("a", number, &row, &[])).await.unwrap();
    }
    t.one.append(&batch("a", batches, &["last"], &[])).await.unwrap();

    let oldest = t.one.events_after(None, 1).await.unwrap();
    let gone = t.one.events_after(first, 10).await.unwrap();
    let never = t.one.events_after(Some(EventId { ms: 1, number: 0 }), 10).await.unwrap();
    let ahead =
        t.one.events_after(Some(EventId { ms: u64::MAX / 4, number: 0 }), 10).await.unwrap();

    assert_ne!(oldest.place, first);
    for reading in [gone, never, ahead] {
        assert_eq!((reading.whole, reading.found.len()), (false, 0));
        let next = t.one.events_after(reading.place, 10).await.unwrap();
        assert_eq!((next.whole, next.found.len()), (true, 0), "it goes on from the newest");
    }
}

pub async fn runs_pass_in_batches_beside_the_events(t: Events<'_>) {
    t.one.append(&batch("a", 1, &[], &["r1", "r2"])).await.unwrap();
    let place = t.other.newest_runs().await.unwrap();
    t.other.append(&batch("b", 1, &["e"], &["r3"])).await.unwrap();

    let later = t.one.runs_after(place, 10).await.unwrap();
    let all = t.one.runs_after(None, 10).await.unwrap();

    assert_eq!((texts(&later), texts(&all)), (vec!["r3"], vec!["r1\nr2", "r3"]));
    assert_eq!(texts(&t.one.events_after(None, 10).await.unwrap()), ["e"]);
}

pub async fn publishers_learn_that_somebody_wants_runs(t: Events<'_>) {
    assert!(!t.one.attend("a").await.unwrap());

    t.other.want_runs().await.unwrap();

    assert!(t.one.attend("a").await.unwrap());
    assert!(t.other.attend("b").await.unwrap());
}

pub async fn a_publisher_that_leaves_is_not_missed(t: Events<'_>) {
    t.one.attend("a").await.unwrap();
    t.one.append(&batch("a", 1, &["1"], &[])).await.unwrap();
    t.one.leave("a").await.unwrap();
    t.other.attend("b").await.unwrap();

    assert_eq!(texts(&t.other.events_after(None, 10).await.unwrap()), ["1"]);
}

pub async fn the_bell_rings_for_what_another_appends(t: Events<'_>) {
    let bell = Notify::new();
    let listening = t.one.listen(&bell);
    tokio::pin!(listening);
    let mut number = 0;

    // A bell that is not hung up yet hears nothing: it is rung until it is heard.
    let heard = eventually("the bell rings", async || {
        number += 1;
        t.other.append(&batch("a", number, &["1"], &[])).await.unwrap();
        tokio::select! {
            () = bell.notified() => Some(()),
            _ended = &mut listening => panic!("the line is dead"),
            () = tokio::time::sleep(Duration::from_millis(50)) => None,
        }
    });

    timeout(Duration::from_secs(30), heard).await.unwrap();
}
