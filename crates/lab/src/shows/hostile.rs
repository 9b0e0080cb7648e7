//! Targets that mean harm, looked at beside some that are well.
//!
//! Those must come to what they are, in time, whatever they do; these must not notice. The worker must
//! neither die nor grow.

use std::time::Duration;

use serde_json::json;

use super::accounts::Accounts;
use super::{HOOK, Show, a_check, all_looked_at_since, create, create_all, of_each};
use crate::client::{Check, NewCheck};
use crate::clock;
use crate::fleet::Role;
use crate::hostile::{Server, Zoo, kinds};
use crate::judge::{self, Definition, verdicts};
use crate::lab::{self, Cast, Lab, Players};
use crate::process;
use crate::report::Report;
use crate::sink;

/// How often each chain of redirects is followed before it is given up.
const MOST_REDIRECTS: u8 = 3;
/// What the worker has seen of its healthy checks before its memory is measured.
const WARM_UP: Duration = Duration::from_secs(4);

/// The show's shape.
#[derive(Clone, Debug)]
pub struct Hostile {
    /// How many hostile checks; each kind in turn.
    pub hostile: usize,
    /// How many healthy checks.
    pub healthy: usize,
    /// Between two slots of each.
    pub interval_s: u32,
    /// How long a look at a hostile target may take, in milliseconds: less than the interval, and less than
    /// four slow redirects take.
    pub timeout_ms: u32,
    /// How long they are watched.
    pub watched: Duration,
    /// Pass line for how long after its timeout a verdict may come, in milliseconds.
    pub latest_ms: i64,
    /// Pass line for the 99th percentile of the healthy checks' start delay, in milliseconds.
    pub p99_ms: i64,
    /// Pass line for what the worker's memory grows by at its peak, in MiB.
    pub growth_mib: u32,
    /// Leaves logs and data on the disk.
    pub keep: bool,
}

/// As the command line knows it.
pub(super) const SHOW: Show = Show {
    name: "hostile",
    usage: "\
hostile targets beside healthy ones: each comes to what it is, in time, and hurts nobody
--hostile 200 --healthy 50 --interval 2 --timeout 1400 (milliseconds) --for 120",
    ask: |options| {
        let show = Hostile {
            hostile: options.take("hostile", 200),
            healthy: options.take("healthy", 50),
            interval_s: options.take("interval", 2),
            timeout_ms: options.take("timeout", 1400),
            watched: options.seconds("for", 120),
            latest_ms: 500,
            p99_ms: 500,
            growth_mib: 64,
            keep: options.yes("keep"),
        };
        Box::pin(async move { hostile(&show).await })
    },
};

/// Plays hostile targets.
pub async fn hostile(hostile: &Hostile) -> anyhow::Result<Report> {
    let players = Players::Fleet { servers: 1, workers: 1 };
    lab::stage(Cast { players, keep: hostile.keep }, async |lab| watch(lab, hostile).await).await
}

async fn watch(lab: &mut Lab, show: &Hostile) -> anyhow::Result<Report> {
    let mut report = Report::new(format!(
        "hostile: {} hostile checks beside {} healthy ones, every {} s for {} s",
        show.hostile,
        show.healthy,
        show.interval_s,
        show.watched.as_secs()
    ));
    let zoo = open_zoo(lab).await?;
    let secret = sink::new_secret();
    lab.sink.trust(HOOK, &secret);
    let healthy = create(lab, "healthy", show.healthy, show.interval_s, &secret).await?;
    all_looked_at_since(&lab.target, show.healthy, 0).await?;
    tokio::time::sleep(WARM_UP).await;
    let worker = lab.fleet.pid(Role::Worker, 0)?;
    let before = process::usage(worker)?;

    let cast: Vec<_> = zoo.servers().iter().cycle().take(show.hostile).collect();
    let hostile = create_all(lab, definitions(lab, show, &cast, &secret)).await?;
    tokio::time::sleep(show.watched).await;

    let until_ms = clock::now_ms();
    let peak_kib = process::usage(worker)?.peak_kib;
    let figures = judge_hostile(lab, &cast, &hostile, until_ms, &mut report).await?;
    report.note("hostile: verdict after p50 / p99 / max (ms)", figures.took());
    let latest_ms = (figures.latest_us + 999) / 1000;
    report.at_most("hostile: latest verdict after its timeout (ms)", latest_ms, show.latest_ms);
    report.exactly("hostile: kinds nobody came to", lonely(&zoo, &cast), 0);
    tell_healthy(lab, show, &healthy, until_ms, &mut report).await?;
    let grown = mib_up(peak_kib.saturating_sub(before.resident_kib));
    report.note("worker: memory before (MiB)", mib_up(before.resident_kib));
    report.at_most("worker: memory grown by (MiB)", grown, show.growth_mib);
    tell_processes(lab, &mut report)?;
    Ok(report)
}

/// The worker is told to trust the zoo's authority, as it trusts those of the system.
async fn open_zoo(lab: &mut Lab) -> anyhow::Result<Zoo> {
    let authority = lab.oracles.with_file_name("authority.pem");
    let zoo = Zoo::open(&authority).await?;
    lab.fleet.set("SSL_CERT_FILE", authority.display());
    lab.fleet.kill(Role::Worker, 0)?;
    lab.fleet.restart(Role::Worker, 0).await?;
    Ok(zoo)
}

fn definitions<'a>(
    lab: &'a Lab,
    show: &Hostile,
    cast: &'a [&Server],
    secret: &'a str,
) -> impl Iterator<Item = NewCheck> + 'a {
    let &Hostile { interval_s, timeout_ms, .. } = show;
    cast.iter().enumerate().map(move |(number, server)| NewCheck {
        url: server.url(),
        expected_status: server.kind.scheme.starts_with("http").then_some(200),
        timeout_ms,
        resolver: server.resolver().map(|resolver| resolver.to_string()),
        max_redirects: server.kind.name.starts_with("redirect-").then_some(MOST_REDIRECTS),
        http_version: server.kind.name.starts_with("http2-").then_some("2"),
        assertions: server
            .kind
            .name
            .ends_with("-bomb")
            .then(|| json!([{"source": "body", "comparison": "not_contains", "target": "tick"}])),
        ..a_check(lab, &format!("{}-{number}", server.kind.name), interval_s, secret)
    })
}

async fn judge_hostile(
    lab: &Lab,
    cast: &[&Server],
    checks: &[Check],
    until_ms: i64,
    report: &mut Report,
) -> anyhow::Result<verdicts::Figures> {
    let definitions: Vec<_> = checks.iter().map(Definition::from).collect();
    let api = lab.fleet.api()?;
    let mut accounts = Accounts::read(&api, &definitions, until_ms, Duration::ZERO).await?;
    // Their servers keep no log of slots, so that no outcome of theirs has a hit.
    accounts.judge(&definitions, &[], until_ms);
    let mut figures = verdicts::Figures::default();
    for ((server, check), listed) in cast.iter().zip(checks).zip(&accounts.listings) {
        figures.add(server.kind, check.timeout_ms, &listed.runs);
    }
    report.note("hostile: kinds", kinds().count().min(cast.len()));
    report.note("hostile: runs", figures.runs);
    report.exactly("hostile: slots missed", figures.missed, 0);
    report.exactly("hostile: slots unaccounted for", accounts.figures.unaccounted, 0);
    report.exactly("hostile: runs with another outcome than due", figures.wrong, 0);
    report.complain(figures.complaints());
    Ok(figures)
}

async fn tell_healthy(
    lab: &Lab,
    show: &Hostile,
    checks: &[Check],
    until_ms: i64,
    report: &mut Report,
) -> anyhow::Result<()> {
    let checks: Vec<_> = checks.iter().map(Definition::from).collect();
    let api = lab.fleet.api()?;
    let mut accounts = Accounts::read(&api, &checks, until_ms, Duration::ZERO).await?;
    let hits = lab.target.hits().copy();
    accounts.judge(&checks, &hits, until_ms);
    let of = &mut accounts.figures;
    report.note("healthy: slots due", of.due);
    report.exactly("healthy: slots not ok", of.fail + of.inconclusive + of.missed, 0);
    report.exactly("healthy: slots unaccounted for", of.unaccounted + of.unfounded, 0);
    report.complain(std::mem::take(&mut of.complaints));
    let incidents = of_each(&api, &checks, async |api, id| api.incidents(id).await).await?;
    report.exactly("healthy: incidents", incidents.iter().flatten().count(), 0);
    let seen = judge::hits::judge(&checks, &hits, until_ms);
    report.exactly("healthy: duplicate hits", seen.duplicates, 0);
    report.note("healthy: start delay p50 / p99 / max (ms)", &seen.delays);
    report.at_most("healthy: start delay p99 (ms)", seen.delays.percentile_ms(99), show.p99_ms);
    report.complain(seen.complaints);
    Ok(())
}

fn lonely(zoo: &Zoo, cast: &[&Server]) -> usize {
    zoo.servers().iter().take(cast.len()).filter(|server| server.is_lonely()).count()
}

fn tell_processes(lab: &mut Lab, report: &mut Report) -> anyhow::Result<()> {
    let (mut ended, mut panics, mut warnings) = (0, 0, 0);
    for (role, number) in lab.fleet.members().collect::<Vec<_>>() {
        ended += usize::from(lab.fleet.ended(role, number)?.is_some());
        panics += lab.fleet.told(role, number, "panicked")?;
        for level in ["WARN", "ERROR"] {
            warnings += lab.fleet.told(role, number, &format!(r#""level":"{level}""#))?;
        }
    }
    report.exactly("processes that ended", ended, 0);
    report.exactly("panics in logs", panics, 0);
    // What a target does is told to its check's owner, and must not fill the operator's disk.
    report.exactly("warnings in logs", warnings, 0);
    Ok(())
}

/// A part of one counts as a whole one.
const fn mib_up(kib: u32) -> u32 {
    kib.div_ceil(1024)
}
