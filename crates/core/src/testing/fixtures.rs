//! Checks and results as sentences: `a_check().every(60).alerting_after(3).build()`.

use serde_json::{Value, json};

use crate::models::check::{Check, CheckDraft};
use crate::models::evidence::Evidence;
use crate::models::ids::{CheckId, ProjectId};
use crate::models::job::{Job, RunResult};
use crate::models::run::{FailClass, Observation, Outcome, Phases};
use crate::models::schedule::Slot;
use crate::models::traits::Traits;

/// A check in the making: every 60 s, alerting after one failure, telling nobody.
#[derive(Clone, Debug)]
pub struct CheckBuilder {
    body: Value,
    created: Slot,
}

/// See [`CheckBuilder`].
#[must_use]
pub fn a_check() -> CheckBuilder {
    CheckBuilder {
        body: json!({ "name": "A check", "url": "http://target.test/", "alert_threshold": 1 }),
        created: Slot(1_790_000_000_000),
    }
}

impl CheckBuilder {
    /// Seconds between runs.
    #[must_use]
    pub fn every(self, seconds: u32) -> Self {
        self.with("interval_seconds", json!(seconds))
    }

    /// Failures in a row that make an outage.
    #[must_use]
    pub fn alerting_after(self, failures: u32) -> Self {
        self.with("alert_threshold", json!(failures))
    }

    /// Who is told.
    #[must_use]
    pub fn telling(self, webhook_url: &str) -> Self {
        self.with("webhook_url", json!(webhook_url))
    }

    /// Where it is looked from.
    #[must_use]
    pub fn from_regions(self, regions: &[&str]) -> Self {
        self.with("regions", json!(regions))
    }

    /// Any field of a request.
    #[must_use]
    pub fn with(mut self, field: &str, value: Value) -> Self {
        self.body[field] = value;
        self
    }

    /// The check.
    ///
    /// # Panics
    /// When what was asked for is no check.
    #[must_use]
    pub fn build(self) -> Check {
        let draft = CheckDraft::read(self.body).expect("a fixture should be a check");
        Check {
            id: CheckId::generate(),
            project_id: ProjectId::DEFAULT,
            webhook_secret: draft.config.webhook_url.as_ref().map(|_| SECRET.to_owned()),
            config: draft.config,
            version: 1,
            created_at: self.created.time(),
            updated_at: self.created.time(),
        }
    }
}

/// 24 bytes that guard nothing.
const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

/// A good result of `job`, brought by its first delivery.
#[must_use]
pub fn a_result(job: &Job) -> ResultBuilder {
    ResultBuilder(RunResult {
        check_id: job.check_id,
        region: job.region.clone(),
        slot: job.slot,
        attempt: 1,
        outcome: Outcome::Ok,
        observation: Some(Observation {
            started_at: job.slot.plus(5).time(),
            status_code: Some(200),
            phases: Phases {
                connect_us: Some(200),
                first_byte_us: Some(900),
                total_us: Some(1_200),
                ..Phases::default()
            },
            address: Some(std::net::Ipv4Addr::LOCALHOST.into()),
            error: None,
            evidence: None,
            traits: None,
        }),
    })
}

/// A result in the making.
#[derive(Clone, Debug)]
pub struct ResultBuilder(RunResult);

impl ResultBuilder {
    /// It failed with status 500.
    #[must_use]
    pub fn failed(mut self) -> Self {
        self.0.outcome = Outcome::Fail(FailClass::Status);
        if let Some(seen) = &mut self.0.observation {
            seen.status_code = Some(500);
            seen.error = Some("status 500, expected any 2xx".into());
        }
        self
    }

    /// It was alive, and slower than it should be.
    #[must_use]
    pub fn degraded(mut self) -> Self {
        self.0.outcome = Outcome::Degraded;
        if let Some(seen) = &mut self.0.observation {
            seen.error = Some("took 900 ms, expected at most 500".into());
        }
        self
    }

    /// This was picked up.
    #[must_use]
    pub fn keeping(mut self, evidence: Evidence) -> Self {
        if let Some(seen) = &mut self.0.observation {
            seen.evidence = Some(evidence.into());
        }
        self
    }

    /// This was seen of what may change.
    #[must_use]
    pub fn seeing(mut self, traits: Traits) -> Self {
        if let Some(seen) = &mut self.0.observation {
            seen.traits = Some(traits.into());
        }
        self
    }

    /// Brought under this token, or as that attempt.
    #[must_use]
    pub fn under_token(mut self, token: u32) -> Self {
        self.0.attempt = token;
        self
    }

    /// The result.
    #[must_use]
    pub fn build(self) -> RunResult {
        self.0
    }
}
