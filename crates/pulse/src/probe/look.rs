//! One look: the worker's probe and the worker's judge.

use pulse_core::models::address::AddressPolicy;
use pulse_core::models::evidence::Evidence;
use pulse_core::models::run::{Observation, Outcome};
use pulse_worker::egress::{Egress, EgressError};
use pulse_worker::judge::{Asked, judge, rules};
use pulse_worker::probes::Probes;

use super::target::Target;

/// Looks at one target, as often as it is asked to.
pub struct Looker {
    egress: Egress,
    probe: Probes,
    target: Target,
}

/// What one look brought.
pub struct Look {
    pub outcome: Outcome,
    pub observation: Observation,
    pub assertions: Vec<Asked>,
    pub evidence: Evidence,
}

impl Looker {
    pub fn new(target: Target) -> Result<Self, EgressError> {
        Ok(Self { egress: Egress::new(AddressPolicy::open())?, probe: Probes::default(), target })
    }

    pub async fn look(&self) -> Look {
        let Target { prepared, timeout } = &self.target;
        let sight = self.probe.look(&self.egress, prepared, None, *timeout).await;
        let evidence = sight.notes.evidence();
        let assertions = rules(&sight, prepared.expectations());
        let (outcome, observation) = judge(sight, prepared.expectations());
        Look { outcome, observation, assertions, evidence }
    }
}

impl Look {
    pub fn is_ok(&self) -> bool {
        self.outcome.is_alive()
    }

    /// `ok`, `fail(class)` or `inconclusive(reason)`.
    pub fn word(&self) -> String {
        match (self.outcome.as_str(), self.outcome.reason()) {
            (outcome, "") => outcome.to_owned(),
            (outcome, reason) => format!("{outcome}({reason})"),
        }
    }
}
