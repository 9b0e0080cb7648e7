//! Turns outcomes into health, and health into something to tell.
//!
//! A pure fold: the same outcomes in the same order always give the same incidents. Who stores it
//! and who is told is decided elsewhere.

use super::run::Outcome;
use super::schedule::Slot;

words! {
    /// What is known of a check in one region.
    State {
        /// Nobody has looked yet.
        Pending = "pending",
        /// The last word was good, or bad fewer times than the threshold.
        Up = "up",
        /// Failed at least `threshold` times in a row.
        Down = "down",
    }
}

/// The health of a check in one region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// What is known.
    pub state: State,
    /// Failures in a row, `missed` and `inconclusive` slots between them not counted.
    pub failures: u32,
    /// The first failing slot of that row.
    pub failing_since: Option<Slot>,
}

impl Default for Health {
    fn default() -> Self {
        Self { state: State::Pending, failures: 0, failing_since: None }
    }
}

/// An edge that people may want to hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// The check went down; the outage began at `since`, the first failing slot.
    WentDown {
        /// The first failing slot.
        since: Slot,
    },
    /// The check is well again, as of the good slot `at`.
    Recovered {
        /// The first good slot.
        at: Slot,
    },
}

impl Health {
    /// Folds in the outcome of the next slot; `threshold` failures in a row make an outage.
    ///
    /// Slots come in order, each once: the ledger sees to that.
    pub fn observe(&mut self, slot: Slot, outcome: Outcome, threshold: u32) -> Option<Transition> {
        match outcome {
            Outcome::Ok | Outcome::Degraded => self.succeed(slot),
            Outcome::Fail(_) => self.fail(slot, threshold),
            // We did not look, or could not tell: we learned nothing.
            Outcome::Inconclusive(_) | Outcome::Missed(_) => None,
        }
    }

    fn succeed(&mut self, slot: Slot) -> Option<Transition> {
        let was = self.state;
        *self = Self { state: State::Up, failures: 0, failing_since: None };
        (was == State::Down).then_some(Transition::Recovered { at: slot })
    }

    fn fail(&mut self, slot: Slot, threshold: u32) -> Option<Transition> {
        self.failures = self.failures.saturating_add(1);
        let since = *self.failing_since.get_or_insert(slot);
        if self.state == State::Down || self.failures < threshold {
            return None;
        }
        self.state = State::Down;
        Some(Transition::WentDown { since })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::run::{FailClass, InconclusiveReason, MissedReason};

    const FAIL: Outcome = Outcome::Fail(FailClass::Status);

    fn fold(outcomes: &[Outcome], threshold: u32) -> (Health, Vec<Transition>) {
        let mut health = Health::default();
        let edges = (1_i64..)
            .zip(outcomes)
            .filter_map(|(slot, outcome)| health.observe(Slot(slot), *outcome, threshold))
            .collect();
        (health, edges)
    }

    #[test]
    fn three_failures_in_a_row_open_one_incident_from_the_first() {
        let (health, edges) = fold(&[Outcome::Ok, FAIL, FAIL, FAIL, FAIL, FAIL], 3);

        assert_eq!(edges, vec![Transition::WentDown { since: Slot(2) }]);
        assert_eq!(health.state, State::Down);
    }

    #[test]
    fn the_first_good_run_resolves_it() {
        let (health, edges) = fold(&[FAIL, Outcome::Ok, FAIL], 1);

        assert_eq!(
            edges,
            vec![
                Transition::WentDown { since: Slot(1) },
                Transition::Recovered { at: Slot(2) },
                Transition::WentDown { since: Slot(3) },
            ]
        );
        assert_eq!(health.failures, 1);
    }

    #[test]
    fn slots_nobody_saw_neither_count_nor_reset() {
        let missed = Outcome::Missed(MissedReason::Lost);
        let unsure = Outcome::Inconclusive(InconclusiveReason::Local);

        let (_, edges) = fold(&[FAIL, missed, unsure, FAIL, missed, FAIL], 3);

        assert_eq!(edges, vec![Transition::WentDown { since: Slot(1) }]);
    }

    /// A second implementation, written as a search over the whole past instead of a fold.
    fn edges_by_looking_back(fails: &[bool], threshold: usize) -> Vec<Transition> {
        let slot = |i: usize| Slot(i64::try_from(i + 1).unwrap());
        let run_before = |i: usize| fails[..=i].iter().rev().take_while(|f| **f).count();
        (0..fails.len())
            .filter_map(|i| {
                if fails[i] && run_before(i) == threshold {
                    return Some(Transition::WentDown { since: slot(i + 1 - threshold) });
                }
                let ended_an_outage = !fails[i] && i > 0 && run_before(i - 1) >= threshold;
                ended_an_outage.then(|| Transition::Recovered { at: slot(i) })
            })
            .collect()
    }

    #[test]
    fn the_fold_equals_a_second_implementation_on_every_sequence_up_to_length_12() {
        for length in 0..=12_usize {
            for bits in 0..1_u32 << length {
                let fails: Vec<bool> = (0..length).map(|i| bits >> i & 1 == 1).collect();
                let outcomes: Vec<Outcome> =
                    fails.iter().map(|f| if *f { FAIL } else { Outcome::Ok }).collect();
                for threshold in 1..=4_u32 {
                    let expected = edges_by_looking_back(&fails, threshold as usize);
                    assert_eq!(fold(&outcomes, threshold).1, expected, "{fails:?} {threshold}");
                }
            }
        }
    }
}
