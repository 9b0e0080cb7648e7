//! `Retry-After`: whatever a receiver answers, the next attempt is neither sooner than the schedule has it
//! nor put off for longer than an hour because of it.

#![no_main]

use chrono::{DateTime, Utc};
use libfuzzer_sys::fuzz_target;
use pulse_fuzz::models::backoff::{
    LONGEST_RETRY_AFTER, RETRY_DELAYS, next_delay, parse_retry_after,
};

fuzz_target!(|input: &[u8]| {
    let Some((first, rest)) = input.split_first_chunk::<10>() else { return };
    let Some(value) = pulse_fuzz::text(rest) else { return };
    let [attempt, jitter, seconds @ ..] = *first;
    let now: DateTime<Utc> = DateTime::from_timestamp(i64::from_le_bytes(seconds) >> 12, 0)
        .unwrap_or(DateTime::UNIX_EPOCH);
    let asked = parse_retry_after(value, now);
    let attempt = u32::from(attempt % 12);
    let delay = next_delay(attempt, asked, f64::from(jitter) / 255.0);

    let without = next_delay(attempt, None, f64::from(jitter) / 255.0);
    assert_eq!(delay.is_some(), (1..=RETRY_DELAYS.len() as u32).contains(&attempt));
    if let (Some(delay), Some(without)) = (delay, without) {
        assert!(delay >= without && delay <= without.max(LONGEST_RETRY_AFTER), "{value:?}");
        assert!(delay >= asked.unwrap_or_default().min(LONGEST_RETRY_AFTER), "{value:?}");
    }
});
