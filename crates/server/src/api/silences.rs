//! Silences: for a while, nobody is to be told of some checks.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pulse_core::models::channel::Severity;
use pulse_core::models::check::FieldError;
use pulse_core::models::ids::SettingId;
use pulse_core::models::setting::{Setting, SettingKind};
use pulse_core::models::silence::Silence;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::Api;
use super::extract::{JsonBody, NoQuery, OfSetting, Query};
use super::page::{List, Paging, PagingParams};
use super::problem::{ApiError, OnChange, OnCheck, OnCreateSetting, OnList, OnRemove};
use super::routes::severities;
use super::settings::{self, read, refuse};
use super::time::Time;

const KIND: SettingKind = SettingKind::Silence;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_silences, create_silence)).routes(routes!(
        get_silence,
        patch_silence,
        delete_silence
    ))
}

/// A silence as it is to be. One with neither `tags` nor `checks` is about every check.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `Silence` reads")]
struct SilenceInput {
    /// Checks that have all of these tags.
    #[schema(required = false, max_items = 20)]
    tags: Vec<String>,
    /// Checks that are among these.
    #[schema(required = false, max_items = 1000)]
    checks: Vec<Uuid>,
    /// How bad it may be; none for whatever it is.
    #[schema(schema_with = severities, required = false)]
    severities: Vec<String>,
    /// Who says so; 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200, example = "Ada")]
    author: String,
    /// Why; 1 to 1,000 characters.
    #[schema(min_length = 1, max_length = 1000, example = "The disk is being replaced")]
    reason: String,
    /// When it begins; at once, where nobody says otherwise.
    #[schema(required = false)]
    starts_at: Time,
    /// When it is over, at most 366 days later.
    expires_at: Time,
}

/// What to change of a silence; `null` restores the default.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is merged")]
struct SilencePatch {
    /// Checks that have all of these tags.
    #[schema(required = false, max_items = 20)]
    tags: Vec<String>,
    /// Checks that are among these.
    #[schema(required = false, max_items = 1000)]
    checks: Vec<Uuid>,
    /// How bad it may be; none for whatever it is.
    #[schema(schema_with = severities, required = false)]
    severities: Vec<String>,
    /// Who says so; 1 to 200 characters.
    #[schema(required = false, min_length = 1, max_length = 200)]
    author: String,
    /// Why; 1 to 1,000 characters.
    #[schema(required = false, min_length = 1, max_length = 1000)]
    reason: String,
    /// When it begins.
    #[schema(required = false)]
    starts_at: Time,
    /// When it is over, at most 366 days later.
    #[schema(required = false)]
    expires_at: Time,
}

/// A silence as it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Silence)]
struct SilenceBody {
    /// Its id.
    id: Uuid,
    /// Checks that have all of these tags.
    tags: Vec<String>,
    /// Checks that are among these.
    checks: Vec<Uuid>,
    /// How bad it may be; none for whatever it is.
    #[schema(schema_with = severities)]
    severities: BTreeSet<Severity>,
    /// Who says so.
    author: String,
    /// Why.
    reason: String,
    /// When it begins.
    starts_at: Time,
    /// When it is over.
    expires_at: Time,
    /// Counts the changes, from 1.
    version: i32,
    /// When it was created.
    created_at: Time,
    /// When it was last changed.
    updated_at: Time,
}

impl TryFrom<Setting> for SilenceBody {
    type Error = ApiError;

    fn try_from(setting: Setting) -> Result<Self, ApiError> {
        let Setting { id, config, version, created_at, updated_at, .. } = setting;
        let silence: Silence = serde_json::from_value(config).map_err(ApiError::internal)?;
        let Silence { tags, checks, severities, author, reason, starts_at, expires_at } = silence;
        Ok(Self {
            id: id.0,
            tags,
            checks: checks.into_iter().map(|id| id.0).collect(),
            severities,
            author,
            reason,
            starts_at: starts_at.into(),
            expires_at: expires_at.into(),
            version,
            created_at: created_at.into(),
            updated_at: updated_at.into(),
        })
    }
}

fn checked(config: Value) -> Result<Value, FieldError> {
    read(config, "a silence", Silence::checked)
}

/// Create a silence
///
/// Until it expires nobody is told of incidents that it is about. Those that last when it is over are told
/// then; those that are over before were never told. Whoever heard of one before hears of its end all the same.
#[utoipa::path(
    post, path = "/silences", tag = "channels",
    request_body(content = SilenceInput, content_type = "application/json"),
    responses((status = 201, description = "The silence.", body = SilenceBody), OnCreateSetting),
)]
async fn create_silence(
    State(api): State<Api>,
    _query: NoQuery,
    mut body: JsonBody,
) -> Result<(StatusCode, Json<SilenceBody>), ApiError> {
    if body.value.is_object() && body.value["starts_at"].is_null() {
        body.value["starts_at"] = json!(api.clock.now().time());
    }
    let config = checked(body.value).map_err(refuse)?;
    let setting = settings::create(&api, KIND, config).await?;
    Ok((StatusCode::CREATED, Json(setting.try_into()?)))
}

/// List silences
///
/// Newest first, those that have expired as well.
#[utoipa::path(
    get, path = "/silences", tag = "channels", params(PagingParams),
    responses((status = 200, description = "A page of silences.", body = List<SilenceBody>), OnList),
)]
async fn list_silences(
    State(api): State<Api>,
    Query(paging): Query<Paging<SettingId>>,
) -> Result<Json<List<SilenceBody>>, ApiError> {
    let limit = paging.limit;
    let silences = settings::list(&api, KIND, paging).await?;
    let shown: Result<Vec<SilenceBody>, ApiError> =
        silences.into_iter().map(SilenceBody::try_from).collect();
    Ok(Json(List::of(shown?, limit, |it| SettingId(it.id), |it| it)))
}

/// Show a silence
#[utoipa::path(
    get, path = "/silences/{id}", tag = "channels", params(OfSetting),
    responses((status = 200, description = "The silence.", body = SilenceBody), OnCheck),
)]
async fn get_silence(
    State(api): State<Api>,
    OfSetting(id): OfSetting,
    _query: NoQuery,
) -> Result<Json<SilenceBody>, ApiError> {
    Ok(Json(settings::get(&api, KIND, id).await?.try_into()?))
}

/// Change some of a silence
///
/// A JSON merge patch (RFC 7396). One that is to end now gets an `expires_at` of now.
#[utoipa::path(
    patch, path = "/silences/{id}", tag = "channels", params(OfSetting),
    request_body(content(
        (SilencePatch = "application/merge-patch+json"),
        (SilencePatch = "application/json"),
    )),
    responses((status = 200, description = "The silence as it is now.", body = SilenceBody), OnChange),
)]
async fn patch_silence(
    State(api): State<Api>,
    OfSetting(id): OfSetting,
    _query: NoQuery,
    body: JsonBody,
) -> Result<Json<SilenceBody>, ApiError> {
    Ok(Json(settings::patch(&api, KIND, id, &body.value, checked).await?.try_into()?))
}

/// Remove a silence
///
/// What it held back and still lasts is told within seconds.
#[utoipa::path(
    delete, path = "/silences/{id}", tag = "channels", params(OfSetting),
    responses((status = 204, description = "It is gone."), OnRemove),
)]
async fn delete_silence(
    State(api): State<Api>,
    OfSetting(id): OfSetting,
    _query: NoQuery,
) -> Result<StatusCode, ApiError> {
    settings::remove(&api, KIND, id).await
}
