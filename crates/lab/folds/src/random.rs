//! Random walks through ledger and health, as scheduler and recorder take them.
//!
//! A tree is a trunk of steps, then branches that fork at every step: its leaves are so many
//! sequences that share what is before. A step claims what is due after some time, hands in a result
//! (of the slot under way, of one that was never committed, of one long over, of none at all), or
//! asks for a run now.

use std::io::{self, Write};

use pulse_core::models::check_region::CheckRegion;
use pulse_core::models::health::{Health, Thresholds};
use pulse_core::models::ids::{CheckId, ProjectId, Region};
use pulse_core::models::job::RunResult;
use pulse_core::models::ledger::Ledger;
use pulse_core::models::run::{FailClass, InconclusiveReason, MissedReason, Outcome};
use pulse_core::models::schedule::{Schedule, Slot};
use pulse_core::models::traits::Marks;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

use crate::record::Record;

/// Steps before the first fork.
pub const TRUNK: u8 = 32;
/// Forks from there to a leaf.
pub const BRANCHES: u8 = 14;

const REGION: &str = Region::DEFAULT;

pub struct Forest {
    pub seed: u64,
    pub trees: u64,
}

impl Forest {
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut random = StdRng::seed_from_u64(self.seed);
        for _ in 0..self.trees {
            let root = Node::draw(&mut random);
            let mut record = Record::default();
            record.long(root.it.schedule.interval_ms()).long(root.phase_ms);
            let Thresholds { failing, window, recovering } = root.it.thresholds;
            record.int(root.it.timeout_ms).int(failing).int(window.unwrap_or(0)).int(recovering);
            record.slot(root.it.ledger.next);
            out.write_all(record.bytes())?;
            root.grow(out, &mut random, 1)?;
        }
        Ok(())
    }
}

#[derive(Clone)]
struct Node {
    it: CheckRegion,
    now: Slot,
    /// What the schedule was made of; it does not tell.
    phase_ms: i64,
}

enum Step {
    Claim,
    Settle(Slot, Outcome),
    MakeDue,
}

impl Node {
    fn draw(random: &mut StdRng) -> Self {
        let interval_ms = random.random_range(500..=60_000_i64);
        let phase_ms = random.random_range(0..interval_ms);
        let check = CheckId(Uuid::from_u64_pair(0, phase_ms.unsigned_abs()));
        let now = Slot(random.random_range(0..interval_ms * 10));
        let mut ledger = Ledger::default();
        ledger.make_due(now);
        let it = CheckRegion {
            check_id: check,
            region: Region::parse(REGION).unwrap_or_default(),
            project_id: ProjectId::DEFAULT,
            version: 1,
            schedule: Schedule::new(check, interval_ms),
            timeout_ms: u32::try_from(random.random_range(1..interval_ms)).unwrap_or(1),
            thresholds: thresholds(random),
            ledger,
            health: Health::default(),
            marks: Marks::default(),
        };
        Self { it, now, phase_ms }
    }

    fn grow(&self, out: &mut impl Write, random: &mut StdRng, depth: u8) -> io::Result<()> {
        if depth > TRUNK + BRANCHES {
            return Ok(());
        }
        let forks = if depth <= TRUNK { 1 } else { 2 };
        for _ in 0..forks {
            let mut after = self.clone();
            let record = after.step(random, depth);
            out.write_all(record.bytes())?;
            after.grow(out, random, depth + 1)?;
        }
        Ok(())
    }

    fn step(&mut self, random: &mut StdRng, depth: u8) -> Record {
        let mut record = Record::default();
        record.byte(depth);
        match self.next_step(random) {
            Step::Claim => self.claim(&mut record),
            Step::Settle(slot, outcome) => self.settle(slot, outcome, &mut record),
            Step::MakeDue => {
                record.byte(2).slot(Some(self.now)).byte(0);
                self.it.ledger.make_due(self.now);
                record.byte(1).slot(None).long(-1).gaps(&[]).transition(None);
            }
        }
        record.ledger(&self.it.ledger).health(&self.it.health);
        record
    }

    fn claim(&mut self, record: &mut Record) {
        record.byte(0).slot(Some(self.now)).byte(0);
        match self.it.claim(self.now.into()) {
            None => record.byte(0).slot(None).long(-1).gaps(&[]),
            Some((job, missed)) => {
                record.byte(1).slot(Some(job.slot)).long(job.start_within_ms).gaps(&missed)
            }
        };
        record.transition(None);
    }

    fn settle(&mut self, slot: Slot, outcome: Outcome, record: &mut Record) {
        record.byte(1).slot(Some(slot)).byte(kind(outcome));
        let result = RunResult {
            check_id: self.it.check_id,
            region: self.it.region.clone(),
            slot,
            attempt: 1,
            outcome,
            observation: None,
        };
        match self.it.settle(&result) {
            None => record.byte(0).slot(None).long(-1).gaps(&[]).transition(None),
            Some(settled) => {
                let missed = &settled.runs[..settled.runs.len().saturating_sub(1)];
                record.byte(1).slot(settled.runs.last().map(|run| run.slot)).long(-1).gaps(missed);
                record.transition(settled.transition)
            }
        };
    }

    fn next_step(&mut self, random: &mut StdRng) -> Step {
        let interval_ms = self.it.schedule.interval_ms();
        // Often a little later, seldom much; and now and then the clock stands still.
        let reach_ms = [interval_ms / 4, interval_ms, 4 * interval_ms, 20_000];
        let reach_ms = reach_ms[random.random_range(0..reach_ms.len())];
        let ahead_ms = random.random_range(0..=reach_ms);
        self.now = self.now.plus(ahead_ms.min(40 * interval_ms));
        match random.random_range(0..100) {
            0..46 => Step::Claim,
            46..52 => Step::MakeDue,
            _ => Step::Settle(self.slot(random), outcome(random)),
        }
    }

    /// Of which slot a result comes.
    fn slot(&self, random: &mut StdRng) -> Slot {
        let Ledger { next, outstanding, last } = self.it.ledger;
        let next = next.unwrap_or(self.now);
        let due = self.it.schedule.due(next, self.now).map(|due| due.slot);
        match random.random_range(0..10) {
            0..6 => outstanding.map(|it| it.slot).or(due).unwrap_or(next),
            6 => due.unwrap_or(next),
            7 => last.unwrap_or(next),
            8 => self.it.schedule.following(next),
            _ => self
                .now
                .plus(random.random_range(-self.it.schedule.interval_ms()..1).max(-self.now.0)),
        }
    }
}

fn thresholds(random: &mut StdRng) -> Thresholds {
    let failing = random.random_range(1..=5);
    let window = random.random_bool(0.5).then(|| failing + random.random_range(0..=4));
    Thresholds { failing, window, recovering: random.random_range(1..=3) }
}

fn outcome(random: &mut StdRng) -> Outcome {
    match random.random_range(0..100) {
        0..30 => Outcome::Ok,
        30..45 => Outcome::Degraded,
        45..88 => Outcome::Fail(FailClass::Timeout),
        88..94 => Outcome::Inconclusive(InconclusiveReason::Local),
        _ => Outcome::Missed(MissedReason::WorkerCrash),
    }
}

fn kind(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Ok => 0,
        Outcome::Fail(_) => 1,
        Outcome::Inconclusive(_) => 2,
        Outcome::Missed(_) => 3,
        Outcome::Degraded => 4,
    }
}
