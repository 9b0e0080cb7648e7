//! The server's time, carried forward by a monotonic clock between two looks at it.
//!
//! All servers and workers of one database thus agree on when a slot is due to within a round trip,
//! whatever their own wall clocks say.

use std::sync::Mutex;
use std::time::Instant;

use crate::models::schedule::Slot;
use crate::ports::clock::Clock;

#[derive(Debug)]
struct Reading {
    base_ms: i64,
    at: Instant,
    latest_ms: i64,
}

/// See the module. Until first set it follows this host's clock.
#[derive(Debug)]
pub struct StoreClock(Mutex<Reading>);

impl StoreClock {
    pub(super) fn unset() -> Self {
        let base_ms = Slot::from(chrono::Utc::now()).0;
        Self(Mutex::new(Reading { base_ms, at: Instant::now(), latest_ms: 0 }))
    }

    /// Takes a reading that was asked for at `asked` and has just arrived.
    pub(super) fn set(&self, server_ms: i64, asked: Instant) {
        let half_way = asked + asked.elapsed() / 2;
        let mut reading = self.lock();
        reading.base_ms = server_ms;
        reading.at = half_way;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Reading> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for StoreClock {
    fn now(&self) -> Slot {
        let mut reading = self.lock();
        let elapsed = i64::try_from(reading.at.elapsed().as_millis()).unwrap_or(i64::MAX);
        // A server whose clock steps back makes time stand still here, never run backwards.
        reading.latest_ms = reading.latest_ms.max(reading.base_ms.saturating_add(elapsed));
        Slot(reading.latest_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_clock_that_steps_back_makes_time_stand_still() {
        let clock = StoreClock::unset();
        clock.set(10_000_000_000_000, Instant::now());
        let before = clock.now();

        clock.set(9_000_000_000_000, Instant::now());

        assert_eq!(clock.now(), before);
    }
}
