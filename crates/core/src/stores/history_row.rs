//! A run as it travels to the history store: see [`row_binary`] for its bytes.
//!
//! The recorder writes it once; the shipper passes the bytes on. Absent numbers are 0 and absent
//! texts are empty, because history has no nulls; a phase that took no time is told as 1 us.

use std::borrow::Cow;
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use uuid::Uuid;

use crate::models::ids::{CheckId, ProjectId, Region};
use crate::models::run::{Observation, Outcome, Phases, Run};
use crate::models::schedule::Slot;
use crate::ports::BoxError;
use crate::stores::row_binary::{self, Rows};

/// See the module.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "the columns of history, told on `models::run`")]
pub struct HistoryRow<'a> {
    pub project_id: Uuid,
    pub check_id: Uuid,
    pub region: Cow<'a, str>,
    pub slot: DateTime<Utc>,
    pub slots: u32,
    pub outcome: Cow<'a, str>,
    pub reason: Cow<'a, str>,
    pub attempt: u32,
    pub started_at: DateTime<Utc>,
    pub status_code: u16,
    pub dns_us: u32,
    pub connect_us: u32,
    pub tls_us: u32,
    pub first_byte_us: u32,
    pub total_us: u32,
    pub address: Cow<'a, str>,
    pub error: Cow<'a, str>,
    #[serde(default)]
    pub evidence: Cow<'a, str>,
}

impl<'a> From<&'a Run> for HistoryRow<'a> {
    fn from(run: &'a Run) -> Self {
        let seen = run.observation.as_ref();
        let phases = seen.map(|seen| seen.phases).unwrap_or_default();
        let us = |phase: Option<u32>| phase.map_or(0, |us| us.max(1));
        Self {
            project_id: run.project_id.0,
            check_id: run.check_id.0,
            region: run.region.as_str().into(),
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
            address: seen
                .and_then(|seen| seen.address)
                .map(|address| address.to_string().into())
                .unwrap_or_default(),
            error: seen.and_then(|seen| seen.error.as_deref()).unwrap_or_default().into(),
            evidence: seen
                .and_then(|seen| seen.evidence.as_deref())
                .and_then(|evidence| serde_json::to_string(evidence).ok())
                .unwrap_or_default()
                .into(),
        }
    }
}

impl HistoryRow<'_> {
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
            error: (!self.error.is_empty()).then(|| self.error.into_owned()),
            // What a later version keeps in another form is done without.
            evidence: serde_json::from_str(&self.evidence).ok(),
            traits: None,
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

/// Begins what is sealed in this form. Earlier versions sealed rows without evidence, and before that
/// JSON, which begins with a brace.
const ROW_BINARY: u8 = 2;
const WITHOUT_EVIDENCE: u8 = 1;

/// Runs as they are put into the outbox.
#[must_use]
pub fn seal(runs: &[Run]) -> Vec<u8> {
    const USUAL: usize = 160;
    let mut sealed = Vec::with_capacity(1 + runs.len() * USUAL);
    sealed.push(ROW_BINARY);
    for run in runs {
        row_binary::write(&HistoryRow::from(run), &mut sealed);
    }
    sealed
}

/// The rows of what was sealed, one batch after the other, without what begins each.
///
/// # Errors
/// When a batch is in a form that this version does not know.
pub fn open(batches: &[Vec<u8>]) -> Result<Vec<u8>, BoxError> {
    let mut rows = Vec::with_capacity(batches.iter().map(Vec::len).sum());
    for sealed in batches {
        match sealed.split_first() {
            Some((&ROW_BINARY, packed)) => rows.extend_from_slice(packed),
            Some((&WITHOUT_EVIDENCE, packed)) => {
                for row in Rows::without_evidence(packed) {
                    row_binary::write(&row?, &mut rows);
                }
            }
            Some((b'{', _)) => {
                for row in serde_json::Deserializer::from_slice(sealed).into_iter::<HistoryRow>() {
                    row_binary::write(&row?, &mut rows);
                }
            }
            _ => return Err("sealed history is in a form this version does not know".into()),
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::evidence::Evidence;
    use crate::models::run::{Detail, FailClass, MissedReason};

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
            traits: None,
            evidence: Some(Box::new(Evidence {
                detail: Some(Detail::Expired),
                headers: vec![("server".into(), "a\"b".into())],
                ..Evidence::default()
            })),
        };
        let runs = [
            a_run(Outcome::Fail(FailClass::Status), Some(seen)),
            a_run(Outcome::Missed(MissedReason::Lost), None),
        ];

        let rows = open(&[seal(&runs[..1]), seal(&runs[1..])]).unwrap();
        let back: Vec<Run> = Rows::of(&rows).map(|row| row.unwrap().into_run().unwrap()).collect();

        assert_eq!(back, runs);
    }

    #[test]
    fn what_an_earlier_version_sealed_is_read() {
        let sealed = br#"{"project_id":"00000000-0000-0000-0000-000000000000","check_id":"00000000-0000-0000-0000-000000000009","region":"default","slot":"2026-11-21T00:00:00Z","slots":1,"outcome":"ok","reason":"","attempt":1,"started_at":"2026-11-21T00:00:00.010Z","status_code":200,"dns_us":0,"connect_us":1,"tls_us":0,"first_byte_us":2,"total_us":3,"address":"::1","error":"a \"b\""}
"#;

        let rows = open(&[sealed.to_vec(), seal(&[])]).unwrap();

        let row = Rows::of(&rows).next().unwrap().unwrap();
        assert_eq!((row.status_code, row.total_us, &*row.error), (200, 3, "a \"b\""));
    }

    #[test]
    fn what_was_sealed_before_there_was_evidence_is_read() {
        let seen = Observation { error: Some("a".into()), ..Observation::begun(Slot(7).time()) };
        let run = a_run(Outcome::Fail(FailClass::Dns), Some(seen));
        let mut sealed = seal(&[run.clone(), run.clone()]);
        // A row ended with its error then: the length of the evidence, which is none, was not there.
        let row = (sealed.len() - 1) / 2;
        for end in [2 * row, row] {
            sealed.remove(end);
        }
        sealed[0] = 1;

        let rows = open(&[sealed, seal(std::slice::from_ref(&run))]).unwrap();

        let back: Vec<_> = Rows::of(&rows).map(|row| row.unwrap().into_run().unwrap()).collect();
        assert_eq!(back, [run.clone(), run.clone(), run]);
    }

    #[test]
    fn what_a_later_version_sealed_is_refused() {
        assert!(open(&[vec![9, 9]]).is_err());
        assert!(open(&[vec![]]).is_err());
    }
}
