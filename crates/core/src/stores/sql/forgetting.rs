//! How long the state store remembers what nobody asks for any more.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// A deleted check, so that its last alerts can be delivered.
pub const DELETED_FOR: TimeDelta = TimeDelta::days(7);
/// An idempotency key.
pub const KEYS_FOR: TimeDelta = TimeDelta::days(1);
/// A resolved incident, its alerts and their deliveries.
pub const INCIDENTS_FOR: TimeDelta = TimeDelta::days(400);
/// A silence that has expired: long enough to see what kept people from being told.
pub const SILENCES_FOR: TimeDelta = TimeDelta::days(7);
/// Changes of a check beyond the newest so many, as soon as there are more.
pub const CHANGES_BEYOND: i64 = 200;
/// Rows forgotten in one step.
pub const STEP: i64 = 500;

/// The end of silences that are forgotten at `now`, as they are stored: texts in UTC, whose order is that
/// of time to the second. A cast would fail for all of them where one cannot be read.
pub fn silences_until(now: DateTime<Utc>) -> String {
    (now - SILENCES_FOR).to_rfc3339_opts(SecondsFormat::Secs, true)
}
