//! A crash at every named point between two systems, or between two steps of a hand-over.
//!
//! Servers, probers and desks (workers that do all but probing) die at their own points, one after
//! the other, and are started again at once; the first of each never dies. First servers and desks:
//! while no prober dies, nothing at all may be lost or looked at twice. Then probers. One that plays
//! alone dies at all points. Meanwhile three of four checks fail and recover in turn, and new ones are
//! created by a client that asks again until it is answered.

mod points;
mod storm;

pub use self::points::SETTING;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use self::points::{Duty, POINTS, Point};
use self::storm::{Found, Mortal, Storm};
use super::reckoning::Reckoning;
use super::{Show, a_hooked_check, create_all, outages};
use crate::client::{Api, NewCheck, Outcome};
use crate::clock;
use crate::fleet::{Fleet, Role};
use crate::judge::{Definition, repeats};
use crate::lab::{self, Cast, Lab, Players};
use crate::report::Report;
use crate::services::Store;
use crate::sink;
use crate::slots::Looking;

/// How long the targets think, so that a crash finds runs under way. Well within any timeout.
const THINKING: Duration = Duration::from_millis(200);
/// Short enough that a job whose prober died is looked at again within its window.
const TIMEOUT_MS: u32 = 1_200;
/// The name of what new checks are like.
const BORN: &str = "born";
/// At the end of a part of the storm, slots that may meet the next one.
const UNDER_WAY_MS: i64 = 2_000;

const FLEET: Players = Players::Fleet { servers: 3, workers: 5 };
/// What each worker does.
const WORKERS: [Duty; 5] = [Duty::Desk, Duty::Desk, Duty::Prober, Duty::Prober, Duty::Prober];

const fn server(number: usize) -> Mortal {
    Mortal { role: Role::Server, number, duties: &[Duty::Server] }
}

const fn worker(number: usize, duties: &'static [Duty]) -> Mortal {
    Mortal { role: Role::Worker, number, duties }
}

const ALONE: [&[Mortal]; 1] =
    [&[Mortal { role: Role::Whole, number: 0, duties: &[Duty::Server, Duty::Prober, Duty::Desk] }]];
/// Who dies, first and then.
const MANY: [&[Mortal]; 2] = [
    &[server(1), server(2), worker(1, &[Duty::Desk])],
    &[worker(3, &[Duty::Prober]), worker(4, &[Duty::Prober])],
];

/// The show's shape.
#[derive(Clone, Debug)]
pub struct Handovers {
    /// Whether one process plays alone.
    pub alone: bool,
    /// How many checks.
    pub checks: usize,
    /// Between two slots of each.
    pub interval_s: u32,
    /// How often each point is died at.
    pub each: usize,
    /// Decides the order of the points.
    pub seed: u64,
    /// Leaves logs and data on the disk.
    pub keep: bool,
}

/// As the command line knows it.
pub(super) const SHOW: Show = Show {
    name: "handovers",
    usage: "\
a crash at each named point between two systems; needs debug builds
--checks 50 --interval 5 --each 10 --seed (drawn)
--alone: one pulse on its own files instead",
    ask: |options| {
        let show = Handovers {
            alone: options.yes("alone"),
            checks: options.take("checks", 50),
            interval_s: options.take("interval", 5),
            each: options.take("each", 10),
            seed: options.seed(),
            keep: options.yes("keep"),
        };
        Box::pin(async move { handovers(&show).await })
    },
};

/// Plays crashes at hand-over points.
pub async fn handovers(show: &Handovers) -> anyhow::Result<Report> {
    let players = if show.alone { Players::Alone } else { FLEET };
    lab::stage(Cast { players, keep: show.keep }, async |lab| play(lab, show).await).await
}

async fn play(lab: &mut Lab, show: &Handovers) -> anyhow::Result<Report> {
    let parts: &[&[Mortal]] = if show.alone { &ALONE } else { &MANY };
    if !show.alone {
        divide_the_work(&mut lab.fleet).await?;
    }
    let first = parts[0][0];
    lab.fleet.kill(first.role, first.number)?;
    let unlike = points::unlike_the_product(&mut lab.fleet, first.role, first.number).await?;
    lab.fleet.restart(first.role, first.number).await?;

    let secret = sink::new_secret();
    let given = |name: &str| NewCheck {
        timeout_ms: TIMEOUT_MS,
        ..a_hooked_check(lab, name, show.interval_s, &secret)
    };
    let like = given(BORN);
    let names = (0..show.checks).map(|number| format!("handed-{number}"));
    let checks = create_all(lab, names.map(|name| given(&name))).await?;
    let mut checks: Vec<_> = checks.iter().map(Definition::from).collect();

    let looking =
        lab.services().and_then(|stores| stores.url(Store::Postgres)).ok().map(Looking::at);
    let (api, over) = (lab.fleet.api()?, AtomicBool::new(false));
    let began_ms = clock::now_ms();
    let blowing = async {
        let (mut found, mut ends_ms) = (Found::default(), Vec::new());
        for part in parts {
            let storm = Storm::over(&mut lab.fleet, part, &order(show), like.clone(), found)?;
            found = storm.blow().await?;
            ends_ms.push(clock::now_ms());
        }
        over.store(true, Ordering::Relaxed);
        anyhow::Ok((found, ends_ms))
    };
    let failing = outages::keep_coming(&lab.target, &api, &checks, THINKING, &over);
    let ((mut found, ends_ms), outages) = tokio::try_join!(blowing, failing)?;

    checks.extend(found.created.iter().map(Definition::from));
    let reckoning = Reckoning::of(lab, &checks, clock::now_ms()).await?;
    let mut report = Report::new(format!(
        "handovers: {}, {} checks every {} s, {} points {} time(s), seed {}",
        if show.alone { Players::Alone } else { FLEET },
        show.checks,
        show.interval_s,
        POINTS.len(),
        show.each,
        show.seed
    ));
    found.tell(show.each, &mut report);
    tell_created(&api, &checks, &found, &mut report).await?;
    if !show.alone {
        tell_undisturbed(&reckoning, began_ms..ends_ms[0] - UNDER_WAY_MS, &mut report);
    }
    reckoning.tell(&found.deaths, &outages, &mut report);
    report.exactly("points known to one side alone", unlike, 0);
    if let Some(looking) = looking {
        looking.end().await?.tell(&mut report);
    }
    Ok(report)
}

/// Some workers look, the others do the rest.
async fn divide_the_work(fleet: &mut Fleet) -> anyhow::Result<()> {
    for (number, duty) in WORKERS.into_iter().enumerate() {
        let roles = if duty == Duty::Prober { "prober" } else { "recorder,alerter,shipper" };
        fleet.assign(Role::Worker, number, ("WORKER_ROLES", roles)).await?;
    }
    Ok(())
}

/// While no prober died, whatever else did: every slot was looked at, and once, unless its claim was
/// never committed and made anew.
fn tell_undisturbed(reckoning: &Reckoning, slots: Range<i64>, report: &mut Report) {
    let rows = reckoning.accounts.listings.iter().flat_map(|listed| &listed.runs);
    let rows = rows.filter(|run| slots.contains(&run.slot_ms()));
    let (missed, looked_at): (Vec<_>, Vec<_>) =
        rows.partition(|run| run.outcome == Outcome::Missed);
    report.note("while no prober died: slots looked at", looked_at.len());
    report.exactly("while no prober died: slots missed", missed.len(), 0);
    let hits = reckoning.hits.iter().filter(|hit| slots.contains(&hit.slot_ms));
    let again = repeats::judge(&hits.cloned().collect::<Vec<_>>(), &[], 0);
    let leased_again = again.repeated - again.pushed_anew;
    report.exactly("while no prober died: slots leased again", leased_again, 0);
    report.complain(missed.iter().map(|run| {
        format!(
            "{} was missed ({}) though no prober died",
            run.slot,
            run.reason.as_deref().unwrap_or("?")
        )
    }));
}

/// Each point as often as the show says, never one twice before all others were there.
fn order(show: &Handovers) -> Vec<Point> {
    let mut random = StdRng::seed_from_u64(show.seed);
    let round = |_| {
        let mut points = POINTS;
        points.shuffle(&mut random);
        points
    };
    (0..show.each).flat_map(round).collect()
}

/// A check that a client asked for until it was answered must be there once.
async fn tell_created(
    api: &Api,
    checks: &[Definition],
    found: &Found,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut listed: BTreeMap<String, usize> = BTreeMap::new();
    for check in api.checks().await? {
        *listed.entry(check.name).or_default() += 1;
    }
    let once = checks.iter().filter(|check| listed.get(&check.name) == Some(&1)).count();
    report.note("checks created during the storm", found.created.len());
    report.exactly("checks that are there once", once, checks.len());
    report.exactly("checks in all", listed.values().sum(), checks.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_points_follows_from_the_seed_and_holds_each_as_often() {
        let show =
            |seed| Handovers { alone: true, checks: 1, interval_s: 1, each: 3, seed, keep: false };
        let names = |seed| order(&show(seed)).iter().map(|it| it.name).collect::<Vec<_>>();

        assert_eq!(names(7), names(7));
        assert_ne!(names(7), names(8));
        for point in POINTS {
            assert_eq!(names(7).iter().filter(|name| **name == point.name).count(), 3);
        }
    }
}
