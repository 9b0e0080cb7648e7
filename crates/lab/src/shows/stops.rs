//! Polite stops: SIGTERM to everything in turn, and stores that go away for a while.
//!
//! Two servers and two workers. A run under way is handed over by the worker that leaves, a second
//! SIGTERM is obeyed at once, the operators' pages say which store is away, and a deploy, each
//! process stopped and started in turn, is not seen from outside.

use std::collections::HashMap;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::Value;
use uuid::Uuid;

use super::accounts::Accounts;
use super::{Show, a_check, create};
use crate::client::{Api, Check, NewCheck, Outcome};
use crate::clock::{self, eventually};
use crate::fleet::Role;
use crate::judge::{self, Definition};
use crate::lab::{self, Cast, Lab, Players};
use crate::report::Report;
use crate::services::Store;
use crate::sink;
use crate::target::{Fate, Hit, Plan};

/// Seconds that a process is given to stop in. Five of them are kept for what comes after its runs.
const DEADLINE_S: u32 = 6;
/// The same where the show must find it still stopping.
const LONG_DEADLINE_S: u32 = 60;
/// How much later than its deadline a process may be gone, as seen from outside.
const SLACK_MS: u128 = 500;
/// How long anything may take that has no line of its own.
const PATIENCE: Duration = Duration::from_secs(30);

/// A slow check: a run may take nearly all of its interval.
const SLOW_INTERVAL_S: u32 = 60;
const SLOW_TIMEOUT_MS: u32 = 50_000;
/// Pass line: from SIGTERM to the second look; the first lease would end after 52 s.
const HANDED_OVER_WITHIN_MS: i64 = 3_000;
/// Pass line: from the second SIGTERM to the end.
const AT_ONCE_MS: u128 = 500;
/// Pass line: from the death of a store until four pages have told it. Half of what they would take if
/// none knew more than that it waited two seconds in vain.
const TOLD_WITHIN_MS: u128 = 4_000;
/// Pass line: from the return of a store until all processes are ready.
const READY_WITHIN_MS: u128 = 10_000;

/// What a process logs when it begins to stop.
const HEARD: &str = "asked to stop";

const PROCESSES: [(Role, usize); 4] =
    [(Role::Server, 0), (Role::Server, 1), (Role::Worker, 0), (Role::Worker, 1)];

/// The show's shape.
#[derive(Clone, Debug)]
pub struct Stops {
    /// How many checks the deploy is made under.
    pub checks: usize,
    /// Between two slots of each.
    pub interval_s: u32,
    /// Leaves logs and data on the disk.
    pub keep: bool,
}

/// As the command line knows it.
pub(super) const SHOW: Show = Show {
    name: "stops",
    usage: "\
SIGTERM to everything in turn, and stores that go away for a while
--checks 100 --interval 2",
    ask: |options| {
        let show = Stops {
            checks: options.take("checks", 100),
            interval_s: options.take("interval", 2),
            keep: options.yes("keep"),
        };
        Box::pin(async move { stops(&show).await })
    },
};

/// Plays polite stops.
pub async fn stops(stops: &Stops) -> anyhow::Result<Report> {
    lab::stage(
        Cast { players: Players::Fleet { servers: 0, workers: 0 }, keep: stops.keep },
        async |lab| {
            let mut report = Report::new(format!(
                "stops: 2 servers, 2 workers, {} checks every {} s",
                stops.checks, stops.interval_s
            ));
            lab.fleet.set("SHUTDOWN_TIMEOUT_SECONDS", DEADLINE_S);
            lab.fleet.grow(&[(Role::Server, 2), (Role::Worker, 2)]).await?;
            handover(lab, &mut report).await?;
            impatience(lab, &mut report).await?;
            absences(lab, &mut report).await?;
            deploy(lab, stops, &mut report).await?;
            Ok(report)
        },
    )
    .await
}

/// A worker that leaves in the middle of a long run gives it to the other one.
async fn handover(lab: &mut Lab, report: &mut Report) -> anyhow::Result<()> {
    let (check, number) = a_run_under_way(lab, "handed-over").await?;
    // Whoever looks next finds the target well.
    lab.target.play(&check.name, Plan::status(200));

    let asked_us = clock::now_us();
    let mut ends = Ends::default();
    ends.stop(lab, Role::Worker, number).await?;
    ends.tell("handover", report);
    let hits = hits_of(lab, &check, 2).await?;
    let (first, second) = (&hits[0], &hits[1]);
    report.exactly("slot of the second look", second.slot_ms, first.slot_ms);
    let handed_over_ms = (second.at_us - asked_us) / 1000;
    report.at_most("SIGTERM to second look (ms)", handed_over_ms, HANDED_OVER_WITHIN_MS);

    let api = lab.fleet.api()?;
    let runs = eventually("the outcome", PATIENCE, async || {
        let runs = api.runs(check.id).await?;
        Ok((!runs.is_empty()).then_some(runs))
    })
    .await?;
    let ok = runs.iter().filter(|run| run.outcome == Outcome::Ok).count();
    report.exactly("outcomes of the slot", runs.len(), 1);
    report.exactly("of them ok", ok, 1);
    lab.fleet.restart(Role::Worker, number).await
}

/// A second SIGTERM ends a process that has something in hand.
async fn impatience(lab: &mut Lab, report: &mut Report) -> anyhow::Result<()> {
    lab.fleet.set("SHUTDOWN_TIMEOUT_SECONDS", LONG_DEADLINE_S);
    let mut ends = Ends::default();
    for (role, number) in PROCESSES {
        ends.stop(lab, role, number).await?;
        lab.fleet.restart(role, number).await?;
    }
    ends.tell("idle", report);
    let (check, worker) = a_run_under_way(lab, "left-behind").await?;
    let _request = half_a_request(lab)?;

    for (role, number) in [(Role::Worker, worker), (Role::Server, 0)] {
        let heard = lab.fleet.told(role, number, HEARD)?;
        lab.fleet.term(role, number)?;
        eventually("the first SIGTERM to be heard", PATIENCE, async || {
            Ok((lab.fleet.told(role, number, HEARD)? > heard).then_some(()))
        })
        .await?;
        let asked = Instant::now();
        lab.fleet.term(role, number)?;
        lab.fleet.left(role, number, PATIENCE).await?;
        let took = asked.elapsed().as_millis();
        report.at_most(&format!("{role}: second SIGTERM to end (ms)"), took, AT_ONCE_MS);
    }

    lab.target.play(&check.name, Plan::status(200));
    lab.fleet.set("SHUTDOWN_TIMEOUT_SECONDS", DEADLINE_S);
    lab.fleet.restart(Role::Worker, worker).await?;
    lab.fleet.restart(Role::Server, 0).await?;
    Ok(())
}

/// The operators' pages while a store is away, and after.
async fn absences(lab: &mut Lab, report: &mut Report) -> anyhow::Result<()> {
    for store in [Store::Redis, Store::Postgres] {
        lab.services()?.kill(store).await?;
        let killed = Instant::now();
        for role in [Role::Server, Role::Worker] {
            let door = lab.fleet.door(role, 0)?;
            says(&door, "/ready", 503, |body| names(body, store)).await?;
            says(&door, "/health", 503, |body| is_down(body, "down", store)).await?;
        }
        let told_ms = killed.elapsed().as_millis();
        report.at_most(&format!("{store} away: told after (ms)"), told_ms, TOLD_WITHIN_MS);
        lab.services()?.start(store).await?;
        let back = Instant::now();
        well_again(lab).await?;
        let ready_ms = back.elapsed().as_millis();
        report.at_most(&format!("{store} back: all ready after (ms)"), ready_ms, READY_WITHIN_MS);
    }
    lab.services()?.kill(Store::ClickHouse).await?;
    for role in [Role::Server, Role::Worker] {
        let door = lab.fleet.door(role, 0)?;
        says(&door, "/health", 200, |body| is_down(body, "degraded", Store::ClickHouse)).await?;
        let (ready, _) = door.answer("/ready").await?;
        report.exactly(&format!("{role} ready without clickhouse (status)"), ready, 200);
    }
    lab.services()?.start(Store::ClickHouse).await?;
    well_again(lab).await
}

/// Every process is stopped and started again, one after the other, while checks run.
async fn deploy(lab: &mut Lab, stops: &Stops, report: &mut Report) -> anyhow::Result<()> {
    let secret = sink::new_secret();
    let checks = create(lab, "deploy", stops.checks, stops.interval_s, &secret).await?;
    let checks: Vec<_> = checks.iter().map(Definition::from).collect();
    let mut ends = Ends::default();
    for (role, number) in PROCESSES {
        looked_at_again(lab, &checks).await?;
        ends.stop(lab, role, number).await?;
        lab.fleet.restart(role, number).await?;
    }
    ends.tell("deploy", report);
    looked_at_again(lab, &checks).await?;
    let until_ms = clock::now_ms();

    let api = lab.fleet.api()?;
    let mut accounts = Accounts::read(&api, &checks, until_ms, Duration::ZERO).await?;
    let hits = lab.target.hits().copy();
    accounts.judge(&checks, &hits, until_ms);
    accounts.tell(report);
    report.exactly("slots missed", accounts.figures.missed, 0);
    let seen = judge::hits::judge(&checks, &hits, until_ms);
    report.exactly("slots hit", seen.hit, seen.due);
    report.exactly("duplicate hits", seen.duplicates, 0);
    report.note("start delay p50 / p99 / max (ms)", &seen.delays);
    report.complain(seen.complaints);
    Ok(())
}

/// How the processes of one act left.
#[derive(Default)]
struct Ends {
    count: usize,
    slowest_ms: u128,
    unclean: usize,
}

impl Ends {
    /// Stops a process by one SIGTERM.
    async fn stop(&mut self, lab: &mut Lab, role: Role, number: usize) -> anyhow::Result<()> {
        let asked = Instant::now();
        lab.fleet.term(role, number)?;
        let status = lab.fleet.left(role, number, PATIENCE).await?;
        self.count += 1;
        self.slowest_ms = self.slowest_ms.max(asked.elapsed().as_millis());
        self.unclean += usize::from(!status.success());
        Ok(())
    }

    fn tell(&self, act: &str, report: &mut Report) {
        report.note(&format!("{act}: processes stopped"), self.count);
        let line = u128::from(DEADLINE_S) * 1000 + SLACK_MS;
        report.at_most(&format!("{act}: slowest stop (ms)"), self.slowest_ms, line);
        report.exactly(&format!("{act}: exit codes other than 0"), self.unclean, 0);
    }
}

/// A slow check whose target hangs, and the worker that looks at it.
async fn a_run_under_way(lab: &Lab, name: &str) -> anyhow::Result<(Check, usize)> {
    lab.target.play(name, Plan { fate: Fate::Hang, delay: Duration::ZERO });
    let secret = sink::new_secret();
    let check =
        NewCheck { timeout_ms: SLOW_TIMEOUT_MS, ..a_check(lab, name, SLOW_INTERVAL_S, &secret) };
    let check = lab.fleet.api()?.create(&check).await?;
    hits_of(lab, &check, 1).await?;
    for number in 0..lab.fleet.count(Role::Worker) {
        let metrics = lab.fleet.door(Role::Worker, number)?.metrics().await?;
        if metrics["worker"]["active_jobs"] == 1 {
            return Ok((check, number));
        }
    }
    anyhow::bail!("no worker says that it has a run under way")
}

/// A client that began a request and does not go on. Lasts as long as what is returned.
fn half_a_request(lab: &Lab) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(lab.fleet.address(Role::Server, 0)?)?;
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: ").context("half a request")?;
    Ok(stream)
}

/// Waits for at least `count` hits of a check.
async fn hits_of(lab: &Lab, check: &Check, count: usize) -> anyhow::Result<Vec<Hit>> {
    let find = |hits: &[Hit]| {
        let hits: Vec<_> = hits.iter().filter(|hit| hit.check == check.id).cloned().collect();
        (hits.len() >= count).then_some(hits)
    };
    lab.target.hits().wait_for(&format!("{count} looks at {}", check.name), PATIENCE, find).await
}

/// Waits until every check was looked at again, and the slot after that as well.
async fn looked_at_again(lab: &Lab, checks: &[Definition]) -> anyhow::Result<()> {
    let since_us = clock::now_us();
    let find = |hits: &[Hit]| {
        let mut looks: HashMap<Uuid, usize> = HashMap::new();
        for hit in hits.iter().rev().take_while(|hit| hit.at_us >= since_us) {
            *looks.entry(hit.check).or_default() += 1;
        }
        let twice = checks.iter().all(|check| looks.get(&check.id).is_some_and(|n| *n >= 2));
        twice.then_some(())
    };
    lab.target.hits().wait_for("every check to be looked at twice", PATIENCE, find).await
}

/// Waits until a page of one process answers with this status and such a body.
async fn says(
    door: &Api,
    path: &str,
    status: u16,
    wanted: impl Fn(&Value) -> bool,
) -> anyhow::Result<()> {
    let mut last = String::new();
    eventually(&format!("{path} to say {status}"), PATIENCE, async || {
        let (code, body) = door.answer(path).await?;
        last = format!("{code} {body}");
        Ok((code == status && wanted(&body)).then_some(()))
    })
    .await
    .with_context(|| format!("it said {last}"))
}

/// Whether a `/ready` gives this store as a reason, and what is wrong with it.
fn names(ready: &Value, store: Store) -> bool {
    let prefix = format!("{store}: ");
    let reasons = ready["reasons"].as_array().into_iter().flatten().filter_map(Value::as_str);
    reasons.filter_map(|reason| reason.strip_prefix(&prefix)).any(|reason| !reason.is_empty())
}

/// Whether a `/health` of this status says that the store is down, and how it knows.
fn is_down(health: &Value, status: &str, store: Store) -> bool {
    let told = &health[store.to_string()];
    health["status"] == status
        && told["state"] == "down"
        && told["error"].as_str().is_some_and(|error| !error.is_empty())
}

/// Waits until every process is ready and in good health.
async fn well_again(lab: &Lab) -> anyhow::Result<()> {
    for (role, number) in PROCESSES {
        let door = lab.fleet.door(role, number)?;
        says(&door, "/ready", 200, |body| body["ready"] == true).await?;
        says(&door, "/health", 200, |body| body["status"] == "ok").await?;
    }
    Ok(())
}
