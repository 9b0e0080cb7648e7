//! Scripted outages: every tenth check fails for a while, whatever else happens meanwhile.
//!
//! An outage ends when each check of it has an open incident, and is over when none has. In the end
//! each must have been one incident, from its first failing slot to its first good one, and both of
//! its edges be told.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use uuid::Uuid;

use super::accounts::Accounts;
use super::{HOOK, of_each};
use crate::client::{Api, Incident};
use crate::clock::eventually;
use crate::judge::{self, Definition};
use crate::report::Report;
use crate::sink::{Delivery, Play, Sink};
use crate::target::{Plan, Target};

/// Every tenth check fails in an outage.
pub const GROUPS: usize = 10;

/// Of so many outages one has alerts that are refused. Those sent again are then taken: refused
/// again and again they would wait for minutes.
const REFUSED: usize = 3;

/// How long everything may take to come right by itself.
pub const PATIENCE: Duration = Duration::from_mins(3);
/// An alert that the sink has refused four times is sent again within six minutes.
const UNTIL_TOLD: Duration = Duration::from_mins(8);

/// See the module.
#[derive(Default)]
pub struct Outages {
    /// How many each check was given.
    begun: HashMap<Uuid, usize>,
    /// How long the targets think before they answer, in an outage and after it.
    delay: Duration,
}

/// The checks that fail together in the outage of this number.
pub fn group(checks: &[Definition], number: usize) -> Vec<Definition> {
    checks.iter().skip(number % GROUPS).step_by(GROUPS).cloned().collect()
}

impl Outages {
    /// Of targets that think before they answer.
    pub fn slow(delay: Duration) -> Self {
        Self { delay, ..Self::default() }
    }

    /// Lets targets be well.
    pub fn heal(&self, target: &Target, group: &[Definition]) {
        self.play(target, group, 200);
    }

    /// Begins an outage.
    pub fn begin(&mut self, target: &Target, group: &[Definition]) {
        self.play(target, group, 500);
        for check in group {
            *self.begun.entry(check.id).or_default() += 1;
        }
    }

    fn play(&self, target: &Target, group: &[Definition], status: u16) {
        for check in group {
            target.play(&check.name, Plan { delay: self.delay, ..Plan::status(status) });
        }
    }

    /// Ends an outage, once it has been noticed; returns when its end has been noticed too.
    pub async fn end(
        &self,
        target: &Target,
        api: &Api,
        group: &[Definition],
    ) -> anyhow::Result<()> {
        incidents_until("every outage to be open", api, group, |incidents| {
            incidents.iter().any(|incident| incident.resolved_at.is_none())
        })
        .await?;
        self.heal(target, group);
        incidents_until("every outage to be over", api, group, |incidents| {
            incidents.iter().all(|incident| incident.resolved_at.is_some())
        })
        .await
    }

    /// One outage after the other until it is `over`; the last one is played to its end. Some
    /// alerts of some are refused, so that some are on their way when something happens.
    pub async fn keep_coming(
        mut self,
        target: &Target,
        sink: &Sink,
        api: &Api,
        checks: &[Definition],
        over: &AtomicBool,
    ) -> anyhow::Result<Self> {
        self.heal(target, checks);
        for number in 0.. {
            if over.load(Ordering::Relaxed) {
                break;
            }
            let group = group(checks, number);
            if number % REFUSED == 0 {
                let times = Some(u32::try_from(group.len().div_ceil(2))?);
                sink.play(HOOK, Play::Refuse { status: 503, times, retry_after_s: None });
            }
            self.begin(target, &group);
            self.end(target, api, &group).await?;
        }
        Ok(self)
    }

    /// Holds the incidents against the script, and against what the runs imply.
    pub fn tell(
        &self,
        checks: &[Definition],
        accounts: &Accounts,
        told: &[Vec<Incident>],
        report: &mut Report,
    ) {
        let mut figures = judge::outages::Figures::default();
        let mut unscripted = 0;
        for ((check, listed), incidents) in checks.iter().zip(&accounts.listings).zip(told) {
            figures.add(judge::outages::judge(check, &listed.runs, incidents));
            let scripted = self.begun.get(&check.id).copied().unwrap_or(0);
            unscripted += usize::from(incidents.len() != scripted);
        }
        report.exactly("incidents", figures.incidents, self.begun.values().sum());
        report.exactly("checks with other incidents than scripted", unscripted, 0);
        report.exactly("checks with two incidents open at once", figures.double_open, 0);
        report.exactly("checks whose incidents are unlike the model", figures.unlike_model, 0);
        report.complain(figures.complaints);
    }
}

/// Three of four checks fail and recover together, again and again until it is `over`; the last
/// outage is played to its end. All targets think before they answer.
pub async fn keep_coming(
    target: &Target,
    api: &Api,
    checks: &[Definition],
    thinking: Duration,
    over: &AtomicBool,
) -> anyhow::Result<Outages> {
    let mut outages = Outages::slow(thinking);
    outages.heal(target, checks);
    let often = checks.iter().enumerate().filter(|(number, _)| number % 4 != 0);
    let often: Vec<_> = often.map(|(_, check)| check.clone()).collect();
    while !over.load(Ordering::Relaxed) {
        outages.begin(target, &often);
        outages.end(target, api, &often).await?;
    }
    Ok(outages)
}

async fn incidents_until(
    what: &str,
    api: &Api,
    group: &[Definition],
    wanted: impl Fn(&[Incident]) -> bool,
) -> anyhow::Result<()> {
    eventually(what, PATIENCE, async || {
        let incidents = of_each(api, group, Api::incidents).await?;
        Ok(incidents.iter().all(|incidents| wanted(incidents)).then_some(()))
    })
    .await
}

/// What the sink was told, once every edge was, or all patience is gone.
pub async fn all_told(sink: &Sink, incidents: &[Incident]) -> judge::deliveries::Figures {
    let judge = |told: &[Delivery]| judge::deliveries::judge(incidents, told);
    let complete = |told: &[Delivery]| (judge(told).lost == 0).then_some(());
    let log = sink.deliveries();
    // The figures say whether it was in vain.
    let _ = log.wait_for("every edge to be told", UNTIL_TOLD, complete).await;
    log.read(judge)
}

/// Puts what the sink was told into the report.
pub fn tell_deliveries(told: judge::deliveries::Figures, report: &mut Report) {
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
