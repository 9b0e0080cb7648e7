//! Turns outcomes into health, and health into something to tell.
//!
//! A pure fold: the same outcomes in the same order always give the same incidents. Who stores it
//! and who is told is decided elsewhere.
//!
//! Three [`Thresholds`] decide: N failing slots, in a row or among the last M where a window is set,
//! make an outage; K good ones in a row end it. Good is what is not failing: `ok` and `degraded`.
//!
//! | state | what comes | makes it |
//! | --- | --- | --- |
//! | any but `down` | the Nth failing slot of a row, or of the window | `down`, since the first of the row, or the oldest in the window |
//! | `pending`, `up` | else the Nth slot, counted likewise, that is failing or degraded | `degraded`, since the first of these |
//! | `pending` | `ok` | `up` |
//! | `degraded` | the Kth `ok` of a row | `up`, as of the first of that row |
//! | `down` | the Kth good slot of a row | recovered, as of the first of that row: `up` when the last K are `ok`, else `degraded` |
//!
//! Nothing else moves it. Slots that nobody looked at, and looks that told nothing, neither count
//! nor break a row, nor take a place in the window. A window begins anew after a recovery: no failing
//! slot belongs to two outages. Nor is a degraded one counted again once the check is up. Whether a
//! check is down never depends on what is degraded: read every `degraded` as `ok`, and the outages
//! are the same.

mod trail;

use super::run::Outcome;
use super::schedule::Slot;

pub use trail::{Judged, Trail};

words! {
    /// What is known of a check in one region.
    State {
        /// Nobody has looked yet, or too little is known.
        Pending = "pending",
        /// Well, or not often enough unwell.
        Up = "up",
        /// Alive, and less than well often enough.
        Degraded = "degraded",
        /// Failed often enough, and not well again since.
        Down = "down",
    }
}

/// How many slots it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Failing slots that make an outage: N.
    pub failing: u32,
    /// Among how many of the last judged ones: M, at least N. `None` for N in a row.
    pub window: Option<u32>,
    /// Good slots in a row that end it: K.
    pub recovering: u32,
}

/// The health of a check in one region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// What is known.
    pub state: State,
    /// Failures in a row, `missed` and `inconclusive` slots between them not counted.
    pub failures: u32,
    /// The first failing slot of that row.
    pub failing_since: Option<Slot>,
    /// What else is counted: nothing, for a check that fails in a row and recovers at once.
    pub trail: Trail,
}

impl Default for Health {
    fn default() -> Self {
        Self { state: State::Pending, failures: 0, failing_since: None, trail: Trail::default() }
    }
}

/// An edge that people may want to hear of: into `degraded` or `down`, or out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// What is known from here on; never `pending`.
    pub to: State,
    /// As of when: the first slot of the row that made it so, or the oldest such slot in the window.
    pub at: Slot,
}

impl Health {
    /// Folds in the outcome of the next slot.
    ///
    /// Slots come in order, each once: the ledger sees to that.
    pub fn observe(&mut self, slot: Slot, outcome: Outcome, by: Thresholds) -> Option<Transition> {
        match outcome {
            Outcome::Ok => self.judge(slot, Judged::Ok, by),
            Outcome::Degraded => self.judge(slot, Judged::Degraded(slot), by),
            Outcome::Fail(_) => self.judge(slot, Judged::Failed(slot), by),
            // We did not look, or could not tell: we learned nothing.
            Outcome::Inconclusive(_) | Outcome::Missed(_) => None,
        }
    }

    /// Forgets what was counted, and keeps the state: from here on something else is looked at.
    pub fn begin_anew(&mut self) {
        *self = Self { state: self.state, ..Self::default() };
    }

    /// Takes somebody's word for it that what was wrong is over: what was counted is forgotten, and it is judged
    /// anew. Whether anything was wrong.
    pub fn take_for_over(&mut self) -> bool {
        let was_unwell = matches!(self.state, State::Down | State::Degraded);
        if was_unwell {
            *self = Self::default();
        }
        was_unwell
    }

    fn judge(&mut self, slot: Slot, judged: Judged, by: Thresholds) -> Option<Transition> {
        self.count(slot, judged);
        if self.state == State::Down {
            return self.recover(slot, judged, by);
        }
        self.trail.look_back_on(judged, by.window);
        match judged {
            Judged::Ok => self.improve(slot, by),
            Judged::Degraded(_) => self.worsen(by),
            Judged::Failed(_) => self.go_down(by).or_else(|| self.worsen(by)),
        }
    }

    /// Counts the failures in a row, and how long it has been less than well.
    fn count(&mut self, slot: Slot, judged: Judged) {
        if let Judged::Failed(_) = judged {
            self.failures = self.failures.saturating_add(1);
            self.failing_since.get_or_insert(slot);
            return;
        }
        if judged == Judged::Ok {
            (self.trail.unwell, self.trail.unwell_since) = (0, None);
        } else {
            self.trail.unwell_since = Some(self.unwell_since().unwrap_or(slot));
            self.trail.unwell = self.unwell_in_a_row().saturating_add(1);
        }
        self.failures = 0;
        self.failing_since = None;
    }

    fn unwell_in_a_row(&self) -> u32 {
        self.trail.unwell.saturating_add(self.failures)
    }

    fn unwell_since(&self) -> Option<Slot> {
        self.trail.unwell_since.or(self.failing_since)
    }

    fn go_down(&mut self, by: Thresholds) -> Option<Transition> {
        let (failing, since) = match by.window {
            None => (self.failures, self.failing_since),
            Some(_) => self.trail.failing(),
        };
        let since = since.filter(|_| failing >= by.failing)?;
        self.state = State::Down;
        self.trail = Trail::default();
        Some(Transition { to: State::Down, at: since })
    }

    fn worsen(&mut self, by: Thresholds) -> Option<Transition> {
        self.trail.end_ok();
        let (unwell, since) = match by.window {
            None => (self.unwell_in_a_row(), self.unwell_since()),
            Some(_) => self.trail.unwell_in_window(),
        };
        let at = since.filter(|_| self.state != State::Degraded && unwell >= by.failing)?;
        self.state = State::Degraded;
        Some(Transition { to: State::Degraded, at })
    }

    fn improve(&mut self, slot: Slot, by: Thresholds) -> Option<Transition> {
        if self.state != State::Degraded {
            self.state = State::Up;
            return None;
        }
        let (ok, at) = self.trail.another_ok(slot);
        if ok < by.recovering {
            return None;
        }
        self.trail.end_degraded(slot);
        self.state = State::Up;
        Some(Transition { to: State::Up, at })
    }

    /// What comes while it is down: good slots until there are enough of them in a row.
    fn recover(&mut self, slot: Slot, judged: Judged, by: Thresholds) -> Option<Transition> {
        if let Judged::Failed(_) = judged {
            self.trail = Trail::default();
            return None;
        }
        let (good, at) = self.trail.recover(slot, judged);
        if good < by.recovering {
            return None;
        }
        let Trail { ok, ok_since, .. } = std::mem::take(&mut self.trail);
        self.state = State::Up;
        if ok < by.recovering {
            self.state = State::Degraded;
            self.trail = Trail { ok, ok_since, ..Trail::default() };
        }
        Some(Transition { to: self.state, at })
    }
}

#[cfg(test)]
mod tests;
