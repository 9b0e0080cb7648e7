//! Deliveries: who was told of what, what came of it, and sending what was given up again.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use pulse_core::models::alert::{DeliveryState, DeliveryView, LastAttempt};
use pulse_core::models::check::FieldError;
use pulse_core::models::ids::{CheckId, DeliveryId, IncidentId, SettingId};
use pulse_core::models::schedule::Slot;
use pulse_core::ports::checks::DeliveryFilter;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::alerts::kinds;
use super::extract::{FromQuery, JsonBody, NoQuery, Params, Query};
use super::page::{List, Paging, PagingParams};
use super::problem::{ApiError, OnCreateSetting, OnList};
use super::settings::refuse;
use super::time::Time;
use super::webhooks::{LONGEST_ATTEMPT_MS, states};
use super::{Api, PROJECT};

/// Deliveries that are sent again in one request: each becomes due at once.
const MOST_REPLAYED: u32 = 1_000;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_deliveries)).routes(routes!(replay_deliveries))
}

/// Which deliveries a list shows; all conditions must hold.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only described, never made")]
struct OfDeliveries {
    /// Only those that stand here.
    #[param(schema_with = states, required = false)]
    state: String,
    /// Only what concerns this check, deleted or not.
    #[param(required = false)]
    check_id: Uuid,
    /// Only what tells of this incident.
    #[param(required = false)]
    incident_id: Uuid,
    /// Only what is for this channel, removed or not.
    #[param(required = false)]
    channel_id: Uuid,
    /// Only what was raised at this instant or later, in RFC 3339.
    #[param(required = false)]
    from: DateTime<Utc>,
    /// Only what was raised before this instant, in RFC 3339.
    #[param(required = false)]
    to: DateTime<Utc>,
}

/// The same, read.
struct Wanted(DeliveryFilter);

fn id(text: &str) -> Result<Uuid, String> {
    Uuid::parse_str(text).map_err(|_no_uuid| "must be an id, a UUID".to_owned())
}

fn instant(text: &str) -> Result<Slot, String> {
    let wrong = |_| "must be an instant in RFC 3339, as in 2026-11-21T18:00:00Z".to_owned();
    DateTime::parse_from_rfc3339(text).map(|at| Slot::from(at.to_utc())).map_err(wrong)
}

fn state(word: &str) -> Result<DeliveryState, String> {
    let all = || DeliveryState::ALL.iter().map(|state| state.as_str()).collect::<Vec<_>>();
    DeliveryState::parse(word).ok_or_else(|| format!("must be one of {}", all().join(", ")))
}

impl FromQuery for (Wanted, Paging<DeliveryId>) {
    fn read(params: &mut Params) -> Self {
        let filter = DeliveryFilter {
            state: params.one("state", state),
            check: params.one("check_id", id).map(CheckId),
            incident: params.one("incident_id", id).map(IncidentId),
            channel: params.one("channel_id", id).map(SettingId),
            from: params.one("from", instant),
            to: params.one("to", instant),
        };
        (Wanted(filter), Paging::read(params))
    }
}

/// One alert for one receiver.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
struct DeliveryBody {
    /// Its id: the `webhook-id` its receiver sees, the same on every attempt.
    id: Uuid,
    /// The check; where the incident has none, the incident itself.
    check_id: Uuid,
    /// The incident.
    incident_id: Uuid,
    /// The alert.
    alert_id: Uuid,
    /// The channel; `null` for a check's own webhook.
    channel_id: Option<Uuid>,
    /// Where a check's own webhook is; `null` for a channel, whose address may be a secret.
    url: Option<String>,
    /// Which edge of the incident.
    #[schema(schema_with = kinds)]
    kind: &'static str,
    /// Where it stands.
    #[schema(schema_with = states)]
    state: &'static str,
    /// When it was raised.
    raised_at: Time,
    /// The delivery that it was made instead of: of a channel that could not be told, or not in time.
    instead_of: Option<Uuid>,
    /// How many attempts were made, over all replays: `GET /deliveries/{delivery_id}/attempts` shows them.
    attempts: u32,
    /// When the next one is due, while it is pending. A receiver whose breaker is open may be left alone for longer.
    next_attempt_at: Option<Time>,
    /// What came of the last attempt; `null` before the first.
    last_attempt: Option<LastAttemptBody>,
}

/// What came of the last attempt.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LastAttempt)]
struct LastAttemptBody {
    /// When it was recorded, just before it was made.
    started_at: Time,
    /// When it ended; `null` while it is under way, and when its outcome is unknown.
    finished_at: Option<Time>,
    /// The status that came back: of HTTP, or 250 of a mail server that took the letter.
    status: Option<u16>,
    /// What went wrong; `null` when the receiver answered.
    error: Option<String>,
    /// From the start to the end, in milliseconds.
    latency_ms: Option<u32>,
    /// Whether the deadline ended it.
    timed_out: bool,
    /// The sender went away before it could tell how the attempt ended: the receiver may have it.
    outcome_unknown: bool,
}

impl DeliveryBody {
    fn of(delivery: DeliveryView, now: Slot) -> Self {
        let is_webhook = delivery.channel.is_none();
        Self {
            id: delivery.id.0,
            check_id: delivery.check_id.0,
            incident_id: delivery.incident_id.0,
            alert_id: delivery.alert_id.0,
            channel_id: delivery.channel.map(|id| id.0),
            url: is_webhook.then_some(delivery.receiver),
            kind: delivery.kind.as_str(),
            state: delivery.state.as_str(),
            raised_at: delivery.raised_at.into(),
            instead_of: delivery.instead_of.map(|id| id.0),
            attempts: delivery.attempts,
            next_attempt_at: delivery.next_attempt_at.map(Time::from),
            last_attempt: delivery.last.map(|last| LastAttemptBody::of(last, now)),
        }
    }
}

impl LastAttemptBody {
    fn of(last: LastAttempt, now: Slot) -> Self {
        let began = Slot::from(last.started_at);
        Self {
            started_at: last.started_at.into(),
            finished_at: last.finished_at.map(Time::from),
            status: last.status,
            error: last.error,
            latency_ms: last.latency_ms,
            timed_out: last.timed_out,
            outcome_unknown: last.finished_at.is_none() && began.plus(LONGEST_ATTEMPT_MS) < now,
        }
    }
}

/// List deliveries
///
/// Newest first, those for deleted checks and removed channels as well. `state=dead` are the dead letters.
#[utoipa::path(
    get, path = "/deliveries", tag = "deliveries", params(OfDeliveries, PagingParams),
    responses((status = 200, description = "A page of deliveries.", body = List<DeliveryBody>), OnList),
)]
async fn list_deliveries(
    State(api): State<Api>,
    Query((wanted, paging)): Query<(Wanted, Paging<DeliveryId>)>,
) -> Result<Json<List<DeliveryBody>>, ApiError> {
    let limit = paging.limit;
    let deliveries = api.alerts.deliveries(PROJECT, &wanted.0, paging.page(0)).await?;
    let now = api.clock.now();
    Ok(Json(List::of(deliveries, limit, |it| it.id, |it| DeliveryBody::of(it, now))))
}

/// Which dead letters are to be sent again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReplayRange {
    /// Raised at this instant or later.
    from: DateTime<Utc>,
    /// Raised before this instant; now when left out.
    #[schema(required = false)]
    to: Option<DateTime<Utc>>,
    /// For this channel alone; for any receiver when left out.
    #[schema(required = false)]
    channel_id: Option<Uuid>,
}

/// What is sent again.
#[derive(Debug, Serialize, ToSchema)]
struct Replayed {
    /// How many deliveries are due now.
    replayed: u64,
    /// Whether that was as many as one request may: there may be more, for the same request once more.
    more: bool,
}

/// Send dead letters again
///
/// All that were given up in a span of time, or those of one channel, the oldest first and a thousand at most: each with
/// its id and its bytes, at once and then on the usual schedule of retries. Tests are left alone.
#[utoipa::path(
    post, path = "/deliveries/replay", tag = "deliveries",
    request_body(content = ReplayRange, content_type = "application/json"),
    responses((status = 202, description = "So many are due now.", body = Replayed), OnCreateSetting),
)]
async fn replay_deliveries(
    State(api): State<Api>,
    _query: NoQuery,
    body: JsonBody,
) -> Result<(StatusCode, Json<Replayed>), ApiError> {
    let wrong = |why: serde_json::Error| FieldError {
        pointer: String::new(),
        detail: format!("does not say what is to be sent again: {why}"),
    };
    let range: ReplayRange = serde_json::from_value(body.value).map_err(wrong).map_err(refuse)?;
    let now = api.clock.now();
    let raised = Slot::from(range.from)..range.to.map_or(now, Slot::from);
    let channel = range.channel_id.map(SettingId);
    let replayed = api.alerts.replay_dead(PROJECT, channel, raised, MOST_REPLAYED, now).await?;
    let more = replayed >= u64::from(MOST_REPLAYED);
    Ok((StatusCode::ACCEPTED, Json(Replayed { replayed, more })))
}
