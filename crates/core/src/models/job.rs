//! What travels between scheduler, prober and recorder.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ids::{CheckId, Region};
use super::probe_spec::ProbeSpec;
use super::run::{Observation, Outcome};
use super::schedule::Slot;

/// One slot of one check in one region, to be looked at. Small: the definition travels apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The check.
    pub check_id: CheckId,
    /// Where to look from.
    pub region: Region,
    /// For which slot.
    pub slot: Slot,
    /// Which definition of the check.
    pub version: i32,
    /// The whole run's limit, in milliseconds.
    pub timeout_ms: u32,
    /// From the claim until its slot, in milliseconds; a duration, because queues have clocks of their own.
    pub due_in_ms: u32,
    /// Not worth starting later than this after it was pushed, in milliseconds.
    pub start_within_ms: i64,
}

/// A job in a prober's hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeasedJob {
    /// The job.
    pub job: Job,
    /// The fence: which delivery of the job this is, from 1. A completion with an older one is stale.
    pub token: u32,
    /// How long until its slot; no longer than the job was told to wait when it was pushed.
    pub due_in: Duration,
}

/// A definition, by the check and version it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionedSpec {
    /// The check.
    pub check_id: CheckId,
    /// The version.
    pub version: i32,
    /// The definition, shared: many jobs, one spec.
    pub spec: Arc<ProbeSpec>,
}

/// What a prober hands in for a slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// The check.
    pub check_id: CheckId,
    /// Where it was looked from.
    pub region: Region,
    /// For which slot.
    pub slot: Slot,
    /// The token of the lease under which it was run.
    pub attempt: u32,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// What was seen; `None` when nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observation: Option<Observation>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_tells_its_outcome_among_its_own_fields() {
        for (outcome, reason) in [(Outcome::Ok, None), (Outcome::Degraded, Some("degraded"))] {
            let (check_id, region) = (CheckId::generate(), Region::default());
            let result = RunResult {
                check_id,
                region,
                slot: Slot(1),
                attempt: 1,
                outcome,
                observation: None,
            };

            let sent = serde_json::to_value(&result).unwrap();

            assert_eq!((sent["outcome"].as_str(), sent["reason"].as_str()), (Some("ok"), reason));
            assert_eq!(serde_json::from_value::<RunResult>(sent).unwrap(), result);
        }
    }
}
