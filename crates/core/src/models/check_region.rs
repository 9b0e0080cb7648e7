//! A check in one region: its slot ledger and its health, moving together.
//!
//! Every store loads one of these under a lock, calls one method and writes it back with the runs
//! that came of it. What the methods return is all there is to tell: history, jobs, transitions.

use super::check::{Check, CheckConfig};
use super::health::{Health, Thresholds, Transition};
use super::heartbeat::Arrival;
use super::ids::{CheckId, ProjectId, Region};
use super::job::{Job, RunResult};
use super::ledger::{Gap, Ledger};
use super::run::{MissedReason, Observation, Outcome, Run};
use super::schedule::{Reach, Schedule, Slot};
use super::traits::Marks;

/// See the module.
#[derive(Clone, Debug)]
pub struct CheckRegion {
    /// The check.
    pub check_id: CheckId,
    /// The region.
    pub region: Region,
    /// The tenant.
    pub project_id: ProjectId,
    /// Which configuration the rest was copied from.
    pub version: i32,
    /// The grid.
    pub schedule: Schedule,
    /// Limit of a run, in milliseconds.
    pub timeout_ms: u32,
    /// What makes an outage, and what ends it.
    pub thresholds: Thresholds,
    /// The slots.
    pub ledger: Ledger,
    /// The health.
    pub health: Health,
    /// What was last seen of what may change.
    pub marks: Marks,
}

/// A slot that got its outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// The run, and before it what was found missing on the way.
    pub runs: Vec<Run>,
    /// The edge it made, if it made one.
    pub transition: Option<Transition>,
}

impl CheckRegion {
    /// A region that has not been looked from, due at `now` unless the check is paused or waits.
    #[must_use]
    pub fn new(check: &Check, region: Region, now: Slot) -> Self {
        let mut new = Self {
            check_id: check.id,
            region,
            project_id: check.project_id,
            version: check.version,
            schedule: check.schedule(),
            timeout_ms: check.config.run_limit_ms(),
            thresholds: check.config.thresholds(),
            ledger: Ledger::default(),
            health: Health::default(),
            marks: Marks::default(),
        };
        if check.config.enabled {
            new.begin(check, now);
        }
        new
    }

    fn begin(&mut self, check: &Check, now: Slot) {
        if check.config.is_looked_at() {
            self.ledger.make_due(now);
        }
    }

    /// The job for the newest due slot, and what was found missing; `None` when nothing is due.
    pub fn claim(&mut self, reach: Reach) -> Option<(Job, Vec<Run>)> {
        let claimed = self.ledger.claim(self.schedule, reach, self.timeout_ms.into())?;
        let job = Job {
            check_id: self.check_id,
            region: self.region.clone(),
            slot: claimed.slot,
            version: self.version,
            timeout_ms: self.timeout_ms,
            due_in_ms: claimed.due_in_ms,
            start_within_ms: claimed.start_within_ms,
        };
        Some((job, claimed.gaps.into_iter().map(|gap| self.missed(gap)).collect()))
    }

    /// Takes a result: settles its slot and folds its outcome; `None` when it is stale.
    pub fn settle(&mut self, result: &RunResult) -> Option<Settled> {
        let gaps = self.ledger.settle(self.schedule, result.slot)?;
        let transition = self.health.observe(result.slot, result.outcome, self.thresholds);
        let mut runs: Vec<Run> = gaps.into_iter().map(|gap| self.missed(gap)).collect();
        runs.push(Run {
            project_id: self.project_id,
            check_id: self.check_id,
            region: self.region.clone(),
            slot: result.slot,
            slots: 1,
            outcome: result.outcome,
            attempt: result.attempt,
            observation: result.observation.as_ref().map(Observation::for_history),
        });
        Some(Settled { runs, transition })
    }

    /// Takes an outcome that came by itself, and folds it.
    pub fn receive(&mut self, arrival: &Arrival) -> Settled {
        let slot = self.ledger.receive(arrival.at);
        let transition = self.health.observe(slot, arrival.outcome, self.thresholds);
        let run = Run {
            project_id: self.project_id,
            check_id: self.check_id,
            region: self.region.clone(),
            slot,
            slots: 1,
            outcome: arrival.outcome,
            attempt: 1,
            observation: Some(arrival.observation.clone()),
        };
        Settled { runs: vec![run], transition }
    }

    /// Takes over a new configuration. A slot under way is closed when it no longer answers the question.
    pub fn reconfigure(&mut self, before: &CheckConfig, after: &Check, now: Slot) -> Option<Run> {
        self.version = after.version;
        self.timeout_ms = after.config.run_limit_ms();
        self.thresholds = after.config.thresholds();
        self.schedule = after.schedule();
        if !after.config.enabled {
            return self.stop(MissedReason::Paused);
        }
        if !before.enabled {
            self.begin(after, now);
            return None;
        }
        if !before.looks_differently(&after.config) {
            return None;
        }
        let closed = self.ledger.stop(MissedReason::Edited);
        self.begin(after, now);
        // What was counted of what was looked at before says nothing of what is looked at now.
        self.health.begin_anew();
        self.marks = Marks::default();
        closed.map(|gap| self.missed(gap))
    }

    /// Takes somebody's word for it that what was wrong here is over: what was counted is forgotten, and the
    /// next look is due at `now`. What is under way began before, and counts no more. What there is to tell;
    /// `None` where nothing was wrong.
    pub fn take_for_over(&mut self, now: Slot) -> Option<Vec<Run>> {
        if !self.health.take_for_over() {
            return None;
        }
        let closed = self.ledger.close(MissedReason::Edited);
        // Nothing is ever due where nobody looks.
        if self.ledger.next.is_some() {
            self.ledger.make_due(now);
        }
        Some(closed.map(|gap| self.missed(gap)).into_iter().collect())
    }

    /// Nothing is due any more and nothing is known: paused, deleted, or no longer looked from here.
    pub fn stop(&mut self, reason: MissedReason) -> Option<Run> {
        self.health = Health::default();
        self.ledger.stop(reason).map(|gap| self.missed(gap))
    }

    fn missed(&self, gap: Gap) -> Run {
        Run {
            project_id: self.project_id,
            check_id: self.check_id,
            region: self.region.clone(),
            slot: gap.from,
            slots: gap.slots,
            outcome: Outcome::Missed(gap.reason),
            attempt: 0,
            observation: None,
        }
    }
}
