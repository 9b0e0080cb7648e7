//! The alerts of incidents.

use axum::Json;
use axum::extract::State;
use pulse_core::models::alert::{Alert, AlertKind};
use pulse_core::models::ids::AlertId;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Object;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::check_shape::words;
use super::extract::{OfCheck, Query};
use super::page::{List, Paging, PagingParams};
use super::problem::{ApiError, OnCheck};
use super::time::Time;
use super::{Api, PROJECT};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_alerts))
}

/// The schema of the edge an alert is about.
pub fn kinds() -> Object {
    let meaning = "What it says of the incident: `opened`, `resolved`; `reminder`: it lasts; `test`: somebody tried a channel.";
    words(meaning, AlertKind::ALL.iter().map(|kind| kind.as_str()))
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
    /// Tells alerts of a kind apart, from 1.
    #[schema(minimum = 1)]
    number: u16,
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
            number: alert.number,
            raised_at: alert.raised_at.into(),
            deliveries: alert.deliveries,
            delivered: alert.delivered,
        }
    }
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
