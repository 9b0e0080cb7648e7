//! Outages as a script, drawn before the show begins: no outage waits for Pulse to notice the last.
//!
//! A check's time is cut into equal parts. In each part it fails for a row of slots and is well again
//! before its end. What a slot meets depends on the slot alone, however often and late it is looked at.

use std::ops::RangeInclusive;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

use crate::target::{By, Fate, Phase, Plan, Script};

/// Good slots between two outages, at the least.
const WELL: i64 = 2;

/// What outages are drawn from.
#[derive(Clone, Debug)]
pub struct Weather {
    /// From when on, in milliseconds since 1970.
    pub from_ms: i64,
    /// The last of them ends before.
    pub until_ms: i64,
    /// Between two slots.
    pub interval_ms: i64,
    /// How many there are.
    pub outages: usize,
    /// How many slots fail in a row.
    pub failing: RangeInclusive<i64>,
    /// How long a target thinks at most before it answers.
    pub thinking: Duration,
    /// Whether outages are of every kind, or of a bad status only.
    pub every_kind: bool,
}

impl Weather {
    /// The script of one check.
    pub fn draw(&self, random: &mut StdRng) -> Script {
        let well = self.answer(Fate::Status(200), random);
        let mut phases = vec![Phase { from_ms: i64::MIN, plan: well }];
        let outages = i64::try_from(self.outages).unwrap_or(i64::MAX).max(1);
        let part_ms = (self.until_ms - self.from_ms) / outages;
        let longest = (part_ms / self.interval_ms - WELL).min(*self.failing.end());
        for number in 0..outages {
            let slots =
                random.random_range(*self.failing.start()..=longest.max(*self.failing.start()));
            let lasts_ms = slots * self.interval_ms;
            let spare_ms = (part_ms - lasts_ms - WELL * self.interval_ms).max(0);
            let from_ms = self.from_ms + number * part_ms + random.random_range(0..=spare_ms);
            let fate = self.fate(random);
            phases.push(Phase { from_ms, plan: self.answer(fate, random) });
            phases.push(Phase { from_ms: from_ms + lasts_ms, plan: well });
        }
        Script { by: By::Slot, phases }
    }

    fn answer(&self, fate: Fate, random: &mut StdRng) -> Plan {
        Plan { fate, delay: random.random_range(Duration::ZERO..=self.thinking) }
    }

    fn fate(&self, random: &mut StdRng) -> Fate {
        if !self.every_kind {
            return Fate::Status(500);
        }
        match random.random_range(0..100) {
            0..60 => Fate::Status([404, 500, 503][random.random_range(0..3)]),
            60..75 => Fate::Reset,
            75..85 => Fate::Garbage,
            85..95 => Fate::Hang,
            _ => Fate::Drip,
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn weather() -> Weather {
        Weather {
            from_ms: 100_000,
            until_ms: 380_000,
            interval_ms: 2_000,
            outages: 10,
            failing: 4..=8,
            thinking: Duration::from_millis(200),
            every_kind: true,
        }
    }

    #[test]
    fn a_script_follows_from_the_seed() {
        let drawn = |seed| weather().draw(&mut StdRng::seed_from_u64(seed));

        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
    }

    #[test]
    fn outages_last_whole_slots_and_leave_good_ones_between_them() {
        let script = weather().draw(&mut StdRng::seed_from_u64(7));

        let times: Vec<_> = script.phases.iter().map(|phase| phase.from_ms).skip(1).collect();
        assert_eq!(times.len(), 20);
        assert!(times.chunks(2).all(|it| (8_000..=16_000).contains(&(it[1] - it[0]))), "{times:?}");
        assert!(times[1..].chunks_exact(2).all(|it| it[1] - it[0] >= 4_000), "{times:?}");
        assert!(times.iter().all(|it| (100_000..=376_000).contains(it)), "{times:?}");
    }
}
