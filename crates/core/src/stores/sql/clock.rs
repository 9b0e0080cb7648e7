//! The store's time, carried forward by a monotonic clock between two looks at it.
//!
//! All servers and workers of one database thus agree on when a slot is due to within a round trip,
//! whatever their own wall clocks say.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::models::schedule::Slot;
use crate::ports::clock::Clock;

/// An answer that took longer tells the time too vaguely.
const SLOWEST: Duration = Duration::from_millis(250);
/// A clock that is off by this much has been set, not drifted.
const STEP_MS: i64 = 5_000;

#[derive(Debug)]
struct Reading {
    base_ms: i64,
    at: Instant,
    latest_ms: i64,
    is_servers: bool,
}

/// See the module. Until first set it follows this host's clock.
#[derive(Debug)]
pub struct StoreClock {
    store: &'static str,
    reading: Mutex<Reading>,
}

impl StoreClock {
    pub(in crate::stores) fn unset(store: &'static str) -> Self {
        let base_ms = Slot::from(chrono::Utc::now()).0;
        let reading = Reading { base_ms, at: Instant::now(), latest_ms: 0, is_servers: false };
        Self { store, reading: Mutex::new(reading) }
    }

    /// Takes a reading that was asked for at `asked` and has just arrived.
    pub(in crate::stores) fn set(&self, server_ms: i64, asked: Instant) {
        let way = asked.elapsed();
        let half_way = asked + way / 2;
        let mut reading = self.lock();
        if !reading.is_servers {
            // What this host's clock said before is nothing to hold on to.
            reading.is_servers = true;
            reading.latest_ms = 0;
        } else if way > SLOWEST {
            return;
        }
        let expected = reading.base_ms.saturating_add(ms(reading.at.elapsed()));
        let step_ms = server_ms.saturating_add(ms(half_way.elapsed())) - expected;
        if reading.latest_ms > 0 && step_ms.abs() >= STEP_MS {
            tracing::warn!(step_ms, store = self.store, "the store's clock has stepped");
        }
        reading.base_ms = server_ms;
        reading.at = half_way;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Reading> {
        self.reading.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

impl Clock for StoreClock {
    fn now(&self) -> Slot {
        let mut reading = self.lock();
        let elapsed = ms(reading.at.elapsed());
        // A server whose clock steps back makes time stand still here, never run backwards.
        reading.latest_ms = reading.latest_ms.max(reading.base_ms.saturating_add(elapsed));
        Slot(reading.latest_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_clock_that_ran_ahead_is_forgotten_with_the_first_word_of_the_server() {
        let clock = StoreClock::unset("test");
        let ours = clock.now();

        clock.set(ours.0 - 600_000, Instant::now());

        assert!(clock.now() < ours);
    }

    #[test]
    fn a_server_clock_that_steps_back_makes_time_stand_still() {
        let clock = StoreClock::unset("test");
        clock.set(10_000_000_000_000, Instant::now());
        let before = clock.now();

        clock.set(9_000_000_000_000, Instant::now());

        assert_eq!(clock.now(), before);
    }
}
