//! When a check is due: its first slot, off the grid, and then every slot of the grid.
//!
//! The first slot is the creation of the check. The second is the first instant of the grid
//! `phase + k * interval` that lies at least half an interval later; from there on every interval.
//! How Pulse derives the phase is none of the lab's business: it is read off the slots seen.

use std::collections::BTreeMap;

use super::Definition;

/// The slots of one check, numbered from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    first_ms: i64,
    second_ms: i64,
    interval_ms: i64,
    on_grid: bool,
}

impl Chain {
    /// The chain that most of the slots seen belong to.
    ///
    /// Where the first slot was not seen, the creation of the check stands for it. Where no slot of
    /// the grid was seen, the second is set as late as it can lie, so that whoever counts what is
    /// missing counts too few rather than too many.
    #[must_use]
    pub fn observed(check: &Definition, seen: impl IntoIterator<Item = i64>) -> Self {
        let interval_ms = check.interval_ms;
        let half = interval_ms / 2;
        let (mut first_ms, mut residues) = (None, BTreeMap::<i64, usize>::new());
        for slot in seen {
            if (slot - check.created_ms).abs() < half && first_ms.is_none_or(|first| slot < first) {
                first_ms = Some(slot);
            } else {
                *residues.entry(slot.rem_euclid(interval_ms)).or_default() += 1;
            }
        }
        let first_ms = first_ms.unwrap_or(check.created_ms);
        let phase = residues.into_iter().max_by_key(|(_, count)| *count).map(|(phase, _)| phase);
        let earliest = first_ms + half;
        let second_ms = phase.map_or(earliest + interval_ms - 1, |phase| {
            earliest + (phase - earliest).rem_euclid(interval_ms)
        });
        Self { first_ms, second_ms, interval_ms, on_grid: phase.is_some() }
    }

    /// The first slot of all.
    #[must_use]
    pub fn first_ms(&self) -> i64 {
        self.first_ms
    }

    /// Where in its interval the grid lies, in thousandths; `None` where no slot of it was seen.
    #[must_use]
    pub fn phase(&self) -> Option<i64> {
        self.on_grid.then(|| self.second_ms.rem_euclid(self.interval_ms) * 1000 / self.interval_ms)
    }

    /// The number of a slot; `None` when the check is not due then.
    #[must_use]
    pub fn number_of(&self, slot_ms: i64) -> Option<usize> {
        if slot_ms == self.first_ms {
            return Some(0);
        }
        let since = slot_ms - self.second_ms;
        let on_grid = since >= 0 && since % self.interval_ms == 0;
        on_grid.then(|| usize::try_from(since / self.interval_ms + 1).ok())?
    }

    /// The slot of a number.
    #[must_use]
    pub fn slot(&self, number: usize) -> i64 {
        let Some(steps) = number.checked_sub(1) else {
            return self.first_ms;
        };
        // A row may claim to stand for any number of slots; the end of time will do for the worst.
        let steps = i64::try_from(steps).unwrap_or(i64::MAX);
        self.second_ms.saturating_add(steps.saturating_mul(self.interval_ms))
    }

    /// All slots up to and including `until_ms`, from the first on.
    pub fn until(&self, until_ms: i64) -> impl Iterator<Item = i64> {
        let Self { first_ms, second_ms, interval_ms, .. } = *self;
        std::iter::once(first_ms)
            .chain((0..).map(move |step: i64| second_ms + step * interval_ms))
            .take_while(move |slot| *slot <= until_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{CREATED, SECOND, a_check, slots};
    use super::*;

    #[test]
    fn the_chain_is_the_first_slot_and_then_the_grid() {
        let chain = Chain::observed(&a_check(), slots(4));

        assert_eq!(chain.until(SECOND + 5000).collect::<Vec<_>>(), slots(4));
        assert_eq!(chain.number_of(CREATED), Some(0));
        assert_eq!(chain.number_of(SECOND + 2000), Some(2));
        assert_eq!(chain.number_of(SECOND + 1), None);
        assert_eq!(chain.number_of(SECOND - 2000), None);
        assert_eq!(chain.phase(), Some((SECOND % 2000) / 2));
    }

    #[test]
    fn the_second_slot_is_never_less_than_half_an_interval_after_the_first() {
        let check = Definition { created_ms: 1_001_001, ..a_check() };

        let chain = Chain::observed(&check, [1_001_001, 1_004_000, 1_006_000]);

        assert_eq!(chain.until(1_004_000).collect::<Vec<_>>(), [1_001_001, 1_004_000]);
    }

    #[test]
    fn a_gap_behind_the_first_slot_is_part_of_the_chain() {
        let chain = Chain::observed(&a_check(), [CREATED, SECOND + 6000]);

        assert_eq!(chain.number_of(SECOND), Some(1));
    }

    #[test]
    fn one_slot_out_of_step_does_not_move_the_grid() {
        let seen = slots(4).into_iter().chain([SECOND + 2500]);

        let chain = Chain::observed(&a_check(), seen);

        assert_eq!(chain, Chain::observed(&a_check(), slots(4)));
    }

    #[test]
    fn nothing_seen_means_creation_and_at_least_one_slot_per_interval() {
        let chain = Chain::observed(&a_check(), []);

        assert_eq!((chain.first_ms(), chain.phase()), (CREATED, None));
        assert_eq!(chain.until(CREATED + 5000).count(), 3);
    }
}
