//! The slot ledger of one check in one region: every slot ends in exactly one outcome.
//!
//! The scheduler claims, the recorder settles, and an edit, a pause or a deletion closes. Each
//! returns the gaps it found, so that a slot nobody looked at is told as `missed`, never forgotten.
//! Stores keep the four numbers and write the gaps; what they mean is decided here alone.

use super::run::MissedReason;
use super::schedule::{Reach, Schedule, Slot};

/// Time a run may take beyond its timeout: the lease margin of the queue, and the way to the recorder.
pub const GRACE_MS: i64 = 5_000;

/// Time kept free at the end of a window for a result to be recorded.
const RECORDING_MS: i64 = 1_000;

/// A slot handed out and not settled yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outstanding {
    /// The slot.
    pub slot: Slot,
    /// Until when a result is waited for, if the next slot is due before.
    pub until: Slot,
}

/// Where the ledger of one check and region stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The first slot not handed out; `None` while the check is paused or deleted.
    pub next: Option<Slot>,
    /// The one slot under way.
    pub outstanding: Option<Outstanding>,
    /// The last slot that has its outcome. Never goes back.
    pub last: Option<Slot>,
}

/// A slot to run now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The slot.
    pub slot: Slot,
    /// How long until then, in milliseconds; 0 when it has come.
    pub due_in_ms: u32,
    /// A run that has not started within this many milliseconds of the claim is not worth starting:
    /// its window would be over. A duration, because queues have clocks of their own.
    pub start_within_ms: i64,
    /// What was found missing on the way, oldest first.
    pub gaps: Vec<Gap>,
}

/// Slots that ended as `missed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The first of them.
    pub from: Slot,
    /// How many there are, at least one.
    pub slots: u32,
    /// Why nobody looked.
    pub reason: MissedReason,
}

impl Ledger {
    /// Makes a slot due at `now`: a new or resumed check, or a run asked for by a person.
    ///
    /// Changes nothing when a slot is due already.
    pub fn make_due(&mut self, now: Slot) {
        // Slots only go forward, also when the clock went back.
        let newest = self.outstanding.map(|o| o.slot).max(self.last);
        let at = newest.map_or(now, |newest| now.max(newest.plus(1)));
        if self.next.is_none_or(|next| next > at) {
            self.next = Some(at);
        }
    }

    /// Hands out the newest slot within reach; `None` when there is none or one is still under way.
    pub fn claim(
        &mut self,
        schedule: Schedule,
        reach: impl Into<Reach>,
        timeout_ms: i64,
    ) -> Option<Claimed> {
        let Reach { now, until } = reach.into();
        let next = self.next?;
        let due = schedule.due(next, until)?;
        if self.outstanding.is_some_and(|o| o.until > now) {
            return None;
        }
        let mut gaps = Vec::new();
        gaps.extend(self.close(MissedReason::Lost));
        gaps.extend(self.skip(schedule, next, due.slot, due.behind));

        let due_in_ms = u32::try_from(due.slot.0 - now.0).unwrap_or_default();
        let until = now.plus(i64::from(due_in_ms) + timeout_ms + GRACE_MS);
        let following = schedule.following(due.slot);
        self.outstanding = Some(Outstanding { slot: due.slot, until });
        self.next = Some(following);
        let window_ms = following.max(until).0 - now.0;
        let start_within_ms = window_ms - timeout_ms - RECORDING_MS;
        Some(Claimed { slot: due.slot, due_in_ms, start_within_ms, gaps })
    }

    /// Takes the outcome of `slot`, and says which slots before it were missed; `None` when the
    /// slot has its outcome already, or is none of this ledger's: a replay, a zombie, an old edit.
    pub fn settle(&mut self, schedule: Schedule, slot: Slot) -> Option<Vec<Gap>> {
        if self.last.is_some_and(|last| slot <= last) {
            return None;
        }
        if self.outstanding.is_some_and(|o| o.slot == slot) {
            self.outstanding = None;
            self.last = Some(slot);
            return Some(Vec::new());
        }
        // Handed out by a claim that was pushed but never committed: the ledger catches up.
        let next = self.next.filter(|next| *next <= slot)?;
        let due = schedule.due(next, slot).filter(|due| due.slot == slot)?;
        let mut gaps = Vec::new();
        gaps.extend(self.close(MissedReason::Lost));
        gaps.extend(self.skip(schedule, next, slot, due.behind));
        self.last = Some(slot);
        self.next = Some(schedule.following(slot));
        Some(gaps)
    }

    /// Takes an outcome that came by itself at `at`, of no slot that was handed out; its slot is the
    /// first instant from then on that has none yet.
    pub fn receive(&mut self, at: Slot) -> Slot {
        let slot = self.last.map_or(at, |last| at.max(last.plus(1)));
        self.last = Some(slot);
        slot
    }

    /// Ends the slot under way, if there is one, as missed for `reason`.
    pub fn close(&mut self, reason: MissedReason) -> Option<Gap> {
        let open = self.outstanding.take()?;
        self.last = Some(open.slot);
        Some(Gap { from: open.slot, slots: 1, reason })
    }

    /// Stops the clock for this check: nothing is due any more, and what was under way is closed.
    pub fn stop(&mut self, reason: MissedReason) -> Option<Gap> {
        self.next = None;
        self.close(reason)
    }

    fn skip(&mut self, schedule: Schedule, next: Slot, to: Slot, behind: u32) -> Option<Gap> {
        if behind == 0 {
            return None;
        }
        self.last = Some(schedule.preceding(next, to));
        Some(Gap { from: next, slots: behind, reason: MissedReason::Late })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::models::ids::CheckId;

    const TIMEOUT: i64 = 500;

    fn grid() -> Schedule {
        Schedule::new(CheckId(Uuid::from_u64_pair(0, 0)), 10_000)
    }

    fn due_at(slot: i64) -> Ledger {
        Ledger { next: Some(Slot(slot)), ..Ledger::default() }
    }

    #[test]
    fn a_calm_slot_is_claimed_once_and_settled_once() {
        let mut ledger = due_at(10_000);

        let claimed = ledger.claim(grid(), Slot(10_003), TIMEOUT).unwrap();
        let again = ledger.claim(grid(), Slot(10_004), TIMEOUT);
        let settled = ledger.settle(grid(), Slot(10_000));
        let replayed = ledger.settle(grid(), Slot(10_000));

        assert_eq!((claimed.slot, claimed.gaps), (Slot(10_000), vec![]));
        assert_eq!((again, settled, replayed), (None, Some(vec![]), None));
        assert_eq!(ledger.last, Some(Slot(10_000)));
        assert_eq!(ledger.next, Some(Slot(20_000)));
    }

    #[test]
    fn a_slot_within_reach_is_handed_out_ahead_of_its_time_and_no_other() {
        let reach = |now: i64, ms: i64| Reach::ahead(Slot(now), ms);

        let mut ledger = due_at(10_000);
        assert_eq!(ledger.claim(grid(), reach(9_900, 99), TIMEOUT), None);
        let ahead = ledger.claim(grid(), reach(9_900, 100), TIMEOUT).unwrap();
        let mut ledger = due_at(10_000);
        let on_time = ledger.claim(grid(), reach(10_000, 100), TIMEOUT).unwrap();
        let mut behind = due_at(10_000);
        let newest = behind.claim(grid(), reach(29_950, 100), TIMEOUT).unwrap();

        assert_eq!((ahead.slot, ahead.due_in_ms), (Slot(10_000), 100));
        assert_eq!((on_time.slot, on_time.due_in_ms), (Slot(10_000), 0));
        assert_eq!(ahead.start_within_ms, on_time.start_within_ms + 100, "its window ends with it");
        assert_eq!((newest.slot, newest.due_in_ms), (Slot(30_000), 50));
        assert_eq!(newest.gaps, [Gap { from: Slot(10_000), slots: 2, reason: MissedReason::Late }]);
    }

    #[test]
    fn a_slot_under_way_is_waited_for_by_the_time_of_day_and_not_by_the_reach() {
        let mut ledger = due_at(10_000);
        ledger.claim(grid(), Slot(10_000), TIMEOUT).unwrap();
        let until = ledger.outstanding.unwrap().until;
        ledger.next = Some(until);

        let before = ledger.claim(grid(), Reach::ahead(until.plus(-1), 100), TIMEOUT);

        assert_eq!(before, None);
        assert!(ledger.claim(grid(), Reach::ahead(until, 100), TIMEOUT).is_some());
    }

    #[test]
    fn a_slot_without_a_result_is_lost_when_the_next_is_claimed() {
        let mut ledger = due_at(10_000);
        ledger.claim(grid(), Slot(10_000), TIMEOUT).unwrap();

        let next = ledger.claim(grid(), Slot(20_001), TIMEOUT).unwrap();

        let lost = Gap { from: Slot(10_000), slots: 1, reason: MissedReason::Lost };
        assert_eq!((next.slot, next.gaps), (Slot(20_000), vec![lost]));
        assert_eq!(ledger.settle(grid(), Slot(10_000)), None, "the zombie changes nothing");
        assert_eq!(ledger.settle(grid(), Slot(20_000)), Some(vec![]));
    }

    #[test]
    fn the_next_slot_waits_for_a_result_that_may_still_come() {
        let short = Schedule::new(CheckId(Uuid::from_u64_pair(0, 0)), 1_000);
        let mut ledger = due_at(1_000);
        ledger.claim(short, Slot(1_000), 900).unwrap();

        assert_eq!(ledger.claim(short, Slot(2_000), 900), None);
        ledger.settle(short, Slot(1_000)).unwrap();
        assert_eq!(ledger.claim(short, Slot(2_050), 900).map(|c| c.slot), Some(Slot(2_000)));
    }

    #[test]
    fn slots_behind_the_newest_are_counted_and_never_run() {
        let mut ledger = due_at(10_000);

        let claimed = ledger.claim(grid(), Slot(45_000), TIMEOUT).unwrap();

        let late = Gap { from: Slot(10_000), slots: 3, reason: MissedReason::Late };
        assert_eq!((claimed.slot, claimed.gaps), (Slot(40_000), vec![late]));
        assert_eq!(ledger.last, Some(Slot(30_000)));
    }

    #[test]
    fn a_result_of_a_claim_that_never_committed_is_taken_with_its_gaps() {
        let mut ledger = due_at(10_000);

        let gaps = ledger.settle(grid(), Slot(30_000)).unwrap();

        assert_eq!(gaps, vec![Gap { from: Slot(10_000), slots: 2, reason: MissedReason::Late }]);
        assert_eq!((ledger.last, ledger.next), (Some(Slot(30_000)), Some(Slot(40_000))));
    }

    #[test]
    fn what_has_its_outcome_keeps_it_even_if_the_schedule_were_set_back() {
        let set_back = Ledger { last: Some(Slot(30_000)), ..due_at(10_000) };

        for slot in [10_000, 20_000, 30_000] {
            let mut ledger = set_back;
            assert_eq!(ledger.settle(grid(), Slot(slot)), None, "{slot}");
            assert_eq!(ledger, set_back);
        }
    }

    #[test]
    fn a_paused_check_is_never_due_and_takes_no_result() {
        let mut ledger = due_at(10_000);
        ledger.claim(grid(), Slot(10_000), TIMEOUT).unwrap();

        let closed = ledger.stop(MissedReason::Paused).unwrap();

        assert_eq!((closed.from, closed.reason), (Slot(10_000), MissedReason::Paused));
        assert_eq!(ledger.claim(grid(), Slot(90_000), TIMEOUT), None);
        assert_eq!(ledger.settle(grid(), Slot(10_000)), None);
        assert_eq!(ledger.settle(grid(), Slot(20_000)), None);
    }

    #[test]
    fn a_run_asked_for_is_due_at_once_and_never_before_the_last() {
        let mut ledger = due_at(20_000);
        ledger.make_due(Slot(13_000));
        assert_eq!(ledger.next, Some(Slot(13_000)));

        ledger.last = Some(Slot(15_000));
        ledger.next = Some(Slot(20_000));
        ledger.make_due(Slot(14_000));

        assert_eq!(ledger.next, Some(Slot(15_001)));
    }

    #[test]
    fn what_comes_by_itself_has_a_slot_of_its_own_whatever_the_clock_says() {
        let mut ledger = Ledger::default();

        let slots = [5_000, 5_000, 4_000, 9_000].map(|at| ledger.receive(Slot(at)).0);

        assert_eq!(slots, [5_000, 5_001, 5_002, 9_000]);
        assert_eq!((ledger.last, ledger.next), (Some(Slot(9_000)), None));
    }

    proptest! {
        /// Whatever happens, the outcomes told cover the chain of slots, each once and in order.
        #[test]
        fn every_slot_ends_exactly_once(steps in prop::collection::vec((0_u8..6, 1_i64..40_000), 1..80)) {
            let (mut ledger, mut now) = (due_at(0), Slot(0));
            let mut ended: Vec<(Slot, u32)> = Vec::new();
            let mut handed: Vec<Slot> = Vec::new();
            for (what, ms) in steps {
                now = now.plus(ms);
                let before = ledger.last;
                let mut gaps: Vec<Gap> = Vec::new();
                match what {
                    0..=2 => if let Some(claimed) = ledger.claim(grid(), now, TIMEOUT) {
                        gaps = claimed.gaps;
                        handed.push(claimed.slot);
                    },
                    3 => if let Some(slot) = handed.last().copied()
                        && let Some(found) = ledger.settle(grid(), slot) {
                        gaps = found;
                        gaps.push(Gap { from: slot, slots: 1, reason: MissedReason::Late });
                    },
                    4 => if let Some(slot) = handed.first().copied() {
                        let settled = ledger.settle(grid(), slot);
                        prop_assert!(settled.is_none() || handed.len() == 1 || before < Some(slot));
                        if let Some(found) = settled {
                            gaps = found;
                            gaps.push(Gap { from: slot, slots: 1, reason: MissedReason::Late });
                        }
                    },
                    _ => gaps.extend(ledger.close(MissedReason::Edited)),
                }
                ended.extend(gaps.iter().map(|g| (g.from, g.slots)));
                prop_assert!(ledger.last >= before, "last never goes back");
            }
            let mut expected = Slot(0);
            for (from, slots) in ended {
                prop_assert_eq!(from, expected);
                for _ in 0..slots { expected = grid().following(expected); }
            }
        }
    }
}
