//! Kill -9 of any process at random instants, scripted outages, and a sink in a bad mood, all at once.
//!
//! Two servers and three workers. Each check fails for some slots, recovers, and fails again, whether
//! Pulse has noticed or not; two hooks are told, which fail a share of all requests, and are gone for a
//! while. In the end every slot must be accounted for, and incidents and alerts be those that the
//! reference model reckons from the oracles' logs alone.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rand::SeedableRng;
use rand::rngs::StdRng;
use uuid::Uuid;

use super::counters;
use super::judgement::{self, Judgement, Played};
use super::killer::Killer;
use super::script::Weather;
use super::{Show, a_check, create_all};
use crate::client::{Api, Check, NewCheck};
use crate::clock;
use crate::fleet::Role;
use crate::journal::Fault;
use crate::judge::Definition;
use crate::lab::{self, Cast, Lab, Players};
use crate::report::Report;
use crate::sink::{self, Moods, Play, Sink};

const PLAYERS: Players = Players::Fleet { servers: 2, workers: 3 };
const HOOKS: [&str; 2] = ["left", "right"];

/// The last outage is over so long before the end.
const CALM_AT_THE_END: Duration = Duration::from_secs(12);
/// Before the sink goes down it accepts everything for so long: what it refused by then is tried
/// again before, and does not wait for the schedule's minutes.
const PEACE_BEFORE_DOWN: Duration = Duration::from_secs(25);
/// Between two looks at where checks stand.
const PACE: Duration = Duration::from_millis(500);

/// The show's shape.
#[derive(Clone, Debug)]
pub struct Storm {
    /// How many checks.
    pub checks: usize,
    /// Between two slots of each.
    pub interval_s: u32,
    /// How long it lasts.
    pub lasting: Duration,
    /// How many kills.
    pub kills: usize,
    /// How many outages, over all checks.
    pub outages: usize,
    /// How long the sink is down; zero for not at all.
    pub down_for: Duration,
    /// How often the sink fails one delivery at most. Each failure makes the next wait longer.
    pub failures: u32,
    /// How long counters and ledger are compared afterwards.
    pub calm: Duration,
    /// Pass line for the share of slots that are looked at, in per mille.
    pub run_per_mille: usize,
    /// Decides everything that is drawn.
    pub seed: u64,
    /// Leaves logs and data on the disk.
    pub keep: bool,
}

/// As the command line knows it.
pub(super) const SHOW: Show = Show {
    name: "storm",
    usage: "\
kill -9 of any process at random instants, outages, and a sink in a bad mood
--checks 200 --interval 2 --for 300 --kills 100 --outages 2000 --down 60 --seed (drawn)",
    ask: |options| {
        let show = Storm {
            checks: options.take("checks", 200),
            interval_s: options.take("interval", 2),
            lasting: options.seconds("for", 300),
            kills: options.take("kills", 100),
            outages: options.take("outages", 2000),
            down_for: options.seconds("down", 60),
            failures: 2,
            calm: Duration::from_secs(10),
            run_per_mille: 950,
            seed: options.seed(),
            keep: options.yes("keep"),
        };
        Box::pin(async move { storm(&show).await })
    },
};

/// Plays the storm.
pub async fn storm(storm: &Storm) -> anyhow::Result<Report> {
    lab::stage(Cast { players: PLAYERS, keep: storm.keep }, async |lab| {
        let mut report = Report::new(format!(
            "storm: {} checks every {} s for {} s, {}, seed {}",
            storm.checks,
            storm.interval_s,
            storm.lasting.as_secs(),
            PLAYERS,
            storm.seed
        ));
        let checks = gather(lab, storm).await?;
        storm.script(lab);
        let (faults, watch) = storm.rage(lab, checks.len()).await?;
        report.note("kills", faults.len());
        report.note("of them of workers", of_workers(&faults));
        report.note("outages scripted", storm.outages_each() * storm.checks);
        report.note("looks at where checks stand", watch.looks);
        report.exactly("checks whose last slot went back", watch.backwards, 0);

        let played = Played { seed: storm.seed, calm: false, checks: &checks, faults: &faults };
        let Judgement { accounts, verdict } = judgement::judge(lab, &played, &mut report).await?;
        report.at_least(
            "slots looked at (per mille)",
            accounts.figures.run_per_mille(),
            storm.run_per_mille,
        );
        report.at_least("model: an edge for each outage", verdict.edges(), storm.outages as u64);
        // An alerter that dies after its request has not heard the answer.
        verdict.tell(of_workers(&faults) as u64, &mut report);
        let checks: Vec<_> = checks.iter().map(Definition::from).collect();
        counters::compare(lab, &checks, storm.calm, &mut report).await?;
        Ok(report)
    })
    .await
}

async fn gather(lab: &Lab, storm: &Storm) -> anyhow::Result<Vec<Check>> {
    let secret = sink::new_secret();
    for hook in HOOKS {
        lab.sink.trust(hook, &secret);
    }
    let checks = (0..storm.checks).map(|number| NewCheck {
        webhook_url: lab.sink.url(HOOKS[number % HOOKS.len()]),
        // Half the interval: targets that think are well within it also on a busy machine.
        timeout_ms: storm.interval_s * 500,
        ..a_check(lab, &name(number), storm.interval_s, &secret)
    });
    create_all(lab, checks).await
}

fn name(number: usize) -> String {
    format!("storm-{number}")
}

fn of_workers(faults: &[Fault]) -> usize {
    faults.iter().filter(|fault| fault.role == Role::Worker).count()
}

impl Storm {
    fn outages_each(&self) -> usize {
        self.outages.div_ceil(self.checks.max(1))
    }

    fn script(&self, lab: &Lab) {
        let mut random = StdRng::seed_from_u64(self.seed);
        let interval_ms = i64::from(self.interval_s) * 1000;
        let now_ms = clock::now_ms();
        let lasting = self.lasting.saturating_sub(CALM_AT_THE_END);
        let weather = Weather {
            from_ms: now_ms + interval_ms,
            until_ms: now_ms + i64::try_from(lasting.as_millis()).unwrap_or(i64::MAX),
            interval_ms,
            outages: self.outages_each(),
            failing: 4..=8,
            thinking: Duration::from_millis(200),
            every_kind: true,
        };
        for number in 0..self.checks {
            lab.target.play(&name(number), weather.draw(&mut random));
        }
    }

    /// All of it at once, for as long as it lasts.
    async fn rage(&self, lab: &mut Lab, checks: usize) -> anyhow::Result<(Vec<Fault>, Watch)> {
        let api = lab.fleet.api()?;
        let over = AtomicBool::new(false);
        let killer = Killer::draw(self.seed, self.kills, self.lasting);
        let raging = async {
            let killing = killer.run(&mut lab.fleet);
            let (faults, ()) = tokio::try_join!(killing, self.upset(&mut lab.sink))?;
            over.store(true, Ordering::Relaxed);
            anyhow::Ok(faults)
        };
        tokio::try_join!(raging, Watch::keep(&api, checks, &over))
    }

    /// Plays the sink's moods; in the middle of the show it is down.
    async fn upset(&self, sink: &mut Sink) -> anyhow::Result<()> {
        let moods = Moods {
            seed: self.seed,
            per_mille: 300,
            silent_per_mille: 5,
            most: self.failures,
            since_ms: 0,
        };
        let play = |sink: &Sink, play: Play| {
            for hook in HOOKS {
                sink.play(hook, play);
            }
        };
        play(sink, Play::Moody(moods));
        let first = self.lasting.saturating_sub(self.down_for) / 2;
        if self.down_for.is_zero() {
            tokio::time::sleep(self.lasting).await;
            return Ok(());
        }
        tokio::time::sleep(first.saturating_sub(PEACE_BEFORE_DOWN)).await;
        play(sink, Play::Accept);
        tokio::time::sleep(first.min(PEACE_BEFORE_DOWN)).await;
        sink.down();
        tokio::time::sleep(self.down_for).await;
        sink.up().await?;
        play(sink, Play::Moody(Moods { since_ms: clock::now_ms(), ..moods }));
        tokio::time::sleep(self.lasting.saturating_sub(first + self.down_for)).await;
        Ok(())
    }
}

/// Looks at where checks stand with their slots, again and again: they only go forward.
#[derive(Default)]
struct Watch {
    looks: usize,
    backwards: usize,
    last: HashMap<Uuid, DateTime<Utc>>,
}

impl Watch {
    async fn keep(api: &Api, checks: usize, over: &AtomicBool) -> anyhow::Result<Self> {
        let mut watch = Self::default();
        while !over.load(Ordering::Relaxed) {
            tokio::time::sleep(PACE).await;
            // An error is no verdict: its server may be dead.
            let Ok(listed) = api.beginning_with(watch.looks).checks().await else { continue };
            watch.look(&listed);
        }
        anyhow::ensure!(
            watch.last.len() == checks,
            "{} checks of {checks} listed",
            watch.last.len()
        );
        Ok(watch)
    }

    fn look(&mut self, listed: &[Check]) {
        self.looks += 1;
        for check in listed {
            let Some(slot) = check.last_run_at else { continue };
            let before = self.last.insert(check.id, slot);
            self.backwards += usize::from(before.is_some_and(|before| before > slot));
        }
    }
}
