//! The API's own description, its pages for people, and an explanation of each problem.
//!
//! The pages come from inside the program and load nothing from elsewhere: their headers forbid it.

use std::sync::Arc;

use axum::extract::{OriginalUri, Path};
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::Config;

use super::Api;
use super::problem::{ApiError, Kind, Problem};

/// Swagger UI styles itself inline and carries its images as data.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'none'";

const ABOUT: &str = "Uptime monitoring. A *check* is looked at every so many seconds; each look is a *run*; failures in \
    a row open an *incident*, whose edges are told as *alerts* to a webhook.\n\nEverything is served at `/` and the same \
    under `/api/v1`. Times are RFC 3339 in UTC with milliseconds. Every response carries `x-request-id`, the request's \
    own when it had one; errors are `application/problem+json`.";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Pulse",
        version = env!("CARGO_PKG_VERSION"),
        description = ABOUT,
        license(name = "AGPL-3.0-only", identifier = "AGPL-3.0-only"),
    ),
    servers((url = "/"), (url = "/api/v1")),
    tags(
        (name = "checks", description = "What is looked at."),
        (name = "pings", description = "What jobs say of themselves."),
        (name = "secrets", description = "What checks send and nobody is shown."),
        (name = "runs", description = "What was seen."),
        (name = "incidents", description = "What was wrong, and what was told."),
        (name = "channels", description = "Where people are told, and of what."),
        (name = "deliveries", description = "Who was told of what, and what came of it."),
        (name = "webhooks", description = "How it was told of a check."),
        (name = "live", description = "What happens, as it happens."),
        (name = "service", description = "How Pulse itself is."),
    ),
    paths(get_health, get_ready, get_service_metrics, get_problem),
    components(schemas(Problem)),
)]
struct Description;

/// A router without resources that describes the service as a whole.
pub(super) fn described() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(Description::openapi())
}

/// Serves the description, the pages and the explanations.
pub(super) fn router(description: &utoipa::openapi::OpenApi) -> Router {
    let json = description.to_json().expect("a description is strings, numbers and lists of them");
    let json = Arc::<str>::from(json);
    let described =
        get(async move || ([(header::CONTENT_TYPE, "application/json")], json.to_string()));
    let pages = Arc::new(
        Config::new(["../openapi.json"])
            .validator_url("none")
            .try_it_out_enabled(true)
            .display_request_duration(true),
    );
    let page = async move |path: Option<Path<String>>| {
        page(path.as_ref().map_or("", |Path(path)| path), pages)
    };
    Router::new()
        .route("/openapi.json", described)
        .route(
            "/docs",
            get(async |OriginalUri(uri): OriginalUri| {
                Redirect::permanent(&format!("{}/", uri.path()))
            }),
        )
        .route("/docs/", get(page.clone()))
        .route("/docs/{*file}", get(page))
        .route("/problems/{name}", get(get_problem))
}

/// One file of the pages.
fn page(path: &str, config: Arc<Config<'static>>) -> Result<Response, ApiError> {
    let Ok(Some(file)) = utoipa_swagger_ui::serve(path, config) else {
        return Err(ApiError::new(Kind::NotFound, "There is no such page; begin at /docs."));
    };
    let mut response = file.bytes.into_owned().into_response();
    let headers = response.headers_mut();
    if let Ok(media_type) = HeaderValue::from_str(&file.content_type) {
        headers.insert(header::CONTENT_TYPE, media_type);
    }
    if file.gzpipped {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    Ok(response)
}

/// Explain a problem
///
/// What the `type` of an error leads to.
#[utoipa::path(
    get, path = "/problems/{name}", tag = "service",
    params(("name" = String, Path, description = "The last segment of the `type`.", example = "validation")),
    responses(
        (
            status = 200, description = "What the problem is, and what to do about it.",
            body = Value, content_type = "application/json",
            example = json!({
                "type": "/problems/paused", "title": "The check is paused", "status": 409,
                "advice": "Resume the check first: POST /checks/{id}/resume.",
            }),
        ),
        (status = 404, description = "There is no such problem.", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn get_problem(uri: Uri) -> Result<Json<Value>, ApiError> {
    let name = uri.path().rsplit('/').next();
    let Some(kind) = Kind::ALL.iter().find(|kind| Some(kind.name()) == name) else {
        return Err(ApiError::new(Kind::NotFound, "There is no problem of that name."));
    };
    let (title, status) = (kind.title(), kind.status().as_u16());
    Ok(Json(
        json!({ "type": kind.uri(), "title": title, "status": status, "advice": kind.advice() }),
    ))
}

/// How the process and its stores are
///
/// For people and dashboards. What decides about traffic is `/ready`.
#[utoipa::path(
    get, path = "/health", tag = "service",
    responses(
        (
            status = 200, body = Value, content_type = "application/json",
            description = "`status` is `ok` or `degraded`; `postgres`, `redis` and `clickhouse`, and `sqlite` where it is used, each with `state`, \
                `latency_ms` and `error`; `uptime_seconds`, `started_at`, `version`, and the process's loops.",
        ),
        (
            status = 503, body = Value, content_type = "application/json",
            description = "The same with `status` `down`: a store that cannot be done without is away.",
        ),
    ),
)]
#[expect(dead_code, reason = "described here, served by the runtime")]
fn get_health() {}

/// Whether the process can do its work
#[utoipa::path(
    get, path = "/ready", tag = "service",
    responses(
        (
            status = 200, body = Value, content_type = "application/json",
            description = "The stores answer that it cannot do without, and the process's own loops have ticked lately.",
        ),
        (
            status = 503, body = Value, content_type = "application/json",
            description = "Not now; `reasons` says why.",
        ),
    ),
)]
#[expect(dead_code, reason = "described here, served by the runtime")]
fn get_ready() {}

/// Counters of the service
///
/// JSON, or the Prometheus text format when `Accept` asks for `text/plain` or `application/openmetrics-text`.
#[utoipa::path(
    get, path = "/metrics", tag = "service",
    responses(
        (
            status = 200, description = "The counters, summed over the live workers.",
            content((Value = "application/json"), (String = "text/plain")),
        ),
        (
            status = 503, body = Value, content_type = "application/json",
            description = "The workers cannot be asked; this process's own counters all the same.",
        ),
    ),
)]
#[expect(dead_code, reason = "described here, served by the runtime")]
fn get_service_metrics() {}
