//! Rough weather: everything is killed in turn while checks run, some of them in an outage.
//!
//! Two servers and two workers. In each round a worker, a server, Redis, Postgres and `ClickHouse`
//! die by SIGKILL, stay dead for a while and are started again. Two groups of checks fail meanwhile:
//! one across the first four deaths, the other across the last three. In the end every slot must be
//! accounted for, and each scripted outage be one incident, told to the end.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::accounts::Accounts;
use super::outages::{self, GROUPS, Outages, PATIENCE};
use super::{HOOK, RESUMED_WITHIN_MS, Show, all_looked_at_since, create, of_each};
use crate::client::{Api, Check};
use crate::clock;
use crate::fleet::Role;
use crate::judge::{self, Definition};
use crate::lab::{self, Cast, Lab, Players};
use crate::report::Report;
use crate::services::Store;
use crate::sink;
use crate::target::Hit;

const PLAYERS: Players = Players::Fleet { servers: 2, workers: 2 };

/// The show's shape.
#[derive(Clone, Debug)]
pub struct Kills {
    /// How many checks.
    pub checks: usize,
    /// Between two slots of each.
    pub interval_s: u32,
    /// No round begins later than this; the one begun is played to its end.
    pub rounds_for: Duration,
    /// How long a store stays dead; a process stays dead for two thirds of it.
    pub dead_for: Duration,
    /// Leaves logs and data on the disk.
    pub keep: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Process(Role),
    Store(Store),
}

const VICTIMS: [Victim; 5] = [
    Victim::Process(Role::Worker),
    Victim::Process(Role::Server),
    Victim::Store(Store::Redis),
    Victim::Store(Store::Postgres),
    Victim::Store(Store::ClickHouse),
];

/// As the command line knows it.
pub(super) const SHOW: Show = Show {
    name: "kills",
    usage: "\
kill -9 of everything in turn
--checks 100 --interval 2 --for 120",
    ask: |options| {
        let show = Kills {
            checks: options.take("checks", 100),
            interval_s: options.take("interval", 2),
            rounds_for: options.seconds("for", 120),
            dead_for: Duration::from_secs(3),
            keep: options.yes("keep"),
        };
        Box::pin(async move { kills(&show).await })
    },
};

/// Plays rough weather.
pub async fn kills(kills: &Kills) -> anyhow::Result<Report> {
    lab::stage(Cast { players: PLAYERS, keep: kills.keep }, async |lab| {
        let mut storm = Storm::gather(lab, kills).await?;
        let started = Instant::now();
        while storm.rounds == 0 || started.elapsed() < kills.rounds_for {
            storm.round().await?;
        }
        storm.reckoning().await
    })
    .await
}

struct Storm<'a> {
    lab: &'a mut Lab,
    kills: &'a Kills,
    checks: Vec<Definition>,
    rounds: usize,
    outages: Outages,
    /// The longest silence and resumption in milliseconds, by victim.
    figures: BTreeMap<String, Silence>,
}

/// What a death did to the looks at the target.
#[derive(Clone, Copy, Default)]
struct Silence {
    /// Longest time between two looks at one check around the death.
    longest_ms: i64,
    /// From the return until the last check was looked at again.
    resumed_ms: i64,
}

impl<'a> Storm<'a> {
    async fn gather(lab: &'a mut Lab, kills: &'a Kills) -> anyhow::Result<Self> {
        let secret = sink::new_secret();
        lab.sink.trust(HOOK, &secret);
        let checks = create(lab, "storm", kills.checks, kills.interval_s, &secret).await?;
        let checks: Vec<_> = checks.iter().map(|check: &Check| Definition::from(check)).collect();
        let storm = Self {
            lab,
            kills,
            checks,
            rounds: 0,
            outages: Outages::default(),
            figures: BTreeMap::new(),
        };
        all_looked_at_since(&storm.lab.target, storm.checks.len(), 0).await?;
        Ok(storm)
    }

    async fn round(&mut self) -> anyhow::Result<()> {
        let api = self.lab.fleet.api()?;
        let long = outages::group(&self.checks, self.rounds);
        let short = outages::group(&self.checks, self.rounds + GROUPS / 2);
        for victim in VICTIMS {
            match victim {
                Victim::Process(Role::Worker) => self.outages.begin(&self.lab.target, &long),
                Victim::Store(Store::Redis) => self.outages.begin(&self.lab.target, &short),
                _ => {}
            }
            self.strike(victim).await?;
            if victim == Victim::Store(Store::Postgres) {
                self.outages.end(&self.lab.target, &api, &long).await?;
            }
        }
        self.outages.end(&self.lab.target, &api, &short).await?;
        self.rounds += 1;
        Ok(())
    }

    async fn strike(&mut self, victim: Victim) -> anyhow::Result<()> {
        let struck_us = clock::now_us();
        let number = self.rounds;
        match victim {
            Victim::Process(role) => {
                let number = number % self.lab.fleet.count(role);
                self.lab.fleet.kill(role, number)?;
                tokio::time::sleep(self.kills.dead_for * 2 / 3).await;
                self.lab.fleet.restart(role, number).await?;
            }
            Victim::Store(store) => {
                self.lab.services()?.kill(store).await?;
                tokio::time::sleep(self.kills.dead_for).await;
                self.lab.services()?.start(store).await?;
            }
        }
        let back_us = clock::now_us();
        let resumed_us = all_looked_at_since(&self.lab.target, self.checks.len(), back_us).await?;
        let figures = self.figures.entry(victim.to_string()).or_default();
        let silence = self.lab.target.hits().read(|hits| longest_silence(hits, struck_us));
        figures.longest_ms = figures.longest_ms.max(silence / 1000);
        figures.resumed_ms = figures.resumed_ms.max((resumed_us - back_us) / 1000);
        Ok(())
    }

    async fn reckoning(mut self) -> anyhow::Result<Report> {
        let until_ms = clock::now_ms();
        let api = self.lab.fleet.api()?;
        let mut accounts = Accounts::read(&api, &self.checks, until_ms, PATIENCE).await?;
        let hits = self.lab.target.hits().copy();
        accounts.judge(&self.checks, &hits, until_ms);
        let incidents = of_each(&api, &self.checks, Api::incidents).await?;
        let told = outages::all_told(&self.lab.sink, &incidents.concat()).await;

        let mut report = Report::new(format!(
            "kills: {} checks every {} s, 2 servers, 2 workers, {} round(s)",
            self.checks.len(),
            self.kills.interval_s,
            self.rounds
        ));
        self.tell_silences(&mut report);
        accounts.tell(&mut report);
        report.note("slots looked at (per mille)", accounts.figures.run_per_mille());
        let seen = judge::hits::judge(&self.checks, &hits, until_ms);
        report.note("duplicate hits", seen.duplicates);
        report.exactly("hits off the grid", seen.off_grid, 0);
        self.outages.tell(&self.checks, &accounts, &incidents, &mut report);
        outages::tell_deliveries(told, &mut report);
        Ok(report)
    }

    fn tell_silences(&mut self, report: &mut Report) {
        for victim in VICTIMS.map(|victim| victim.to_string()) {
            let silence = self.figures.remove(&victim).unwrap_or_default();
            report.note(&format!("{victim} killed: longest silence (ms)"), silence.longest_ms);
            let name = format!("{victim} killed: all resumed after return (ms)");
            report.at_most(&name, silence.resumed_ms, RESUMED_WITHIN_MS);
        }
    }
}

/// The longest time between two hits of one check of which the later came after `since_us`.
fn longest_silence(hits: &[Hit], since_us: i64) -> i64 {
    let mut last: HashMap<Uuid, i64> = HashMap::new();
    let mut longest = 0;
    for hit in hits {
        if let Some(before) = last.insert(hit.check, hit.at_us)
            && hit.at_us > since_us
        {
            longest = longest.max(hit.at_us - before);
        }
    }
    longest
}

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(role) => role.fmt(f),
            Self::Store(store) => store.fmt(f),
        }
    }
}
