//! Shapes of work for the pipeline, and what their figures must be.

use std::time::Duration;

use crate::report::Goal;
use crate::stack::Stack;
use crate::stages::floor::{self, count};
use crate::target::Scheme;

/// How long after its end a slot of a window may still be looked at.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// So many checks at such an interval, and for how long they are watched.
#[derive(Clone, Debug)]
pub struct Shape {
    /// What it is called.
    pub name: &'static str,
    /// How targets are looked at.
    pub scheme: Scheme,
    /// How many checks.
    pub checks: usize,
    /// Seconds between two slots of a check.
    pub interval_s: u32,
    /// All checks are due when the first process starts, as after a long downtime.
    pub cold: bool,
    /// Starts, each with a window.
    pub rounds: usize,
    /// From a start to its window.
    pub settle: Duration,
    /// The window.
    pub window: Duration,
    /// Looks of the bare loop before and after each window.
    pub floor: floor::Sizes,
    /// What the figures must be.
    pub goals: Goals,
}

/// Goals of a shape, where it has some.
#[derive(Clone, Copy, Debug, Default)]
pub struct Goals {
    /// The floor's CPU a look against the worker's CPU a run.
    pub worker: Option<Goal>,
    /// The CPU of all processes a run against the floor's a look.
    pub all: Option<Goal>,
    /// Median and 99th percentile of the start delay, in milliseconds.
    pub delay: Option<[Goal; 2]>,
    /// How much later runs are at the end of a window than at its beginning, in milliseconds.
    pub drift: Option<Goal>,
    /// Memory per 1,000 checks above 40 MiB, in MiB.
    pub memory: Option<Goal>,
}

impl Shape {
    /// What it is called on a stack.
    #[must_use]
    pub fn title(&self, stack: &Stack) -> String {
        format!("{} {}", stack.name(), self.name)
    }

    /// Runs a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        count(self.checks) / f64::from(self.interval_s)
    }

    /// How long it takes, about.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        let round = self.settle + self.window + GRACE + Duration::from_secs(4);
        let cold = if self.cold { u64::from(self.interval_s) } else { 0 };
        let rounds = u64::try_from(self.rounds).unwrap_or_default();
        rounds * (round.as_secs() + cold) + u64::try_from(self.checks / 20_000).unwrap_or_default()
    }
}
