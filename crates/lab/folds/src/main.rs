//! `pulse-folds [SEED [TREES [RULES]]]`: folds sequences of outcomes with Pulse's own models, and writes to
//! standard output what went in and what came out. It judges nothing: `pulse_model exact` folds the
//! same a second time and compares.
//!
//! A line of JSON says how much follows; then come records of fixed width, little-endian. First
//! every sequence of good and failing slots, for each of some thresholds, as a walk through their
//! tree; then every shorter one of good, degraded, failing and missed ones; then random walks
//! through ledger and health together, as scheduler and recorder take them.

mod random;
mod record;

use std::env;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use pulse_core::models::health::{Health, Thresholds};
use pulse_core::models::run::{FailClass, MissedReason, Outcome};
use pulse_core::models::schedule::Slot;
use serde_json::json;

use random::Forest;
use record::Record;

const FAIL: Outcome = Outcome::Fail(FailClass::Status);
/// Good or failing, and long.
const TWO: Walks = Walks { outcomes: &[Outcome::Ok, FAIL], length: 16 };
/// Of every kind, and shorter.
const FOUR: Walks = Walks {
    outcomes: &[Outcome::Ok, Outcome::Degraded, FAIL, Outcome::Missed(MissedReason::Lost)],
    length: 7,
};
/// By which each of them is folded. A play that is to be short takes the first few.
const RULES: [Thresholds; 9] = [
    in_a_row(3, 1),
    among(3, 5, 2),
    in_a_row(2, 3),
    among(2, 6, 1),
    in_a_row(1, 1),
    among(1, 4, 3),
    in_a_row(5, 2),
    among(4, 4, 1),
    among(5, 9, 2),
];
/// Random trees, when nobody says otherwise: with their branches a million sequences.
const TREES: u64 = 64;

const fn in_a_row(failing: u32, recovering: u32) -> Thresholds {
    Thresholds { failing, window: None, recovering }
}

const fn among(failing: u32, window: u32, recovering: u32) -> Thresholds {
    Thresholds { failing, window: Some(window), recovering }
}

fn main() -> ExitCode {
    let Ok(numbers) =
        env::args().skip(1).map(|word| word.parse::<u64>()).collect::<Result<Vec<_>, _>>()
    else {
        eprintln!("usage: pulse-folds [SEED [TREES [RULES]]]");
        return ExitCode::from(2);
    };
    let number = |place: usize, default| numbers.get(place).copied().unwrap_or(default);
    let forest = Forest { seed: number(0, 1), trees: number(1, TREES) };
    let rules = usize::try_from(number(2, u64::MAX)).unwrap_or(usize::MAX).min(RULES.len());
    match write(&RULES[..rules], &forest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn write(rules: &[Thresholds], forest: &Forest) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let told = rules.iter().map(|by| json!([by.failing, by.window, by.recovering]));
    let about = json!({
        "rules": told.collect::<Vec<_>>(), "two": TWO.length, "four": FOUR.length,
        "seed": forest.seed, "trees": forest.trees, "trunk": random::TRUNK, "branches": random::BRANCHES,
    });
    writeln!(out, "{about}")?;
    for walks in [TWO, FOUR] {
        for by in rules {
            walks.write(&mut out, &Health::default(), 1, *by)?;
        }
    }
    forest.write(&mut out)?;
    out.flush()
}

/// All sequences of some outcomes up to a length.
struct Walks {
    outcomes: &'static [Outcome],
    length: i64,
}

impl Walks {
    /// All that may follow `health` from `slot` on: each outcome, and what follows it.
    fn write(
        &self,
        out: &mut impl Write,
        health: &Health,
        slot: i64,
        by: Thresholds,
    ) -> io::Result<()> {
        if slot > self.length {
            return Ok(());
        }
        for outcome in self.outcomes {
            let mut after = health.clone();
            let transition = after.observe(Slot(slot), *outcome, by);
            let mut record = Record::default();
            record.health(&after).transition(transition);
            out.write_all(record.bytes())?;
            self.write(out, &after, slot + 1, by)?;
        }
        Ok(())
    }
}
