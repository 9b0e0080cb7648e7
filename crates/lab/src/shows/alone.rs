//! One process and an empty folder: the first look, an outage, Ctrl-C, and everything still there.

use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::Value;

use super::accounts::Accounts;
use super::outages::{self, PATIENCE};
use super::{HOOK, Show, a_check};
use crate::client::{Api, Check, Incident, NewCheck, Outcome, Run};
use crate::clock::{self, eventually};
use crate::data;
use crate::fleet::Role;
use crate::judge::{self, Definition};
use crate::lab::{self, Cast, Lab, Players};
use crate::report::Report;
use crate::sink;
use crate::target::Plan;

const NAME: &str = "homepage";

/// Pass line: from the request that creates a check to its first good run in the API.
const FIRST_RUN_WITHIN_MS: u128 = 2_000;
/// Pass line: from Ctrl-C to the end, with nothing slow in hand.
const STOPPED_WITHIN_MS: u128 = 2_000;

/// The show's shape.
#[derive(Clone, Debug)]
pub struct Alone {
    /// Leaves logs and data on the disk.
    pub keep: bool,
}

/// As the command line knows it.
pub(super) const SHOW: Show = Show {
    name: "alone",
    usage: "one pulse on its own files, from an empty folder over a restart",
    ask: |options| {
        let show = Alone { keep: options.yes("keep") };
        Box::pin(async move { alone(&show).await })
    },
};

/// Plays one process alone.
pub async fn alone(alone: &Alone) -> anyhow::Result<Report> {
    lab::stage(Cast { players: Players::Alone, keep: alone.keep }, async |lab| {
        let mut report = Report::new("alone: one pulse, from an empty folder over a restart");
        let check = first_look(lab, &mut report).await?;
        let api = lab.fleet.api()?;
        outage(lab, &api, &check).await?;
        lab.target.play(NAME, Plan::status(500));
        incident_until(&api, &check, "the second outage to be open", |it| it.len() == 2).await?;
        let before = Told::of(&api, &check).await?;

        interruption(lab, &mut report).await?;
        lab.fleet.restart(Role::Whole, 0).await?;

        Told::of(&api, &check).await?.after(&before, &mut report);
        lab.target.play(NAME, Plan::status(200));
        books(lab, &api, &check, &mut report).await?;
        Ok(report)
    })
    .await
}

async fn first_look(lab: &Lab, report: &mut Report) -> anyhow::Result<Check> {
    let api = lab.fleet.api()?;
    let secret = sink::new_secret();
    lab.sink.trust(HOOK, &secret);
    // One failure is an incident, so a look must not be late because the machine is busy.
    let check = NewCheck { alert_threshold: 1, timeout_ms: 800, ..a_check(lab, NAME, 1, &secret) };

    let asked = Instant::now();
    let check = api.create(&check).await?;
    eventually("the first good run", PATIENCE, async || {
        let runs = api.runs(check.id).await?;
        Ok(runs.iter().any(|run| run.outcome == Outcome::Ok).then_some(()))
    })
    .await?;

    report.at_most(
        "first good run visible after (ms)",
        asked.elapsed().as_millis(),
        FIRST_RUN_WITHIN_MS,
    );
    Ok(check)
}

async fn outage(lab: &Lab, api: &Api, check: &Check) -> anyhow::Result<()> {
    lab.target.play(NAME, Plan::status(500));
    incident_until(api, check, "the outage to be open", |it| it.len() == 1).await?;
    lab.target.play(NAME, Plan::status(200));
    incident_until(api, check, "the outage to be over", |it| {
        it.iter().all(|incident| incident.resolved_at.is_some())
    })
    .await
}

async fn incident_until(
    api: &Api,
    check: &Check,
    what: &str,
    wanted: impl Fn(&[Incident]) -> bool,
) -> anyhow::Result<()> {
    eventually(what, PATIENCE, async || Ok(wanted(&api.incidents(check.id).await?).then_some(())))
        .await
}

/// Ctrl-C. Afterwards the files must be whole, and nothing be left in a write-ahead log.
async fn interruption(lab: &mut Lab, report: &mut Report) -> anyhow::Result<()> {
    let asked = Instant::now();
    lab.fleet.interrupt(Role::Whole, 0)?;
    let status = lab.fleet.left(Role::Whole, 0, Duration::from_secs(30)).await?;
    report.at_most("Ctrl-C to the end (ms)", asked.elapsed().as_millis(), STOPPED_WITHIN_MS);
    report.exactly("exit code", status.code().unwrap_or(-1), 0);
    let faults = data::faults(&lab.data).await?;
    report.exactly("databases not whole", faults.len(), 0);
    report.complain(faults);
    Ok(())
}

/// What the API tells of the check.
struct Told {
    check: Value,
    runs: Vec<Run>,
    incidents: Vec<Incident>,
    alerts: usize,
}

impl Told {
    async fn of(api: &Api, check: &Check) -> anyhow::Result<Self> {
        let (status, mut body) = api.answer(&format!("/checks/{}", check.id)).await?;
        anyhow::ensure!(status == 200, "the check is answered {status}: {body}");
        let fields = body.as_object_mut().context("a check is an object")?;
        // These move with every run.
        for moving in ["next_run_at", "last_run_at"] {
            fields.remove(moving).with_context(|| format!("a check without {moving}"))?;
        }
        Ok(Self {
            check: body,
            runs: api.runs(check.id).await?,
            incidents: api.incidents(check.id).await?,
            alerts: api.alerts(check.id).await?.len(),
        })
    }

    /// Holds what is told after the restart against what was told `before` it.
    fn after(&self, before: &Self, report: &mut Report) {
        report.exactly("check told the same", self.check == before.check, true);
        report.note("its version", &self.check["version"]);
        let slots = |runs: &[Run]| runs.iter().map(Run::slot_ms).collect::<Vec<_>>();
        let known = slots(&self.runs);
        let gone = slots(&before.runs).into_iter().filter(|slot| !known.contains(slot)).count();
        report.note("runs before", before.runs.len());
        report.exactly("of them gone", gone, 0);
        let ids = |told: &Self| told.incidents.iter().map(|it| it.id).collect::<Vec<_>>();
        report.exactly("the same incidents", ids(self) == ids(before), true);
        report.exactly("alerts", self.alerts, before.alerts);
    }
}

/// The outage that outlived the restart ends, and then everything must add up.
async fn books(lab: &Lab, api: &Api, check: &Check, report: &mut Report) -> anyhow::Result<()> {
    incident_until(api, check, "the second outage to be over", |it| {
        it.iter().all(|incident| incident.resolved_at.is_some())
    })
    .await?;
    let checks = [Definition::from(check)];
    let until_ms = clock::now_ms();
    let mut accounts = Accounts::read(api, &checks, until_ms, Duration::ZERO).await?;
    let hits = lab.target.hits().copy();
    accounts.judge(&checks, &hits, until_ms);
    accounts.tell(report);
    report.exactly("duplicate hits", judge::hits::judge(&checks, &hits, until_ms).duplicates, 0);
    let incidents = api.incidents(check.id).await?;
    report.exactly("incidents in all", incidents.len(), 2);
    outages::tell_deliveries(outages::all_told(&lab.sink, &incidents).await, report);
    Ok(())
}
