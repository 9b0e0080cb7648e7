//! Secrets: put, told by name, removed; and what checks may refer to.
//!
//! A value is sealed here, in the request that brings it, and no answer ever has it.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pulse_core::models::check::FieldError;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::secret::{self, Sealed, Secret, SecretName};
use pulse_core::ports::secrets::{Referring, Removal, SealedSecret};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::checks::refuse_fields;
use super::extract::{JsonBody, NoQuery, OfSecret, Query};
use super::page::{List, Paging, PagingParams};
use super::problem::{ApiError, Kind, OnList, OnPutSecret, OnRemoveSecret};
use super::time::Time;
use super::{Api, PROJECT};

/// How many of the checks that refer to a secret are named.
const MOST_NAMED: usize = 10;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_secrets)).routes(routes!(put_secret, remove_secret))
}

/// A secret as it is told of: without its value.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Secret)]
struct SecretBody {
    /// What checks call it: `{{secret.NAME}}`.
    #[schema(example = "API_KEY")]
    name: String,
    /// When it was first put.
    created_at: Time,
    /// When its value was last put.
    updated_at: Time,
}

impl From<Secret> for SecretBody {
    fn from(secret: Secret) -> Self {
        Self {
            name: secret.name.to_string(),
            created_at: secret.created_at.into(),
            updated_at: secret.updated_at.into(),
        }
    }
}

/// What a secret is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes what `read_value` takes")]
struct SecretInput {
    /// 1 byte to 16 KiB, without U+0000. It is never shown again.
    #[schema(min_length = 1, max_length = 16_384, example = "correct horse battery staple")]
    value: String,
}

/// List secrets
///
/// Names and dates, by name. No answer has a value.
#[utoipa::path(
    get, path = "/secrets", tag = "secrets", params(PagingParams),
    responses((status = 200, description = "A page of secrets.", body = List<SecretBody>), OnList),
)]
async fn list_secrets(
    State(api): State<Api>,
    Query(paging): Query<Paging<SecretName>>,
) -> Result<Json<List<SecretBody>>, ApiError> {
    let limit = paging.limit;
    let secrets = api.secrets.list(PROJECT, paging.page(0)).await?;
    Ok(Json(List::of(secrets, limit, |it| it.name.clone(), SecretBody::from)))
}

/// Put a secret
///
/// Checks refer to it as `{{secret.NAME}}` in values of `headers`, `json` and `form`, in `body`, `send`, `auth` and `proxy`. Another
/// value counts from the next run on; the checks that refer to it get a new `version`.
#[utoipa::path(
    put, path = "/secrets/{name}", tag = "secrets", params(OfSecret),
    request_body(content = SecretInput, content_type = "application/json"),
    responses(
        (status = 201, description = "It is there."),
        (status = 204, description = "It has another value."),
        OnPutSecret,
    ),
)]
async fn put_secret(
    State(api): State<Api>,
    OfSecret(name): OfSecret,
    _query: NoQuery,
    body: JsonBody,
) -> Result<StatusCode, ApiError> {
    let name = name.map_err(|wrong| refuse_fields(vec![wrong]))?;
    let value = read_value(body.value).map_err(refuse_fields)?;
    let Some(sealed) = api.secret_keys.seal(PROJECT, &name, &value) else {
        return Err(ApiError::new(
            Kind::NoSecretKey,
            "There is no key to seal secrets with: PULSE_SECRET_KEY is not set on this server.",
        ));
    };
    let secret = SealedSecret { project: PROJECT, name, sealed };
    let is_new = api.secrets.put(&secret, api.clock.now()).await?;
    Ok(if is_new { StatusCode::CREATED } else { StatusCode::NO_CONTENT })
}

/// The value that a body brings. Nothing of it is repeated, whatever is wrong with it.
fn read_value(body: Value) -> Result<String, Vec<FieldError>> {
    let error = |pointer: &str, detail: &str| {
        vec![FieldError { pointer: pointer.to_owned(), detail: detail.to_owned() }]
    };
    let Value::Object(mut fields) = body else {
        return Err(error("", "must be a JSON object"));
    };
    let value = match fields.remove("value") {
        None | Some(Value::Null) => return Err(error("/value", "is required")),
        Some(Value::String(value)) => {
            secret::value(value).map_err(|wrong| error("/value", &wrong))?
        }
        Some(_) => return Err(error("/value", "must be a text")),
    };
    if fields.is_empty() { Ok(value) } else { Err(error("", "must have the field value alone")) }
}

/// Remove a secret
///
/// Refused while checks refer to it.
#[utoipa::path(
    delete, path = "/secrets/{name}", tag = "secrets", params(OfSecret),
    responses((status = 204, description = "It is gone."), OnRemoveSecret),
)]
async fn remove_secret(
    State(api): State<Api>,
    OfSecret(name): OfSecret,
    _query: NoQuery,
) -> Result<StatusCode, ApiError> {
    let missing = || ApiError::new(Kind::NotFound, "There is no secret of that name.");
    let name = name.map_err(|_no_name| missing())?;
    // One more than are named, to know whether there are more.
    let most = u32::try_from(MOST_NAMED + 1).unwrap_or(u32::MAX);
    match api.secrets.remove(PROJECT, &name, most).await? {
        Removal::Done => Ok(StatusCode::NO_CONTENT),
        Removal::NotFound => Err(missing()),
        Removal::InUse(checks) => Err(ApiError::new(Kind::SecretInUse, in_use(&checks))),
    }
}

fn in_use(checks: &[Referring]) -> String {
    let named =
        checks.iter().take(MOST_NAMED).map(|check| format!("{} ({})", check.name, check.id));
    let named = named.collect::<Vec<_>>().join(", ");
    let more = if checks.len() > MOST_NAMED { " and others" } else { "" };
    format!("Checks refer to this secret: {named}{more}.")
}

/// Refuses a definition that refers to a secret which is not there.
pub(super) async fn refuse_missing(api: &Api, probe: &ProbeSpec) -> Result<(), ApiError> {
    found(api, probe).await.map(drop)
}

/// A definition with the secrets that it refers to, as it leaves for a worker; refused when one is not there.
pub(super) async fn with_sealed(api: &Api, probe: ProbeSpec) -> Result<ProbeSpec, ApiError> {
    let found = found(api, &probe).await?;
    let sealed = found.iter().map(|it| (&it.name, &*it.sealed));
    let sealed = (!found.is_empty()).then(|| Box::new(Sealed::of(PROJECT, sealed)));
    Ok(ProbeSpec { sealed, ..probe })
}

async fn found(api: &Api, probe: &ProbeSpec) -> Result<Vec<SealedSecret>, ApiError> {
    let wanted = probe.secrets();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<SecretName> = wanted.keys().cloned().collect();
    let found = api.secrets.get(PROJECT, &names).await?;
    let there: BTreeSet<&SecretName> = found.iter().map(|it| &it.name).collect();
    let missing = wanted.iter().filter(|(name, _)| !there.contains(name));
    let errors: Vec<FieldError> = missing
        .map(|(name, field)| FieldError {
            pointer: format!("/{field}"),
            detail: format!("refers to the secret {name}, which is not there; put it first"),
        })
        .collect();
    if errors.is_empty() { Ok(found) } else { Err(refuse_fields(errors)) }
}
