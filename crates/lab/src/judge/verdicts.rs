//! Did looks at hostile targets come to what they had to, and in time?

use std::collections::BTreeMap;

use pulse_meter::spread::Spread;

use crate::client::{Outcome, Run};
use crate::hostile::{Kind, Must};

/// What the runs of checks of hostile targets come to.
#[derive(Debug, Default)]
pub struct Figures {
    /// Looks.
    pub runs: usize,
    /// Of them, those with another outcome or sentence than due.
    pub wrong: usize,
    /// Slots that nobody looked at.
    pub missed: usize,
    /// How long after its timeout the latest verdict came, in microseconds; 0 when none did.
    pub latest_us: i64,
    /// How long each took, in microseconds.
    took_us: Vec<i64>,
    /// What was told, by kind, and how often.
    oddities: BTreeMap<String, usize>,
}

impl Figures {
    /// Adds the runs of one check, as the API lists them.
    pub fn add(&mut self, kind: &Kind, timeout_ms: u32, runs: &[Run]) {
        for run in runs {
            if run.outcome == Outcome::Missed {
                self.missed += usize::try_from(run.slots).unwrap_or(usize::MAX);
                continue;
            }
            self.runs += 1;
            let took = run.total_us().unwrap_or(i64::MAX);
            self.took_us.push(took);
            self.latest_us = self.latest_us.max(took.saturating_sub(i64::from(timeout_ms) * 1000));
            if !is_due(&kind.must, run) {
                self.wrong += 1;
                let told = run.error.as_deref().unwrap_or("nothing");
                let oddity = format!("{}: {}, told {told:?}", kind.name, run.word());
                *self.oddities.entry(oddity).or_default() += 1;
            }
        }
    }

    /// How long the looks took.
    #[must_use]
    pub fn took(&self) -> Spread {
        Spread::of(self.took_us.clone())
    }

    /// What exactly was wrong.
    pub fn complaints(&self) -> impl Iterator<Item = String> {
        self.oddities.iter().map(|(oddity, times)| format!("{oddity}, {times} times"))
    }
}

fn is_due(must: &Must, run: &Run) -> bool {
    must.outcomes.contains(&run.word())
        && run.error.as_deref().unwrap_or_default().contains(must.says)
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{SECOND, a_run};
    use super::*;
    use crate::client::Phases;
    use crate::hostile::kinds;

    const TIMEOUT_MS: u32 = 800;

    fn looked(class: &str, error: &str, total_ms: f64) -> Run {
        Run {
            class: Some(class.to_owned()),
            error: Some(error.to_owned()),
            phases: Some(Phases { total_ms: Some(total_ms) }),
            ..a_run(SECOND, Outcome::Fail)
        }
    }

    fn judged(run: Run) -> Figures {
        let kind = kinds().find(|kind| kind.name == "half-a-head").unwrap();
        let mut figures = Figures::default();
        figures.add(kind, TIMEOUT_MS, &[run]);
        figures
    }

    #[test]
    fn a_class_or_a_sentence_that_is_not_due_is_wrong() {
        let due = "timed out after 800 ms while waiting for the first byte";

        assert_eq!(judged(looked("timeout", due, 801.0)).wrong, 0);
        assert_eq!(judged(looked("protocol", due, 801.0)).wrong, 1);
        let other = judged(looked("timeout", "timed out after 800 ms while connecting", 801.0));
        assert_eq!(other.wrong, 1);
        assert!(other.complaints().next().unwrap().contains("while connecting"));
        assert_eq!(judged(a_run(SECOND, Outcome::Ok)).wrong, 1);
    }

    #[test]
    fn the_latest_verdict_is_reckoned_from_the_timeout() {
        assert_eq!(judged(looked("timeout", "", 801.5)).latest_us, 1500);
        assert_eq!(judged(looked("timeout", "", 20.0)).latest_us, 0);
        let unknown = Run { phases: None, ..looked("timeout", "", 0.0) };
        assert!(judged(unknown).latest_us > 1_000_000_000, "no time told is no time kept");
    }

    #[test]
    fn a_slot_that_nobody_looked_at_is_no_run() {
        let figures = judged(Run { slots: 3, ..a_run(SECOND, Outcome::Missed) });

        assert_eq!((figures.runs, figures.missed, figures.wrong), (0, 3, 0));
    }
}
