//! Checks: made, listed, changed, paused, run at once, removed.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pulse_core::crash::{Point, crash_point};
use pulse_core::models::check::{Check, CheckDraft, CheckView, FieldError, Status};
use pulse_core::models::ids::CheckId;
use pulse_core::ports::checks::{Change, CheckFilter, Creation, IdempotencyKey, RunNow};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::check_shape::{CheckBody, CheckInput, CheckPatch, statuses};
use super::extract::{FromQuery, GivenKey, JsonBody, NoQuery, OfCheck, Params, Query};
use super::page::{List, Paging, offset};
use super::problem::{ApiError, Kind, OnAct, OnChange, OnCheck, OnCreate, OnList, OnRemove, OnRun};
use super::secrets::refuse_missing;
use super::{Api, PROJECT, no_check};

/// How often a change is tried when others change the same check meanwhile.
const TRIES: u32 = 5;
const DEFAULT_LIMIT: u32 = 50;
const MOST_TAGS: usize = 20;
const LONGEST_TAG: usize = 64;
const LONGEST_TEXT: usize = 200;
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_checks, create_check))
        .routes(routes!(get_check, replace_check, patch_check, delete_check))
        .routes(routes!(pause_check))
        .routes(routes!(resume_check))
        .routes(routes!(run_check))
        .routes(routes!(get_webhook_secret))
}

/// Create a check
///
/// Its first run starts at once, not an interval later. Only `name` and `url` are required.
#[utoipa::path(
    post, path = "/checks", tag = "checks", params(GivenKey),
    request_body(content = CheckInput, content_type = "application/json"),
    responses(
        (
            status = 201, body = CheckBody,
            description = "The check, with the secret that signs its webhooks.",
            headers(
                ("Location" = String, description = "Where the check is."),
                ("Idempotency-Replayed" = Option<String>, description = "`true` when an earlier request with this \
                    Idempotency-Key made the check; it is shown as it is now."),
            ),
        ),
        OnCreate,
    ),
)]
async fn create_check(
    State(api): State<Api>,
    OriginalUri(uri): OriginalUri,
    key: GivenKey,
    _query: NoQuery,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let draft = CheckDraft::read(body.value).map_err(refuse_fields)?;
    refuse_missing(&api, &draft.config.probe).await?;
    let mut draft = draft;
    take_parents(&api, &mut draft, &BTreeSet::new()).await?;
    let key = key.0.map(|key| IdempotencyKey { key, request_hash: body.hash });
    let now = api.clock.now();
    let check = Check {
        id: CheckId::generate(),
        project_id: PROJECT,
        webhook_secret: secret_for(&draft, None),
        config: draft.config,
        version: 1,
        created_at: now.time(),
        updated_at: now.time(),
    };
    match api.checks.create(check, key, now).await? {
        Creation::Created(view) => {
            crash_point(Point::ApiCheckCreated);
            Ok(created(uri.path(), view))
        }
        Creation::Replayed(view) => {
            let replayed = [(REPLAYED, HeaderValue::from_static("true"))];
            Ok((replayed, created(uri.path(), view)).into_response())
        }
        Creation::KeyReused => Err(ApiError::new(
            Kind::IdempotencyKeyReused,
            "This Idempotency-Key was used for a request with another body.",
        )),
        Creation::Gone => Err(ApiError::new(
            Kind::Gone,
            "The check that this Idempotency-Key created has been deleted since.",
        )),
    }
}

fn created(path: &str, view: CheckView) -> Response {
    let location = format!("{}/{}", path.trim_end_matches('/'), view.check.id);
    (StatusCode::CREATED, [(header::LOCATION, location)], Json(CheckBody::with_secret(view)))
        .into_response()
}

pub(super) fn refuse_fields(errors: Vec<FieldError>) -> ApiError {
    ApiError::of_fields(Kind::Validation, errors)
}

/// The secret a configuration needs and neither names nor has; one that was named comes back as it is.
fn secret_for(draft: &CheckDraft, before: Option<&Check>) -> Option<String> {
    let has_one = draft.webhook_secret.is_some()
        || before.is_some_and(|check| check.webhook_secret.is_some());
    if has_one || draft.config.webhook_url.is_none() {
        return draft.webhook_secret.clone();
    }
    Some(format!("whsec_{}", STANDARD.encode(rand::random::<[u8; 32]>())))
}

/// Which checks to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct ChecksQuery {
    /// How many items at most.
    #[param(minimum = 1, maximum = 1000, default = 50, required = false)]
    limit: u32,
    /// Where to go on: the `next_cursor` of the page before, with the same other parameters.
    #[param(value_type = String, required = false)]
    cursor: Option<CheckId>,
    /// How many items to leave out first. A cursor is faster.
    #[param(maximum = 1_000_000, default = 0, required = false)]
    offset: u32,
    /// Only checks with this status.
    #[param(schema_with = statuses, required = false)]
    status: Option<Status>,
    /// Only checks with all of these tags: repeated, or separated by commas.
    #[param(required = false)]
    tag: Vec<String>,
    /// Only checks that are scheduled, or only those that are paused.
    #[param(value_type = bool, required = false)]
    enabled: Option<bool>,
    /// Only checks whose name or URL contains this, whatever the case.
    #[param(value_type = String, min_length = 1, max_length = 200, required = false)]
    q: Option<String>,
}

impl FromQuery for ChecksQuery {
    fn read(params: &mut Params) -> Self {
        let Paging { limit, cursor } = Paging::read_with(params, DEFAULT_LIMIT);
        Self {
            limit,
            cursor,
            offset: offset(params),
            status: params.one("status", read_status),
            tag: params.all("tag", |given| read_tags(&given)),
            enabled: params.one("enabled", read_bool),
            q: params.one("q", |text| read_text(text, LONGEST_TEXT)),
        }
    }
}

fn read_status(word: &str) -> Result<Status, String> {
    let words: Vec<_> = Status::ALL.iter().map(|status| status.as_str()).collect();
    Status::parse(word).ok_or_else(|| format!("must be one of {}", words.join(", ")))
}

/// Tags of a query: repeated, or separated by commas.
pub(super) fn read_tags(given: &[String]) -> Result<Vec<String>, String> {
    let mut tags = Vec::new();
    for tag in given.iter().flat_map(|given| given.split(',')) {
        tags.push(read_text(tag.trim(), LONGEST_TAG)?);
    }
    if tags.len() > MOST_TAGS {
        return Err(format!("may name at most {MOST_TAGS} tags"));
    }
    Ok(tags)
}

fn read_bool(word: &str) -> Result<bool, String> {
    word.parse().map_err(|_other| "must be true or false".to_owned())
}

fn read_text(text: &str, longest: usize) -> Result<String, String> {
    let fits = (1..=longest).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if fits {
        Ok(text.to_owned())
    } else {
        Err(format!("must have 1 to {longest} characters, no control characters"))
    }
}

/// List checks
///
/// Newest first. All conditions must hold.
#[utoipa::path(
    get, path = "/checks", tag = "checks",
    params(ChecksQuery),
    responses((status = 200, description = "A page of checks.", body = List<CheckBody>), OnList),
)]
async fn list_checks(
    State(api): State<Api>,
    Query(query): Query<ChecksQuery>,
) -> Result<Json<List<CheckBody>>, ApiError> {
    let filter = CheckFilter {
        status: query.status,
        tags: query.tag,
        enabled: query.enabled,
        text: query.q,
    };
    let page = Paging { limit: query.limit, cursor: query.cursor }.page(query.offset);
    let views = api.checks.list(PROJECT, &filter, page).await?;
    Ok(Json(List::of(views, query.limit, |view| view.check.id, CheckBody::from)))
}

/// Read a check
#[utoipa::path(
    get, path = "/checks/{id}", tag = "checks", params(OfCheck),
    responses((status = 200, description = "The check.", body = CheckBody), OnCheck),
)]
async fn get_check(
    State(api): State<Api>,
    OfCheck(id): OfCheck,
    _query: NoQuery,
) -> Result<Json<CheckBody>, ApiError> {
    Ok(Json(api.check(id).await?.into()))
}

/// Replace a check's configuration
///
/// Fields that are absent get their defaults. The webhook secret is kept when none is given.
#[utoipa::path(
    put, path = "/checks/{id}", tag = "checks", params(OfCheck),
    request_body(content = CheckInput, content_type = "application/json"),
    responses((status = 200, description = "The check as it is now.", body = CheckBody), OnChange),
)]
async fn replace_check(
    State(api): State<Api>,
    OfCheck(id): OfCheck,
    _query: NoQuery,
    body: JsonBody,
) -> Result<Json<CheckBody>, ApiError> {
    let draft = CheckDraft::read(body.value).map_err(refuse_fields)?;
    change(&api, id, |_check| Ok(Some(draft.clone()))).await
}

/// Change some of a check's configuration
///
/// A JSON merge patch (RFC 7396): fields that are absent stay, `null` restores the default.
#[utoipa::path(
    patch, path = "/checks/{id}", tag = "checks", params(OfCheck),
    request_body(content(
        (CheckPatch = "application/merge-patch+json"),
        (CheckPatch = "application/json"),
    )),
    responses((status = 200, description = "The check as it is now.", body = CheckBody), OnChange),
)]
async fn patch_check(
    State(api): State<Api>,
    OfCheck(id): OfCheck,
    _query: NoQuery,
    body: JsonBody,
) -> Result<Json<CheckBody>, ApiError> {
    let patched =
        |check: &Check| CheckDraft::patch(&check.config, body.value.clone()).map_err(refuse_fields);
    change(&api, id, |check| patched(check).map(Some)).await
}

/// Pause a check
///
/// It is not run until it is resumed; an open incident is resolved. Pausing a paused check changes nothing.
#[utoipa::path(
    post, path = "/checks/{id}/pause", tag = "checks", params(OfCheck),
    responses((status = 200, description = "The check, paused.", body = CheckBody), OnAct),
)]
async fn pause_check(
    State(api): State<Api>,
    OfCheck(id): OfCheck,
    _query: NoQuery,
) -> Result<Json<CheckBody>, ApiError> {
    change(&api, id, |check| Ok(enabled(check, false))).await
}

/// Resume a check
///
/// It is run at once, then on its schedule. Resuming a check that is not paused changes nothing.
#[utoipa::path(
    post, path = "/checks/{id}/resume", tag = "checks", params(OfCheck),
    responses((status = 200, description = "The check, scheduled.", body = CheckBody), OnAct),
)]
async fn resume_check(
    State(api): State<Api>,
    OfCheck(id): OfCheck,
    _query: NoQuery,
) -> Result<Json<CheckBody>, ApiError> {
    change(&api, id, |check| Ok(enabled(check, true))).await
}

/// The change that schedules or pauses a check; `None` when it is so already.
fn enabled(check: &Check, enabled: bool) -> Option<CheckDraft> {
    let mut config = check.config.clone();
    let was = std::mem::replace(&mut config.enabled, enabled);
    (was != enabled).then_some(CheckDraft { config, webhook_secret: None })
}

/// Changes a check to what `wanted` makes of it; nothing when that is `None`. Losing to another
/// change is normal: the check is read again, and `wanted` asked again.
async fn change(
    api: &Api,
    id: CheckId,
    wanted: impl Fn(&Check) -> Result<Option<CheckDraft>, ApiError>,
) -> Result<Json<CheckBody>, ApiError> {
    for _ in 0..TRIES {
        let view = api.check(id).await?;
        let Some(mut draft) = wanted(&view.check)? else {
            return Ok(Json(view.into()));
        };
        if draft.config.probe != view.check.config.probe {
            refuse_missing(api, &draft.config.probe).await?;
        }
        if draft.config.depends_on != view.check.config.depends_on {
            take_parents(api, &mut draft, &view.check.config.depends_on).await?;
        }
        draft.webhook_secret = secret_for(&draft, Some(&view.check));
        match api.checks.replace(PROJECT, id, view.check.version, draft, api.clock.now()).await? {
            Change::Done(view) => return Ok(Json(view.into())),
            Change::NotFound => return Err(no_check(id)),
            Change::Stale => {}
            Change::Circular(by) => {
                let detail = format!("leads back to this check, by way of {by}");
                return Err(refuse_parent(detail));
            }
        }
    }
    Err(ApiError::new(
        Kind::Conflict,
        "Others kept changing this check; read it again and repeat the change.",
    ))
}

/// Refuses to depend on checks that are not there. Those that were there before and are gone drop out.
async fn take_parents(
    api: &Api,
    draft: &mut CheckDraft,
    before: &BTreeSet<CheckId>,
) -> Result<(), ApiError> {
    let mut there = BTreeSet::new();
    for parent in &draft.config.depends_on {
        if api.checks.get(PROJECT, *parent).await?.is_some() {
            there.insert(*parent);
        } else if !before.contains(parent) {
            return Err(refuse_parent(format!("names a check that is not there: {parent}")));
        }
    }
    draft.config.depends_on = there;
    Ok(())
}

fn refuse_parent(detail: String) -> ApiError {
    refuse_fields(vec![FieldError { pointer: "/depends_on".to_owned(), detail }])
}

/// Delete a check
///
/// An open incident is resolved. What was seen is kept until its time is over, but found no more.
#[utoipa::path(
    delete, path = "/checks/{id}", tag = "checks", params(OfCheck),
    responses((status = 204, description = "It is gone."), OnRemove),
)]
async fn delete_check(
    State(api): State<Api>,
    OfCheck(id): OfCheck,
    _query: NoQuery,
) -> Result<StatusCode, ApiError> {
    let found = api.checks.delete(PROJECT, id, api.clock.now()).await?;
    if found { Ok(StatusCode::NO_CONTENT) } else { Err(no_check(id)) }
}

/// Run a check now
///
/// The run counts like any other, and stands in for a scheduled one that would follow at once.
#[utoipa::path(
    post, path = "/checks/{id}/run", tag = "checks", params(OfCheck),
    responses((status = 202, description = "The check; its run is due now.", body = CheckBody), OnRun),
)]
async fn run_check(
    State(api): State<Api>,
    OfCheck(id): OfCheck,
    _query: NoQuery,
) -> Result<(StatusCode, Json<CheckBody>), ApiError> {
    match api.checks.run_now(PROJECT, id, api.clock.now()).await? {
        RunNow::Due(view) => Ok((StatusCode::ACCEPTED, Json(view.into()))),
        RunNow::NotFound => Err(no_check(id)),
        RunNow::Paused => {
            Err(ApiError::new(Kind::Paused, "The check is paused; resume it to run it."))
        }
        RunNow::Waits => {
            let told = "Pulse waits for this check's job, and cannot run it.";
            Err(ApiError::new(Kind::NotRun, told))
        }
    }
}

/// The secret that signs a check's webhooks.
#[derive(Serialize, ToSchema)]
struct WebhookSecret {
    /// `whsec_` and the key in base64, as libraries for Standard Webhooks take it.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=")]
    webhook_secret: String,
}

/// Read the secret that signs a check's webhooks
#[utoipa::path(
    get, path = "/checks/{id}/webhook-secret", tag = "webhooks", params(OfCheck),
    responses((status = 200, description = "The secret.", body = WebhookSecret), OnCheck),
)]
async fn get_webhook_secret(
    State(api): State<Api>,
    OfCheck(id): OfCheck,
    _query: NoQuery,
) -> Result<Json<WebhookSecret>, ApiError> {
    let check = api.check(id).await?.check;
    match check.webhook_secret.filter(|_| check.config.webhook_url.is_some()) {
        Some(webhook_secret) => Ok(Json(WebhookSecret { webhook_secret })),
        None => {
            Err(ApiError::new(Kind::NotFound, "This check has no webhook, so there is no secret."))
        }
    }
}
