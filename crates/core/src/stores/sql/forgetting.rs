//! How long the state store remembers what nobody asks for any more.

use chrono::TimeDelta;

/// A deleted check, so that its last alerts can be delivered.
pub const DELETED_FOR: TimeDelta = TimeDelta::days(7);
/// An idempotency key.
pub const KEYS_FOR: TimeDelta = TimeDelta::days(1);
/// A resolved incident, its alerts and their deliveries.
pub const INCIDENTS_FOR: TimeDelta = TimeDelta::days(400);
/// Changes of a check beyond the newest so many, as soon as there are more.
pub const CHANGES_BEYOND: i64 = 200;
/// Rows forgotten in one step.
pub const STEP: i64 = 500;
