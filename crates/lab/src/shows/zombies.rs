//! Processes that stand still for three times as long as a lease lasts, and then go on.
//!
//! In each volley the second server is stopped in the middle of a claim, and all workers but two: one
//! of them in the middle of a transaction, the others with runs in hand. Others take over
//! meanwhile; Postgres ends the sessions that hold locks. Then all go on at once, and whatever they
//! still do must change nothing. One more volley stops alerters in mid-attempt for longer than a
//! delivery is leased.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::Value;
use sqlx::{Connection, PgConnection};

use super::reckoning::Reckoning;
use super::{Show, a_hooked_check, create_all, hook_of, of_each, outages};
use crate::client::{Api, Outcome};
use crate::clock::{self, eventually};
use crate::fleet::{Fleet, Role};
use crate::judge::Definition;
use crate::judge::repeats::Gap;
use crate::lab::{self, Cast, Lab, Players};
use crate::process;
use crate::report::Report;
use crate::services::Store;
use crate::sink::{self, Play, Sink};
use crate::slots::Looking;

const SERVERS: usize = 2;
const WORKERS: usize = 6;
/// The first two are never stopped.
const STOPPED_WORKERS: [usize; 4] = [2, 3, 4, 5];
const STOPPED_SERVER: usize = 1;
/// In one volley.
const STOPPED: usize = STOPPED_WORKERS.len() + 1;

/// How long the targets think, so that a worker that told of runs in hand still has them when it is
/// stopped. Well within any timeout.
const THINKING: Duration = Duration::from_millis(300);
/// A lease lasts so much longer than the timeout of its check.
const LEASE_MARGIN: Duration = Duration::from_millis(2_500);
/// Postgres ends a session that does nothing in a transaction for 3 s.
const SESSION_ENDED: Duration = Duration::from_secs(5);
/// A delivery is leased for 30 s.
const DELIVERY_LEASE_OVER: Duration = Duration::from_secs(35);
/// Between two volleys, so that all take part in the work again.
const REST: Duration = Duration::from_secs(2);

/// How often a process is stopped until that was in mid-transaction: it is in one for a hundredth of its
/// time.
const TRIES: usize = 600;
/// How long it goes on between two tries; drawn anew each time, or they would keep step with its own
/// ticks.
const BETWEEN: Range<Duration> = Duration::ZERO..Duration::from_millis(100);
/// An answer of Postgres to a stopped process has long arrived then.
const SETTLED: Duration = Duration::from_millis(20);
/// How long anything may take that has no line of its own.
const PATIENCE: Duration = Duration::from_secs(30);
/// Nothing is under way any more when nothing was counted for so long.
const QUIET: Duration = Duration::from_secs(3);

/// The show's shape.
#[derive(Clone, Debug)]
pub struct Zombies {
    /// How many checks.
    pub checks: usize,
    /// Between two slots of each.
    pub interval_s: u32,
    /// At least so many pauses, five at a time.
    pub pauses: usize,
    /// Whether alerters are stopped as well, for longer than a delivery is leased.
    pub alerters: bool,
    /// Leaves logs and data on the disk.
    pub keep: bool,
}

/// As the command line knows it.
pub(super) const SHOW: Show = Show {
    name: "zombies",
    usage: "\
SIGSTOP for three leases, then SIGCONT, five processes at a time
--checks 60 --interval 2 --pauses 50",
    ask: |options| {
        let show = Zombies {
            checks: options.take("checks", 60),
            interval_s: options.take("interval", 2),
            pauses: options.take("pauses", 50),
            alerters: true,
            keep: options.yes("keep"),
        };
        Box::pin(async move { zombies(&show).await })
    },
};

/// Plays zombies.
pub async fn zombies(show: &Zombies) -> anyhow::Result<Report> {
    let players = Players::Fleet { servers: SERVERS, workers: WORKERS };
    lab::stage(Cast { players, keep: show.keep }, async |lab| play(lab, show).await).await
}

async fn play(lab: &mut Lab, show: &Zombies) -> anyhow::Result<Report> {
    let secret = sink::new_secret();
    let names = (0..show.checks).map(|number| format!("zombie-{number}"));
    let given = names.map(|name| a_hooked_check(lab, &name, show.interval_s, &secret));
    let timeout = given.clone().next().context("a check")?.timeout_ms;
    let checks = create_all(lab, given).await?;
    let checks: Vec<_> = checks.iter().map(Definition::from).collect();

    let looking = Looking::at(lab.services()?.url(Store::Postgres)?);
    let (api, over) = (lab.fleet.api()?, AtomicBool::new(false));
    let freezing = async {
        let lease = Duration::from_millis(timeout.into()) + LEASE_MARGIN;
        let mut freezer = Freezer::beside(lab, (lease * 3).max(SESSION_ENDED)).await?;
        for _ in 0..show.pauses.div_ceil(STOPPED) {
            freezer.volley().await?;
        }
        if show.alerters {
            freezer.alerters(&lab.sink, &checks).await?;
        }
        over.store(true, Ordering::Relaxed);
        anyhow::Ok(freezer)
    };
    let failing = outages::keep_coming(&lab.target, &api, &checks, THINKING, &over);
    let (freezer, outages) = tokio::try_join!(freezing, failing)?;

    let until_ms = clock::now_ms();
    let counted = quiet(&lab.fleet, &api, &checks).await?;
    let reckoning = Reckoning::of(lab, &checks, until_ms).await?;
    let mut report = Report::new(format!(
        "zombies: {SERVERS} servers, {WORKERS} workers, {} checks every {} s",
        show.checks, show.interval_s
    ));
    freezer.tell(show, &mut report);
    counted.tell(&reckoning, &mut report);
    reckoning.tell(&freezer.gaps, &outages, &mut report);
    looking.end().await?.tell(&mut report);
    Ok(report)
}

struct Freezer<'a> {
    fleet: &'a Fleet,
    postgres: PgConnection,
    lasting: Duration,
    /// When processes stood still.
    gaps: Vec<Gap>,
    in_mid_claim: usize,
    in_mid_recording: usize,
}

impl<'a> Freezer<'a> {
    async fn beside(lab: &'a Lab, lasting: Duration) -> anyhow::Result<Self> {
        let postgres = PgConnection::connect(lab.services()?.url(Store::Postgres)?).await?;
        let fleet = &lab.fleet;
        Ok(Self {
            fleet,
            postgres,
            lasting,
            gaps: Vec::new(),
            in_mid_claim: 0,
            in_mid_recording: 0,
        })
    }

    async fn volley(&mut self) -> anyhow::Result<()> {
        let mut stopped = Vec::new();
        for number in STOPPED_WORKERS {
            stopped.push((Role::Worker, number, clock::now_us()));
            // A different one each time.
            if number == STOPPED_WORKERS[self.gaps.len() / STOPPED % STOPPED_WORKERS.len()] {
                let caught = self.freeze_in_transaction(Role::Worker, number).await?;
                self.in_mid_recording += usize::from(caught);
            } else {
                self.freeze_in_mid_look(number).await?;
            }
        }
        stopped.push((Role::Server, STOPPED_SERVER, clock::now_us()));
        let caught = self.freeze_in_transaction(Role::Server, STOPPED_SERVER).await?;
        self.in_mid_claim += usize::from(caught);
        tokio::time::sleep(self.lasting).await;
        self.thaw(&stopped).await
    }

    /// Stops two workers while a hook keeps them waiting; others send the same meanwhile.
    async fn alerters(&mut self, sink: &Sink, checks: &[Definition]) -> anyhow::Result<()> {
        let since_us = clock::now_us();
        let play = |play| checks.iter().for_each(|check| sink.play(&hook_of(&check.name), play));
        play(Play::Hang);
        let hanging = |told: &[sink::Delivery]| {
            let recent = told.iter().rev().take_while(|delivery| delivery.at_us > since_us);
            (recent.filter(|delivery| delivery.status.is_none()).count() >= checks.len() / 2)
                .then_some(())
        };
        sink.deliveries().wait_for("alerts to hang", PATIENCE, hanging).await?;
        let mut stopped = Vec::new();
        for number in STOPPED_WORKERS {
            stopped.push((Role::Worker, number, clock::now_us()));
            self.fleet.freeze(Role::Worker, number)?;
        }
        play(Play::Accept);
        tokio::time::sleep(DELIVERY_LEASE_OVER).await;
        self.thaw(&stopped).await
    }

    /// Stops a worker just after it told that it has runs in hand: they think far longer than it took
    /// to tell.
    async fn freeze_in_mid_look(&self, number: usize) -> anyhow::Result<()> {
        let door = self.fleet.door(Role::Worker, number)?;
        let what = format!("worker {number} to have runs in hand");
        eventually(&what, PATIENCE, async || {
            let in_hand = sum(&door.metrics().await?, "pulse_jobs_active");
            Ok((in_hand > 0).then_some(()))
        })
        .await?;
        self.fleet.freeze(Role::Worker, number)
    }

    /// Whether it was caught with a transaction open; it is stopped in any case.
    async fn freeze_in_transaction(&mut self, role: Role, number: usize) -> anyhow::Result<bool> {
        for _ in 1..TRIES {
            self.fleet.freeze(role, number)?;
            tokio::time::sleep(SETTLED).await;
            if self.is_in_transaction(role, number).await? {
                return Ok(true);
            }
            self.fleet.thaw(role, number)?;
            tokio::time::sleep(rand::random_range(BETWEEN)).await;
        }
        self.fleet.freeze(role, number)?;
        Ok(false)
    }

    async fn is_in_transaction(&mut self, role: Role, number: usize) -> anyhow::Result<bool> {
        let ports = process::local_ports(self.fleet.pid(role, number)?)?;
        let idle: i64 = sqlx::query_scalar(
            // A round that looks for jobs which did not call is no claim.
            "SELECT count(*) FROM pg_stat_activity
             WHERE state = 'idle in transaction' AND client_port = ANY($1)
               AND query NOT LIKE '%heartbeats.%'",
        )
        .bind(ports)
        .fetch_one(&mut self.postgres)
        .await?;
        Ok(idle > 0)
    }

    async fn thaw(&mut self, stopped: &[(Role, usize, i64)]) -> anyhow::Result<()> {
        for (role, number, since_us) in stopped {
            self.fleet.thaw(*role, *number)?;
            self.gaps.push((*since_us, clock::now_us()));
        }
        for (role, number, _) in stopped {
            let door = self.fleet.door(*role, *number)?;
            let what = format!("{role} {number} to be ready again");
            eventually(&what, PATIENCE, async || door.ready().await.map(Some)).await?;
        }
        tokio::time::sleep(REST).await;
        Ok(())
    }

    fn tell(&self, show: &Zombies, report: &mut Report) {
        report.at_least("pauses", self.gaps.len(), show.pauses);
        let lasted = self.gaps.iter().map(|(from, to)| (to - from) / 1000);
        report.note("shortest pause (ms)", lasted.min().unwrap_or_default());
        report.at_least("of them in the middle of a claim", self.in_mid_claim, 1);
        report.at_least("of them in the middle of a recording", self.in_mid_recording, 1);
    }
}

/// What the workers have counted, together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counted {
    /// Runs finished.
    looks: u64,
    /// Results refused because their lease had gone to another, or was over.
    fenced: u64,
    /// Results of slots that had their outcome already, echoes of an acknowledgement lost among them.
    stale: u64,
    /// Slots that got their outcome from a result.
    recorded: u64,
}

impl Counted {
    async fn by(fleet: &Fleet) -> anyhow::Result<Self> {
        let mut counted = Self::default();
        for number in 0..WORKERS {
            let told = fleet.door(Role::Worker, number)?.metrics().await?;
            counted.looks += sum(&told, "pulse_check_runs_total");
            counted.fenced += sum(&told, "pulse_completions_stale_total");
            counted.stale += sum(&told, "pulse_results_stale_total");
            counted.recorded += sum(&told, "pulse_slots_recorded_total");
        }
        Ok(counted)
    }

    /// Every result that is not the outcome of its slot must have been counted as stale, by the fence
    /// of the queue or by the ledger behind it. Both also count echoes: who was stopped before it read
    /// the answer to a hand-in hands in again, and is refused though its result is recorded.
    fn tell(self, reckoning: &Reckoning, report: &mut Report) {
        let rows = || reckoning.accounts.listings.iter().flat_map(|listed| &listed.runs);
        let ran = rows().filter(|run| run.outcome != Outcome::Missed).count() as u64;
        let given_up = rows().filter(|run| run.reason.as_deref() == Some("worker_crash")).count();
        let late = self.looks.saturating_sub(ran);
        report.at_most("hits (line: runs finished)", reckoning.hits.len() as u64, self.looks);
        report.note("results that are not the outcome of their slot", late);
        report.at_least("results refused by the fence, echoes among them", self.fenced, 1);
        report.note("echoes refused by the fence, at least", self.fenced.saturating_sub(late));
        report.note("results refused by the ledger, echoes among them", self.stale);
        let uncounted = late.saturating_sub(self.fenced + self.stale);
        report.exactly("late results that nobody counted", uncounted, 0);
        let recorded = ran + given_up as u64;
        report.exactly("slots recorded, as the workers count", self.recorded, recorded);
    }
}

fn sum(told: &Value, name: &str) -> u64 {
    let samples = told["process"].as_object().into_iter().flatten();
    let ours = samples.filter(|(key, _)| key.split('{').next() == Some(name));
    // Counters are whole numbers, told as floats.
    ours.filter_map(|(_, value)| value.to_string().trim_end_matches(".0").parse::<u64>().ok()).sum()
}

/// Pauses all checks, and waits until no worker counts any more.
async fn quiet(fleet: &Fleet, api: &Api, checks: &[Definition]) -> anyhow::Result<Counted> {
    of_each(api, checks, Api::pause).await?;
    let mut last = (Counted::by(fleet).await?, Instant::now());
    eventually("the workers to have nothing to do", PATIENCE, async || {
        let now = Counted::by(fleet).await?;
        if now != last.0 {
            last = (now, Instant::now());
        }
        Ok((last.1.elapsed() > QUIET).then_some(now))
    })
    .await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counters_are_summed_over_their_labels_and_over_nothing_else() {
        let told = json!({ "process": {
            "pulse_check_runs_total{outcome=\"ok\",reason=\"\"}": 3.0,
            "pulse_check_runs_total{outcome=\"fail\",reason=\"status\"}": 4.0,
            "pulse_check_runs_total_of_others": 50.0,
        }});

        assert_eq!(sum(&told, "pulse_check_runs_total"), 7);
        assert_eq!(sum(&told, "pulse_jobs_active"), 0);
    }
}
