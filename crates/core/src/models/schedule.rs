//! When a check is due.
//!
//! Slots lie on a fixed grid, `phase + k * interval`, so a late run never pushes the next one back
//! and load spreads evenly over the interval. Two kinds of slot lie off the grid: the first of a
//! check and one asked for by a person. All is arithmetic: a clock that jumps costs no loop.

use std::fmt;

use chrono::{DateTime, SubsecRound, TimeZone, Utc};
use serde::{Deserialize, Serialize};

use super::ids::CheckId;

/// An instant at which a check is due, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slot(pub i64);

impl Slot {
    /// The instant as a time; instants outside chrono's range become the epoch.
    #[must_use]
    pub fn time(self) -> DateTime<Utc> {
        Utc.timestamp_millis_opt(self.0).single().unwrap_or_default()
    }

    /// The slot `ms` milliseconds later.
    #[must_use]
    pub const fn plus(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

impl From<DateTime<Utc>> for Slot {
    fn from(at: DateTime<Utc>) -> Self {
        Self(at.trunc_subsecs(3).timestamp_millis())
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How far a claim reaches: slots due until `until` are handed out at `now`, so that a prober holds a
/// job when its slot comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The store's time.
    pub now: Slot,
    /// Not before `now`.
    pub until: Slot,
}

impl Reach {
    /// From `now` so many milliseconds ahead.
    #[must_use]
    pub const fn ahead(now: Slot, ms: i64) -> Self {
        Self { now, until: now.plus(ms) }
    }
}

/// What is due already, and nothing beyond.
impl From<Slot> for Reach {
    fn from(now: Slot) -> Self {
        Self::ahead(now, 0)
    }
}

/// The grid of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    interval_ms: i64,
    phase_ms: i64,
}

/// The slot to run, and how many older ones nobody looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The newest slot that is due.
    pub slot: Slot,
    /// How many slots before it, from the one that was next on, are behind.
    pub behind: u32,
}

impl Schedule {
    /// The grid of `check` at `interval_ms` (at least 1 ms), its phase taken from the random half
    /// of the id.
    #[must_use]
    pub fn new(check: CheckId, interval_ms: i64) -> Self {
        let interval_ms = interval_ms.max(1);
        let (_, random) = check.0.as_u64_pair();
        // The two highest bits are the UUID's variant, the same for all.
        let random = i64::try_from(random & 0x3fff_ffff_ffff_ffff).unwrap_or_default();
        Self { interval_ms, phase_ms: random % interval_ms }
    }

    /// Milliseconds between two slots of the grid.
    #[must_use]
    pub const fn interval_ms(self) -> i64 {
        self.interval_ms
    }

    /// The slot after `slot`: the first of the grid at least half an interval later.
    ///
    /// On the grid that is one interval later. After a slot off the grid it keeps two runs from
    /// falling together: an extra run stands in for a grid slot that would follow at once.
    #[must_use]
    pub const fn following(self, slot: Slot) -> Slot {
        let earliest = slot.plus((self.interval_ms + 1) / 2).0;
        let past = (earliest - self.phase_ms).rem_euclid(self.interval_ms);
        if past == 0 { Slot(earliest) } else { Slot(earliest).plus(self.interval_ms - past) }
    }

    /// What is due at `now` when `next` is the first slot not yet handed out; `None` before it.
    #[must_use]
    pub fn due(self, next: Slot, now: Slot) -> Option<Due> {
        if now < next {
            return None;
        }
        let second = self.following(next);
        if now < second {
            return Some(Due { slot: next, behind: 0 });
        }
        let further = (now.0 - second.0) / self.interval_ms;
        let slot = second.plus(further * self.interval_ms);
        Some(Due { slot, behind: u32::try_from(further).map_or(u32::MAX, |n| n.saturating_add(1)) })
    }

    /// The slot before `slot` among those handed out from `next` on, for `slot` later than `next`.
    #[must_use]
    pub fn preceding(self, next: Slot, slot: Slot) -> Slot {
        if slot <= self.following(next) { next } else { slot.plus(-self.interval_ms) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn schedule(phase: u64, interval_ms: i64) -> Schedule {
        Schedule::new(CheckId(Uuid::from_u64_pair(0, phase)), interval_ms)
    }

    #[test]
    fn on_the_grid_the_next_slot_is_one_interval_later() {
        let grid = schedule(7, 1000);

        assert_eq!(grid.following(Slot(10_007)), Slot(11_007));
    }

    #[test]
    fn after_a_slot_off_the_grid_the_next_is_at_least_half_an_interval_away() {
        let grid = schedule(0, 1000);

        assert_eq!(grid.following(Slot(10_400)), Slot(11_000));
        assert_eq!(grid.following(Slot(10_500)), Slot(11_000));
        assert_eq!(grid.following(Slot(10_501)), Slot(12_000));
    }

    #[test]
    fn a_long_sleep_costs_one_run_and_a_count() {
        let grid = schedule(0, 1000);

        assert_eq!(grid.due(Slot(1000), Slot(999)), None);
        assert_eq!(grid.due(Slot(1000), Slot(1999)), Some(Due { slot: Slot(1000), behind: 0 }));
        assert_eq!(grid.due(Slot(1000), Slot(5300)), Some(Due { slot: Slot(5000), behind: 4 }));
        let year = 365 * 24 * 3_600_000;
        assert_eq!(grid.due(Slot(0), Slot(year)).map(|d| d.behind), Some(31_536_000));
    }

    #[test]
    fn phases_spread_evenly_over_the_interval() {
        let mut tenths = [0_u32; 10];

        for _ in 0..10_000 {
            let grid = Schedule::new(CheckId::generate(), 10_000);
            tenths[usize::try_from(grid.phase_ms / 1000).unwrap()] += 1;
        }

        assert!(tenths.iter().all(|n| (800..1200).contains(n)), "{tenths:?}");
    }

    proptest! {
        #[test]
        fn due_is_what_walking_the_slots_finds(
            phase in 0_u64..100_000, interval in 1_i64..5_000, next in 0_i64..10_000, ahead in 0_i64..60_000,
        ) {
            let grid = schedule(phase, interval.max(2));
            let (next, now) = (Slot(next), Slot(next + ahead));
            let (mut slot, mut before, mut behind) = (next, next, 0);
            while grid.following(slot) <= now {
                before = slot;
                slot = grid.following(slot);
                behind += 1;
            }

            prop_assert_eq!(grid.due(next, now), Some(Due { slot, behind }));
            if behind > 0 {
                prop_assert_eq!(grid.preceding(next, slot), before);
            }
        }
    }
}
