//! Do the counters in `/metrics` add up to the ledger?
//!
//! Counters end with their process, so they are compared in calm weather and as differences: all
//! checks are paused, every process is asked, the checks run for a while and are paused again. What
//! the counters gained in between must be what the runs of that time say.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};
use uuid::Uuid;

use super::AT_ONCE;
use crate::client::{Api, Outcome, Run};
use crate::clock::{self, eventually};
use crate::judge::Definition;
use crate::lab::Lab;
use crate::report::Report;

/// Until whatever was under way at a pause has ended, and has been counted.
const STILL: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(30);

/// Compares over a while, which begins when it is called. Afterwards all checks are paused.
pub async fn compare(
    lab: &Lab,
    checks: &[Definition],
    running: Duration,
    report: &mut Report,
) -> anyhow::Result<()> {
    let api = lab.fleet.api()?;
    pause(&api, checks).await?;
    let before = Counters::read(lab).await?;
    let from_ms = clock::now_ms();
    of_all(&api, checks, async |api, id| api.resume(id).await).await?;
    tokio::time::sleep(running).await;
    pause(&api, checks).await?;
    let gained = Counters::read(lab).await?.since(&before);

    // History comes a moment later than the ledger, so that too few rows are no verdict yet.
    let complete = async || {
        let ledger = Ledger::read(&api, checks, from_ms).await?;
        Ok(ledger.has_all(&gained).then_some(ledger))
    };
    let ledger = match eventually("the history of the calm phase", PATIENCE, complete).await {
        Ok(ledger) => ledger,
        Err(_incomplete) => Ledger::read(&api, checks, from_ms).await?,
    };
    report.note(
        "calm: slots looked at / paused / lost / late",
        format!("{} / {} / {} / {}", ledger.looked, ledger.paused, ledger.lost, ledger.late),
    );
    report.at_least("calm: slots", ledger.looked, checks.len());
    report.exactly("calm: slots claimed, by counters", gained.claimed, ledger.claimed());
    report.exactly("calm: runs finished, by counters", gained.runs - gained.stale, ledger.looked);
    report.exactly("calm: slots recorded, by counters", gained.recorded, ledger.looked);
    report.exactly("calm: slots missed, by counters", gained.missed, ledger.lost + ledger.late);
    report.exactly("calm: slots missed for another reason", ledger.other, 0);
    Ok(())
}

async fn pause(api: &Api, checks: &[Definition]) -> anyhow::Result<()> {
    of_all(api, checks, async |api, id| api.pause(id).await).await?;
    tokio::time::sleep(STILL).await;
    Ok(())
}

async fn of_all(
    api: &Api,
    checks: &[Definition],
    act: impl AsyncFn(&Api, Uuid) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    stream::iter(checks)
        .map(|check| act(api, check.id))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

/// Sums over all processes.
#[derive(Default)]
struct Counters {
    claimed: usize,
    runs: usize,
    recorded: usize,
    /// Found missing by schedulers and recorders.
    missed: usize,
    /// Results that changed nothing, in the queue or behind it.
    stale: usize,
}

impl Counters {
    async fn read(lab: &Lab) -> anyhow::Result<Self> {
        let mut sums: BTreeMap<String, f64> = BTreeMap::new();
        for (role, number) in lab.fleet.members() {
            let metrics = lab.fleet.door(role, number)?.metrics().await?;
            let samples = metrics["process"].as_object().context("a process tells its samples")?;
            for (name, value) in samples {
                let name = name.split('{').next().unwrap_or(name);
                *sums.entry(name.to_owned()).or_default() += value.as_f64().unwrap_or_default();
            }
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "counts of a few minutes"
        )]
        let sum = |name: &str| sums.get(name).map(|sum| *sum as usize).context(name.to_owned());
        Ok(Self {
            claimed: sum("pulse_slots_claimed_total")?,
            runs: sum("pulse_check_runs_total")?,
            recorded: sum("pulse_slots_recorded_total")?,
            // A counter with labels is not told before it has counted.
            missed: sum("pulse_slots_missed_total").unwrap_or(0),
            stale: sum("pulse_completions_stale_total")? + sum("pulse_results_stale_total")?,
        })
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            claimed: self.claimed - before.claimed,
            runs: self.runs - before.runs,
            recorded: self.recorded - before.recorded,
            missed: self.missed - before.missed,
            stale: self.stale - before.stale,
        }
    }
}

/// What the runs since an instant come to, in slots.
#[derive(Default)]
struct Ledger {
    looked: usize,
    paused: usize,
    lost: usize,
    late: usize,
    other: usize,
}

impl Ledger {
    async fn read(api: &Api, checks: &[Definition], from_ms: i64) -> anyhow::Result<Self> {
        let mut ledger = Self::default();
        for runs in super::of_each(api, checks, Api::runs).await? {
            runs.iter().filter(|run| run.slot_ms() >= from_ms).for_each(|run| ledger.add(run));
        }
        Ok(ledger)
    }

    fn add(&mut self, run: &Run) {
        let part = match (run.outcome, run.reason.as_deref()) {
            (Outcome::Missed, Some("paused")) => &mut self.paused,
            (Outcome::Missed, Some("lost")) => &mut self.lost,
            (Outcome::Missed, Some("late")) => &mut self.late,
            (Outcome::Missed, _) => &mut self.other,
            _ => &mut self.looked,
        };
        *part += usize::try_from(run.slots).unwrap_or(usize::MAX);
    }

    /// Slots that were handed out: those that were late never were.
    fn claimed(&self) -> usize {
        self.looked + self.paused + self.lost
    }

    fn has_all(&self, gained: &Counters) -> bool {
        self.claimed() >= gained.claimed && self.lost + self.late >= gained.missed
    }
}
