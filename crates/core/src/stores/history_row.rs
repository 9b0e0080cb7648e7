//! A run as it travels to the history store: one JSON object a line, in `ClickHouse`'s `JSONEachRow`.
//!
//! The recorder writes it once; the shipper passes the bytes on. Absent numbers are 0 and absent
//! texts are empty, because history has no nulls; a phase that took no time is told as 1 us.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::models::ids::{CheckId, ProjectId, Region};
use crate::models::run::{Observation, Outcome, Phases, Run};
use crate::models::schedule::Slot;
use crate::ports::BoxError;

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the columns of history, told on `models::run`")]
pub struct HistoryRow {
    pub project_id: Uuid,
    pub check_id: Uuid,
    pub region: String,
    pub slot: DateTime<Utc>,
    pub slots: u32,
    pub outcome: String,
    pub reason: String,
    pub attempt: u32,
    pub started_at: DateTime<Utc>,
    pub status_code: u16,
    pub dns_us: u32,
    pub connect_us: u32,
    pub tls_us: u32,
    pub first_byte_us: u32,
    pub total_us: u32,
    pub address: String,
    pub error: String,
}

impl From<&Run> for HistoryRow {
    fn from(run: &Run) -> Self {
        let seen = run.observation.as_ref();
        let phases = seen.map(|seen| seen.phases).unwrap_or_default();
        let us = |phase: Option<u32>| phase.map_or(0, |us| us.max(1));
        Self {
            project_id: run.project_id.0,
            check_id: run.check_id.0,
            region: run.region.to_string(),
            slot: run.slot.time(),
            slots: run.slots,
            outcome: run.outcome.as_str().into(),
            reason: run.outcome.reason().into(),
            attempt: run.attempt,
            started_at: Slot::from(seen.map_or_else(|| run.slot.time(), |seen| seen.started_at))
                .time(),
            status_code: seen.and_then(|seen| seen.status_code).unwrap_or_default(),
            dns_us: us(phases.dns_us),
            connect_us: us(phases.connect_us),
            tls_us: us(phases.tls_us),
            first_byte_us: us(phases.first_byte_us),
            total_us: us(phases.total_us),
            address: seen.and_then(|seen| seen.address).map(|a| a.to_string()).unwrap_or_default(),
            error: seen.and_then(|seen| seen.error.clone()).unwrap_or_default(),
        }
    }
}

impl HistoryRow {
    /// The run this row tells of; `None` when its words are none this version knows.
    #[must_use]
    pub fn into_run(self) -> Option<Run> {
        let outcome = Outcome::parse(&self.outcome, &self.reason)?;
        let us = |us: u32| (us > 0).then_some(us);
        let observation = Observation {
            started_at: self.started_at,
            status_code: (self.status_code > 0).then_some(self.status_code),
            phases: Phases {
                dns_us: us(self.dns_us),
                connect_us: us(self.connect_us),
                tls_us: us(self.tls_us),
                first_byte_us: us(self.first_byte_us),
                total_us: us(self.total_us),
            },
            address: self.address.parse::<IpAddr>().ok(),
            error: (!self.error.is_empty()).then_some(self.error),
        };
        Some(Run {
            project_id: ProjectId(self.project_id),
            check_id: CheckId(self.check_id),
            region: Region::parse(&self.region)?,
            slot: Slot::from(self.slot),
            slots: self.slots,
            outcome,
            attempt: self.attempt,
            observation: (!matches!(outcome, Outcome::Missed(_))).then_some(observation),
        })
    }
}

/// Runs as lines.
///
/// # Errors
/// None in practice: every field has a form in JSON.
pub fn write_lines(runs: &[Run]) -> Result<String, BoxError> {
    let mut lines = Vec::with_capacity(runs.len() * 320);
    for run in runs {
        serde_json::to_writer(&mut lines, &HistoryRow::from(run))?;
        lines.push(b'\n');
    }
    Ok(String::from_utf8(lines)?)
}

/// Lines as rows.
///
/// # Errors
/// When a line is not a row.
pub fn read_lines(lines: &str) -> Result<Vec<HistoryRow>, BoxError> {
    lines.lines().map(read_line).collect()
}

/// A line as a row.
///
/// # Errors
/// When it is none.
pub fn read_line(line: &str) -> Result<HistoryRow, BoxError> {
    Ok(serde_json::from_str(line)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::run::{FailClass, MissedReason};

    fn a_run(outcome: Outcome, observation: Option<Observation>) -> Run {
        Run {
            project_id: ProjectId::DEFAULT,
            check_id: CheckId::generate(),
            region: Region::default(),
            slot: Slot(1_790_000_000_123),
            slots: 1,
            outcome,
            attempt: 1,
            observation,
        }
    }

    #[test]
    fn a_run_survives_the_journey() {
        let seen = Observation {
            started_at: Slot(1_790_000_000_130).time(),
            status_code: Some(502),
            phases: Phases { connect_us: Some(120), total_us: Some(900), ..Phases::default() },
            address: Some("127.0.0.1".parse().unwrap()),
            error: Some("status 502,\nexpected 200 \"quoted\"".into()),
        };
        let runs = [
            a_run(Outcome::Fail(FailClass::Status), Some(seen)),
            a_run(Outcome::Missed(MissedReason::Lost), None),
        ];

        let lines = write_lines(&runs).unwrap();
        let back: Vec<Run> =
            read_lines(&lines).unwrap().into_iter().map(|row| row.into_run().unwrap()).collect();

        assert_eq!(back, runs);
    }
}
