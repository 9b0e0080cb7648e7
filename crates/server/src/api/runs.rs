//! Runs: what was seen of a check, slot by slot.

use axum::Json;
use axum::extract::State;
use pulse_core::models::check::Check;
use pulse_core::models::curl;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::run::{Detail, FailClass, Outcome, Phases, Run};
use pulse_core::models::schedule::Slot;
use pulse_core::ports::history::RunsOf;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Object;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::check_shape::{words, words_or_null};
use super::evidence::EvidenceBody;
use super::extract::{OfCheck, Query};
use super::page::{List, Paging, PagingParams};
use super::problem::{ApiError, OnCheck};
use super::time::Time;
use super::{Api, PROJECT};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_runs))
}

/// How a slot ended.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Run)]
pub(super) struct RunBody {
    /// Computed from check, region and slot: the same whenever it is asked for.
    id: Uuid,
    /// The instant the check was due; of a row of missed slots, the first.
    slot: Time,
    /// How many slots this stands for: 1, or more when they were missed in a row.
    slots: u32,
    /// When the probe began, by the worker's clock; `null` when nobody looked.
    started_at: Option<Time>,
    /// `ok`; `fail`: not as expected; `inconclusive`: looked, and could not tell; `missed`: nobody looked.
    #[schema(schema_with = outcomes)]
    outcome: &'static str,
    /// What kind of failure; only with `fail`.
    #[schema(schema_with = classes)]
    class: Option<&'static str>,
    /// Why it could not be told, or why nobody looked; with `ok` it says `degraded` when the target
    /// was alive and did less than was expected. `null` with `fail`.
    #[schema(value_type = Option<String>)]
    reason: Option<&'static str>,
    /// The status that came back.
    status_code: Option<u16>,
    /// From the start to the end of what was read, in milliseconds.
    #[schema(example = 123.456)]
    latency_ms: Option<f64>,
    /// How long each phase took; `null` when nobody looked.
    phases: Option<PhasesBody>,
    /// The IP address that was connected to.
    #[schema(example = "192.0.2.7")]
    address: Option<String>,
    /// What went wrong, in a sentence.
    error: Option<String>,
    /// What exactly, within the class, where there is a word for it.
    #[schema(schema_with = details)]
    detail: Option<&'static str>,
    /// What else was picked up; only of runs that were not all well, the assertions of every run that has some.
    evidence: Option<EvidenceBody>,
    /// Where it was looked from.
    #[schema(example = "default")]
    region: String,
    /// Which hand-out of the job brought the result, from 1; 0 when missed.
    attempt: u32,
}

/// Milliseconds that each phase took; `null` for a phase that was not reached or not needed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Phases)]
#[expect(clippy::struct_field_names, reason = "the unit belongs to each name")]
struct PhasesBody {
    /// From the start to the addresses.
    dns_ms: Option<f64>,
    /// From the addresses to a connection.
    connect_ms: Option<f64>,
    /// The TLS handshake.
    tls_ms: Option<f64>,
    /// From the request sent to the head of the response.
    first_byte_ms: Option<f64>,
    /// From the start to the end of what was read, or to the failure.
    total_ms: Option<f64>,
}

fn outcomes() -> Object {
    let meaning = "`ok`: as expected; `fail`: not; `inconclusive`: looked, and could not tell; \
        `missed`: nobody looked.";
    words(meaning, ["ok", "fail", "inconclusive", "missed"].into_iter())
}

fn classes() -> Object {
    let meaning = "What kind of failure; only with `fail`.";
    words_or_null(meaning, FailClass::ALL.iter().map(|class| class.as_str()))
}

fn details() -> Object {
    let meaning = "What exactly went wrong, within the class, where there is a word for it.";
    words_or_null(meaning, Detail::ALL.iter().map(|detail| detail.as_str()))
}

fn ms(us: Option<u32>) -> Option<f64> {
    us.map(|us| f64::from(us) / 1000.0)
}

impl From<Phases> for PhasesBody {
    fn from(phases: Phases) -> Self {
        Self {
            dns_ms: ms(phases.dns_us),
            connect_ms: ms(phases.connect_us),
            tls_ms: ms(phases.tls_us),
            first_byte_ms: ms(phases.first_byte_us),
            total_ms: ms(phases.total_us),
        }
    }
}

impl From<Run> for RunBody {
    fn from(mut run: Run) -> Self {
        let (class, reason) = match run.outcome {
            Outcome::Ok => (None, None),
            Outcome::Fail(class) => (Some(class.as_str()), None),
            Outcome::Degraded | Outcome::Inconclusive(_) | Outcome::Missed(_) => {
                (None, Some(run.outcome.reason()))
            }
        };
        Self {
            id: run.id(),
            slot: run.slot.into(),
            slots: run.slots,
            outcome: run.outcome.as_str(),
            class,
            reason,
            latency_ms: ms(run.total_us()),
            region: run.region.to_string(),
            attempt: run.attempt,
            started_at: run.observation.as_ref().map(|seen| seen.started_at.into()),
            status_code: run.observation.as_ref().and_then(|seen| seen.status_code),
            phases: run.observation.as_ref().map(|seen| seen.phases.into()),
            address: run
                .observation
                .as_ref()
                .and_then(|seen| seen.address)
                .map(|address| address.to_string()),
            detail: run
                .observation
                .as_ref()
                .and_then(|seen| seen.evidence.as_ref()?.detail)
                .map(Detail::as_str),
            evidence: run
                .observation
                .as_mut()
                .and_then(|seen| seen.evidence.take())
                .map(|evidence| EvidenceBody::from(*evidence)),
            error: run.observation.and_then(|seen| seen.error),
        }
    }
}

impl RunBody {
    /// A run of this check, which may have been another when it was looked at.
    pub(super) fn shown(run: Run, check: &Check) -> Self {
        let is_as_it_is = run.slot.time() >= check.updated_at;
        if is_as_it_is { Self::of(run, &check.config.probe) } else { Self::from(run) }
    }

    /// A run of a check as `probe` describes it.
    pub(super) fn of(run: Run, probe: &ProbeSpec) -> Self {
        let curl = curl_of(&run, probe);
        let mut body = Self::from(run);
        body.evidence = body.evidence.map(|evidence| evidence.with_curl(curl));
        body
    }
}

/// A run that was led elsewhere reached the last address, and began at another.
fn curl_of(run: &Run, probe: &ProbeSpec) -> Option<String> {
    let seen = run.observation.as_ref()?;
    let evidence = seen.evidence.as_deref()?;
    curl::command(probe, seen.address.filter(|_| evidence.redirects == 0))
}

/// List the runs of a check
///
/// Newest slot first. A run shows up here within a few seconds of its end.
#[utoipa::path(
    get, path = "/checks/{id}/runs", tag = "runs", params(OfCheck, PagingParams),
    responses((status = 200, description = "A page of runs.", body = List<RunBody>), OnCheck),
)]
async fn list_runs(
    State(api): State<Api>,
    OfCheck(id): OfCheck,
    Query(paging): Query<Paging<(Slot, String)>>,
) -> Result<Json<List<RunBody>>, ApiError> {
    let check = api.check(id).await?.check;
    let limit = paging.limit;
    let runs = api.history.runs(RunsOf { project: PROJECT, check: id }, paging.page(0)).await?;
    let show = |run: Run| RunBody::shown(run, &check);
    Ok(Json(List::of(runs, limit, |run| (run.slot, run.region.to_string()), show)))
}

#[cfg(test)]
mod tests {
    use pulse_core::models::ids::{CheckId, ProjectId, Region};
    use pulse_core::models::run::{MissedReason, Observation};
    use serde_json::json;

    use super::*;

    fn run(outcome: Outcome, observation: Option<Observation>) -> Run {
        Run {
            project_id: ProjectId::DEFAULT,
            check_id: CheckId(Uuid::nil()),
            region: Region::default(),
            slot: Slot(1_000),
            slots: 1,
            outcome,
            attempt: u32::from(observation.is_some()),
            observation,
        }
    }

    #[test]
    fn a_failed_run_shows_its_class_and_its_phases_in_milliseconds() {
        let phases =
            Phases { connect_us: Some(1_500), total_us: Some(21_302), ..Phases::default() };
        let seen = Observation {
            started_at: Slot(1_007).time(),
            status_code: Some(500),
            phases,
            address: Some([192, 0, 2, 7].into()),
            error: Some("status 500, expected any 2xx".into()),
            evidence: None,
            traits: None,
        };

        let shown =
            serde_json::to_value(RunBody::from(run(Outcome::Fail(FailClass::Status), Some(seen))))
                .unwrap();

        let expected = json!({
            "id": pulse_core::models::run::run_id(CheckId(Uuid::nil()), &Region::default(), Slot(1_000)),
            "slot": "1970-01-01T00:00:01.000Z", "slots": 1, "started_at": "1970-01-01T00:00:01.007Z",
            "outcome": "fail", "class": "status", "reason": null, "status_code": 500, "latency_ms": 21.302,
            "phases": {
                "dns_ms": null, "connect_ms": 1.5, "tls_ms": null, "first_byte_ms": null, "total_ms": 21.302,
            },
            "address": "192.0.2.7", "error": "status 500, expected any 2xx", "detail": null, "evidence": null, "region": "default", "attempt": 1,
        });
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_missed_slot_says_why_and_claims_no_observation() {
        let shown =
            serde_json::to_value(RunBody::from(run(Outcome::Missed(MissedReason::Late), None)))
                .unwrap();

        assert_eq!((&shown["outcome"], &shown["reason"]), (&json!("missed"), &json!("late")));
        for absent in
            ["class", "started_at", "status_code", "latency_ms", "phases", "address", "error"]
        {
            assert_eq!(shown[absent], json!(null), "{absent}");
        }
    }
}
