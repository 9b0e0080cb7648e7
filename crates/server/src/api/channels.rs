//! Channels: where people are told.

use std::collections::{BTreeMap, HashMap};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pulse_core::models::alert::AlertKind;
use pulse_core::models::channel::{About, Channel, ChannelSpec, Links, Message, Severity, Told};
use pulse_core::models::check::FieldError;
use pulse_core::models::ids::{CheckId, IncidentId, SettingId};
use pulse_core::models::incident::IncidentKind;
use pulse_core::models::setting::{Setting, SettingKind};
use pulse_core::ports::settings::ChannelState;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::Object;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::channel_health::{ChannelHealth, refuse_circle};
use super::check_shape::words;
use super::extract::{JsonBody, NoQuery, OfSetting, Query};
use super::page::{List, Paging, PagingParams};
use super::problem::{ApiError, OnChange, OnCheck, OnCreateSetting, OnList, OnRemove};
use super::settings::{self, refuse};
use super::time::Time;
use super::{Api, PROJECT};

const KIND: SettingKind = SettingKind::Channel;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_channels, create_channel))
        .routes(routes!(get_channel, patch_channel, delete_channel))
        .routes(routes!(test_channel))
}

fn types() -> Object {
    words(
        "How people are told; which fields it takes, docs/API.md says.",
        ChannelSpec::KINDS.iter().copied(),
    )
}

/// A channel as it is to be: besides these, the fields of its type.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes what `Channel::read` takes")]
struct ChannelInput {
    /// 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200, example = "Operations")]
    name: String,
    /// How people are told.
    #[schema(schema_with = types)]
    r#type: String,
    /// Whether anybody is told by it.
    #[schema(default = true, required = false)]
    enabled: bool,
    /// The channel that is told instead when this one cannot be, or not within two minutes.
    #[schema(required = false)]
    fallback: Option<Uuid>,
    /// What its type needs; docs/API.md has the fields of each.
    config: BTreeMap<String, Value>,
}

/// What to change of a channel: any of its fields; `null` restores the default.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes what is merged")]
struct ChannelPatch {
    /// 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200, required = false)]
    name: String,
    /// Whether anybody is told by it. To switch it on closes its breaker, too.
    #[schema(required = false)]
    enabled: bool,
    /// The channel that is told instead when this one cannot be, or not within two minutes; `null` for none.
    #[schema(required = false)]
    fallback: Option<Uuid>,
    /// What to change of what its type needs.
    #[schema(required = false)]
    config: BTreeMap<String, Value>,
}

/// A channel as it is: its secrets are shown as `***`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Channel)]
struct ChannelBody {
    /// Its id.
    id: Uuid,
    /// Its name.
    name: String,
    /// How people are told.
    #[schema(schema_with = types)]
    r#type: &'static str,
    /// Whether anybody is told by it.
    enabled: bool,
    /// The channel that is told instead when this one cannot be.
    fallback: Option<Uuid>,
    /// How its receiver answers.
    health: ChannelHealth,
    /// What its type needs, secrets as `***`.
    #[schema(value_type = Object)]
    config: Value,
    /// Counts the changes, from 1.
    version: i32,
    /// When it was created.
    created_at: Time,
    /// When it was last changed.
    updated_at: Time,
}

/// As they are shown, in this order.
async fn shown(api: &Api, settings: Vec<Setting>) -> Result<Vec<ChannelBody>, ApiError> {
    let ids: Vec<SettingId> = settings.iter().map(|setting| setting.id).collect();
    let states = api.settings.channel_states(PROJECT, &ids).await?;
    let mut states: HashMap<SettingId, ChannelState> = states.into_iter().collect();
    let now = api.clock.now();
    let with_state = settings.into_iter().map(|setting| {
        let state = states.remove(&setting.id).unwrap_or_default();
        ChannelBody::of(setting, ChannelHealth::of(state, now))
    });
    with_state.collect()
}

async fn shown_alone(api: &Api, setting: Setting) -> Result<Json<ChannelBody>, ApiError> {
    let states = api.settings.channel_states(PROJECT, &[setting.id]).await?;
    let state = states.into_iter().next().map(|(_, state)| state).unwrap_or_default();
    ChannelBody::of(setting, ChannelHealth::of(state, api.clock.now())).map(Json)
}

impl ChannelBody {
    fn of(setting: Setting, health: ChannelHealth) -> Result<Self, ApiError> {
        let Setting { id, config, version, created_at, updated_at, .. } = setting;
        let channel: Channel = serde_json::from_value(config).map_err(ApiError::internal)?;
        let Channel { name, enabled, fallback, spec } = channel.masked();
        Ok(Self {
            id: id.0,
            name,
            r#type: spec.kind(),
            enabled,
            fallback: fallback.map(|id| id.0),
            health,
            config: spec.config(),
            version,
            created_at: created_at.into(),
            updated_at: updated_at.into(),
        })
    }
}

fn checked(config: Value) -> Result<Value, FieldError> {
    Channel::read(config).map(|channel| channel.config())
}

/// Create a channel
///
/// Nobody is told by it before a route leads to it.
#[utoipa::path(
    post, path = "/channels", tag = "channels",
    request_body(content = ChannelInput, content_type = "application/json"),
    responses((status = 201, description = "The channel.", body = ChannelBody), OnCreateSetting),
)]
async fn create_channel(
    State(api): State<Api>,
    _query: NoQuery,
    body: JsonBody,
) -> Result<(StatusCode, Json<ChannelBody>), ApiError> {
    let config = checked(body.value).map_err(refuse)?;
    refuse_circle(&api, None, &config).await?;
    let setting = settings::create(&api, KIND, config).await?;
    Ok((StatusCode::CREATED, shown_alone(&api, setting).await?))
}

/// List channels
///
/// Newest first.
#[utoipa::path(
    get, path = "/channels", tag = "channels", params(PagingParams),
    responses((status = 200, description = "A page of channels.", body = List<ChannelBody>), OnList),
)]
async fn list_channels(
    State(api): State<Api>,
    Query(paging): Query<Paging<SettingId>>,
) -> Result<Json<List<ChannelBody>>, ApiError> {
    let limit = paging.limit;
    let channels = settings::list(&api, KIND, paging).await?;
    let shown = shown(&api, channels).await?;
    Ok(Json(List::of(shown, limit, |it| SettingId(it.id), |it| it)))
}

/// Show a channel
#[utoipa::path(
    get, path = "/channels/{id}", tag = "channels", params(OfSetting),
    responses((status = 200, description = "The channel.", body = ChannelBody), OnCheck),
)]
async fn get_channel(
    State(api): State<Api>,
    OfSetting(id): OfSetting,
    _query: NoQuery,
) -> Result<Json<ChannelBody>, ApiError> {
    let setting = settings::get(&api, KIND, id).await?;
    shown_alone(&api, setting).await
}

/// Change some of a channel's configuration
///
/// A JSON merge patch (RFC 7396): fields that are absent stay, secrets among them. What is on its way
/// goes where the channel points then, or to its fallback if it is switched off. A channel that is on
/// gets all that is due once it was changed, whatever its receiver did before.
#[utoipa::path(
    patch, path = "/channels/{id}", tag = "channels", params(OfSetting),
    request_body(content(
        (ChannelPatch = "application/merge-patch+json"),
        (ChannelPatch = "application/json"),
    )),
    responses((status = 200, description = "The channel as it is now.", body = ChannelBody), OnChange),
)]
async fn patch_channel(
    State(api): State<Api>,
    OfSetting(id): OfSetting,
    _query: NoQuery,
    body: JsonBody,
) -> Result<Json<ChannelBody>, ApiError> {
    if body.value.get("fallback").is_some() {
        refuse_circle(&api, Some(id), &body.value).await?;
    }
    let setting = settings::patch(&api, KIND, id, &body.value, checked).await?;
    shown_alone(&api, setting).await
}

/// Remove a channel
///
/// What is on its way to it is given up, and told to its fallback. Routes that lead to it lead to the others they name.
#[utoipa::path(
    delete, path = "/channels/{id}", tag = "channels", params(OfSetting),
    responses((status = 204, description = "It is gone."), OnRemove),
)]
async fn delete_channel(
    State(api): State<Api>,
    OfSetting(id): OfSetting,
    _query: NoQuery,
) -> Result<StatusCode, ApiError> {
    settings::remove(&api, KIND, id).await
}

/// A test on its way.
#[derive(Debug, Serialize, ToSchema)]
struct Test {
    /// Its delivery: `GET /deliveries` shows what came of it.
    delivery_id: Uuid,
}

/// Send a test to a channel
///
/// The way every alert goes, once: what came of it is shown by `GET /deliveries`, as for every delivery.
#[utoipa::path(
    post, path = "/channels/{id}/test", tag = "channels", params(OfSetting),
    responses((status = 202, description = "It is on its way.", body = Test), OnRemove),
)]
async fn test_channel(
    State(api): State<Api>,
    OfSetting(id): OfSetting,
    _query: NoQuery,
) -> Result<(StatusCode, Json<Test>), ApiError> {
    let name = get_channel_name(&api, id).await?;
    let now = api.clock.now();
    let message = Message {
        kind: AlertKind::Test,
        severity: Severity::Down,
        at: now.time(),
        check: About { id: CheckId(Uuid::nil()), name, url: String::new(), tags: Vec::new() },
        incident: Told {
            id: IncidentId::generate(),
            kind: IncidentKind::Test,
            started_at: now.time(),
            resolved_at: None,
            resolution: None,
            resolved_by: None,
            cause: "somebody asked for this test; nothing is wrong".to_owned(),
            seen: None,
            before: None,
        },
        links: Links::default(),
    };
    let delivery = api.settings.test_channel(PROJECT, id, &message, now).await?;
    let delivery = delivery.ok_or_else(|| settings::missing(KIND, id))?;
    Ok((StatusCode::ACCEPTED, Json(Test { delivery_id: delivery.0 })))
}

async fn get_channel_name(api: &Api, id: SettingId) -> Result<String, ApiError> {
    let setting = settings::get(api, KIND, id).await?;
    Ok(setting.config["name"].as_str().unwrap_or_default().to_owned())
}
