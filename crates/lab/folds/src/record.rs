//! What is written of one step. An absent number is -1.

use pulse_core::models::health::{Health, State, Transition};
use pulse_core::models::ledger::Ledger;
use pulse_core::models::run::{MissedReason, Outcome, Run};
use pulse_core::models::schedule::Slot;

/// Most gaps that one step finds: the slot under way, and those behind the newest.
const GAPS: usize = 2;

/// The bytes of a step, added field by field.
#[derive(Debug, Default)]
pub struct Record(Vec<u8>);

impl Record {
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn byte(&mut self, byte: u8) -> &mut Self {
        self.0.push(byte);
        self
    }

    pub fn int(&mut self, int: u32) -> &mut Self {
        self.0.extend(int.to_le_bytes());
        self
    }

    pub fn long(&mut self, long: i64) -> &mut Self {
        self.0.extend(long.to_le_bytes());
        self
    }

    pub fn slot(&mut self, slot: Option<Slot>) -> &mut Self {
        self.long(slot.map_or(-1, |slot| slot.0))
    }

    /// State, failures in a row, and since when.
    pub fn health(&mut self, health: &Health) -> &mut Self {
        self.byte(state(health.state)).int(health.failures).slot(health.failing_since)
    }

    /// What state it is now, 0 for no edge; and the slot.
    pub fn transition(&mut self, transition: Option<Transition>) -> &mut Self {
        match transition {
            None => self.byte(0).slot(None),
            Some(Transition { to, at }) => self.byte(state(to)).slot(Some(at)),
        }
    }

    /// Next slot, the one under way and until when, the last.
    pub fn ledger(&mut self, ledger: &Ledger) -> &mut Self {
        self.slot(ledger.next)
            .slot(ledger.outstanding.map(|it| it.slot))
            .slot(ledger.outstanding.map(|it| it.until))
            .slot(ledger.last)
    }

    /// First slot, how many, and why, of each row of missed ones.
    pub fn gaps(&mut self, missed: &[Run]) -> &mut Self {
        for place in 0..GAPS {
            match missed.get(place) {
                None => self.slot(None).int(0).byte(0),
                Some(run) => self.slot(Some(run.slot)).int(run.slots).byte(reason(run.outcome)),
            };
        }
        self
    }
}

const fn state(state: State) -> u8 {
    match state {
        State::Pending => 0,
        State::Up => 1,
        State::Down => 2,
        State::Degraded => 3,
    }
}

fn reason(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Missed(MissedReason::Lost) => 1,
        Outcome::Missed(MissedReason::Late) => 2,
        _ => u8::MAX,
    }
}
