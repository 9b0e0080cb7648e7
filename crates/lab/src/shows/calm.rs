//! Calm weather: no faults, every slot looked at once and on time.

use std::time::{Duration, Instant};

use super::accounts::Accounts;
use super::cost::Meter;
use super::{Show, create, handovers};
use crate::clock;
use crate::data::{self, Size};
use crate::fleet::{self, Role};
use crate::judge::{self, Definition};
use crate::lab::{self, Cast, Lab, Players};
use crate::report::Report;
use crate::sink;

/// Pass line: how long before its slot a check may be looked at. Jobs are handed out ahead of their
/// slots, and clocks agree only so well.
const EARLIEST_MS: i64 = 50;

/// The show's shape.
#[derive(Clone, Debug)]
pub struct Calm {
    /// How many checks.
    pub checks: usize,
    /// Between two slots of each.
    pub interval_s: u32,
    /// How long they are watched after the last was created.
    pub watched: Duration,
    /// Who plays Pulse.
    pub players: Players,
    /// Pass line for the 99th percentile of the start delay, in milliseconds.
    pub p99_ms: i64,
    /// Pass line for the largest start delay, in milliseconds.
    pub max_ms: i64,
    /// Leaves logs and data on the disk.
    pub keep: bool,
}

/// As the command line knows it.
pub(super) const SHOW: Show = Show {
    name: "calm",
    usage: "\
no faults: every slot once and on time
--checks 1000 --interval 10 --for 180 --servers 1 --workers 1
--alone: one pulse on its own files instead, and what it takes",
    ask: |options| {
        let fleet = Players::Fleet {
            servers: options.take("servers", 1),
            workers: options.take("workers", 1),
        };
        let show = Calm {
            checks: options.take("checks", 1000),
            interval_s: options.take("interval", 10),
            watched: options.seconds("for", 180),
            players: if options.yes("alone") { Players::Alone } else { fleet },
            p99_ms: 250,
            max_ms: 1000,
            keep: options.yes("keep"),
        };
        Box::pin(async move { calm(&show).await })
    },
};

/// Plays calm weather.
pub async fn calm(calm: &Calm) -> anyhow::Result<Report> {
    let cast = Cast { players: calm.players, keep: calm.keep };
    lab::stage(cast, async |lab| watch(lab, calm).await).await
}

async fn watch(lab: &Lab, calm: &Calm) -> anyhow::Result<Report> {
    let mut report = Report::new(format!(
        "calm: {} checks every {} s for {} s, {}",
        calm.checks,
        calm.interval_s,
        calm.watched.as_secs(),
        calm.players
    ));
    let started = Instant::now();
    let checks = create(lab, "calm", calm.checks, calm.interval_s, &sink::new_secret()).await?;
    report.note("all created after (ms)", started.elapsed().as_millis());
    let checks: Vec<_> = checks.iter().map(Definition::from).collect();
    let meter = match calm.players {
        Players::Fleet { .. } => None,
        Players::Alone => Some(Meter::start(lab.fleet.pid(Role::Whole, 0)?)?),
    };
    tokio::time::sleep(calm.watched).await;
    let until_ms = clock::now_ms();
    let cost = meter.map(Meter::stop).transpose()?;

    let mut accounts = Accounts::read(&lab.fleet.api()?, &checks, until_ms, Duration::ZERO).await?;
    let hits = lab.target.hits().copy();
    accounts.judge(&checks, &hits, until_ms);
    accounts.tell(&mut report);
    report.exactly("slots missed", accounts.figures.missed, 0);
    report.exactly("slots failed or inconclusive", unlucky(&accounts), 0);
    tell_hits(judge::hits::judge(&checks, &hits, until_ms), calm, &mut report);
    report.exactly("hits that name no run", lab.target.strays(), 0);
    report.exactly("webhooks received", lab.sink.deliveries().read(<[_]>::len), 0);
    tell_crash_points(&mut report)?;
    if let Some(cost) = cost {
        cost.tell(&mut report);
        tell_files(lab, accounts.figures.due, &mut report)?;
    }
    Ok(report)
}

/// What users run has none.
fn tell_crash_points(report: &mut Report) -> anyhow::Result<()> {
    if cfg!(debug_assertions) {
        return Ok(());
    }
    for role in [Role::Whole, Role::Server, Role::Worker] {
        for words in [handovers::SETTING, "scheduler.pushed"] {
            let found = usize::from(fleet::holds(role, words)?);
            report.exactly(&format!("{words} in the program of {role}"), found, 0);
        }
    }
    Ok(())
}

/// The checks themselves lie in the state.
fn tell_files(lab: &Lab, runs: usize, report: &mut Report) -> anyhow::Result<()> {
    let [state, history] = data::sizes(&lab.data)?;
    let runs = u64::try_from(runs)?.max(1);
    let kib = |size: Size| format!("{} + {}", size.database / 1024, size.log / 1024);
    report.note("state and its log on disk (KiB)", kib(state));
    report.note("history and its log on disk (KiB)", kib(history));
    let all = state.database + state.log + history.database + history.log;
    report.note("bytes on disk a run", all / runs);
    report.note("of them history without its log", history.database / runs);
    Ok(())
}

fn unlucky(accounts: &Accounts) -> usize {
    accounts.figures.fail + accounts.figures.inconclusive
}

fn tell_hits(seen: judge::hits::Figures, calm: &Calm, report: &mut Report) {
    report.exactly("slots hit", seen.hit, seen.due);
    report.exactly("duplicate hits", seen.duplicates, 0);
    report.exactly("hits off the grid", seen.off_grid, 0);
    report.at_most(
        "checks due within a tenth of the interval",
        seen.together,
        calm.checks.div_ceil(2),
    );
    report.note("start delay p50 / p99 / max (ms)", &seen.delays);
    report.note("of first slots", &seen.first_delays);
    report.at_most("earliest hit before its slot (ms)", seen.earliest_us / 1000, EARLIEST_MS);
    report.at_most("start delay p99 (ms)", seen.delays.percentile_ms(99), calm.p99_ms);
    report.at_most("start delay max (ms)", seen.delays.max_ms(), calm.max_ms);
    report.complain(seen.complaints);
}
