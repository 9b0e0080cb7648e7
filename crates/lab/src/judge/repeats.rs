//! Was a slot hit again only where somebody died, or was held up, over its run?

use super::HitsBySlot;
use crate::target::Hit;

/// One process died at this instant, or stood still from the first to the second; in microseconds
/// since 1970.
pub type Gap = (i64, i64);

/// What the target's log says.
#[derive(Debug, Default)]
pub struct Figures {
    /// Hits under way in any gap.
    pub in_flight: usize,
    /// Hits beyond the first of their slot.
    pub repeated: usize,
    /// Of them, those whose hit before was not under way in any gap.
    pub unexplained: usize,
    /// Of them, those under a token that has made one before: their slot was claimed anew, because the
    /// claim that pushed it first was never committed.
    pub pushed_anew: usize,
    /// What exactly was wrong.
    pub complaints: Vec<String>,
}

/// Judges all hits. A run is under way from `around_us` before its hit, when it may have been pushed,
/// until as long after it, when its result has been handed in.
#[must_use]
pub fn judge(hits: &[Hit], gaps: &[Gap], around_us: i64) -> Figures {
    let under_way = |hit: &Hit| {
        gaps.iter().any(|(from, to)| from - around_us <= hit.at_us && hit.at_us <= to + around_us)
    };
    let in_flight = hits.iter().filter(|hit| under_way(hit)).count();
    let mut figures = Figures { in_flight, ..Figures::default() };
    for looks in HitsBySlot::of(hits).each() {
        for (place, look) in looks.iter().enumerate().skip(1) {
            figures.repeated += 1;
            let anew = looks[..place].iter().any(|earlier| earlier.attempt == look.attempt);
            figures.pushed_anew += usize::from(anew);
            if !under_way(looks[place - 1]) {
                figures.unexplained += 1;
                figures.complaints.push(format!(
                    "{}: slot {} was hit again though nobody died over it",
                    look.name, look.slot_ms
                ));
            }
        }
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{SECOND, a_hit};
    use super::*;

    const AROUND: i64 = 1_000_000;

    /// Two looks at one slot, three seconds apart.
    fn twice() -> [Hit; 2] {
        let first = a_hit(SECOND);
        let second = Hit { attempt: 2, at_us: first.at_us + 3_000_000, ..first.clone() };
        [first, second]
    }

    #[test]
    fn a_second_look_after_a_death_in_mid_run_is_explained() {
        let hits = twice();
        let death = hits[0].at_us + 400_000;

        let figures = judge(&hits, &[(death, death)], AROUND);

        assert_eq!((figures.repeated, figures.unexplained, figures.in_flight), (1, 0, 1));
        assert_eq!(figures.complaints, Vec::<String>::new());
    }

    #[test]
    fn a_second_look_is_not_explained_by_a_death_long_before_or_long_after_the_first() {
        let hits = twice();
        let (before, after) = (hits[0].at_us - AROUND - 1, hits[0].at_us + AROUND + 1);

        let figures = judge(&hits, &[(before, before), (after, after)], AROUND);

        assert_eq!((figures.repeated, figures.unexplained), (1, 1));
    }

    #[test]
    fn a_look_is_under_way_all_the_time_that_its_worker_stands_still() {
        let hits = twice();

        let figures = judge(&hits, &[(hits[0].at_us, hits[1].at_us)], AROUND);

        assert_eq!((figures.unexplained, figures.in_flight), (0, 2));
    }

    #[test]
    fn a_slot_that_was_pushed_anew_is_told_apart() {
        let mut hits = twice();
        hits[1].attempt = hits[0].attempt;

        assert_eq!(judge(&hits, &[], AROUND).pushed_anew, 1);
        assert_eq!(judge(&twice(), &[], AROUND).pushed_anew, 0);
    }
}
