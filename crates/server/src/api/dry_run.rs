//! Dry runs: a look for a check that is not saved, the way of every other run and with everything told.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use pulse_core::models::check::{CheckDraft, FieldError};
use pulse_core::models::ids::{CheckId, Region};
use pulse_core::models::job::{Job, RunResult, VersionedSpec};
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::run::Run;
use tokio::sync::Semaphore;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::check_shape::CheckInput;
use super::checks::refuse_fields;
use super::extract::{JsonBody, NoQuery};
use super::problem::{ApiError, Kind, OnDryRun};
use super::runs::RunBody;
use super::secrets::with_sealed;
use super::{Api, PROJECT};

/// The longest look that a request can wait for.
const LONGEST_LOOK_MS: u32 = 7_000;
/// How long a job may wait for a worker.
const PICKED_UP_MS: u32 = 1_500;
/// How long a result may take on its way back.
const HANDED_IN_MS: u32 = 500;
/// Between two questions whether the result is there.
const ASKING: Duration = Duration::from_millis(25);
/// Dry runs that are waited for at a time: they share the queue with runs that cannot wait.
const MOST_AT_ONCE: usize = 50;

static PLACES: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(MOST_AT_ONCE));

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(dry_run))
}

/// Try a check out
///
/// Looks once as a check with this body would, in the first of its regions, and returns all that was
/// seen and every assertion with its value. Nothing is saved, nobody is told, and a look ends after
/// seven seconds at most.
#[utoipa::path(
    post, path = "/checks/test", tag = "checks",
    request_body(content = CheckInput, content_type = "application/json"),
    responses((status = 200, description = "What was seen.", body = RunBody), OnDryRun),
)]
async fn dry_run(
    State(api): State<Api>,
    _query: NoQuery,
    body: JsonBody,
) -> Result<Json<RunBody>, ApiError> {
    let draft = CheckDraft::read(body.value).map_err(refuse_fields)?;
    if !draft.config.is_looked_at() {
        return Err(refuse_fields(vec![FieldError {
            pointer: "/url".to_owned(),
            detail: "cannot be tried out: Pulse waits for the job, and looks at nothing".to_owned(),
        }]));
    }
    let asked = draft.config.probe.clone();
    let probe = with_sealed(&api, draft.config.probe).await?;
    let region = draft.config.regions.first().cloned().unwrap_or_default();
    let Ok(_place) = PLACES.try_acquire() else {
        let told = format!("{MOST_AT_ONCE} dry runs are under way; try again in a moment.");
        return Err(ApiError::new(Kind::NoWorker, told));
    };
    let look_ms = draft.config.timeout_ms.min(LONGEST_LOOK_MS);
    let id = send(&api, probe, &region, look_ms).await?;
    let waits_until =
        Instant::now() + Duration::from_millis((look_ms + PICKED_UP_MS + HANDED_IN_MS).into());
    while Instant::now() < waits_until {
        if let Some(result) = api.dry_runs.take(id).await? {
            return Ok(Json(RunBody::of(run(result), &asked)));
        }
        tokio::time::sleep(ASKING).await;
    }
    let told = format!("No worker of the region {region} has looked in time.");
    Err(ApiError::new(Kind::NoWorker, told))
}

async fn send(
    api: &Api,
    probe: ProbeSpec,
    region: &Region,
    timeout_ms: u32,
) -> Result<CheckId, ApiError> {
    let id = CheckId::of_dry_run();
    let job = Job {
        check_id: id,
        region: region.clone(),
        slot: api.clock.now(),
        version: 1,
        timeout_ms,
        due_in_ms: 0,
        start_within_ms: PICKED_UP_MS.into(),
    };
    let spec = VersionedSpec { check_id: id, version: 1, spec: probe.into() };
    api.dispatch.put_specs(region, &[spec]).await?;
    let pushed = api.dispatch.push(&[job]).await?;
    if pushed.dropped > 0 {
        let told = format!("The queue of the region {region} is full.");
        return Err(ApiError::new(Kind::NoWorker, told));
    }
    Ok(id)
}

fn run(result: RunResult) -> Run {
    Run {
        project_id: PROJECT,
        check_id: result.check_id,
        region: result.region,
        slot: result.slot,
        slots: 1,
        outcome: result.outcome,
        attempt: result.attempt,
        observation: result.observation,
    }
}
