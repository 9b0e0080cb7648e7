//! The lab's wall clock, and waiting for something to become true.
//!
//! Wall clock times are whole microseconds since 1970: slots are whole milliseconds of the same
//! clock, so a start delay is a subtraction that loses nothing.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;

/// How often `eventually` looks.
const PACE: Duration = Duration::from_millis(50);

/// Microseconds since 1970 on the wall clock.
#[must_use]
pub fn now_us() -> i64 {
    let since_1970 =
        SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock stands after 1970");
    i64::try_from(since_1970.as_micros()).expect("microseconds fit 64 bits until the year 294246")
}

/// Milliseconds since 1970 on the wall clock.
#[must_use]
pub fn now_ms() -> i64 {
    now_us() / 1000
}

/// Whole milliseconds of a duration that is no longer than a lab run.
#[must_use]
pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Looks until `look` finds something, or `deadline` has passed.
///
/// `Ok(None)` means not yet. So does an error: while processes and stores are being killed a
/// failed request is no verdict. The last error is told when the deadline passes.
pub async fn eventually<T>(
    what: &str,
    deadline: Duration,
    mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let started = Instant::now();
    loop {
        let looked = look().await;
        if let Ok(Some(found)) = looked {
            return Ok(found);
        }
        if started.elapsed() >= deadline {
            let waited = format!("waited {} s in vain for {what}", deadline.as_secs());
            return match looked {
                Err(error) => Err(error).context(waited),
                Ok(_) => anyhow::bail!(waited),
            };
        }
        tokio::time::sleep(PACE).await;
    }
}
