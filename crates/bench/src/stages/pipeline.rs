//! The whole way of a run, by the processes that users run: scheduled, looked at, judged, recorded
//! and remembered.
//!
//! A shape is so many checks at such an interval. Processes are started, left to settle, watched for
//! a window of time and ended; the bare loop runs before and after, while they do not. What they took
//! in the window is divided by the hits in it; what was lost is judged by the slots in it.

use std::time::Duration;

use chrono::Utc;
use pulse_core::models::schedule::Slot;
use pulse_meter::spread::Spread;

use super::floor::{cost_us, count};
use crate::bench::Bench;
use crate::fleet::Process;
use crate::hits::{self, Hit, Verdict, Window, judge};
use crate::looks::Looker;
use crate::meters::{Meters, Taken, Watched};
use crate::report::{Figure, Goal, median};
use crate::seeded::{First, Seeded};
use crate::shape::{GRACE, Shape};
use crate::stack::{Sizes, Stack};

/// Beside Pulse's own processes.
const STORES: usize = 3;
/// What Pulse takes without checks.
const BARE_MIB: f64 = 40.0;

/// What one window brought.
struct Round {
    floor_us: f64,
    /// CPU and memory of each process, in the window.
    taken: Vec<Taken>,
    /// Hits that arrived in the window.
    runs: usize,
    verdict: Verdict,
    recorded: usize,
    grown: Vec<(&'static str, f64)>,
}

impl Round {
    /// Microseconds of CPU a run of the processes that `counts`.
    fn cost_us(&self, counts: impl Fn(&str) -> bool) -> f64 {
        let cpu_s: f64 = self.taken.iter().filter(|it| counts(it.name)).map(|it| it.cpu_s).sum();
        cpu_s * 1e6 / count(self.runs.max(1))
    }
}

/// Measures a shape on a stack.
pub async fn run(bench: &mut Bench, stack: &Stack, shape: &Shape) -> anyhow::Result<()> {
    let title = shape.title(stack);
    bench.tell(&format!("{title}: filling in {} checks", shape.checks));
    let ports = bench.target.ports;
    let checks =
        Seeded::draw(bench.seed, shape.checks, shape.interval_s, |n| ports.url(shape.scheme, n))?;
    let now = Slot::from(Utc::now());
    let first = if shape.cold { First::At(now) } else { First::OnTheGrid(now) };
    stack.fill(&checks, first).await?;
    let mut rounds = Vec::new();
    for number in 1..=shape.rounds {
        bench.tell(&format!("{title}: {number}/{}", shape.rounds));
        rounds.push(round(bench, stack, shape, &checks, &title).await?);
    }
    tell(bench, stack, shape, &title, &rounds);
    Ok(())
}

async fn round(
    bench: &mut Bench,
    stack: &Stack,
    shape: &Shape,
    checks: &Seeded,
    title: &str,
) -> anyhow::Result<Round> {
    let looks = shape.floor.looks(shape.scheme);
    let before_us = cost_us(bench, Looker::Bare, shape.scheme, looks).await?;
    let sizes_before = stack.sizes().await?;
    let _of_the_floor = bench.hits().await?;
    let processes = start(bench, stack).await?;
    let mut earlier = Vec::new();
    if shape.cold {
        cold_start(bench, shape, &processes, title, &mut earlier).await?;
    }
    tokio::time::sleep(shape.settle).await;

    let meters = Meters::start(watched(&processes, stack)?)?;
    let from_ms = now_ms();
    tokio::time::sleep(shape.window).await;
    let until_ms = now_ms();
    let (_, taken) = meters.stop()?;

    tokio::time::sleep(GRACE).await;
    for process in processes {
        process.stop().await?;
    }
    let after_us = cost_us(bench, Looker::Bare, shape.scheme, looks).await?;
    earlier.extend(bench.hits().await?);
    let window = Window { from_ms, until_ms };
    let arrived = |hit: &&Hit| from_ms * 1000 <= hit.at_us && hit.at_us < until_ms * 1000;
    Ok(Round {
        floor_us: f64::midpoint(before_us, after_us),
        taken,
        runs: earlier.iter().filter(arrived).count(),
        verdict: judge(&earlier, &checks.ids, checks.interval_ms(), window),
        recorded: stack.recorded(window).await?,
        grown: grown(&sizes_before, &stack.sizes().await?, earlier.len()),
    })
}

/// Bytes that each store grew by, a run.
fn grown(before: &Sizes, after: &Sizes, runs: usize) -> Vec<(&'static str, f64)> {
    let a_run = |size: f64| size.max(0.0) / count(runs.max(1));
    after.0.iter().map(|(name, size)| (*name, a_run(size - before.of(name)))).collect()
}

/// Starts the processes of a stack, one after the other.
pub(super) async fn start(bench: &Bench, stack: &Stack) -> anyhow::Result<Vec<Process>> {
    let mut settings = stack.settings();
    // The target's authority; Pulse adds the common ones, as where a system has few.
    settings.push(("SSL_CERT_FILE", bench.authority().display().to_string()));
    let mut processes = Vec::new();
    for name in stack.processes() {
        processes.push(Process::start(&bench.program, name, bench.folder(), &settings).await?);
    }
    Ok(processes)
}

fn watched(processes: &[Process], stack: &Stack) -> anyhow::Result<Vec<Watched>> {
    let own =
        processes.iter().map(|it| Ok(Watched { name: it.name, pid: it.pid()?, family: false }));
    let stores = stack.store_processes()?.into_iter();
    let stores = stores.map(|it| Ok(Watched { name: it.name, pid: it.pid, family: true }));
    own.chain(stores).collect()
}

/// Waits until all checks have been looked at, and tells how long that took and what it cost.
async fn cold_start(
    bench: &mut Bench,
    shape: &Shape,
    processes: &[Process],
    title: &str,
    hits: &mut Vec<Hit>,
) -> anyhow::Result<()> {
    let begun_us = now_ms() * 1000;
    let interval = Duration::from_secs(shape.interval_s.into());
    let pids: Vec<Watched> = processes
        .iter()
        .map(|it| anyhow::Ok(Watched { name: it.name, pid: it.pid()?, family: false }))
        .collect::<Result<_, _>>()?;
    let meters = Meters::start(pids)?;
    let deadline = tokio::time::Instant::now() + 2 * interval;
    let all = loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        hits.extend(bench.hits().await?);
        if let Some(at_us) = hits::all_looked_at(hits, shape.checks) {
            break Some(at_us);
        }
        if tokio::time::Instant::now() > deadline {
            break None;
        }
    };
    let (_, taken) = meters.stop()?;
    let seconds = all.map_or(f64::INFINITY, |at_us| Spread::seconds(at_us - begun_us));
    let interval_s = interval.as_secs_f64();
    let goal = Goal::AtMost { must: interval_s, stretch: interval_s / 2.0 };
    bench
        .add(Figure::new(title, "cold start: last check looked at after", seconds, "s").goal(goal));
    let cpu_s: f64 = taken.iter().map(|it| it.cpu_s).sum();
    let cost = cpu_s * 1e6 / count(hits.len().max(1));
    bench.add(Figure::new(title, "cold start: Pulse's CPU a run", cost, "us"));
    Ok(())
}

fn tell(bench: &mut Bench, stack: &Stack, shape: &Shape, title: &str, rounds: &[Round]) {
    let window_s = shape.window.as_secs_f64();
    let rates = rounds.iter().map(|it| count(it.runs) / window_s).collect();
    bench.add(Figure::new(title, "asked for", shape.rate(), "runs/s"));
    bench.add(Figure::median_of(title, "done", rates, "runs/s"));
    let names: Vec<&'static str> =
        rounds.first().map(|it| it.taken.iter().map(|it| it.name).collect()).unwrap_or_default();
    tell_of_cpu(bench, stack, shape, title, rounds, &names);
    tell_of_slots(bench, title, shape, rounds);
    tell_of_memory(bench, title, shape, rounds, &names);
    for (name, bytes) in rounds.last().map(|it| &it.grown).into_iter().flatten() {
        bench.add(Figure::new(title, &format!("{name}, grown a run"), *bytes, "bytes"));
    }
}

fn tell_of_cpu(
    bench: &mut Bench,
    stack: &Stack,
    shape: &Shape,
    title: &str,
    rounds: &[Round],
    names: &[&'static str],
) {
    let each = |figure: &dyn Fn(&Round) -> f64| rounds.iter().map(figure).collect::<Vec<f64>>();
    let floors = Figure::median_of(title, "bare loop, CPU a look", each(&|it| it.floor_us), "us");
    let floor = floors.value;
    bench.add(floors);
    for name in names {
        let costs = each(&|it| it.cost_us(|it| it == *name));
        let shares = each(&|it| it.floor_us / it.cost_us(|it| it == *name));
        let figure = Figure::median_of(title, &format!("{name}, CPU a run"), costs, "us");
        let goal = shape.goals.worker.filter(|_| *name == "worker");
        bench.add(figure.beside(floor, median(shares)).maybe_goal(goal));
    }
    let missing = match stack {
        Stack::Alone(_) => 0,
        Stack::Scaled(_) => (stack.processes().len() + STORES).saturating_sub(names.len()),
    };
    if missing > 0 {
        bench.note(format!("{title}: {missing} stores belong to others; their CPU is not known"));
    }
    let all = each(&|it| it.cost_us(|_| true));
    let times = each(&|it| it.cost_us(|_| true) / it.floor_us);
    let figure = Figure::median_of(title, "all processes, CPU a run", all, "us");
    let goal = shape.goals.all.filter(|_| missing == 0);
    bench.add(figure.beside(floor, median(times)).maybe_goal(goal));
}

fn tell_of_memory(
    bench: &mut Bench,
    title: &str,
    shape: &Shape,
    rounds: &[Round],
    names: &[&'static str],
) {
    for name in names {
        let of = |it: &Round| it.taken.iter().find(|it| it.name == *name).map(|it| it.resident_mib);
        let memory = rounds.iter().filter_map(of).collect();
        let memory = Figure::median_of(title, &format!("{name}, memory"), memory, "MiB");
        let resident = memory.value;
        bench.add(memory);
        if let (Some(goal), "pulse") = (shape.goals.memory, *name) {
            let a_thousand = (resident - BARE_MIB).max(0.0) * 1000.0 / count(shape.checks);
            let measure = "memory per 1,000 checks above 40 MiB";
            bench.add(Figure::new(title, measure, a_thousand, "MiB").goal(goal));
        }
    }
}

fn tell_of_slots(bench: &mut Bench, title: &str, shape: &Shape, rounds: &[Round]) {
    let each = |figure: &dyn Fn(&Round) -> f64| rounds.iter().map(figure).collect::<Vec<f64>>();
    let sum = |figure: &dyn Fn(&Round) -> usize| count(rounds.iter().map(figure).sum());
    let none = Goal::AtMost { must: 0.0, stretch: 0.0 };
    bench.add(Figure::new(title, "slots due", sum(&|it| it.verdict.due), ""));
    let lost = sum(&|it| it.verdict.due - it.verdict.looked_at);
    bench.add(Figure::new(title, "slots nobody looked at", lost, "").goal(none));
    let repeated = sum(&|it| it.verdict.repeated);
    bench.add(Figure::new(title, "slots looked at twice", repeated, "").goal(none));
    let forgotten = sum(&|it| it.verdict.due.saturating_sub(it.recorded));
    bench.add(Figure::new(title, "slots without a recorded ok", forgotten, "").goal(none));
    for (at, percent) in [50, 99].into_iter().enumerate() {
        let delays = each(&|it| Spread::seconds(it.verdict.delays.percentile_us(percent)) * 1e3);
        let figure = Figure::median_of(title, &format!("start delay p{percent}"), delays, "ms");
        bench.add(figure.maybe_goal(shape.goals.delay.map(|goals| goals[at])));
    }
    let drift = each(&|it| Spread::seconds(it.verdict.drift_us) * 1e3);
    let figure = Figure::median_of(title, "delay of the last fifth less the first", drift, "ms");
    bench.add(figure.maybe_goal(shape.goals.drift));
}

fn now_ms() -> i64 {
    Utc::now().timestamp_millis()
}
