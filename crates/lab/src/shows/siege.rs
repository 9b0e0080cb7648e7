//! A store under siege: checks run, a tenth of them fail in turn, and the store is taken away again
//! and again. In the end every slot and every alert must be accounted for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::accounts::Accounts;
use super::outages::{self, Outages, PATIENCE};
use super::{HOOK, RESUMED_WITHIN_MS, all_looked_at_since, create, of_each};
use crate::client::Api;
use crate::clock;
use crate::judge::{self, Definition};
use crate::lab::{Lab, Players};
use crate::options::Options;
use crate::proxy::Weather;
use crate::report::Report;
use crate::services::Store;
use crate::sink;

/// Who is under siege.
pub const PLAYERS: Players = Players::Fleet { servers: 1, workers: 2 };

/// The checks of a siege, and the seed of its instants.
#[derive(Clone, Copy, Debug)]
pub struct Throng {
    /// How many checks.
    pub checks: usize,
    /// Between two slots of each.
    pub interval_s: u32,
    /// Decides when each fault comes.
    pub seed: u64,
}

impl Throng {
    /// Takes the options that all sieges know; there are so many `checks` when nobody says otherwise.
    pub(super) fn ask(options: &mut Options, checks: usize) -> Self {
        Self {
            checks: options.take("checks", checks),
            interval_s: options.take("interval", 2),
            seed: options.seed(),
        }
    }
}

/// What a show does its faults with.
pub struct Siege<'a> {
    pub lab: &'a Lab,
    pub api: Api,
    pub checks: Vec<Definition>,
    /// What the faults themselves have to tell.
    pub report: Report,
    store: Store,
    random: StdRng,
    /// How long it took until all checks were looked at again, by fault.
    resumed_ms: BTreeMap<String, Vec<i64>>,
}

/// Plays `faults` on a store while outages come and go, and judges what became of the checks.
pub async fn besiege(
    lab: &Lab,
    store: Store,
    throng: Throng,
    title: &str,
    faults: impl AsyncFnOnce(&mut Siege<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<(Report, Reckoned)> {
    let secret = sink::new_secret();
    lab.sink.trust(HOOK, &secret);
    let checks = create(lab, "siege", throng.checks, throng.interval_s, &secret).await?;
    let checks: Vec<_> = checks.iter().map(Definition::from).collect();
    all_looked_at_since(&lab.target, checks.len(), 0).await?;
    let mut siege = Siege {
        lab,
        api: lab.fleet.api()?,
        checks: checks.clone(),
        report: Report::new(format!(
            "{title}: {} checks every {} s, {PLAYERS}, seed {}",
            throng.checks, throng.interval_s, throng.seed
        )),
        store,
        random: StdRng::seed_from_u64(throng.seed),
        resumed_ms: BTreeMap::new(),
    };
    let (api, over) = (lab.fleet.api()?, AtomicBool::new(false));
    let besieging = async {
        faults(&mut siege).await?;
        over.store(true, Ordering::Relaxed);
        anyhow::Ok(())
    };
    let failing = Outages::default().keep_coming(&lab.target, &lab.sink, &api, &checks, &over);
    let ((), outages) = tokio::try_join!(besieging, failing)?;
    siege.reckoning(&outages).await
}

/// What a show may want to look at once more.
pub struct Reckoned {
    /// Up to when the slots were judged.
    pub until_ms: i64,
    /// How many were due.
    pub due: usize,
}

impl Siege<'_> {
    /// Lets a fault come at no particular instant of the interval.
    pub async fn some_time(&mut self) {
        let pause = self.random.random_range(Duration::ZERO..Duration::from_secs(2));
        tokio::time::sleep(pause).await;
    }

    /// Kills the store, and lets it be dead for a while. Returns when it was gone, and when back.
    pub async fn kill(&mut self, fault: &str, away: Duration) -> anyhow::Result<Away> {
        self.some_time().await;
        let services = self.lab.services()?;
        let gone_us = clock::now_us();
        services.kill(self.store).await?;
        tokio::time::sleep(away).await;
        services.start(self.store).await?;
        self.back(fault, gone_us).await
    }

    /// Plays a weather before the store for a while.
    pub async fn weather(
        &mut self,
        fault: &str,
        weather: Weather,
        lasting: Duration,
    ) -> anyhow::Result<Away> {
        self.some_time().await;
        let gone_us = clock::now_us();
        self.lab.proxy(self.store)?.play(weather);
        tokio::time::sleep(lasting).await;
        self.lab.proxy(self.store)?.play(Weather::Fair);
        self.back(fault, gone_us).await
    }

    /// Lets the connections of this instant be silent for good; those to come are carried. There is
    /// nothing to return from: everything must go on by itself.
    pub async fn forget(&mut self) -> anyhow::Result<Away> {
        self.some_time().await;
        self.lab.proxy(self.store)?.play(Weather::Forgetful);
        self.back("connections forgotten", clock::now_us()).await
    }

    /// Waits until everything goes on, and remembers how long that took.
    pub async fn back(&mut self, fault: &str, gone_us: i64) -> anyhow::Result<Away> {
        let back_us = clock::now_us();
        let last_us = all_looked_at_since(&self.lab.target, self.checks.len(), back_us).await?;
        let took = self.resumed_ms.entry(fault.to_owned()).or_default();
        took.push((last_us - back_us) / 1000);
        Ok(Away { gone_us, back_us })
    }

    async fn reckoning(mut self, outages: &Outages) -> anyhow::Result<(Report, Reckoned)> {
        let until_ms = clock::now_ms();
        let mut accounts = Accounts::read(&self.api, &self.checks, until_ms, PATIENCE).await?;
        let hits = self.lab.target.hits().copy();
        accounts.judge(&self.checks, &hits, until_ms);
        let incidents = of_each(&self.api, &self.checks, Api::incidents).await?;
        let told = outages::all_told(&self.lab.sink, &incidents.concat()).await;

        let report = &mut self.report;
        for (fault, took) in self.resumed_ms {
            let name = format!("{fault} ({}): all resumed after return (ms)", took.len());
            report.at_most(&name, took.into_iter().max().unwrap_or(0), RESUMED_WITHIN_MS);
        }
        accounts.tell(report);
        report.note("slots looked at (per mille)", accounts.figures.run_per_mille());
        let seen = judge::hits::judge(&self.checks, &hits, until_ms);
        report.note("duplicate hits", seen.duplicates);
        report.exactly("hits off the grid", seen.off_grid, 0);
        outages.tell(&self.checks, &accounts, &incidents, report);
        outages::tell_deliveries(told, report);
        Ok((self.report, Reckoned { until_ms, due: accounts.figures.due }))
    }
}

/// When a store was away.
#[derive(Clone, Copy, Debug)]
pub struct Away {
    pub gone_us: i64,
    pub back_us: i64,
}
