//! The storm breaker: when many incidents are told of as one.

use axum::Json;
use axum::extract::State;
use pulse_core::models::check::FieldError;
use pulse_core::models::ids::SettingId;
use pulse_core::models::setting::SettingKind;
use pulse_core::models::telling::storm::StormBreaker;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{JsonBody, NoQuery};
use super::problem::{ApiError, OnChange, OnList};
use super::settings::{self, read, refuse};
use super::{Api, PROJECT};

const KIND: SettingKind = SettingKind::StormBreaker;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(get_storm_breaker, patch_storm_breaker))
}

/// When many incidents are a storm.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StormBreaker)]
struct BreakerBody {
    /// How many incidents channels are told of by themselves within that time; 0 for as many as there are.
    #[schema(maximum = 10_000, default = 5)]
    limit: u32,
    /// That time.
    #[schema(minimum = 10, maximum = 3_600, default = 60)]
    within_seconds: u32,
}

/// What to change of it; `null` restores the default.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is merged")]
struct BreakerPatch {
    /// How many incidents channels are told of by themselves within that time; 0 for as many as there are.
    #[schema(required = false, maximum = 10_000)]
    limit: u32,
    /// That time.
    #[schema(required = false, minimum = 10, maximum = 3_600)]
    within_seconds: u32,
}

fn shown(config: Value) -> Json<BreakerBody> {
    let StormBreaker { limit, within_seconds } = serde_json::from_value(config).unwrap_or_default();
    Json(BreakerBody { limit, within_seconds })
}

fn checked(config: Value) -> Result<Value, FieldError> {
    read(config, "a storm breaker", StormBreaker::checked)
}

/// A project has one at most, of the project's id.
const ID: SettingId = SettingId(PROJECT.0);

/// Show the storm breaker
#[utoipa::path(
    get, path = "/storm-breaker", tag = "channels",
    responses((status = 200, description = "The storm breaker.", body = BreakerBody), OnList),
)]
async fn get_storm_breaker(
    State(api): State<Api>,
    _query: NoQuery,
) -> Result<Json<BreakerBody>, ApiError> {
    let set = api.settings.get(PROJECT, KIND, ID).await?;
    Ok(shown(set.map_or_else(|| json!({}), |setting| setting.config)))
}

/// Change the storm breaker
///
/// A JSON merge patch (RFC 7396). It holds from the next incident on.
#[utoipa::path(
    patch, path = "/storm-breaker", tag = "channels",
    request_body(content(
        (BreakerPatch = "application/merge-patch+json"),
        (BreakerPatch = "application/json"),
    )),
    responses((status = 200, description = "The storm breaker as it is now.", body = BreakerBody), OnChange),
)]
async fn patch_storm_breaker(
    State(api): State<Api>,
    _query: NoQuery,
    body: JsonBody,
) -> Result<Json<BreakerBody>, ApiError> {
    if api.settings.get(PROJECT, KIND, ID).await?.is_none() {
        let config = checked(json!({})).map_err(refuse)?;
        // Where another is faster, it is there all the same.
        api.settings.create(&settings::new(&api, ID, KIND, config)).await?;
    }
    Ok(shown(settings::patch(&api, KIND, ID, &body.value, checked).await?.config))
}
