//! Times as the API writes them: RFC 3339, UTC, milliseconds, `Z`.

use chrono::{DateTime, SecondsFormat, Utc};
use pulse_core::models::schedule::Slot;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// An instant: RFC 3339 in UTC with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-11-21T07:28:00.000Z")]
pub struct Time(DateTime<Utc>);

impl From<DateTime<Utc>> for Time {
    fn from(at: DateTime<Utc>) -> Self {
        Self(at)
    }
}

impl From<Slot> for Time {
    fn from(slot: Slot) -> Self {
        Self(slot.time())
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_written_even_when_there_are_none() {
        let written = |ms| serde_json::to_value(Time::from(Slot(ms))).unwrap();

        assert_eq!(written(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(written(1_500), "1970-01-01T00:00:01.500Z");
    }
}
