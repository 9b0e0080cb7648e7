//! How a job is waited for, as JSON.

use pulse_core::models::check::Waiting;
use pulse_core::models::heartbeat::HeartbeatOptions;
use pulse_core::models::schedule::Slot;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::time::Time;

/// How a job is waited for.
#[derive(Deserialize, ToSchema)]
#[schema(as = Heartbeat)]
#[expect(
    dead_code,
    reason = "describes what CheckDraft::read takes; a test holds the two together"
)]
pub struct HeartbeatInput {
    /// When the job runs, in the five fields of cron, instead of `interval_seconds`.
    #[schema(max_length = 100, example = "0 3 * * *")]
    cron: Option<String>,
    /// Where the hours of `cron` are counted, by its name at IANA; UTC when left out.
    #[schema(example = "Europe/Berlin")]
    timezone: Option<String>,
    /// How many seconds a ping may be late, and a run may take that said when it began.
    #[schema(minimum = 1, maximum = 604_800, default = 300)]
    grace_seconds: Option<u32>,
}

/// How a job is waited for, and where that stands.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = HeartbeatState)]
pub struct HeartbeatBody {
    /// When the job runs, in the five fields of cron; `null` for an interval.
    cron: Option<String>,
    /// Where the hours of `cron` are counted.
    timezone: Option<String>,
    /// How many seconds a ping may be late.
    grace_seconds: u32,
    /// When the next run is expected to have ended; `null` before the first ping, and while paused.
    expected_at: Option<Time>,
    /// Until when that is waited for.
    deadline_at: Option<Time>,
    /// When the run under way began, if the job said so.
    started_at: Option<Time>,
    /// When the job last called.
    last_ping_at: Option<Time>,
}

impl HeartbeatBody {
    /// Of a check that waits.
    pub fn of(options: HeartbeatOptions, waiting: &Waiting) -> Self {
        let time = |slot: Option<Slot>| slot.map(Time::from);
        let HeartbeatOptions { cron, timezone, grace_seconds } = options;
        Self {
            cron,
            timezone,
            grace_seconds,
            expected_at: time(waiting.heartbeat.expected),
            deadline_at: time(waiting.heartbeat.deadline),
            started_at: time(waiting.heartbeat.started),
            last_ping_at: time(waiting.heartbeat.last_ping),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use utoipa::PartialSchema;
    use utoipa::openapi::{RefOr, Schema};

    use super::*;

    #[test]
    fn the_document_names_the_fields_that_a_heartbeat_takes() {
        let options =
            HeartbeatOptions { cron: Some("0 3 * * *".into()), ..HeartbeatOptions::default() };
        let options = serde_json::to_value(options.checked().unwrap()).unwrap();
        let taken: BTreeSet<_> = options.as_object().unwrap().keys().cloned().collect();

        let RefOr::T(Schema::Object(described)) = HeartbeatInput::schema() else {
            panic!("an object")
        };

        assert_eq!(described.properties.keys().cloned().collect::<BTreeSet<_>>(), taken);
        assert!(described.required.is_empty());
    }
}
