//! `pulse-folds [SEED [TREES]]`: folds sequences of outcomes with Pulse's own models, and writes to
//! standard output what went in and what came out. It judges nothing: `pulse_model exact` folds the
//! same a second time and compares.
//!
//! A line of JSON says how much follows; then come records of fixed width, little-endian. First
//! every sequence of good and failing slots, for each threshold, as a walk through their tree;
//! then random walks through ledger and health together, as scheduler and recorder take them.

mod random;
mod record;

use std::env;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use pulse_core::models::health::Health;
use pulse_core::models::run::{FailClass, Outcome};
use pulse_core::models::schedule::Slot;

use random::Forest;
use record::Record;

/// The longest of all sequences that are folded.
const LENGTH: i64 = 16;
/// Each of them is folded with the thresholds from 1 to this.
const THRESHOLDS: u32 = 9;
/// Random trees, when nobody says otherwise: with their branches a million sequences.
const TREES: u32 = 64;

fn main() -> ExitCode {
    let mut words = env::args().skip(1);
    let (seed, trees) = (words.next(), words.next());
    let Some((seed, trees)) = number(seed, 1).zip(number(trees, TREES.into())) else {
        eprintln!("usage: pulse-folds [SEED [TREES]]");
        return ExitCode::from(2);
    };
    match write(&Forest { seed, trees }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn number(word: Option<String>, default: u64) -> Option<u64> {
    word.map_or(Some(default), |word| word.parse().ok())
}

fn write(forest: &Forest) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    writeln!(
        out,
        r#"{{"length":{LENGTH},"thresholds":{THRESHOLDS},"seed":{},"trees":{},"trunk":{},"branches":{}}}"#,
        forest.seed,
        forest.trees,
        random::TRUNK,
        random::BRANCHES,
    )?;
    for threshold in 1..=THRESHOLDS {
        every(&mut out, Health::default(), 1, threshold)?;
    }
    forest.write(&mut out)?;
    out.flush()
}

/// All that may follow `health` from `slot` on: a good slot and what follows it, then a failing one.
fn every(out: &mut impl Write, health: Health, slot: i64, threshold: u32) -> io::Result<()> {
    if slot > LENGTH {
        return Ok(());
    }
    for outcome in [Outcome::Ok, Outcome::Fail(FailClass::Status)] {
        let mut after = health;
        let transition = after.observe(Slot(slot), outcome, threshold);
        let mut record = Record::default();
        record.health(&after).transition(transition);
        out.write_all(record.bytes())?;
        every(out, after, slot + 1, threshold)?;
    }
    Ok(())
}
