//! What channels, routes, silences, maintenance and the storm breaker have in common: kept, listed, changed by merge patches, removed.

use axum::http::StatusCode;
use pulse_core::models::check::{FieldError, merge_patch};
use pulse_core::models::ids::SettingId;
use pulse_core::models::setting::{MOST_OF_A_KIND, Setting, SettingKind};
use pulse_core::ports::settings::SettingChange;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::checks::refuse_fields;
use super::page::Paging;
use super::problem::{ApiError, Kind};
use super::{Api, PROJECT};

/// How often a change is tried when others change the same setting meanwhile.
const TRIES: u32 = 5;

/// Reads a configuration of a kind that is called `what`, and checks it; `null` stands for the default.
pub(super) fn read<T: DeserializeOwned + Serialize>(
    mut config: Value,
    what: &str,
    checked: impl Fn(T) -> Result<T, (&'static str, String)>,
) -> Result<Value, FieldError> {
    if let Value::Object(fields) = &mut config {
        fields.retain(|_, value| !value.is_null());
    }
    let read: T = serde_json::from_value(config).map_err(|wrong| FieldError {
        pointer: String::new(),
        detail: format!("is not {what}: {wrong}"),
    })?;
    let read = checked(read)
        .map_err(|(field, detail)| FieldError { pointer: format!("/{field}"), detail })?;
    Ok(serde_json::to_value(read).unwrap_or_default())
}

/// Adds a setting with this configuration, which its kind has checked.
pub(super) async fn create(
    api: &Api,
    kind: SettingKind,
    config: Value,
) -> Result<Setting, ApiError> {
    let setting = new(api, SettingId::generate(), kind, config);
    if api.settings.create(&setting).await? {
        return Ok(setting);
    }
    let detail = format!("cannot be added: there are {MOST_OF_A_KIND} of the kind {kind} already");
    Err(refuse(FieldError { pointer: String::new(), detail }))
}

/// One as it begins.
pub(super) fn new(api: &Api, id: SettingId, kind: SettingKind, config: Value) -> Setting {
    let now = api.clock.now().time();
    Setting { id, project_id: PROJECT, kind, config, version: 1, created_at: now, updated_at: now }
}

pub(super) async fn get(api: &Api, kind: SettingKind, id: SettingId) -> Result<Setting, ApiError> {
    api.settings.get(PROJECT, kind, id).await?.ok_or_else(|| missing(kind, id))
}

/// One more than the page shows, to know whether there is a next.
pub(super) async fn list(
    api: &Api,
    kind: SettingKind,
    paging: Paging<SettingId>,
) -> Result<Vec<Setting>, ApiError> {
    Ok(api.settings.list(PROJECT, kind, paging.page(0)).await?)
}

/// Applies a merge patch (RFC 7396) and has the result checked as a whole. Losing to another change is
/// normal: the setting is read again.
pub(super) async fn patch(
    api: &Api,
    kind: SettingKind,
    id: SettingId,
    patch: &Value,
    checked: impl Fn(Value) -> Result<Value, FieldError>,
) -> Result<Setting, ApiError> {
    if !patch.is_object() {
        let detail = "must be a JSON object".to_owned();
        return Err(refuse(FieldError { pointer: String::new(), detail }));
    }
    for _ in 0..TRIES {
        let mut setting = get(api, kind, id).await?;
        merge_patch(&mut setting.config, patch.clone());
        setting.config = checked(setting.config).map_err(refuse)?;
        setting.version += 1;
        setting.updated_at = api.clock.now().time();
        match api.settings.replace(&setting).await? {
            SettingChange::Done => return Ok(setting),
            SettingChange::NotFound => return Err(missing(kind, id)),
            SettingChange::Stale => {}
        }
    }
    let detail = format!("Others kept changing this {kind}; read it again and repeat the change.");
    Err(ApiError::new(Kind::Conflict, detail))
}

pub(super) async fn remove(
    api: &Api,
    kind: SettingKind,
    id: SettingId,
) -> Result<StatusCode, ApiError> {
    let removed = api.settings.remove(PROJECT, kind, id).await?;
    if removed { Ok(StatusCode::NO_CONTENT) } else { Err(missing(kind, id)) }
}

pub(super) fn missing(kind: SettingKind, id: SettingId) -> ApiError {
    ApiError::new(Kind::NotFound, format!("There is no {kind} with the id {id}."))
}

pub(super) fn refuse(fault: FieldError) -> ApiError {
    refuse_fields(vec![fault])
}
