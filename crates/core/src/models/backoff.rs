//! When a delivery is tried again.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// Waits before the second, third, ... attempt. Dense at first, because an alert is worth most
/// early; about 42 hours in all.
pub const RETRY_DELAYS: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_mins(1),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(24),
];

/// The longest `Retry-After` that is honoured as asked.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(1);

/// How long to wait after attempt number `attempt` (from 1) failed; `None` when the schedule has ended.
///
/// `jitter` in 0..1 spreads the wait over 80 % to 120 %, so that receivers are not hit in step.
/// A `retry_after` lengthens the wait, never shortens it, and up to an hour only.
#[must_use]
pub fn next_delay(attempt: u32, retry_after: Option<Duration>, jitter: f64) -> Option<Duration> {
    let index = usize::try_from(attempt).ok()?.checked_sub(1)?;
    let base = RETRY_DELAYS.get(index)?.mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0));
    let asked = retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER);
    Some(base.max(asked))
}

/// Reads a `Retry-After` value (RFC 9110, section 10.2.3): whole seconds or an HTTP date.
#[must_use]
pub fn parse_retry_after(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit are still a number: a very long time.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = DateTime::parse_from_rfc2822(value).ok()?.with_timezone(&Utc);
    Some((date - now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    #[test]
    fn waits_grow_are_spread_and_end() {
        assert_eq!(next_delay(1, None, 0.5), Some(Duration::from_secs(5)));
        assert_eq!(next_delay(1, None, 0.0), Some(Duration::from_secs(4)));
        assert_eq!(next_delay(9, None, 0.5), Some(Duration::from_hours(24)));
        assert_eq!(next_delay(10, None, 0.5), None);
    }

    #[test]
    fn retry_after_lengthens_the_wait_up_to_an_hour() {
        let asked = |secs| next_delay(1, Some(Duration::from_secs(secs)), 0.5);

        assert_eq!(asked(1), Some(Duration::from_secs(5)));
        assert_eq!(asked(30), Some(Duration::from_secs(30)));
        assert_eq!(asked(u64::MAX), Some(LONGEST_RETRY_AFTER));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_nothing_else() {
        let now = Utc.with_ymd_and_hms(2026, 11, 21, 7, 28, 0).single().unwrap();
        let read = |value| parse_retry_after(value, now).map(|d| d.as_secs());

        assert_eq!(read("120"), Some(120));
        assert_eq!(read("Sat, 21 Nov 2026 07:28:10 GMT"), Some(10));
        assert_eq!(read("Sat, 21 Nov 2026 07:27:00 GMT"), Some(0));
        assert_eq!(read("99999999999999999999999"), Some(u64::MAX));
        for wrong in ["", "-1", "1.5", "inf", "nan", "soon"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
