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
use super::{HOOK, create, of_each};
use crate::client::{Api, Check, Incident};
use crate::clock::{self, eventually};
use crate::fleet::Role;
use crate::judge::{self, Definition};
use crate::lab::{self, Cast, Lab};
use crate::report::Report;
use crate::services::Store;
use crate::sink::{self, Delivery};
use crate::target::{Hit, Plan};

/// Every tenth check fails in an outage.
const GROUPS: usize = 10;

/// How long everything may take to come right by itself.
const PATIENCE: Duration = Duration::from_secs(90);

/// Pass line: from the return of what was killed until every check was looked at again.
const RESUMED_WITHIN_MS: i64 = 10_000;

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

/// Plays rough weather.
pub async fn kills(kills: &Kills) -> anyhow::Result<Report> {
    lab::stage(Cast { servers: 2, workers: 2, keep: kills.keep }, async |lab| {
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
    /// How many outages each check was given.
    outages: HashMap<Uuid, usize>,
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
            outages: HashMap::new(),
            figures: BTreeMap::new(),
        };
        storm.all_looked_at_since(0).await?;
        Ok(storm)
    }

    async fn round(&mut self) -> anyhow::Result<()> {
        let (long, short) = (self.group(self.rounds), self.group(self.rounds + GROUPS / 2));
        for victim in VICTIMS {
            match victim {
                Victim::Process(Role::Worker) => self.fail(&long),
                Victim::Store(Store::Redis) => self.fail(&short),
                _ => {}
            }
            self.strike(victim).await?;
            if victim == Victim::Store(Store::Postgres) {
                self.heal(&long).await?;
            }
        }
        self.heal(&short).await?;
        self.rounds += 1;
        Ok(())
    }

    /// The checks that fail together in the outage of this number.
    fn group(&self, number: usize) -> Vec<Definition> {
        self.checks.iter().skip(number % GROUPS).step_by(GROUPS).cloned().collect()
    }

    fn fail(&mut self, group: &[Definition]) {
        for check in group {
            self.lab.target.play(&check.name, Plan::status(500));
            *self.outages.entry(check.id).or_default() += 1;
        }
    }

    /// Ends an outage, once it has been noticed; returns when its end has been noticed too.
    async fn heal(&mut self, group: &[Definition]) -> anyhow::Result<()> {
        self.incidents_until("every outage to be open", group, |incidents| {
            incidents.iter().any(|incident| incident.resolved_at.is_none())
        })
        .await?;
        for check in group {
            self.lab.target.play(&check.name, Plan::status(200));
        }
        self.incidents_until("every outage to be over", group, |incidents| {
            incidents.iter().all(|incident| incident.resolved_at.is_some())
        })
        .await
    }

    async fn incidents_until(
        &self,
        what: &str,
        group: &[Definition],
        wanted: impl Fn(&[Incident]) -> bool,
    ) -> anyhow::Result<()> {
        let api = self.lab.fleet.api()?;
        eventually(what, PATIENCE, async || {
            let incidents = of_each(&api, group, Api::incidents).await?;
            Ok(incidents.iter().all(|incidents| wanted(incidents)).then_some(()))
        })
        .await
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
                self.lab.services.kill(store).await?;
                tokio::time::sleep(self.kills.dead_for).await;
                self.lab.services.start(store).await?;
            }
        }
        let back_us = clock::now_us();
        let resumed_us = self.all_looked_at_since(back_us).await?;
        let figures = self.figures.entry(victim.to_string()).or_default();
        let silence = self.lab.target.hits().read(|hits| longest_silence(hits, struck_us));
        figures.longest_ms = figures.longest_ms.max(silence / 1000);
        figures.resumed_ms = figures.resumed_ms.max((resumed_us - back_us) / 1000);
        Ok(())
    }

    /// Waits until each check was hit after an instant; returns when the last one was, for the
    /// first time.
    async fn all_looked_at_since(&self, since_us: i64) -> anyhow::Result<i64> {
        let count = self.checks.len();
        let find = |hits: &[Hit]| {
            let recent = hits.iter().rev().take_while(|hit| hit.at_us >= since_us);
            let first: HashMap<_, _> = recent.map(|hit| (hit.check, hit.at_us)).collect();
            (first.len() >= count).then(|| first.into_values().max().unwrap_or(since_us))
        };
        self.lab.target.hits().wait_for("every check to be looked at again", PATIENCE, find).await
    }

    async fn reckoning(mut self) -> anyhow::Result<Report> {
        let until_ms = clock::now_ms();
        let api = self.lab.fleet.api()?;
        let mut accounts = Accounts::read(&api, &self.checks, until_ms, PATIENCE).await?;
        let hits = self.lab.target.hits().copy();
        accounts.judge(&self.checks, &hits, until_ms);
        let incidents = of_each(&api, &self.checks, Api::incidents).await?;
        let told = self.all_told(&incidents.concat()).await;

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
        self.tell_outages(&accounts, &incidents, &mut report);
        tell_deliveries(told, &mut report);
        Ok(report)
    }

    /// What the sink was told, once every edge was, or all patience is gone.
    async fn all_told(&self, incidents: &[Incident]) -> judge::deliveries::Figures {
        let judge = |told: &[Delivery]| judge::deliveries::judge(incidents, told);
        let complete = |told: &[Delivery]| (judge(told).lost == 0).then_some(());
        let log = self.lab.sink.deliveries();
        // The figures say whether it was in vain.
        let _ = log.wait_for("every edge to be told", PATIENCE, complete).await;
        log.read(judge)
    }

    fn tell_silences(&mut self, report: &mut Report) {
        for victim in VICTIMS.map(|victim| victim.to_string()) {
            let silence = self.figures.remove(&victim).unwrap_or_default();
            report.note(&format!("{victim} killed: longest silence (ms)"), silence.longest_ms);
            let name = format!("{victim} killed: all resumed after return (ms)");
            report.at_most(&name, silence.resumed_ms, RESUMED_WITHIN_MS);
        }
    }

    fn tell_outages(&self, accounts: &Accounts, told: &[Vec<Incident>], report: &mut Report) {
        let mut figures = judge::outages::Figures::default();
        let mut unscripted = 0;
        for ((check, listed), incidents) in self.checks.iter().zip(&accounts.listings).zip(told) {
            figures.add(judge::outages::judge(check, &listed.runs, incidents));
            let scripted = self.outages.get(&check.id).copied().unwrap_or(0);
            unscripted += usize::from(incidents.len() != scripted);
        }
        report.exactly("incidents", figures.incidents, self.outages.values().sum());
        report.exactly("checks with other incidents than scripted", unscripted, 0);
        report.exactly("checks with two incidents open at once", figures.double_open, 0);
        report.exactly("checks whose incidents are unlike the model", figures.unlike_model, 0);
        report.complain(figures.complaints);
    }
}

fn tell_deliveries(told: judge::deliveries::Figures, report: &mut Report) {
    report.note("edges to tell", told.edges);
    report.exactly("edges never told", told.lost, 0);
    report.note("edges told again (same id, same body)", told.repeated);
    report.exactly("edges under two ids", told.many_ids, 0);
    report.exactly("ids with two bodies", told.many_bodies, 0);
    report.exactly("webhooks with a bad signature", told.bad_signatures, 0);
    report.exactly("resolved before opened", told.disordered, 0);
    report.exactly("webhooks about nothing", told.unfounded, 0);
    report.complain(told.complaints);
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
