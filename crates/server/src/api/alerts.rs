//! Incidents and the alerts at their edges.

use axum::Json;
use axum::extract::State;
use pulse_core::models::alert::{Alert, AlertKind, Incident, Resolution};
use pulse_core::models::ids::{AlertId, CheckId, IncidentId};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Object;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::check_shape::{words, words_or_null};
use super::extract::{OfCheck, Query};
use super::page::{List, OfAnyCheck, Paging, PagingParams};
use super::problem::{ApiError, OnCheck, OnList};
use super::time::Time;
use super::{Api, PROJECT};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_all_incidents))
        .routes(routes!(list_alerts))
        .routes(routes!(list_incidents))
}

/// The schema of the edge an alert is about.
pub fn kinds() -> Object {
    let meaning = "What it says of the incident: `opened`, `resolved`; `reminder`: it lasts; `test`: somebody tried a channel.";
    words(meaning, AlertKind::ALL.iter().map(|kind| kind.as_str()))
}

fn resolutions() -> Object {
    let meaning = "Why it ended: a good run, or a person paused, deleted or edited the check; `null` while it lasts.";
    words_or_null(meaning, Resolution::ALL.iter().map(|it| it.as_str()))
}

/// One edge of one incident.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Alert)]
struct AlertBody {
    /// Its id.
    id: Uuid,
    /// The incident.
    incident_id: Uuid,
    /// The check.
    check_id: Uuid,
    /// Which edge.
    #[schema(schema_with = kinds)]
    kind: &'static str,
    /// When it was raised.
    raised_at: Time,
    /// How many deliveries were made of it: one for each channel.
    deliveries: u32,
    /// How many of them arrived.
    delivered: u32,
}

impl From<Alert> for AlertBody {
    fn from(alert: Alert) -> Self {
        Self {
            id: alert.id.0,
            incident_id: alert.incident_id.0,
            check_id: alert.check_id.0,
            kind: alert.kind.as_str(),
            raised_at: alert.raised_at.into(),
            deliveries: alert.deliveries,
            delivered: alert.delivered,
        }
    }
}

/// One outage of one check.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Incident)]
struct IncidentBody {
    /// Its id.
    id: Uuid,
    /// The check.
    check_id: Uuid,
    /// The first failing slot: of the row, or the oldest in the check's window.
    started_at: Time,
    /// When it was recognised: with failure number `alert_threshold`.
    opened_at: Time,
    /// The first good slot of the row that ended it, or when the check was paused or deleted; `null` while it lasts.
    resolved_at: Option<Time>,
    /// Why it ended; `null` while it lasts.
    #[schema(schema_with = resolutions)]
    resolution: Option<&'static str>,
    /// What was seen, in a sentence.
    #[schema(example = "status 500, expected any 2xx")]
    cause: String,
}

impl From<Incident> for IncidentBody {
    fn from(incident: Incident) -> Self {
        Self {
            id: incident.id.0,
            check_id: incident.check_id.0,
            started_at: incident.started_at.into(),
            opened_at: incident.opened_at.into(),
            resolved_at: incident.resolved_at.map(Time::from),
            resolution: incident.resolution.map(Resolution::as_str),
            cause: incident.cause,
        }
    }
}

/// List the incidents of all checks
///
/// Newest first, those of deleted checks as well.
#[utoipa::path(
    get, path = "/incidents", tag = "incidents", params(OfAnyCheck, PagingParams),
    responses((status = 200, description = "A page of incidents.", body = List<IncidentBody>), OnList),
)]
async fn list_all_incidents(
    State(api): State<Api>,
    Query((of, paging)): Query<(OfAnyCheck, Paging<IncidentId>)>,
) -> Result<Json<List<IncidentBody>>, ApiError> {
    page_of_incidents(&api, of.check_id, paging).await
}

/// List the alerts of a check
///
/// Newest first.
#[utoipa::path(
    get, path = "/checks/{id}/alerts", tag = "incidents", params(OfCheck, PagingParams),
    responses((status = 200, description = "A page of alerts.", body = List<AlertBody>), OnCheck),
)]
async fn list_alerts(
    State(api): State<Api>,
    OfCheck(id): OfCheck,
    Query(paging): Query<Paging<AlertId>>,
) -> Result<Json<List<AlertBody>>, ApiError> {
    api.check(id).await?;
    let limit = paging.limit;
    let alerts = api.alerts.alerts(PROJECT, id, paging.page(0)).await?;
    Ok(Json(List::of(alerts, limit, |alert| alert.id, AlertBody::from)))
}

/// List the incidents of a check
///
/// Newest first.
#[utoipa::path(
    get, path = "/checks/{id}/incidents", tag = "incidents", params(OfCheck, PagingParams),
    responses((status = 200, description = "A page of incidents.", body = List<IncidentBody>), OnCheck),
)]
async fn list_incidents(
    State(api): State<Api>,
    OfCheck(id): OfCheck,
    Query(paging): Query<Paging<IncidentId>>,
) -> Result<Json<List<IncidentBody>>, ApiError> {
    api.check(id).await?;
    page_of_incidents(&api, Some(id), paging).await
}

async fn page_of_incidents(
    api: &Api,
    check: Option<CheckId>,
    paging: Paging<IncidentId>,
) -> Result<Json<List<IncidentBody>>, ApiError> {
    let limit = paging.limit;
    let incidents = api.alerts.incidents(PROJECT, check, paging.page(0)).await?;
    Ok(Json(List::of(incidents, limit, |incident| incident.id, IncidentBody::from)))
}
