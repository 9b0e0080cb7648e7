//! One run: its looks, and what is handed in of them.

use std::time::Duration;

use chrono::Utc;
use http::HeaderValue;
use pulse_core::models::evidence::Evidence;
use pulse_core::models::job::{Job, LeasedJob, RunResult};
use pulse_core::models::retry::Retry;
use pulse_core::models::run::{InconclusiveReason, Observation, Outcome, Phases};
use pulse_core::models::schedule::Slot;

use super::definitions::Known;
use super::{Inner, Prober};
use crate::judge::{judge, judge_in_full};
use crate::probes::Prepared;

impl Inner {
    async fn look_once(
        &self,
        target: &Prepared,
        run: Option<HeaderValue>,
        timeout: Duration,
    ) -> (Outcome, Observation) {
        let sight = self.probes.look(&self.egress, target, run, timeout).await;
        judge(sight, target.expectations())
    }

    /// Looks for somebody who waits for it, and wants to see everything.
    async fn look_dry(
        &self,
        target: &Prepared,
        run: Option<HeaderValue>,
        timeout: Duration,
    ) -> (Outcome, Observation) {
        let sight = self.probes.look(&self.egress, target, run, timeout).await;
        let all = sight.notes.evidence();
        let (outcome, mut seen) = judge_in_full(sight, target.expectations());
        let judged = seen.evidence.take().unwrap_or_default();
        let Evidence { detail, assertions, .. } = *judged;
        seen.evidence = Some(Box::new(Evidence { detail, assertions, ..all }));
        (outcome, seen)
    }

    /// Looks until it is not a failure to look at again, or for the last time. The `limit` of the run
    /// holds the waits and an equal share for each look.
    async fn look_again(
        &self,
        target: &Prepared,
        run: Option<HeaderValue>,
        limit: Duration,
        retry: &Retry,
    ) -> (Outcome, Observation) {
        let timeout = limit.saturating_sub(Duration::from_millis(retry.delays())) / retry.attempts;
        let mut attempt = 1;
        loop {
            let (outcome, mut seen) = self.look_once(target, run.clone(), timeout).await;
            let again = matches!(outcome, Outcome::Fail(class) if retry.is_after(class));
            if !again || attempt == retry.attempts {
                if attempt > 1 {
                    let facts = &mut seen.evidence.get_or_insert_default().facts;
                    facts.push(("looks".to_owned(), attempt.to_string()));
                }
                return (outcome, seen);
            }
            attempt += 1;
            tokio::time::sleep(Duration::from_millis(retry.delay_before(attempt))).await;
        }
    }
}

impl Prober {
    pub(super) async fn look(&self, leased: &LeasedJob, prepared: Option<&Known>) -> RunResult {
        let (inner, job) = (&self.0, &leased.job);
        let (outcome, mut observation) = match prepared {
            Some(Known { target: Ok(target), retry, .. }) => {
                let run = inner.run_header.then(|| run_header(job, leased.token)).flatten();
                let limit = Duration::from_millis(job.timeout_ms.into());
                match retry {
                    // Boxed, because most runs are neither.
                    _ if job.check_id.is_of_dry_run() => {
                        Box::pin(inner.look_dry(target, run, limit)).await
                    }
                    Some(retry) => Box::pin(inner.look_again(target, run, limit, retry)).await,
                    None => inner.look_once(target, run, limit).await,
                }
            }
            Some(Known { target: Err(reason), .. }) => unseen(reason),
            None => unseen("the check's definition was not in the queue"),
        };
        if let Some(scrub) = prepared.and_then(|known| known.scrub.as_ref()) {
            scrub.clean(&mut observation);
        }
        RunResult {
            check_id: job.check_id,
            region: job.region.clone(),
            slot: job.slot,
            attempt: leased.token,
            outcome,
            observation: Some(observation),
        }
    }

    pub(super) fn count(&self, result: &RunResult) {
        // No ledger knows of those: the counters tell the same story as it.
        if result.check_id.is_of_dry_run() {
            return;
        }
        let metrics = &self.0.metrics;
        match result.outcome {
            Outcome::Ok => self.0.runs_ok.inc(),
            other => metrics.runs.with_label_values(&[other.as_str(), other.reason()]).inc(),
        }
        let Some(seen) = &result.observation else {
            return;
        };
        if let Some(us) = seen.phases.total_us {
            metrics.check_seconds.observe(f64::from(us) / 1e6);
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "a delay in milliseconds stays far below 2^52"
        )]
        let delay_ms = (Slot::from(seen.started_at).0 - result.slot.0).max(0) as f64;
        metrics.start_delay_seconds.observe(delay_ms / 1000.0);
    }
}

/// `check:slot:attempt`, so that a target can tell one run from another.
fn run_header(job: &Job, token: u32) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("{}:{}:{token}", job.check_id, job.slot)).ok()
}

fn unseen(reason: &str) -> (Outcome, Observation) {
    let observation = Observation {
        started_at: Utc::now(),
        status_code: None,
        phases: Phases::default(),
        address: None,
        error: Some(reason.to_owned()),
        evidence: None,
        traits: None,
    };
    (Outcome::Inconclusive(InconclusiveReason::NoSpec), observation)
}
