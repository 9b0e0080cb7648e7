//! Attempts to deliver alerts: those of a check, or of one delivery, and sending one again.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pulse_core::models::alert::{AttemptView, DeliveryState};
use pulse_core::models::ids::{AttemptId, CheckId, DeliveryId};
use pulse_core::models::schedule::Slot;
use pulse_core::ports::checks::AttemptsOf;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::Object;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::alerts::kinds;
use super::check_shape::words;
use super::extract::{AnyDelivery, NoQuery, OfCheck, OfDelivery, Query};
use super::page::{List, Paging, PagingParams};
use super::problem::{ApiError, Kind, OnCheck, OnRemove};
use super::time::Time;
use super::{Api, PROJECT};

/// No attempt lasts longer: one that has not ended by then was cut off with its worker.
pub(super) const LONGEST_ATTEMPT_MS: i64 = 60_000;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_attempts))
        .routes(routes!(replay_delivery))
        .routes(routes!(list_webhooks))
        .routes(routes!(replay_webhook))
}

pub(super) fn states() -> Object {
    let meaning = "Where the delivery stands now: `pending`: to be tried, now or later; `delivered`: \
        the receiver said 2xx; `dead`: given up, can be replayed.";
    words(meaning, DeliveryState::ALL.iter().map(|state| state.as_str()))
}

/// One attempt to deliver one alert. It is recorded before it is made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookAttempt)]
struct AttemptBody {
    /// The attempt.
    id: Uuid,
    /// The check.
    check_id: Uuid,
    /// The delivery: the `webhook-id` its receiver sees, the same on every attempt.
    delivery_id: Uuid,
    /// The alert.
    alert_id: Uuid,
    /// The incident.
    incident_id: Uuid,
    /// The channel; `null` for a check's own webhook.
    channel_id: Option<Uuid>,
    /// Which edge of the incident.
    #[schema(schema_with = kinds)]
    kind: &'static str,
    /// Where the delivery stands now: `dead` means given up, and can be replayed.
    #[schema(schema_with = states)]
    state: &'static str,
    /// The attempt's number, from 1, over all replays.
    attempt: u32,
    /// How many attempts came before this one.
    retry_number: u32,
    /// When it was recorded, just before it was made.
    started_at: Time,
    /// When it ended; `null` while it is under way, and when its outcome is unknown.
    finished_at: Option<Time>,
    /// What was sent.
    request: RequestBody,
    /// What came back; `null` when nothing did.
    response: Option<ResponseBody>,
    /// What went wrong; `null` when the receiver answered.
    error: Option<String>,
    /// From the start to the end, in milliseconds.
    latency_ms: Option<u32>,
    /// Whether the deadline ended it.
    timed_out: bool,
    /// The sender went away before it could tell how the attempt ended: the receiver may have it.
    outcome_unknown: bool,
    /// When the next attempt is due; `null` when none is, or when this was not the last.
    next_retry_at: Option<Time>,
}

/// What was sent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookRequest)]
struct RequestBody {
    /// Where it went; `null` for a channel, whose address may be a secret.
    url: Option<String>,
    /// Signature and all; empty until the attempt ended.
    headers: BTreeMap<String, String>,
    /// Byte for byte.
    body: String,
}

/// What came back.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookResponse)]
struct ResponseBody {
    /// The status.
    status: u16,
    /// The headers; several of one name are joined by commas.
    headers: BTreeMap<String, String>,
    /// The beginning of the body.
    body: Option<String>,
}

impl AttemptBody {
    fn of(attempt: AttemptView, now: Slot) -> Self {
        let began = Slot::from(attempt.started_at);
        let report = attempt.report;
        let channel_id = Uuid::parse_str(&attempt.channel).ok();
        let response = report.status.map(|status| ResponseBody {
            status,
            headers: headers(&report.response_headers),
            body: report.response_body,
        });
        Self {
            id: attempt.id.0,
            check_id: attempt.check_id.0,
            delivery_id: attempt.delivery_id.0,
            alert_id: attempt.alert_id.0,
            incident_id: attempt.incident_id.0,
            channel_id,
            kind: attempt.kind,
            state: attempt.delivery_state,
            attempt: attempt.number,
            retry_number: attempt.number.saturating_sub(1),
            started_at: attempt.started_at.into(),
            finished_at: attempt.finished_at.map(Time::from),
            request: RequestBody {
                url: channel_id.is_none().then_some(attempt.channel),
                headers: headers(&report.request_headers),
                body: attempt.body,
            },
            response,
            error: report.error,
            latency_ms: report.latency_ms,
            timed_out: report.timed_out,
            outcome_unknown: attempt.finished_at.is_none() && began.plus(LONGEST_ATTEMPT_MS) < now,
            next_retry_at: attempt.next_attempt_at.map(Time::from),
        }
    }
}

/// Headers by name, from the pairs or the object they are stored as.
fn headers(stored: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    let mut add = |name: String, value: String| {
        headers.entry(name).and_modify(|all| *all = format!("{all}, {value}")).or_insert(value);
    };
    match stored {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| add(name.clone(), text(value)));
        }
        Value::Array(pairs) => pairs.iter().for_each(|pair| add(text(&pair[0]), text(&pair[1]))),
        _ => {}
    }
    headers
}

/// List the attempts of a delivery
///
/// Newest first.
#[utoipa::path(
    get, path = "/deliveries/{delivery_id}/attempts", tag = "deliveries", params(AnyDelivery, PagingParams),
    responses((status = 200, description = "A page of attempts.", body = List<AttemptBody>), OnCheck),
)]
async fn list_attempts(
    State(api): State<Api>,
    AnyDelivery(id): AnyDelivery,
    Query(paging): Query<Paging<AttemptId>>,
) -> Result<Json<List<AttemptBody>>, ApiError> {
    if !api.alerts.has_delivery(PROJECT, id).await? {
        return Err(no_delivery(id));
    }
    page_of_attempts(&api, AttemptsOf::Delivery(id), paging).await
}

/// List the webhooks sent for a check
///
/// Every attempt, newest first.
#[utoipa::path(
    get, path = "/checks/{id}/webhooks", tag = "webhooks", params(OfCheck, PagingParams),
    responses((status = 200, description = "A page of attempts.", body = List<AttemptBody>), OnCheck),
)]
async fn list_webhooks(
    State(api): State<Api>,
    OfCheck(id): OfCheck,
    Query(paging): Query<Paging<AttemptId>>,
) -> Result<Json<List<AttemptBody>>, ApiError> {
    api.check(id).await?;
    page_of_attempts(&api, AttemptsOf::Check(id), paging).await
}

async fn page_of_attempts(
    api: &Api,
    of: AttemptsOf,
    paging: Paging<AttemptId>,
) -> Result<Json<List<AttemptBody>>, ApiError> {
    let limit = paging.limit;
    let attempts = api.alerts.attempts(PROJECT, of, paging.page(0)).await?;
    let now = api.clock.now();
    Ok(Json(List::of(
        attempts,
        limit,
        |attempt| attempt.id,
        |attempt| AttemptBody::of(attempt, now),
    )))
}

/// A delivery that is due again.
#[derive(Debug, Serialize, ToSchema)]
struct Replay {
    /// The delivery.
    delivery_id: Uuid,
    /// Where it stands now: `pending`.
    #[schema(schema_with = states)]
    state: &'static str,
}

/// Send a webhook again, by its delivery alone
///
/// The same id and the same bytes, at once and then on the usual schedule of retries.
#[utoipa::path(
    post, path = "/deliveries/{delivery_id}/replay", tag = "deliveries", params(AnyDelivery),
    responses((status = 202, description = "The delivery is due now.", body = Replay), OnRemove),
)]
async fn replay_delivery(
    State(api): State<Api>,
    AnyDelivery(id): AnyDelivery,
    _query: NoQuery,
) -> Result<(StatusCode, Json<Replay>), ApiError> {
    replay(&api, None, id).await?.ok_or_else(|| no_delivery(id))
}

fn no_delivery(id: DeliveryId) -> ApiError {
    ApiError::new(Kind::NotFound, format!("There is no delivery with the id {id}."))
}

/// Send a webhook again
///
/// The same id and the same bytes, at once and then on the usual schedule of retries.
#[utoipa::path(
    post, path = "/checks/{id}/webhooks/{delivery_id}/replay", tag = "webhooks", params(OfDelivery),
    responses((status = 202, description = "The delivery is due now.", body = Replay), OnRemove),
)]
async fn replay_webhook(
    State(api): State<Api>,
    of: OfDelivery,
    _query: NoQuery,
) -> Result<(StatusCode, Json<Replay>), ApiError> {
    api.check(of.id).await?;
    let no_such = || format!("There is no delivery with the id {} of this check.", of.delivery_id);
    let replayed = replay(&api, Some(of.id), of.delivery_id).await?;
    replayed.ok_or_else(|| ApiError::new(Kind::NotFound, no_such()))
}

/// Makes a delivery due; `None` when there is none of that id, or none of that check.
async fn replay(
    api: &Api,
    check: Option<CheckId>,
    delivery: DeliveryId,
) -> Result<Option<(StatusCode, Json<Replay>)>, ApiError> {
    let found = api.alerts.replay(PROJECT, check, delivery, api.clock.now()).await?;
    let replay = Replay { delivery_id: delivery.0, state: DeliveryState::Pending.as_str() };
    Ok(found.then_some((StatusCode::ACCEPTED, Json(replay))))
}

#[cfg(test)]
mod tests {
    use pulse_core::models::alert::AttemptReportView;
    use pulse_core::models::ids::{AlertId, IncidentId};
    use serde_json::json;

    use super::*;

    fn attempt(report: AttemptReportView, finished: bool) -> AttemptView {
        AttemptView {
            id: AttemptId(Uuid::nil()),
            check_id: CheckId(Uuid::nil()),
            delivery_id: DeliveryId(Uuid::nil()),
            alert_id: AlertId(Uuid::nil()),
            incident_id: IncidentId(Uuid::nil()),
            kind: "opened",
            delivery_state: "pending",
            number: 2,
            started_at: Slot(0).time(),
            finished_at: finished.then(|| Slot(40).time()),
            channel: "http://w/".into(),
            body: "{}".into(),
            report,
            next_attempt_at: finished.then(|| Slot(15_000).time()),
        }
    }

    #[test]
    fn an_attempt_shows_both_sides_of_the_exchange() {
        let report = AttemptReportView {
            request_headers: json!([["webhook-id", "x"]]),
            status: Some(503),
            response_headers: json!([["via", "a"], ["via", "b"]]),
            response_body: Some("busy".into()),
            latency_ms: Some(40),
            ..AttemptReportView::default()
        };

        let shown = serde_json::to_value(AttemptBody::of(attempt(report, true), Slot(50))).unwrap();

        let nil = Uuid::nil();
        let expected = json!({
            "id": nil, "check_id": nil, "delivery_id": nil, "alert_id": nil, "incident_id": nil, "channel_id": null,
            "kind": "opened", "state": "pending", "attempt": 2, "retry_number": 1,
            "started_at": "1970-01-01T00:00:00.000Z", "finished_at": "1970-01-01T00:00:00.040Z",
            "request": {"url": "http://w/", "headers": {"webhook-id": "x"}, "body": "{}"},
            "response": {"status": 503, "headers": {"via": "a, b"}, "body": "busy"},
            "error": null, "latency_ms": 40, "timed_out": false, "outcome_unknown": false,
            "next_retry_at": "1970-01-01T00:00:15.000Z",
        });
        assert_eq!(shown, expected);
    }

    #[test]
    fn an_attempt_that_never_ended_is_unknown_only_when_it_cannot_be_under_way() {
        let unknown_at = |now| {
            AttemptBody::of(attempt(AttemptReportView::default(), false), Slot(now)).outcome_unknown
        };

        assert!(!unknown_at(LONGEST_ATTEMPT_MS));
        assert!(unknown_at(LONGEST_ATTEMPT_MS + 1));
    }
}
