//! Was each check looked at when it was due, once, and how late? Judged from the target's log alone.

use super::chain::Chain;
use super::{Definition, HitsBySlot};
use crate::target::Hit;
use pulse_meter::spread::Spread;

/// What the target's log says of a number of checks.
#[derive(Debug, Default)]
pub struct Figures {
    /// Slots due.
    pub due: usize,
    /// Slots hit at least once.
    pub hit: usize,
    /// Hits beyond the first of their slot.
    pub duplicates: usize,
    /// Slots due that were never hit.
    pub missing: usize,
    /// Hits for a time at which their check was not due.
    pub off_grid: usize,
    /// The longest time before its slot that a hit came, in microseconds; 0 when none was early.
    pub earliest_us: i64,
    /// How long after its slot each first hit came.
    pub delays: Spread,
    /// The same for first slots alone, which are due the moment a check is created.
    pub first_delays: Spread,
    /// The most checks that are due within the same tenth of their interval.
    pub together: usize,
    /// What exactly was wrong.
    pub complaints: Vec<String>,
}

/// Judges the slots from creation to `until_ms`, which must lie so far back that all have ended.
#[must_use]
pub fn judge(checks: &[Definition], hits: &[Hit], until_ms: i64) -> Figures {
    let hits = HitsBySlot::of(hits);
    let mut figures = Figures::default();
    let (mut delays, mut first_delays, mut phases) = (Vec::new(), Vec::new(), Vec::new());
    for check in checks {
        let chain = Chain::observed(check, hits.slots(check.id));
        phases.extend(chain.phase());
        for slot in chain.until(until_ms) {
            let Some(delay) = figures.slot(check, slot, &hits) else {
                continue;
            };
            delays.push(delay);
            if slot == chain.first_ms() {
                first_delays.push(delay);
            }
        }
        figures.strangers(check, &chain, &hits, until_ms);
    }
    figures.delays = Spread::of(delays);
    figures.first_delays = Spread::of(first_delays);
    figures.together = most_within_a_tenth(phases);
    figures
}

/// The most of these thousandths of a circle that any tenth of it holds.
fn most_within_a_tenth(mut phases: Vec<i64>) -> usize {
    phases.sort_unstable();
    let next_turn: Vec<i64> = phases.iter().map(|phase| phase + 1000).collect();
    let turns = [&phases[..], &next_turn[..]].concat();
    let from = |begin: usize| turns.partition_point(|phase| *phase < turns[begin] + 100) - begin;
    (0..phases.len()).map(from).max().unwrap_or_default()
}

impl Figures {
    /// Counts one slot that was due; returns the delay of its first hit in microseconds.
    fn slot(&mut self, check: &Definition, slot_ms: i64, hits: &HitsBySlot) -> Option<i64> {
        let hits = hits.at(check.id, slot_ms);
        self.due += 1;
        let Some(first) = hits.first() else {
            self.missing += 1;
            self.complaints.push(format!("{}: slot {slot_ms} was never hit", check.name));
            return None;
        };
        self.hit += 1;
        self.duplicates += hits.len() - 1;
        if hits.len() > 1 {
            let times: Vec<_> = hits.iter().map(|hit| (hit.attempt, hit.at_us / 1000)).collect();
            let complaint =
                format!("{}: slot {slot_ms} was hit as (attempt, ms) {times:?}", check.name);
            self.complaints.push(complaint);
        }
        let delay = first.at_us - slot_ms * 1000;
        self.earliest_us = self.earliest_us.max(-delay);
        Some(delay)
    }

    fn strangers(&mut self, check: &Definition, chain: &Chain, hits: &HitsBySlot, until_ms: i64) {
        for slot in hits.slots(check.id).filter(|slot| *slot <= until_ms) {
            if chain.number_of(slot).is_none() {
                self.off_grid += hits.at(check.id, slot).len();
                self.complaints.push(format!("{}: hit for {slot}, not a slot of it", check.name));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{CREATED, SECOND, a_check, a_hit, good_hits};
    use super::*;

    #[test]
    fn calm_hits_are_one_per_slot() {
        let figures = judge(&[a_check()], &good_hits(5), SECOND + 6000);

        assert_eq!((figures.due, figures.hit), (5, 5));
        assert_eq!((figures.duplicates, figures.missing, figures.off_grid), (0, 0, 0));
        assert_eq!(figures.delays.max_ms(), 10);
        assert!(figures.complaints.is_empty());
    }

    #[test]
    fn a_second_hit_of_a_slot_is_a_duplicate_whatever_its_attempt() {
        let mut hits = good_hits(3);
        hits.push(Hit { attempt: 2, ..a_hit(SECOND) });

        let figures = judge(&[a_check()], &hits, SECOND + 2000);

        assert_eq!((figures.hit, figures.duplicates), (3, 1));
    }

    #[test]
    fn a_hit_before_its_slot_is_early() {
        let mut hits = good_hits(3);
        hits[1].at_us -= 25_000;

        let figures = judge(&[a_check()], &hits, SECOND + 2000);

        assert_eq!(figures.earliest_us, 15_000);
    }

    #[test]
    fn a_slot_without_a_hit_is_missing_inside_and_at_the_end() {
        let mut hits = good_hits(5);
        hits.remove(2);

        let figures = judge(&[a_check()], &hits, SECOND + 8000);

        assert_eq!((figures.due, figures.missing), (6, 2));
    }

    #[test]
    fn a_hit_between_slots_is_off_the_grid() {
        let mut hits = good_hits(4);
        hits.push(a_hit(SECOND + 700));

        let figures = judge(&[a_check()], &hits, SECOND + 4000);

        assert_eq!((figures.off_grid, figures.missing), (1, 0));
    }

    #[test]
    fn first_slots_are_reported_on_their_own_too() {
        let mut hits = good_hits(3);
        hits[0].at_us = CREATED * 1000 + 900_000;

        let figures = judge(&[a_check()], &hits, SECOND + 2000);

        assert_eq!((figures.first_delays.max_ms(), figures.delays.max_ms()), (900, 900));
        assert_eq!(figures.delays.percentile_ms(50), 10);
    }

    #[test]
    fn hits_after_the_end_are_not_judged() {
        let figures = judge(&[a_check()], &good_hits(9), SECOND);

        assert_eq!((figures.due, figures.hit, figures.off_grid), (2, 2, 0));
    }

    #[test]
    fn checks_are_together_that_lie_within_a_tenth_of_a_circle() {
        assert_eq!(most_within_a_tenth(vec![]), 0);
        assert_eq!(most_within_a_tenth(vec![950, 500, 0, 49, 50]), 3, "950, 0 and 49");
        assert_eq!(most_within_a_tenth(vec![7; 4]), 4);
    }
}
