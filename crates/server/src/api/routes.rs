//! Routes: which checks go to which channels.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pulse_core::models::check::FieldError;
use pulse_core::models::ids::SettingId;
use pulse_core::models::routing::Route;
use pulse_core::models::setting::{Setting, SettingKind};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::extract::{JsonBody, NoQuery, OfSetting, Query};
use super::page::{List, Paging, PagingParams};
use super::problem::{ApiError, OnChange, OnCheck, OnCreateSetting, OnList, OnRemove};
use super::settings::{self, refuse};
use super::time::Time;
use super::{Api, PROJECT};

const KIND: SettingKind = SettingKind::Route;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_routes, create_route)).routes(routes!(
        get_route,
        patch_route,
        delete_route
    ))
}

/// A route as it is to be. One with neither `tags` nor `checks` concerns every check.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `Route` reads")]
struct RouteInput {
    /// 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200, example = "The shop's checks")]
    name: String,
    /// Checks that have all of these tags.
    #[schema(required = false, max_items = 20)]
    tags: Vec<String>,
    /// Checks that are among these.
    #[schema(required = false, max_items = 1000)]
    checks: Vec<Uuid>,
    /// The channels that are told.
    #[schema(min_items = 1, max_items = 20)]
    channels: Vec<Uuid>,
}

/// What to change of a route; `null` restores the default.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is merged")]
struct RoutePatch {
    /// 1 to 200 characters.
    #[schema(required = false, min_length = 1, max_length = 200)]
    name: String,
    /// Checks that have all of these tags.
    #[schema(required = false, max_items = 20)]
    tags: Vec<String>,
    /// Checks that are among these.
    #[schema(required = false, max_items = 1000)]
    checks: Vec<Uuid>,
    /// The channels that are told.
    #[schema(required = false, min_items = 1, max_items = 20)]
    channels: Vec<Uuid>,
}

/// A route as it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Route)]
struct RouteBody {
    /// Its id.
    id: Uuid,
    /// Its name.
    name: String,
    /// Checks that have all of these tags.
    tags: Vec<String>,
    /// Checks that are among these.
    checks: Vec<Uuid>,
    /// The channels that are told; one that has been removed is told no more.
    channels: Vec<Uuid>,
    /// Counts the changes, from 1.
    version: i32,
    /// When it was created.
    created_at: Time,
    /// When it was last changed.
    updated_at: Time,
}

impl From<Setting> for RouteBody {
    fn from(setting: Setting) -> Self {
        let Setting { id, config, version, created_at, updated_at, .. } = setting;
        let Route { name, tags, checks, channels } =
            serde_json::from_value(config).unwrap_or_default();
        Self {
            id: id.0,
            name,
            tags,
            checks: checks.into_iter().map(|id| id.0).collect(),
            channels: channels.into_iter().map(|id| id.0).collect(),
            version,
            created_at: created_at.into(),
            updated_at: updated_at.into(),
        }
    }
}

fn read(config: Value) -> Result<Route, FieldError> {
    let route: Route = serde_json::from_value(config).map_err(|wrong| FieldError {
        pointer: String::new(),
        detail: format!("is not a route: {wrong}"),
    })?;
    route.checked().map_err(|(field, detail)| FieldError { pointer: format!("/{field}"), detail })
}

fn checked(config: Value) -> Result<Value, FieldError> {
    read(config).map(|route| serde_json::to_value(route).unwrap_or_default())
}

/// A route to nowhere would be a promise that nobody keeps.
async fn refuse_missing_channels(api: &Api, config: &Value) -> Result<(), ApiError> {
    let wanted: BTreeSet<SettingId> =
        serde_json::from_value(config["channels"].clone()).unwrap_or_default();
    for id in wanted {
        if api.settings.get(PROJECT, SettingKind::Channel, id).await?.is_none() {
            let detail = format!("names a channel that is not there: {id}");
            return Err(refuse(FieldError { pointer: "/channels".to_owned(), detail }));
        }
    }
    Ok(())
}

/// Create a route
///
/// From now on its channels are told of incidents of the checks it matches. A check's own
/// `webhook_url` is told besides.
#[utoipa::path(
    post, path = "/routes", tag = "channels",
    request_body(content = RouteInput, content_type = "application/json"),
    responses((status = 201, description = "The route.", body = RouteBody), OnCreateSetting),
)]
async fn create_route(
    State(api): State<Api>,
    _query: NoQuery,
    body: JsonBody,
) -> Result<(StatusCode, Json<RouteBody>), ApiError> {
    let config = checked(body.value).map_err(refuse)?;
    refuse_missing_channels(&api, &config).await?;
    let setting = settings::create(&api, KIND, config).await?;
    Ok((StatusCode::CREATED, Json(setting.into())))
}

/// List routes
///
/// Newest first.
#[utoipa::path(
    get, path = "/routes", tag = "channels", params(PagingParams),
    responses((status = 200, description = "A page of routes.", body = List<RouteBody>), OnList),
)]
async fn list_routes(
    State(api): State<Api>,
    Query(paging): Query<Paging<SettingId>>,
) -> Result<Json<List<RouteBody>>, ApiError> {
    let limit = paging.limit;
    let routes = settings::list(&api, KIND, paging).await?;
    Ok(Json(List::of(routes, limit, |it| it.id, RouteBody::from)))
}

/// Show a route
#[utoipa::path(
    get, path = "/routes/{id}", tag = "channels", params(OfSetting),
    responses((status = 200, description = "The route.", body = RouteBody), OnCheck),
)]
async fn get_route(
    State(api): State<Api>,
    OfSetting(id): OfSetting,
    _query: NoQuery,
) -> Result<Json<RouteBody>, ApiError> {
    Ok(Json(settings::get(&api, KIND, id).await?.into()))
}

/// Change some of a route
///
/// A JSON merge patch (RFC 7396). Incidents that are open stay with whoever heard of them.
#[utoipa::path(
    patch, path = "/routes/{id}", tag = "channels", params(OfSetting),
    request_body(content(
        (RoutePatch = "application/merge-patch+json"),
        (RoutePatch = "application/json"),
    )),
    responses((status = 200, description = "The route as it is now.", body = RouteBody), OnChange),
)]
async fn patch_route(
    State(api): State<Api>,
    OfSetting(id): OfSetting,
    _query: NoQuery,
    body: JsonBody,
) -> Result<Json<RouteBody>, ApiError> {
    if !body.value["channels"].is_null() {
        refuse_missing_channels(&api, &body.value).await?;
    }
    Ok(Json(settings::patch(&api, KIND, id, &body.value, checked).await?.into()))
}

/// Remove a route
#[utoipa::path(
    delete, path = "/routes/{id}", tag = "channels", params(OfSetting),
    responses((status = 204, description = "It is gone."), OnRemove),
)]
async fn delete_route(
    State(api): State<Api>,
    OfSetting(id): OfSetting,
    _query: NoQuery,
) -> Result<StatusCode, ApiError> {
    settings::remove(&api, KIND, id).await
}
