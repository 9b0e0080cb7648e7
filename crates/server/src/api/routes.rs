//! Routes: which checks go to which channels.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pulse_core::models::calendar::Day;
use pulse_core::models::channel::Severity;
use pulse_core::models::check::FieldError;
use pulse_core::models::ids::SettingId;
use pulse_core::models::routing::{Quiet, Reminders, Route, Step};
use pulse_core::models::setting::{Setting, SettingKind};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Array, ArrayBuilder, Object};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::check_shape::words;
use super::extract::{JsonBody, NoQuery, OfSetting, Query};
use super::page::{List, Paging, PagingParams};
use super::problem::{ApiError, OnChange, OnCheck, OnCreateSetting, OnList, OnRemove};
use super::settings::{self, read, refuse};
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

/// A step of an escalation.
#[derive(ToSchema)]
#[schema(as = RouteStep)]
#[expect(dead_code, reason = "describes what `Step` reads and writes")]
struct StepShape {
    /// How long nobody has acknowledged the incident since people were first told.
    #[schema(minimum = 1, maximum = 10080)]
    after_minutes: u32,
    /// The channels that are told then; those that were told before are reminded.
    #[schema(min_items = 1, max_items = 20)]
    channels: Vec<Uuid>,
}

/// Reminders while an incident lasts and nobody has acknowledged it.
#[derive(ToSchema)]
#[schema(as = RouteReminders)]
#[expect(dead_code, reason = "describes what `Reminders` reads and writes")]
struct RemindersShape {
    /// Before the first; each further one takes twice as long as the one before.
    #[schema(minimum = 1, maximum = 10080)]
    every_minutes: u32,
    /// The longest that it takes, at least `every_minutes`.
    #[schema(minimum = 1, maximum = 10080, default = 1440, required = false)]
    longest_minutes: u32,
    /// How many there are at most.
    #[schema(minimum = 1, maximum = 100, default = 10, required = false)]
    at_most: u32,
}

/// Hours in which a route tells nobody.
#[derive(ToSchema)]
#[schema(as = RouteQuiet)]
#[expect(dead_code, reason = "describes what `Quiet` reads and writes")]
struct QuietShape {
    /// Which.
    hours: HoursShape,
    /// What is told all the same.
    #[schema(schema_with = severity, required = false)]
    except: String,
}

/// Hours of the night, or of the day.
#[derive(ToSchema)]
#[schema(as = QuietHours)]
#[expect(dead_code, reason = "describes what `QuietHours` reads and writes")]
struct HoursShape {
    /// The days on which they begin; none for every day.
    #[schema(schema_with = days, required = false)]
    days: Vec<String>,
    /// When they begin.
    #[schema(example = "22:00")]
    from: String,
    /// When they are over: on the day after, unless it is later than `from`.
    #[schema(example = "07:00")]
    to: String,
    /// Where the hours are counted, by its name at IANA.
    #[schema(required = false, default = "UTC", example = "Europe/Berlin")]
    timezone: String,
}

fn days() -> Array {
    let day = words("A day.", Day::ALL.iter().map(|it| it.as_str()));
    let meaning = "The days on which they begin; none for every day.";
    ArrayBuilder::new().items(day).description(Some(meaning)).build()
}

fn severity() -> Object {
    words("How bad it is.", Severity::ALL.iter().map(|it| it.as_str()))
}

/// The schema of how bad something is.
pub(super) fn severities() -> Array {
    let meaning = "How bad it is: any of these.";
    ArrayBuilder::new().items(severity()).description(Some(meaning)).build()
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
    /// How bad it must be; none for `down` alone.
    #[schema(schema_with = severities, required = false)]
    severities: Vec<String>,
    /// The channels that are told at once.
    #[schema(min_items = 1, max_items = 20)]
    channels: Vec<Uuid>,
    /// Who is told besides while nobody acknowledges; in the order of time.
    #[schema(required = false, max_items = 10)]
    steps: Vec<StepShape>,
    /// How those who were told are reminded; `null` for not at all.
    #[schema(required = false)]
    reminders: Option<RemindersShape>,
    /// When nobody is told: what falls due then waits until that is over; `null` for never.
    #[schema(required = false)]
    quiet: Option<QuietShape>,
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
    /// How bad it must be; none for `down` alone.
    #[schema(schema_with = severities, required = false)]
    severities: Vec<String>,
    /// The channels that are told at once.
    #[schema(required = false, min_items = 1, max_items = 20)]
    channels: Vec<Uuid>,
    /// Who is told besides while nobody acknowledges; in the order of time.
    #[schema(required = false, max_items = 10)]
    steps: Vec<StepShape>,
    /// How those who were told are reminded; `null` for not at all.
    #[schema(required = false)]
    reminders: Option<RemindersShape>,
    /// When nobody is told: what falls due then waits until that is over; `null` for never.
    #[schema(required = false)]
    quiet: Option<QuietShape>,
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
    /// How bad it must be; none for `down` alone.
    #[schema(schema_with = severities)]
    severities: BTreeSet<Severity>,
    /// The channels that are told at once; one that has been removed is told no more.
    channels: Vec<Uuid>,
    /// Who is told besides while nobody acknowledges; in the order of time.
    #[schema(value_type = Vec<StepShape>)]
    steps: Vec<Step>,
    /// How those who were told are reminded; `null` for not at all.
    #[schema(value_type = Option<RemindersShape>)]
    reminders: Option<Reminders>,
    /// When nobody is told; `null` for never.
    #[schema(value_type = Option<QuietShape>)]
    quiet: Option<Quiet>,
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
        let Route { name, tags, checks, severities, channels, steps, reminders, quiet } =
            serde_json::from_value(config).unwrap_or_default();
        Self {
            id: id.0,
            name,
            tags,
            checks: checks.into_iter().map(|id| id.0).collect(),
            severities,
            channels: channels.into_iter().map(|id| id.0).collect(),
            steps,
            reminders,
            quiet,
            version,
            created_at: created_at.into(),
            updated_at: updated_at.into(),
        }
    }
}

fn checked(config: Value) -> Result<Value, FieldError> {
    read(config, "a route", Route::checked)
}

/// A route to nowhere would be a promise that nobody keeps.
async fn refuse_missing_channels(api: &Api, config: &Value) -> Result<(), ApiError> {
    let steps = config["steps"].as_array().into_iter().flatten();
    let steps = steps.map(|step| ("/steps", &step["channels"]));
    for (pointer, channels) in [("/channels", &config["channels"])].into_iter().chain(steps) {
        let wanted: BTreeSet<SettingId> =
            serde_json::from_value(channels.clone()).unwrap_or_default();
        for id in wanted {
            if api.settings.get(PROJECT, SettingKind::Channel, id).await?.is_none() {
                let detail = format!("names a channel that is not there: {id}");
                return Err(refuse(FieldError { pointer: pointer.to_owned(), detail }));
            }
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
    refuse_missing_channels(&api, &body.value).await?;
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
