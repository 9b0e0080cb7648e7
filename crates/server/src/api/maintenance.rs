//! Maintenance: stretches of time in which checks may be down.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pulse_core::models::calendar::Window;
use pulse_core::models::check::FieldError;
use pulse_core::models::ids::SettingId;
use pulse_core::models::maintenance::Maintenance;
use pulse_core::models::setting::{Setting, SettingKind};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::Api;
use super::extract::{JsonBody, NoQuery, OfSetting, Query};
use super::page::{List, Paging, PagingParams};
use super::problem::{ApiError, OnChange, OnCheck, OnCreateSetting, OnList, OnRemove};
use super::settings::{self, read, refuse};
use super::time::Time;

const KIND: SettingKind = SettingKind::Maintenance;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_maintenance, create_maintenance)).routes(routes!(
        get_maintenance,
        patch_maintenance,
        delete_maintenance
    ))
}

/// A stretch of time, or many: once (`from`, `to`), by a recurrence rule (`start`, `rrule`, `duration_seconds`,
/// `timezone`) or by cron (`cron`, `duration_seconds`, `timezone`).
#[derive(ToSchema)]
#[schema(as = Window)]
#[expect(dead_code, reason = "describes what `Window` reads and writes")]
struct WindowShape {
    /// Once: when it begins.
    #[schema(required = false)]
    from: Time,
    /// Once: when it is over.
    #[schema(required = false)]
    to: Time,
    /// By a rule: from when on it counts, by the clock of the zone.
    #[schema(required = false, example = "2026-11-01T02:00:00")]
    start: String,
    /// An RRULE of RFC 5545, of days or longer.
    #[schema(required = false, example = "FREQ=WEEKLY;BYDAY=SU")]
    rrule: String,
    /// Five fields: minute, hour, day of the month, month, day of the week.
    #[schema(required = false, example = "0 2 * * 0")]
    cron: String,
    /// By a rule or cron: how long each lasts.
    #[schema(required = false, minimum = 60, maximum = 2_678_400)]
    duration_seconds: u32,
    /// By a rule or cron: where hours are counted, by its name at IANA.
    #[schema(required = false, default = "UTC", example = "Europe/Berlin")]
    timezone: String,
}

/// Maintenance as it is to be. One with neither `tags` nor `checks` is about every check.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `Maintenance` reads")]
struct MaintenanceInput {
    /// 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200, example = "Patch night")]
    name: String,
    /// Checks that have all of these tags.
    #[schema(required = false, max_items = 20)]
    tags: Vec<String>,
    /// Checks that are among these.
    #[schema(required = false, max_items = 1000)]
    checks: Vec<Uuid>,
    /// When.
    window: WindowShape,
}

/// What to change of it; `null` restores the default.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is merged")]
struct MaintenancePatch {
    /// 1 to 200 characters.
    #[schema(required = false, min_length = 1, max_length = 200)]
    name: String,
    /// Checks that have all of these tags.
    #[schema(required = false, max_items = 20)]
    tags: Vec<String>,
    /// Checks that are among these.
    #[schema(required = false, max_items = 1000)]
    checks: Vec<Uuid>,
    /// When; its fields are merged, too.
    #[schema(required = false)]
    window: WindowShape,
}

/// Maintenance as it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Maintenance)]
struct MaintenanceBody {
    /// Its id.
    id: Uuid,
    /// Its name.
    name: String,
    /// Checks that have all of these tags.
    tags: Vec<String>,
    /// Checks that are among these.
    checks: Vec<Uuid>,
    /// When.
    #[schema(value_type = WindowShape)]
    window: Window,
    /// Counts the changes, from 1.
    version: i32,
    /// When it was created.
    created_at: Time,
    /// When it was last changed.
    updated_at: Time,
}

impl TryFrom<Setting> for MaintenanceBody {
    type Error = ApiError;

    fn try_from(setting: Setting) -> Result<Self, ApiError> {
        let Setting { id, config, version, created_at, updated_at, .. } = setting;
        let it: Maintenance = serde_json::from_value(config).map_err(ApiError::internal)?;
        let Maintenance { name, tags, checks, window } = it;
        Ok(Self {
            id: id.0,
            name,
            tags,
            checks: checks.into_iter().map(|id| id.0).collect(),
            window,
            version,
            created_at: created_at.into(),
            updated_at: updated_at.into(),
        })
    }
}

fn checked(config: Value) -> Result<Value, FieldError> {
    read(config, "maintenance", Maintenance::checked)
}

/// Plan maintenance
///
/// Checks go on being looked at. Incidents meanwhile are held, and told when it is over if they last.
#[utoipa::path(
    post, path = "/maintenance", tag = "channels",
    request_body(content = MaintenanceInput, content_type = "application/json"),
    responses((status = 201, description = "The maintenance.", body = MaintenanceBody), OnCreateSetting),
)]
async fn create_maintenance(
    State(api): State<Api>,
    _query: NoQuery,
    body: JsonBody,
) -> Result<(StatusCode, Json<MaintenanceBody>), ApiError> {
    let config = checked(body.value).map_err(refuse)?;
    let setting = settings::create(&api, KIND, config).await?;
    Ok((StatusCode::CREATED, Json(setting.try_into()?)))
}

/// List maintenance
///
/// Newest first, what is long over as well.
#[utoipa::path(
    get, path = "/maintenance", tag = "channels", params(PagingParams),
    responses((status = 200, description = "A page of it.", body = List<MaintenanceBody>), OnList),
)]
async fn list_maintenance(
    State(api): State<Api>,
    Query(paging): Query<Paging<SettingId>>,
) -> Result<Json<List<MaintenanceBody>>, ApiError> {
    let limit = paging.limit;
    let all = settings::list(&api, KIND, paging).await?;
    let shown: Result<Vec<MaintenanceBody>, ApiError> =
        all.into_iter().map(MaintenanceBody::try_from).collect();
    Ok(Json(List::of(shown?, limit, |it| SettingId(it.id), |it| it)))
}

/// Show maintenance
#[utoipa::path(
    get, path = "/maintenance/{id}", tag = "channels", params(OfSetting),
    responses((status = 200, description = "The maintenance.", body = MaintenanceBody), OnCheck),
)]
async fn get_maintenance(
    State(api): State<Api>,
    OfSetting(id): OfSetting,
    _query: NoQuery,
) -> Result<Json<MaintenanceBody>, ApiError> {
    Ok(Json(settings::get(&api, KIND, id).await?.try_into()?))
}

/// Change some of maintenance
///
/// A JSON merge patch (RFC 7396).
#[utoipa::path(
    patch, path = "/maintenance/{id}", tag = "channels", params(OfSetting),
    request_body(content(
        (MaintenancePatch = "application/merge-patch+json"),
        (MaintenancePatch = "application/json"),
    )),
    responses((status = 200, description = "The maintenance as it is now.", body = MaintenanceBody), OnChange),
)]
async fn patch_maintenance(
    State(api): State<Api>,
    OfSetting(id): OfSetting,
    _query: NoQuery,
    body: JsonBody,
) -> Result<Json<MaintenanceBody>, ApiError> {
    Ok(Json(settings::patch(&api, KIND, id, &body.value, checked).await?.try_into()?))
}

/// Remove maintenance
///
/// What it held back and still lasts is told within seconds.
#[utoipa::path(
    delete, path = "/maintenance/{id}", tag = "channels", params(OfSetting),
    responses((status = 204, description = "It is gone."), OnRemove),
)]
async fn delete_maintenance(
    State(api): State<Api>,
    OfSetting(id): OfSetting,
    _query: NoQuery,
) -> Result<StatusCode, ApiError> {
    settings::remove(&api, KIND, id).await
}
