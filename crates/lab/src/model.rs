//! Asks the reference model: `crates/lab/model`, a second account of what Pulse must do, in Python.
//!
//! It is a program of its own, which reads what `journal` wrote and answers with figures.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::process::Command;

use crate::fleet;
use crate::report::Report;
use crate::tree;

/// How long a verdict may take: an hour of storm has some hundred thousand slots to read.
const PATIENCE: Duration = Duration::from_mins(30);

/// What the model says of a show.
#[derive(Debug, Deserialize)]
pub struct Verdict {
    good: bool,
    differences: u64,
    due: u64,
    hit: u64,
    ambiguous: u64,
    contradicted: u64,
    unexplained: u64,
    unaccounted: u64,
    doubled: u64,
    off_grid: u64,
    hit_and_missed: u64,
    incidents: u64,
    double_open: u64,
    edges: u64,
    lost: u64,
    refused: u64,
    repeated: u64,
    many_ids: u64,
    many_bodies: u64,
    bad_signatures: u64,
    disordered: u64,
    unfounded: u64,
    delays: u64,
    delay_p50_us: i64,
    delay_p99_us: i64,
    delay_max_us: i64,
    complaints: Vec<String>,
}

impl Verdict {
    /// Edges of incidents that had to be told.
    #[must_use]
    pub fn edges(&self) -> u64 {
        self.edges
    }

    /// From the answer that decided an edge to the first request that told it: how many such delays
    /// are known, and their 50th, 99th and 100th percentile in microseconds.
    #[must_use]
    pub fn delays(&self) -> (u64, [i64; 3]) {
        (self.delays, [self.delay_p50_us, self.delay_p99_us, self.delay_max_us])
    }

    /// Puts the verdict into the report. `repeats` is how many deliveries may have been accepted
    /// twice: one for each time that a sender could not hear the answer.
    pub fn tell(self, repeats: u64, report: &mut Report) {
        report.note("model: slots due / hit", format!("{} / {}", self.due, self.hit));
        report.note("model: slots that may be read in two ways", self.ambiguous);
        report.note("model: hit, then told as missed", self.hit_and_missed);
        report.exactly("model: slots unaccounted for", self.unaccounted, 0);
        report.exactly("model: slots told twice", self.doubled, 0);
        report.exactly("model: differences", self.differences, 0);
        let parts = [self.contradicted, self.unexplained, self.off_grid].map(|n| n.to_string());
        report.note("model: of slots / incidents / grid", parts.join(" / "));
        report.note("model: incidents", self.incidents);
        report.exactly("model: two incidents open at once", self.double_open, 0);
        report.note("model: edges to tell", self.edges);
        report.exactly("model: edges never told", self.lost, 0);
        report.note("model: requests the sender saw refused", self.refused);
        report.at_most("model: edges accepted again", self.repeated, repeats);
        report.exactly("model: edges under two ids", self.many_ids, 0);
        report.exactly("model: ids with two bodies", self.many_bodies, 0);
        report.exactly("model: bad signatures", self.bad_signatures, 0);
        report.exactly("model: resolved before opened", self.disordered, 0);
        report.exactly("model: webhooks about nothing", self.unfounded, 0);
        report.exactly("model: good", self.good, true);
        report.complain(self.complaints);
    }
}

/// How the product's folds compare with the model's.
#[derive(Debug, Deserialize)]
pub struct Comparison {
    good: bool,
    rules: u64,
    sequences: u64,
    random_sequences: u64,
    random_steps: u64,
    random_stale: u64,
    random_gaps: u64,
    edges: u64,
    differences: u64,
    complaints: Vec<String>,
}

impl Comparison {
    /// Puts it into the report.
    pub fn tell(self, report: &mut Report) {
        report.note("thresholds", self.rules);
        report.note("sequences folded", self.sequences);
        report.note("random sequences", self.random_sequences);
        report.note("their steps", self.random_steps);
        report.note("of them stale results", self.random_stale);
        report.note("of them finding slots missed", self.random_gaps);
        report.note("edges", self.edges);
        report.exactly("differences", self.differences, 0);
        report.exactly("model: good", self.good, true);
        report.complain(self.complaints);
    }
}

/// The model's verdict over a folder that a `Journal` was written to.
pub async fn judge(folder: &Path) -> anyhow::Result<Verdict> {
    let mut command = python()?;
    command.arg("judge").arg(folder).stdin(Stdio::null());
    answer(command).await
}

/// Folds outcomes with the product's models and with this one: all short sequences by `rules`
/// different thresholds, and `trees` of random walks, 16,384 of them to a tree.
pub async fn compare(seed: u64, trees: u64, rules: u64) -> anyhow::Result<Comparison> {
    let mut folds = Command::new(fleet::program("pulse-folds")?);
    folds
        .args([seed, trees, rules].map(|number| number.to_string()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut folds = folds.kill_on_drop(true).spawn().context("starting pulse-folds")?;
    let folded = folds.stdout.take().context("it was piped")?;
    let mut command = python()?;
    command.arg("exact").stdin(TryInto::<Stdio>::try_into(folded)?);
    let comparison = answer(command).await?;
    ensure!(folds.wait().await?.success(), "pulse-folds failed");
    Ok(comparison)
}

fn python() -> anyhow::Result<Command> {
    let mut command = Command::new("python3");
    command.args(["-m", "pulse_model"]).env("PYTHONPATH", tree::find("crates/lab/model")?);
    command.env("PYTHONDONTWRITEBYTECODE", "1").kill_on_drop(true);
    Ok(command)
}

async fn answer<T: DeserializeOwned>(mut command: Command) -> anyhow::Result<T> {
    let output = tokio::time::timeout(PATIENCE, command.output());
    let output = output.await.context("the model takes too long")?.context("running python3")?;
    // Its exit code says what the figures say; without figures there is no verdict.
    serde_json::from_slice(&output.stdout).with_context(|| {
        format!("the model: {}", String::from_utf8_lossy(&output.stderr).trim_end())
    })
}
