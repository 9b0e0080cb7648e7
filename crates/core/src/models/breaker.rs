//! When a receiver that fails is left alone: the rule of a circuit breaker, and its end.
//!
//! Closed, a receiver gets all that is due. After some failures in a row the breaker opens: nothing is
//! tried for a while, what is due waits, and none of it uses up its retries. Then one delivery is tried,
//! the probe: if it arrives the breaker closes, if not the next pause is longer. A receiver that has
//! done nothing but fail for days is given up.

use std::time::Duration;

use chrono::TimeDelta;

use super::schedule::Slot;

/// So many failures in a row open it.
pub const OPENS_AT: u32 = 5;

/// The pauses between probes. The last one is kept, and bounds how late a receiver that is back is told.
pub const PAUSES: [Duration; 4] = [
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(20),
    Duration::from_secs(30),
];

/// After so long of nothing but failures a receiver is given up.
pub const GIVEN_UP_AFTER: TimeDelta = TimeDelta::hours(72);

/// Why a channel was switched off whose receiver wants nothing any more.
pub const GONE: &str = "it answered 410 Gone";
/// Why a channel was switched off that was given up.
pub const GIVEN_UP: &str = "it did nothing but fail for 72 hours";

words! {
    /// What a receiver gets.
    Breaker {
        /// All that is due.
        Closed = "closed",
        /// Nothing, for a while.
        Open = "open",
        /// One delivery, to see whether it is back.
        HalfOpen = "half_open",
    }
}

/// How a receiver has been failing. One that answered well the last time has no such thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failing {
    /// How often in a row; what was under way when the breaker opened is not counted.
    pub failures: u32,
    /// Since when.
    pub since: Slot,
    /// Until when nothing is tried; `None` before the breaker opens for the first time.
    pub open_until: Option<Slot>,
}

impl Failing {
    /// The same after one more failure at `now`.
    #[must_use]
    pub fn again(before: Option<Self>, now: Slot) -> Self {
        let before = before.unwrap_or(Self { failures: 0, since: now, open_until: None });
        if before.breaker(now) == Breaker::Open {
            return before;
        }
        let failures = before.failures.saturating_add(1);
        let open_until = pause(failures).map(|pause| now.plus(millis(pause)));
        Self { failures, open_until, ..before }
    }

    /// What the receiver gets at `now`.
    #[must_use]
    pub fn breaker(&self, now: Slot) -> Breaker {
        breaker(self.open_until, now)
    }

    /// Whether it is time to give it up at `now`.
    #[must_use]
    pub fn is_given_up(&self, now: Slot) -> bool {
        self.failures >= OPENS_AT && now.0 - self.since.0 >= GIVEN_UP_AFTER.num_milliseconds()
    }
}

/// What a receiver gets at `now` that is to be left alone until then.
#[must_use]
pub fn breaker(open_until: Option<Slot>, now: Slot) -> Breaker {
    match open_until {
        None => Breaker::Closed,
        Some(until) if until > now => Breaker::Open,
        Some(_) => Breaker::HalfOpen,
    }
}

fn pause(failures: u32) -> Option<Duration> {
    let beyond = usize::try_from(failures.checked_sub(OPENS_AT)?).unwrap_or(usize::MAX);
    Some(PAUSES[beyond.min(PAUSES.len() - 1)])
}

fn millis(pause: Duration) -> i64 {
    i64::try_from(pause.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After failures at these seconds, one after the other.
    fn failing_at(seconds: &[i64]) -> Failing {
        let at = |seconds: i64| Slot(seconds * 1000);
        let first = Failing::again(None, at(seconds[0]));
        seconds[1..].iter().fold(first, |it, seconds| Failing::again(Some(it), at(*seconds)))
    }

    #[test]
    fn it_opens_with_the_fifth_failure_in_a_row_and_lets_a_probe_pass_after_its_pause() {
        let four = failing_at(&[0, 1, 2, 3]);
        let five = failing_at(&[0, 1, 2, 3, 4]);

        assert_eq!(four.breaker(Slot(9_999_999)), Breaker::Closed);
        assert_eq!((five.failures, five.open_until), (5, Some(Slot(9_000))));
        assert_eq!(five.breaker(Slot(8_999)), Breaker::Open);
        assert_eq!(five.breaker(Slot(9_000)), Breaker::HalfOpen);
    }

    #[test]
    fn pauses_grow_to_the_last_with_each_probe_that_fails() {
        let mut it = failing_at(&[0, 0, 0, 0, 0]);
        let mut pauses = Vec::new();
        for _ in 0..6 {
            let until = it.open_until.unwrap();
            it = Failing::again(Some(it), until);
            pauses.push((it.open_until.unwrap().0 - until.0) / 1000);
        }

        assert_eq!(pauses, [10, 20, 30, 30, 30, 30]);
    }

    #[test]
    fn what_was_under_way_when_it_opened_prolongs_nothing() {
        let five = failing_at(&[0, 0, 0, 0, 0]);

        assert_eq!(Failing::again(Some(five), Slot(4_999)), five);
    }

    #[test]
    fn a_receiver_is_given_up_after_72_hours_of_several_failures() {
        let hours = |hours: i64| Slot(hours * 3_600_000);
        let five = failing_at(&[0, 0, 0, 0, 0]);

        assert!(!five.is_given_up(Slot(hours(72).0 - 1)));
        assert!(five.is_given_up(hours(72)));
        assert!(!failing_at(&[0, 0, 0, 0]).is_given_up(hours(100)), "that is too few to know");
        assert!(Failing::again(Some(failing_at(&[0])), hours(100)).since == Slot(0));
    }

    #[test]
    fn no_number_of_failures_is_too_large() {
        let many = Failing { failures: u32::MAX, since: Slot(0), open_until: None };

        assert_eq!(Failing::again(Some(many), Slot(1)).open_until, Some(Slot(30_001)));
    }
}
