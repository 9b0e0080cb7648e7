//! What one process needs: time to begin, memory and CPU when little happens, and time to list many
//! checks.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::Value;

use super::cost::Meter;
use super::{Show, create, outages};
use crate::client::Api;
use crate::fleet::{Fleet, Role};
use crate::lab::{self, Cast, Lab, Players};
use crate::report::Report;
use crate::sink;
use pulse_meter::spread::Spread;

/// From empty folders.
const STARTS: usize = 10;
/// Between two questions whether it answers yet.
const PACE: Duration = Duration::from_millis(1);
const START_WITHIN: Duration = Duration::from_secs(30);

const IDLE_CHECKS: usize = 100;
const IDLE_INTERVAL_S: u32 = 60;

/// Once a day: each runs once when it is created, and few of them again while lists are read.
const LISTED_INTERVAL_S: u32 = 86_400;
/// Lists read of each page size, page after page and then from the beginning again.
const LISTS: usize = 300;
/// The sizes of a page: when nobody says, and the largest.
const DEFAULT_PAGE: usize = 50;
const LARGEST_PAGE: usize = 1000;

/// Pass lines.
const READY_WITHIN_MS: i64 = 300;
const RESIDENT_MIB: f64 = 60.0;
const LIST_P95_MS: i64 = 200;

/// The show's shape.
#[derive(Clone, Debug)]
pub struct Footprint {
    /// How many checks are listed.
    pub checks: usize,
    /// How long it is watched with little to do.
    pub watched: Duration,
    /// Leaves logs and data on the disk.
    pub keep: bool,
}

/// As the command line knows it.
pub(super) const SHOW: Show = Show {
    name: "footprint",
    usage: "\
time one pulse needs to start, memory and CPU when idle, time to list checks
--checks 10000 --for 60",
    ask: |options| {
        let show = Footprint {
            checks: options.take("checks", 10_000),
            watched: options.seconds("for", 60),
            keep: options.yes("keep"),
        };
        Box::pin(async move { footprint(&show).await })
    },
};

/// Plays the footprint.
pub async fn footprint(footprint: &Footprint) -> anyhow::Result<Report> {
    let mut report = Report::new(format!(
        "footprint: one pulse; {STARTS} starts, {IDLE_CHECKS} checks every {IDLE_INTERVAL_S} s for \
         {} s, {} checks every {LISTED_INTERVAL_S} s listed",
        footprint.watched.as_secs(),
        footprint.checks
    ));
    starts(&mut report).await?;
    let cast = Cast { players: Players::Alone, keep: footprint.keep };
    lab::stage(cast, async |lab| {
        idle(lab, footprint.watched, &mut report).await?;
        lists(lab, footprint.checks, &mut report).await?;
        Ok(report)
    })
    .await
}

async fn starts(report: &mut Report) -> anyhow::Result<()> {
    let (mut healthy, mut ready) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let folder = tempfile::Builder::new().prefix("pulse-lab-").tempdir().context("a folder")?;
        let (to_health, to_ready) = start(folder.path()).await?;
        healthy.push(micros(to_health));
        ready.push(micros(to_ready));
    }
    let (healthy, ready) = (Spread::of(healthy), Spread::of(ready));
    report.note("start to /health p50 / p99 / max (ms)", &healthy);
    report.note("start to /ready p50 / p99 / max (ms)", &ready);
    report.at_most("start to /ready, median (ms)", ready.percentile_ms(50), READY_WITHIN_MS);
    Ok(())
}

/// From just before the program is executed to the first 200 of each page.
async fn start(folder: &Path) -> anyhow::Result<(Duration, Duration)> {
    let mut fleet = Fleet::new(folder, &[lab::data_at(&folder.join("data"))]);
    let begun = Instant::now();
    fleet.enlist(Role::Whole)?;
    let door = fleet.door(Role::Whole, 0)?;
    let healthy = answers(&door, "/health", begun).await?;
    let ready = answers(&door, "/ready", begun).await?;
    Ok((healthy, ready))
}

async fn answers(door: &Api, path: &str, begun: Instant) -> anyhow::Result<Duration> {
    while begun.elapsed() < START_WITHIN {
        if door.answer(path).await.is_ok_and(|(status, _)| status == 200) {
            return Ok(begun.elapsed());
        }
        tokio::time::sleep(PACE).await;
    }
    anyhow::bail!("{path} did not answer 200 within {} s", START_WITHIN.as_secs())
}

async fn idle(lab: &Lab, watched: Duration, report: &mut Report) -> anyhow::Result<()> {
    create(lab, "idle", IDLE_CHECKS, IDLE_INTERVAL_S, &sink::new_secret()).await?;
    let meter = Meter::start(lab.fleet.pid(Role::Whole, 0)?)?;
    tokio::time::sleep(watched).await;
    let cost = meter.stop()?;
    cost.tell(report);
    report.at_most("memory when little happens (MiB)", cost.resident_mib, RESIDENT_MIB);
    Ok(())
}

async fn lists(lab: &Lab, checks: usize, report: &mut Report) -> anyhow::Result<()> {
    let begun = Instant::now();
    create(lab, "listed", checks, LISTED_INTERVAL_S, &sink::new_secret()).await?;
    report.note("all created after (ms)", begun.elapsed().as_millis());
    let first_looks = |hits: &[_]| (hits.len() >= checks + IDLE_CHECKS).then_some(());
    lab.target.hits().wait_for("all first looks", outages::PATIENCE, first_looks).await?;

    let meter = Meter::start(lab.fleet.pid(Role::Whole, 0)?)?;
    let door = lab.fleet.door(Role::Whole, 0)?;
    for page in [DEFAULT_PAGE, LARGEST_PAGE] {
        let spread = read_lists(&door, page).await?;
        report.note(&format!("list of {page}: p50 / p99 / max (ms)"), &spread);
        report.at_most(&format!("list of {page}: p95 (ms)"), spread.percentile_ms(95), LIST_P95_MS);
    }
    let cost = meter.stop()?;
    report.note(
        "memory after lists / peak (MiB)",
        format!("{} / {}", cost.resident_mib, cost.peak_mib),
    );
    Ok(())
}

/// One after the other: the client keeps its one connection open.
async fn read_lists(door: &Api, page: usize) -> anyhow::Result<Spread> {
    let first = format!("/checks?limit={page}");
    let mut path = first.clone();
    let mut took = Vec::new();
    for _ in 0..LISTS {
        let asked = Instant::now();
        let (status, body) = door.body(&path).await?;
        took.push(micros(asked.elapsed()));
        anyhow::ensure!(status == 200, "GET {path} was answered {status}: {body}");
        let body: Value = serde_json::from_str(&body)?;
        path = match body["next_cursor"].as_str() {
            Some(cursor) => format!("{first}&cursor={cursor}"),
            None => first.clone(),
        };
    }
    Ok(Spread::of(took))
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
