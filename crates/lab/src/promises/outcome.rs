//! What was kept: a table for people, JSON for machines.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

use super::company::Played;
use super::machine::{self, Machine};
use super::{Length, PROMISES, Promise, Proof, Wanted};
use crate::report::{Figure, Report};

/// The promises of one run, with what they stand on.
#[derive(Debug)]
pub struct Outcome {
    length: Length,
    seed: u64,
    commit: Option<String>,
    took: Duration,
    verdicts: Vec<Verdict>,
    played: Vec<Played>,
}

/// What became of one promise.
#[derive(Debug)]
struct Verdict {
    promise: &'static Promise,
    /// What is against it; empty when it was kept.
    against: Vec<String>,
}

impl Outcome {
    /// Judges what was played.
    pub(super) fn of(wanted: &Wanted, played: Vec<Played>, took: Duration) -> Self {
        let verdict = |promise: &&'static Promise| Verdict {
            promise,
            against: promise.proofs.iter().flat_map(|proof| against(proof, &played)).collect(),
        };
        Self {
            length: wanted.length,
            seed: wanted.seed,
            commit: machine::commit(),
            took,
            verdicts: wanted.promises.iter().map(verdict).collect(),
            played,
        }
    }

    /// Whether every promise was kept.
    #[must_use]
    pub fn kept(&self) -> bool {
        self.verdicts.iter().all(|verdict| verdict.against.is_empty())
    }

    /// Writes everything down.
    pub(super) fn write(&self, file: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(&self.told())?;
        fs::write(file, text + "\n").with_context(|| format!("writing {}", file.display()))
    }

    fn told(&self) -> Value {
        let promise = |verdict: &Verdict| {
            let plays: Vec<_> = verdict.promise.proofs.iter().map(|it| it.play.name).collect();
            json!({
                "number": verdict.promise.number,
                "says": verdict.promise.says,
                "kept": verdict.against.is_empty(),
                "against": verdict.against,
                "plays": plays,
            })
        };
        let play = |played: &Played| {
            json!({
                "name": played.play.name,
                "command": format!("pulse-lab {}", played.words.join(" ")),
                "programs": played.play.programs.as_str(),
                "seconds": played.took.as_secs(),
                "report": played.report.as_ref().ok(),
                "error": played.report.as_ref().err(),
            })
        };
        json!({
            "kept": self.kept(),
            "commit": self.commit,
            "length": format!("{:?}", self.length).to_lowercase(),
            "seed": self.seed,
            "seconds": self.took.as_secs(),
            "machine": Machine::this(),
            "promises": self.verdicts.iter().map(promise).collect::<Vec<_>>(),
            "plays": self.played.iter().map(play).collect::<Vec<_>>(),
        })
    }
}

/// What speaks against a promise, of what one of its proofs found.
fn against(proof: &Proof, played: &[Played]) -> Vec<String> {
    let name = proof.play.name;
    let Some(found) = played.iter().find(|found| found.play == proof.play) else {
        return vec![format!("{name} was not played")];
    };
    let report = match &found.report {
        Ok(report) => report,
        Err(error) => return vec![format!("{name}: {error}")],
    };
    let missing = proof.figures.iter().filter(|figure| report.named(figure).next().is_none());
    let missing = missing.map(|figure| format!("{name} does not tell {figure:?}"));
    let red = report.red().filter(|red| proof.names(red) || is_nobodys(proof, red));
    let red = red.map(|red| {
        let line = red.verdict.as_ref().map_or("", |verdict| &verdict.line);
        format!("{name}: {} is {}, must be {line}", red.name, red.value)
    });
    missing.chain(red).collect()
}

impl Proof {
    fn names(&self, figure: &Figure) -> bool {
        self.figures.contains(&figure.name.as_str())
    }
}

/// Whether no promise at all names this figure of the proof's play.
fn is_nobodys(of: &Proof, figure: &Figure) -> bool {
    let mut proofs = PROMISES.iter().flat_map(|promise| promise.proofs);
    !proofs.any(|proof| proof.play == of.play && proof.names(figure))
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for verdict in &self.verdicts {
            let Promise { number, says, proofs } = verdict.promise;
            let kept = if verdict.against.is_empty() { "kept" } else { "BROKEN" };
            writeln!(f, "{number:>3}  {says:<32}  {kept}")?;
            for proof in *proofs {
                if let Some(found) = self.played.iter().find(|found| found.play == proof.play) {
                    let figures = found.report.as_ref().map(|report| figures(proof, report));
                    let figures = figures.unwrap_or_else(|_| "no report".to_owned());
                    writeln!(f, "       {}: {figures}", found.play.name)?;
                }
            }
            for reason in &verdict.against {
                writeln!(f, "     ! {reason}")?;
            }
        }
        writeln!(f)?;
        for found in &self.played {
            let (name, took) = (found.play.name, found.took.as_secs());
            writeln!(f, "{name:<16}  {took:>5} s  pulse-lab {}", found.words.join(" "))?;
        }
        let broken = self.verdicts.iter().filter(|verdict| !verdict.against.is_empty()).count();
        write!(
            f,
            "{} promises, {broken} broken; seed {}, commit {}, {} s",
            self.verdicts.len(),
            self.seed,
            self.commit.as_deref().unwrap_or("unknown"),
            self.took.as_secs()
        )
    }
}

fn figures(proof: &Proof, report: &Report) -> String {
    let told = proof.figures.iter().flat_map(|name| report.named(name));
    let told: Vec<_> = told.map(|figure| format!("{} {}", figure.name, figure.value)).collect();
    told.join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::plays::CRASHES;
    use super::*;

    const PROOF: Proof = Proof { play: &CRASHES, figures: &["edges to tell", "edges never told"] };

    fn played(report: Result<Report, String>) -> Vec<Played> {
        vec![Played { play: &CRASHES, words: Vec::new(), took: Duration::ZERO, report }]
    }

    fn good() -> Report {
        let mut report = Report::new("crashes");
        report.note("edges to tell", 4);
        report.exactly("edges never told", 0, 0);
        report
    }

    #[test]
    fn nothing_speaks_against_good_figures() {
        assert_eq!(against(&PROOF, &played(Ok(good()))), [""; 0]);
    }

    #[test]
    fn a_red_figure_breaks_the_promise_that_names_it_and_one_of_nobodys_breaks_all() {
        let mut others = good();
        others.exactly("incidents", 2, 1);
        let mut own = good();
        own.exactly("edges never told", 1, 0);
        let mut nobodys = good();
        nobodys.exactly("made up", 1, 0);

        assert_eq!(against(&PROOF, &played(Ok(others))), [""; 0]);
        assert_eq!(
            against(&PROOF, &played(Ok(own))),
            ["crashes: edges never told is 1, must be 0"]
        );
        assert_eq!(against(&PROOF, &played(Ok(nobodys))).len(), 1);
    }

    #[test]
    fn what_was_not_measured_was_not_kept() {
        assert_eq!(against(&PROOF, &[]).len(), 1);
        assert_eq!(against(&PROOF, &played(Err("it died".to_owned()))), ["crashes: it died"]);
        assert_eq!(against(&PROOF, &played(Ok(Report::new("empty")))).len(), 2);
    }
}
