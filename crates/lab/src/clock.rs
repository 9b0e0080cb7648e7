//! The lab's wall clock, and waiting for something to become true.
//!
//! Wall clock times are whole microseconds since 1970: slots are whole milliseconds of the same
//! clock, so a start delay is a subtraction that loses nothing.

use std::time::{Duration, Instant};

use anyhow::Context;
use chrono::Utc;

/// How often `eventually` looks.
const PACE: Duration = Duration::from_millis(50);

/// Microseconds since 1970 on the wall clock.
#[must_use]
pub fn now_us() -> i64 {
    Utc::now().timestamp_micros()
}

/// Milliseconds since 1970 on the wall clock.
#[must_use]
pub fn now_ms() -> i64 {
    now_us() / 1000
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
