//! From first check to first webhook, as a new user walks it; then many hands at once.
//!
//! One server and one worker: the first run shows at once, the next ones come on time, an outage
//! makes one alert and one signed webhook, its end one more. Then a second server and three more
//! workers join, and a crowd of checks must each be looked at exactly once per slot.

use std::time::{Duration, Instant};

use anyhow::Context;

use super::accounts::Accounts;
use super::{HOOK, Show, a_check, create};
use crate::client::{Api, Check, NewCheck};
use crate::clock::{self, eventually};
use crate::fleet::Role;
use crate::judge::{self, Definition};
use crate::lab::{self, Cast, Lab, Players};
use crate::report::Report;
use crate::sink::{self, Delivery, Edge};
use crate::target::{Hit, Plan};

const NAME: &str = "homepage";

/// The walk's shape.
#[derive(Clone, Debug)]
pub struct Walk {
    /// Between two slots of the check walked with.
    pub interval_s: u32,
    /// The second half; `None` ends the walk after its first.
    pub crowd: Option<Crowd>,
    /// Pass line for the start delay, in milliseconds.
    pub on_time_ms: i64,
    /// Leaves logs and data on the disk.
    pub keep: bool,
}

/// Many checks for two servers and four workers.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// How many.
    pub checks: usize,
    /// Between two slots of each.
    pub interval_s: u32,
    /// How long they are watched.
    pub watched: Duration,
}

/// As the command line knows it.
pub(super) const SHOW: Show = Show {
    name: "walk",
    usage: "\
from first check to first webhook, then 2 servers and 4 workers
--interval 5 --checks 100 --for 30",
    ask: |options| {
        let crowd = Crowd {
            checks: options.take("checks", 100),
            interval_s: 2,
            watched: options.seconds("for", 30),
        };
        let show = Walk {
            interval_s: options.take("interval", 5),
            crowd: Some(crowd),
            on_time_ms: 250,
            keep: options.yes("keep"),
        };
        Box::pin(async move { walk(&show).await })
    },
};

/// Plays the walk.
pub async fn walk(walk: &Walk) -> anyhow::Result<Report> {
    lab::stage(
        Cast { players: Players::Fleet { servers: 1, workers: 1 }, keep: walk.keep },
        async |lab| {
            let mut report = Report::new("walk: from first check to first webhook");
            let check = first_look(lab, walk, &mut report).await?;
            next_looks(lab, walk, &check, &mut report).await?;
            outage(lab, &check, &mut report).await?;
            books(lab, &check, &mut report).await?;
            if let Some(crowd) = walk.crowd {
                many_hands(lab, crowd, &mut report).await?;
            }
            Ok(report)
        },
    )
    .await
}

async fn first_look(lab: &Lab, walk: &Walk, report: &mut Report) -> anyhow::Result<Check> {
    let api = lab.fleet.api()?;
    let secret = sink::new_secret();
    lab.sink.trust(HOOK, &secret);
    let body = NewCheck {
        name: "Google Homepage".to_owned(),
        ..a_check(lab, NAME, walk.interval_s, &secret)
    };

    let posted = Instant::now();
    let check = api.create(&body).await?;
    eventually("the first run in /runs", Duration::from_secs(10), async || {
        Ok((!api.runs(check.id).await?.is_empty()).then_some(()))
    })
    .await?;

    report.at_most("first run visible after (ms)", posted.elapsed().as_millis(), 2000);
    Ok(check)
}

async fn next_looks(
    lab: &Lab,
    walk: &Walk,
    check: &Check,
    report: &mut Report,
) -> anyhow::Result<()> {
    let hits = hits_until(lab, check, "the third look", |hits| hits.len() >= 3).await?;
    for (name, hit) in ["first", "second", "third"].into_iter().zip(&hits) {
        let delay = hit.at_us.div_euclid(1000) - hit.slot_ms;
        report.at_most(&format!("{name} start delay (ms)"), delay, walk.on_time_ms);
    }
    let step = hits[2].slot_ms - hits[1].slot_ms;
    report.exactly("from second to third slot (ms)", step, i64::from(walk.interval_s) * 1000);
    Ok(())
}

async fn outage(lab: &Lab, check: &Check, report: &mut Report) -> anyhow::Result<()> {
    let api = lab.fleet.api()?;
    lab.target.play(NAME, Plan::status(500));
    let opened = delivered(lab, check, Edge::Opened).await?;
    let failures = usize::try_from(check.alert_threshold)?;
    let failing = lab.target.hits().copy().into_iter().filter(|hit| hit.status == Some(500));
    let deciding = failing.take(failures).last().context("the target was never hit failing")?;
    report.at_most("deciding hit to webhook (ms)", (opened.at_us - deciding.at_us) / 1000, 2000);
    report.exactly("status while failing", api.check(check.id).await?.status.as_str(), "down");
    report.exactly("alerts while failing", kinds(&api, check).await?.as_str(), "opened");
    let open = api.incidents(check.id).await?;
    report.exactly("incidents while failing", open.len(), 1);

    lab.target.play(NAME, Plan::status(200));
    delivered(lab, check, Edge::Resolved).await?;
    // Whatever else might be told, must not be, during two more looks.
    let healed_us = clock::now_us();
    let looks = |hits: &[Hit]| hits.iter().filter(|hit| hit.at_us > healed_us).count() >= 2;
    hits_until(lab, check, "two looks after the resolution", looks).await?;
    report.exactly("alerts in all", kinds(&api, check).await?.as_str(), "opened resolved");
    report.exactly("status when healed", api.check(check.id).await?.status.as_str(), "up");
    Ok(())
}

async fn books(lab: &Lab, check: &Check, report: &mut Report) -> anyhow::Result<()> {
    let api = lab.fleet.api()?;
    let incidents = api.incidents(check.id).await?;
    report.exactly("incidents in all", incidents.len(), 1);
    report.exactly("delivery attempts listed", api.webhooks(check.id).await?.len(), 2);
    let told = lab.sink.deliveries().copy();
    report.exactly("webhooks received", told.len(), 2);
    let told = judge::deliveries::judge(&incidents, &told);
    report.exactly("webhooks with a bad signature", told.bad_signatures, 0);
    report.exactly("edges never told", told.lost, 0);
    report.exactly("told out of order", told.disordered, 0);
    report.complain(told.complaints);

    let checks = [Definition::from(check)];
    let until_ms = clock::now_ms();
    let mut accounts = Accounts::read(&api, &checks, until_ms, Duration::ZERO).await?;
    accounts.judge(&checks, &lab.target.hits().copy(), until_ms);
    accounts.tell(report);
    report.exactly("slots missed", accounts.figures.missed, 0);
    let outages = judge::outages::judge(&checks[0], &accounts.listings[0].runs, &incidents);
    report.exactly("incidents unlike the model", outages.unlike_model, 0);
    report.complain(outages.complaints);
    Ok(())
}

async fn many_hands(lab: &mut Lab, crowd: Crowd, report: &mut Report) -> anyhow::Result<()> {
    lab.fleet.grow(&[(Role::Server, 1), (Role::Worker, 3)]).await?;
    let secret = sink::new_secret();
    let checks = create(lab, "crowd", crowd.checks, crowd.interval_s, &secret).await?;
    let checks: Vec<_> = checks.iter().map(Definition::from).collect();
    tokio::time::sleep(crowd.watched).await;
    let until_ms = clock::now_ms();

    let api = lab.fleet.api()?;
    let mut accounts = Accounts::read(&api, &checks, until_ms, Duration::ZERO).await?;
    let hits = lab.target.hits().copy();
    accounts.judge(&checks, &hits, until_ms);
    let seen = judge::hits::judge(&checks, &hits, until_ms);
    report.note("", "2 servers, 4 workers");
    report.note("checks", checks.len());
    accounts.tell(report);
    report.exactly("slots missed", accounts.figures.missed, 0);
    report.exactly("slots hit", seen.hit, seen.due);
    report.exactly("slots never hit", seen.missing, 0);
    report.exactly("duplicate hits", seen.duplicates, 0);
    report.exactly("hits off the grid", seen.off_grid, 0);
    report.note("start delay p50 / p99 / max (ms)", &seen.delays);
    report.complain(seen.complaints);
    Ok(())
}

/// Waits until the hits of a check are as wanted, and returns them.
async fn hits_until(
    lab: &Lab,
    check: &Check,
    what: &str,
    wanted: impl Fn(&[Hit]) -> bool,
) -> anyhow::Result<Vec<Hit>> {
    let find = |hits: &[Hit]| {
        let hits: Vec<_> = hits.iter().filter(|hit| hit.check == check.id).cloned().collect();
        wanted(&hits).then_some(hits)
    };
    lab.target.hits().wait_for(what, patience(check), find).await
}

/// Waits until an edge of the check was told and taken.
async fn delivered(lab: &Lab, check: &Check, edge: Edge) -> anyhow::Result<Delivery> {
    let find = |deliveries: &[Delivery]| {
        let wanted = |delivery: &&Delivery| {
            let told = delivery.told.filter(|told| told.check == check.id && told.edge == edge);
            told.is_some() && delivery.accepted()
        };
        deliveries.iter().find(wanted).cloned()
    };
    lab.sink.deliveries().wait_for(&format!("{edge:?} to be told"), patience(check), find).await
}

/// Long enough for everything that takes a few intervals.
fn patience(check: &Check) -> Duration {
    Duration::from_secs(u64::from(check.interval_seconds * (check.alert_threshold + 2)) + 10)
}

/// The alerts of a check by kind, opened first.
async fn kinds(api: &Api, check: &Check) -> anyhow::Result<String> {
    let mut kinds: Vec<_> = api.alerts(check.id).await?.iter().map(|alert| alert.kind).collect();
    kinds.sort_unstable();
    let words: Vec<_> = kinds.iter().map(|kind| format!("{kind:?}").to_lowercase()).collect();
    Ok(words.join(" "))
}
