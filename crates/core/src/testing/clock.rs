//! Time that moves only when told.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::models::schedule::Slot;
use crate::ports::clock::Clock;

/// See the module.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Stands still at `now`.
    #[must_use]
    pub const fn at(now: Slot) -> Self {
        Self(AtomicI64::new(now.0))
    }

    /// Moves on by `ms` milliseconds and returns the new now.
    pub fn advance(&self, ms: i64) -> Slot {
        Slot(self.0.fetch_add(ms, Ordering::SeqCst) + ms)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Slot {
        Slot(self.0.load(Ordering::SeqCst))
    }
}
