//! Windows and quiet hours: whatever is read and checked is written so that it is read the same again, and
//! tells of any instant, in little time, an end that lies ahead and a start at which it is so.
//!
//! An input is a window or quiet hours in JSON, a line feed, and an instant in seconds since the Unix epoch.

#![no_main]

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use libfuzzer_sys::fuzz_target;
use pulse_fuzz::models::calendar::{QuietHours, Window};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Far more than any rule takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(1);
/// As every instant here is one of whole seconds, and every end and start.
const SECOND: TimeDelta = TimeDelta::seconds(1);

fn is_written_as_it_was_read<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
    it: &T,
) {
    let written = serde_json::to_value(it).expect("it is written as JSON");
    let again: T = serde_json::from_value(written).expect("and read again");
    assert_eq!(&again, it);
}

/// So it is from `at` to the end, to the second.
fn ends_well(until: &impl Fn(DateTime<Utc>) -> Option<DateTime<Utc>>, at: DateTime<Utc>) {
    let Some(end) = until(at) else { return };
    assert!(end > at, "{at}: {end}");
    let last = (end - SECOND).max(at);
    assert!(until(last) >= Some(end), "{at}: {end}");
}

fn window(json: &[u8], at: DateTime<Utc>) {
    let Ok(window) = serde_json::from_slice::<Window>(json) else { return };
    let window = match window.checked() {
        Ok(window) => window,
        Err((_, why)) => return assert!(!why.is_empty() && why.len() < 1_000, "{why}"),
    };
    is_written_as_it_was_read(&window);
    assert_eq!(window.clone().checked().as_ref(), Ok(&window));
    ends_well(&|at| window.until(at), at);
    if let Some(next) = window.next(at) {
        assert!(next > at && window.until(next).is_some(), "{at}: {next}");
        assert_eq!(window.next(next - SECOND), Some(next), "{at}");
    }
}

fn quiet(json: &[u8], at: DateTime<Utc>) {
    let Ok(quiet) = serde_json::from_slice::<QuietHours>(json) else { return };
    let Ok(quiet) = quiet.checked() else { return };
    is_written_as_it_was_read(&quiet);
    ends_well(&|at| quiet.until(at), at);
}

fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (json, at) = (&input[..end], input.get(end + 1..).unwrap_or_default());
    let at = std::str::from_utf8(at).ok().and_then(|at| at.trim().parse().ok());
    let at = at.and_then(|at| DateTime::from_timestamp(at, 0)).unwrap_or_default();
    let began = Instant::now();
    window(json, at);
    quiet(json, at);
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
});
