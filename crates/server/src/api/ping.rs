//! Pings: a job says that it begins, or how it ended. Whoever knows its token may speak for it.
//!
//! What is answered with 200 is committed. The token is in no log: the log knows a request by its route.

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use pulse_core::models::heartbeat::{Ping, PingToken, Signal};
use pulse_core::ports::heartbeats::Received;
use serde::Serialize;
use utoipa::openapi::Object;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::check_shape::words;
use super::extract::NoQuery;
use super::output::Output;
use super::problem::{ApiError, Kind, OnCheck, OnPing};
use crate::heartbeats;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(get_ping, post_ping))
        .routes(routes!(get_signal, post_signal))
}

/// What became of a ping.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Ping)]
struct PingBody {
    /// `taken`: it counts; `paused`: the check is paused, and nothing has changed.
    #[schema(schema_with = results)]
    result: &'static str,
}

fn results() -> Object {
    let meaning = "`taken`: it counts; `paused`: the check is paused, and nothing has changed.";
    words(meaning, ["taken", "paused"].into_iter())
}

/// Whose job a path speaks for.
#[derive(Debug, IntoParams)]
#[into_params(names("token"), parameter_in = Path)]
struct OfToken(
    /// The last segment of the check's `ping_url`.
    #[param(value_type = String, pattern = "^[0-9a-f]{32}$")]
    PingToken,
);

impl<S: Send + Sync> FromRequestParts<S> for OfToken {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let token = Path::<String>::from_request_parts(parts, state).await;
        let token = token.ok().and_then(|Path(token)| PingToken::parse(&token));
        token.map(Self).ok_or_else(unknown)
    }
}

/// The same, and what it says.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
struct OfSignal {
    /// The last segment of the check's `ping_url`.
    #[param(value_type = String, pattern = "^[0-9a-f]{32}$")]
    token: PingToken,
    /// `start`, `fail`, or an exit code of 0 to 255: 0 is well, all others are failures.
    #[param(value_type = String, example = "start")]
    signal: Signal,
}

impl<S: Send + Sync> FromRequestParts<S> for OfSignal {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((token, signal)) = path.map_err(|_no_text| unknown())?;
        let token = PingToken::parse(&token).ok_or_else(unknown)?;
        let signal = Signal::parse(&signal).ok_or_else(|| {
            let told = "A job says nothing, start, fail, or an exit code of 0 to 255.";
            ApiError::new(Kind::NotFound, told)
        })?;
        Ok(Self { token, signal })
    }
}

fn unknown() -> ApiError {
    ApiError::new(Kind::NotFound, "No check waits for a ping with this token.")
}

/// Say that a run of a job went well
///
/// As with POST, for jobs that call with nothing but a URL.
#[utoipa::path(
    get, path = "/ping/{token}", tag = "pings", params(OfToken),
    responses((status = 200, description = "It is recorded.", body = PingBody), OnCheck),
)]
async fn get_ping(
    State(api): State<Api>,
    OfToken(token): OfToken,
    _query: NoQuery,
    output: Output,
) -> Result<Json<PingBody>, ApiError> {
    take(&api, &token, Signal::Success, &output).await
}

/// Say that a run of a job went well
///
/// The body, if there is one, is kept with the run: its first 10 KiB, as text.
#[utoipa::path(
    post, path = "/ping/{token}", tag = "pings", params(OfToken),
    request_body(content = Option<String>, content_type = "text/plain"),
    responses((status = 200, description = "It is recorded.", body = PingBody), OnPing),
)]
async fn post_ping(
    State(api): State<Api>,
    OfToken(token): OfToken,
    _query: NoQuery,
    output: Output,
) -> Result<Json<PingBody>, ApiError> {
    take(&api, &token, Signal::Success, &output).await
}

/// Say that a run of a job begins, or how it ended
///
/// As with POST, for jobs that call with nothing but a URL.
#[utoipa::path(
    get, path = "/ping/{token}/{signal}", tag = "pings", params(OfSignal),
    responses((status = 200, description = "It is recorded.", body = PingBody), OnCheck),
)]
async fn get_signal(
    State(api): State<Api>,
    OfSignal { token, signal }: OfSignal,
    _query: NoQuery,
    output: Output,
) -> Result<Json<PingBody>, ApiError> {
    take(&api, &token, signal, &output).await
}

/// Say that a run of a job begins, or how it ended
///
/// The body, if there is one, is kept with the run that ends: its first 10 KiB, as text.
#[utoipa::path(
    post, path = "/ping/{token}/{signal}", tag = "pings", params(OfSignal),
    request_body(content = Option<String>, content_type = "text/plain"),
    responses((status = 200, description = "It is recorded.", body = PingBody), OnPing),
)]
async fn post_signal(
    State(api): State<Api>,
    OfSignal { token, signal }: OfSignal,
    _query: NoQuery,
    output: Output,
) -> Result<Json<PingBody>, ApiError> {
    take(&api, &token, signal, &output).await
}

async fn take(
    api: &Api,
    token: &PingToken,
    signal: Signal,
    output: &Output,
) -> Result<Json<PingBody>, ApiError> {
    let ping = Ping::new(signal, &output.kept, output.bytes);
    let received = api.heartbeats.ping(token, &ping, api.clock.now()).await;
    let received = received.inspect_err(|_lost| {
        count(api, signal, "lost");
        api.lost_pings.note();
    })?;
    let result = match received {
        Received::Taken(recorded) => {
            heartbeats::count(&api.metrics, recorded);
            "taken"
        }
        Received::Paused => "paused",
        Received::Unknown => {
            count(api, signal, "unknown");
            return Err(unknown());
        }
    };
    count(api, signal, result);
    Ok(Json(PingBody { result }))
}

fn count(api: &Api, signal: Signal, result: &str) {
    api.metrics.pings.with_label_values(&[signal.kind(), result]).inc();
}
