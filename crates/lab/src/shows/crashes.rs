//! One process on its own files, killed again and again at random, and started again at once.
//!
//! After each kill and before the next start its databases are judged, in a copy. Meanwhile some
//! checks fail in scripted outages, and what the API told before a kill is asked again after it. In
//! the end every slot must be accounted for once, and each outage be one incident, told to the end.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::accounts::Accounts;
use super::memory::{self, Memory};
use super::outages::{self, Outages, PATIENCE};
use super::{HOOK, Show, create, of_each};
use crate::client::{Api, Outcome};
use crate::clock;
use crate::data;
use crate::fleet::{Fleet, Role};
use crate::judge::{self, Definition};
use crate::lab::{self, Cast, Lab, Players};
use crate::report::Report;
use crate::sink;
use crate::target::Hit;
use pulse_meter::spread::Spread;

/// Every fifth life ends while it begins; and so many others begin, and end so, in an empty folder.
const SHORT_LIVES: usize = 5;
const SHORT: Duration = Duration::from_millis(200);

/// How long the targets think, so that a kill finds runs under way. Well within any timeout.
const THINKING: Duration = Duration::from_millis(300);

/// The show's shape.
#[derive(Clone, Debug)]
pub struct Crashes {
    /// How many checks.
    pub checks: usize,
    /// Between two slots of each.
    pub interval_s: u32,
    /// How many kills.
    pub kills: usize,
    /// About how long the lives before the kills are together.
    pub lasting: Duration,
    /// Decides how long each life is.
    pub seed: u64,
    /// Pass line for the 99th percentile of the time from a kill to the next look, in milliseconds.
    pub p99_ms: i64,
    /// Leaves logs and data on the disk.
    pub keep: bool,
}

/// As the command line knows it.
pub(super) const SHOW: Show = Show {
    name: "crashes",
    usage: "\
kill -9 of one pulse at random instants, its databases judged after each
--checks 100 --interval 2 --kills 100 --for 300 --seed (drawn)",
    ask: |options| {
        let show = Crashes {
            checks: options.take("checks", 100),
            interval_s: options.take("interval", 2),
            kills: options.take("kills", 100),
            lasting: options.seconds("for", 300),
            seed: options.seed(),
            p99_ms: 3000,
            keep: options.yes("keep"),
        };
        Box::pin(async move { crashes(&show).await })
    },
};

/// Plays crashes.
pub async fn crashes(crashes: &Crashes) -> anyhow::Result<Report> {
    let mut random = StdRng::seed_from_u64(crashes.seed);
    let first_starts = crashes.kills.div_ceil(SHORT_LIVES);
    let stillborn = births(first_starts, &mut random).await?;
    lab::stage(Cast { players: Players::Alone, keep: crashes.keep }, async |lab| {
        let mut report = play(lab, crashes, &mut random).await?;
        report.note("first starts killed", first_starts);
        report.exactly("of them not ready when started again", stillborn.len(), 0);
        report.complain(stillborn);
        Ok(report)
    })
    .await
}

/// Kills first starts, each in a folder of its own, at a random instant of the making of its files;
/// tells of those that could not be started again.
async fn births(count: usize, random: &mut StdRng) -> anyhow::Result<Vec<String>> {
    let mut complaints = Vec::new();
    for _ in 0..count {
        let folder = tempfile::Builder::new().prefix("pulse-lab-").tempdir().context("a folder")?;
        let mut fleet = Fleet::new(folder.path(), &[lab::data_at(&folder.path().join("data"))]);
        fleet.enlist(Role::Whole)?;
        let life = random.random_range(Duration::ZERO..SHORT);
        tokio::time::sleep(life).await;
        fleet.kill(Role::Whole, 0)?;
        if let Err(error) = fleet.restart(Role::Whole, 0).await {
            complaints.push(format!("killed {} ms after its birth: {error:#}", life.as_millis()));
        }
    }
    Ok(complaints)
}

async fn play(lab: &mut Lab, crashes: &Crashes, random: &mut StdRng) -> anyhow::Result<Report> {
    let secret = sink::new_secret();
    lab.sink.trust(HOOK, &secret);
    let checks = create(lab, "crash", crashes.checks, crashes.interval_s, &secret).await?;
    let checks: Vec<_> = checks.iter().map(Definition::from).collect();

    let api = lab.fleet.api()?;
    let over = AtomicBool::new(false);
    let mut storm = Storm::over(&mut lab.fleet, &lab.data, Memory::of(&api, &checks));
    let killing = async {
        for life in lives(crashes, random) {
            storm.round(life).await?;
        }
        over.store(true, Ordering::Relaxed);
        anyhow::Ok(())
    };
    let outages = Outages::slow(THINKING);
    let failing = outages.keep_coming(&lab.target, &lab.sink, &api, &checks, &over);
    let ((), outages) = tokio::try_join!(killing, failing)?;
    let (found, told_again) = storm.over_now().await?;
    let mut report = reckoning(lab, crashes, &checks, &found, &outages).await?;
    report.note("rows asked for again after a kill", told_again.asked_again);
    report.exactly("rows not told the same again", told_again.changed, 0);
    report.complain(told_again.complaints);
    Ok(report)
}

/// How long each process lives, in their order; the same for the same seed.
fn lives(crashes: &Crashes, random: &mut StdRng) -> impl Iterator<Item = Duration> {
    let kills = u32::try_from(crashes.kills).unwrap_or(u32::MAX);
    let longest = (crashes.lasting * 2 / kills.max(1)).max(SHORT);
    (1..=crashes.kills).map(move |number| {
        let longest = if number % SHORT_LIVES == 0 { SHORT } else { longest };
        random.random_range(Duration::ZERO..longest)
    })
}

struct Storm<'a> {
    fleet: &'a mut Fleet,
    data: &'a Path,
    memory: Memory<'a>,
    found: Found,
}

/// What was seen around the kills.
#[derive(Default)]
struct Found {
    kills: Vec<Kill>,
    /// Databases judged, and those that were whole.
    judged: usize,
    whole: usize,
    /// Times the process had ended before it was killed.
    ended_first: usize,
    complaints: Vec<String>,
}

/// Instants of the lab's clock.
#[derive(Clone, Copy)]
struct Kill {
    at_us: i64,
    /// When the next process was started.
    restarted_us: i64,
}

impl<'a> Storm<'a> {
    fn over(fleet: &'a mut Fleet, data: &'a Path, memory: Memory<'a>) -> Self {
        Self { fleet, data, memory, found: Found::default() }
    }

    async fn round(&mut self, life: Duration) -> anyhow::Result<()> {
        self.memory.spend(life).await;
        if let Some(status) = self.fleet.ended(Role::Whole, 0)? {
            self.found.ended_first += 1;
            self.found.complaints.push(format!("pulse ended by itself with {status}"));
        }
        let at_us = clock::now_us();
        self.fleet.kill(Role::Whole, 0)?;
        self.judge_files().await?;
        let restarted_us = clock::now_us();
        self.fleet.start(Role::Whole, 0)?;
        self.found.kills.push(Kill { at_us, restarted_us });
        Ok(())
    }

    async fn judge_files(&mut self) -> anyhow::Result<()> {
        let faults = data::faults(self.data).await?;
        self.found.judged += data::COUNT;
        self.found.whole += data::COUNT - faults.len();
        let kill = self.found.kills.len() + 1;
        let faults = faults.into_iter().map(|fault| format!("after kill {kill}: {fault}"));
        self.found.complaints.extend(faults);
        Ok(())
    }

    /// Asks once more for what was told before the last kill.
    async fn over_now(mut self) -> anyhow::Result<(Found, memory::Figures)> {
        self.memory.recall().await.context("asking after the last kill")?;
        Ok((self.found, self.memory.figures))
    }
}

async fn reckoning(
    lab: &Lab,
    crashes: &Crashes,
    checks: &[Definition],
    found: &Found,
    outages: &Outages,
) -> anyhow::Result<Report> {
    let until_ms = clock::now_ms();
    let api = lab.fleet.api()?;
    let mut accounts = Accounts::read(&api, checks, until_ms, PATIENCE).await?;
    let hits = lab.target.hits().copy();
    accounts.judge(checks, &hits, until_ms);
    let incidents = of_each(&api, checks, Api::incidents).await?;
    let told = outages::all_told(&lab.sink, &incidents.concat()).await;

    let mut report = Report::new(format!(
        "crashes: one pulse, {} checks every {} s, {} kills, seed {}",
        checks.len(),
        crashes.interval_s,
        found.kills.len(),
        crashes.seed
    ));
    found.tell(&mut report);
    tell_recovery(&found.kills, &hits, crashes.p99_ms, &mut report);
    accounts.tell(&mut report);
    tell_missed(&accounts, &mut report);
    let seen = judge::hits::judge(checks, &hits, until_ms);
    report.note("duplicate hits", seen.duplicates);
    report.exactly("hits off the grid", seen.off_grid, 0);
    outages.tell(checks, &accounts, &incidents, &mut report);
    outages::tell_deliveries(told, &mut report);
    Ok(report)
}

impl Found {
    fn tell(&self, report: &mut Report) {
        report.note("kills", self.kills.len());
        report.exactly("ended before they were killed", self.ended_first, 0);
        report.exactly("databases whole after a kill", self.whole, self.judged);
        report.complain(self.complaints.iter().cloned());
    }
}

fn tell_recovery(kills: &[Kill], hits: &[Hit], p99_ms: i64, report: &mut Report) {
    let next_kills = kills.iter().skip(1).map(|kill| kill.at_us).chain([i64::MAX]);
    let mut recoveries = Vec::new();
    for (kill, next_us) in kills.iter().zip(next_kills) {
        let begin = hits.partition_point(|hit| hit.at_us < kill.restarted_us);
        let first = hits.get(begin).filter(|hit| hit.at_us < next_us);
        recoveries.extend(first.map(|hit| hit.at_us - kill.at_us));
    }
    report.note("kills before the next look", kills.len() - recoveries.len());
    let recoveries = Spread::of(recoveries);
    report.note("kill to next look p50 / p99 / max (ms)", &recoveries);
    report.at_most("kill to next look p99 (ms)", recoveries.percentile_ms(99), p99_ms);
    let judging = kills.iter().map(|kill| kill.restarted_us - kill.at_us).collect();
    report.note("of it the lab's look at the files", Spread::of(judging));
}

/// By reason: `lost` was under way at a kill, `late` was due while nobody was there.
fn tell_missed(accounts: &Accounts, report: &mut Report) {
    report.note("slots looked at (per mille)", accounts.figures.run_per_mille());
    let rows = accounts.listings.iter().flat_map(|listed| &listed.runs);
    let missed = rows.filter(|run| run.outcome == Outcome::Missed);
    let (mut lost, mut late, mut other) = (0, 0, 0);
    for run in missed {
        *match run.reason.as_deref() {
            Some("lost") => &mut lost,
            Some("late") => &mut late,
            _ => &mut other,
        } += run.slots;
    }
    report.note("missed: lost / late", format!("{lost} / {late}"));
    // Else the kills came when nobody was at work.
    report.at_least("missed: lost", lost, 1);
    report.exactly("missed without a reason of theirs", other, 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(seed: u64) -> Vec<Duration> {
        let show = Crashes {
            checks: 1,
            interval_s: 1,
            kills: 50,
            lasting: Duration::from_secs(100),
            seed,
            p99_ms: 1,
            keep: false,
        };
        lives(&show, &mut StdRng::seed_from_u64(seed)).collect()
    }

    #[test]
    fn lives_follow_from_the_seed() {
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
    }

    #[test]
    fn together_they_last_about_as_long_as_was_said_and_every_fifth_is_short() {
        let lives = drawn(7);

        let together: Duration = lives.iter().sum();

        assert!((60..120).contains(&together.as_secs()), "{together:?}");
        assert!(lives.iter().skip(4).step_by(5).all(|life| *life < SHORT));
    }
}
