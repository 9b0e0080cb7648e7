//! Live events: the two ways to them, and what is refused at the door.
//!
//! What is sent then is said in `live`. A client hears of one project: that of the request.

use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use pulse_core::models::event::EventKind;
use utoipa::openapi::Object;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::check_shape::words;
use super::extract::{FromQuery, NoQuery, Params, Query};
use super::incident_shape::severities;
use super::problem::{ApiError, Kind, OnListen, OnSocket};
use super::time::Time;
use super::{Api, PROJECT};
use crate::live::subscription::{Subscription, Wish};
use crate::live::upgrade::Upgrade;
use crate::live::{Live, Refusal, origin, socket, sse};

const LONGEST_ID: usize = 64;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(stream_events)).routes(routes!(open_socket))
}

/// An event: what has just become true. Which of the fields it has besides the first ones is told by its
/// type; a later version may add types and fields.
#[derive(ToSchema)]
#[schema(as = Event)]
#[expect(dead_code, reason = "describes what `models::event` writes")]
struct EventBody {
    /// Its place among all events, the same on every server; not of `run.finished`, which is not kept.
    #[schema(required = false, example = "1795246080000-0")]
    id: String,
    /// What it tells; `resync` says that events may have been lost: read the lists again.
    #[schema(schema_with = types)]
    r#type: String,
    /// Whose it is.
    #[schema(required = false)]
    project_id: Uuid,
    /// When it became true.
    #[schema(required = false)]
    at: Time,
    /// The check it is about; not of an incident that has none.
    #[schema(required = false)]
    check_id: Uuid,
    /// That check's name.
    #[schema(required = false)]
    name: String,
    /// That check's tags.
    #[schema(required = false)]
    tags: Vec<String>,
    /// `check.status_changed`: the status it had.
    #[schema(required = false, example = "up")]
    from: String,
    /// `check.status_changed`: the status it has.
    #[schema(required = false, example = "down")]
    to: String,
    /// `run.finished`: where it was looked from.
    #[schema(required = false)]
    region: String,
    /// `run.finished`: the instant the check was due.
    #[schema(required = false)]
    slot: Time,
    /// `run.finished`: how many slots it stands for.
    #[schema(required = false)]
    slots: u32,
    /// `run.finished`: `ok`, `fail`, `inconclusive` or `missed`.
    #[schema(required = false)]
    outcome: String,
    /// `run.finished`: the kind of failure, or why it could not be told; `resync`: why.
    #[schema(required = false)]
    reason: String,
    /// `run.finished`: how long it took, in milliseconds.
    #[schema(required = false)]
    latency_ms: Option<f64>,
    /// `run.finished`, `delivery.failed`, `delivery.dead`: what went wrong, in a sentence.
    #[schema(required = false)]
    error: Option<String>,
    /// `incident.*`, `delivery.*`: the incident.
    #[schema(required = false)]
    incident_id: Uuid,
    /// `incident.opened`: how bad it is.
    #[schema(required = false, schema_with = severities)]
    severity: String,
    /// `incident.opened`: the first slot that failed, or was degraded.
    #[schema(required = false)]
    started_at: Time,
    /// `incident.opened`: what was seen, in a sentence.
    #[schema(required = false)]
    cause: String,
    /// `incident.acknowledged`, `incident.noted`: who, where they told a name.
    #[schema(required = false)]
    by: String,
    /// `incident.resolved`: why it ended.
    #[schema(required = false)]
    resolution: Option<String>,
    /// `delivery.*`: the delivery, the `webhook-id` of its receiver.
    #[schema(required = false)]
    delivery_id: Uuid,
    /// `delivery.*`: what it says of the incident.
    #[schema(required = false, example = "opened")]
    alert: String,
    /// `delivery.*`: the channel; `null` for a check's own webhook.
    #[schema(required = false)]
    channel_id: Option<Uuid>,
    /// `delivery.*`: which attempt it was, from 1.
    #[schema(required = false)]
    attempt: u32,
    /// `delivery.*`: the status that came back.
    #[schema(required = false)]
    status: Option<u16>,
}

fn types() -> Object {
    let meaning =
        "What it tells; `resync` says that events may have been lost: read the lists again.";
    words(meaning, EventKind::ALL.iter().map(|kind| kind.as_str()).chain(["resync"]))
}

/// What a client wants to hear of; all conditions must hold.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `Wanted` reads")]
struct WantedParams {
    /// Only events of this type; may be given several times. Without any: all but `run.finished`.
    #[param(required = false)]
    r#type: Vec<String>,
    /// Only events about this check; may be given several times, up to 1000.
    #[param(required = false)]
    check_id: Vec<Uuid>,
    /// Only events about checks with this tag; may be given several times: all of them.
    #[param(required = false)]
    tag: Vec<String>,
    /// Go on after this event, as the header `Last-Event-ID` does, which counts where both are given.
    #[param(required = false, example = "1795246080000-0")]
    last_event_id: String,
}

struct Wanted {
    subscription: Subscription,
    last: Option<String>,
}

impl FromQuery for Wanted {
    fn read(params: &mut Params) -> Self {
        let mut wish = Wish::default();
        // Each by itself: what is wrong is told of the parameter at fault.
        let of = |params: &mut Params, name: &str, into: fn(&mut Wish) -> &mut Vec<String>| {
            params.all(name, |words| {
                let mut alone = Wish::default();
                into(&mut alone).clone_from(&words);
                let told = |errors: Vec<pulse_core::models::check::FieldError>| {
                    errors.into_iter().map(|error| error.detail).collect::<Vec<_>>().join("; ")
                };
                Subscription::read(&alone).map(|_right| words).map_err(told)
            })
        };
        wish.types = of(params, "type", |wish| &mut wish.types);
        wish.checks = of(params, "check_id", |wish| &mut wish.checks);
        wish.tags = of(params, "tag", |wish| &mut wish.tags);
        let last = params.one("last_event_id", |text| {
            let fits = (1..=LONGEST_ID).contains(&text.len());
            fits.then(|| text.to_owned()).ok_or_else(|| "must be the id of an event".to_owned())
        });
        Self { subscription: Subscription::read(&wish).unwrap_or_default(), last }
    }
}

/// The event that a client heard last.
#[derive(IntoParams)]
#[into_params(names("Last-Event-ID"), parameter_in = Header)]
struct LastEventId(
    /// Go on after this event; browsers send it by themselves. When it is kept no more, the stream begins
    /// with a `resync`.
    #[param(value_type = String, required = false, example = "1795246080000-0")]
    Option<String>,
);

impl<S: Send + Sync> FromRequestParts<S> for LastEventId {
    type Rejection = std::convert::Infallible;

    /// What is no id is the id of no event.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        let given = parts.headers.get("last-event-id");
        let text = given.map(|id| id.to_str().unwrap_or("?").to_owned());
        Ok(Self(text.filter(|id| !id.is_empty())))
    }
}

/// Follow events
///
/// Server-sent events (`text/event-stream`), for `EventSource` in a browser or `curl -N`. The newest 10,000 events are kept: a client
/// that comes again with `Last-Event-ID` hears what it missed. An event `resync` says that something may be missing: read the lists
/// again, and go on listening.
#[utoipa::path(
    get, path = "/events", tag = "live", params(WantedParams, LastEventId),
    responses(
        (status = 200, description = "Events, as long as the client listens; the `data` of each is one object.", body = EventBody,
            content_type = "text/event-stream"),
        OnListen,
    ),
)]
async fn stream_events(
    State(api): State<Api>,
    LastEventId(last): LastEventId,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let live = &api.live;
    admit(live, &headers)?;
    let client = live.enter("sse").map_err(|why| refused(why, live))?;
    let last = last.or(wanted.last);
    let follower = live.follow(PROJECT, wanted.subscription, last.as_deref()).await;
    let follower = follower.map_err(|why| refused(why, live))?;
    let mut response = Response::new(sse::body(live, follower, client));
    let answer = response.headers_mut();
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // What stands between is not to wait for more before it passes anything on.
    answer.insert("x-accel-buffering", HeaderValue::from_static("no"));
    answer.insert(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin::foreign(&headers, &live.options().origins) {
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    Ok(response)
}

/// Follow events by WebSocket
///
/// Nothing is sent before the client says what it wants to hear of:
/// `{"type": "subscribe", "types": [], "checks": [], "tags": [], "last_event_id": null}`, every field but `type` optional and with the
/// meaning of the parameters of `GET /events`. The answer is `{"type": "subscribed", "last_event_id": ...}`, or
/// `{"type": "error", "errors": [...]}`; then each message is one event. Another `subscribe` takes the place of the one before.
#[utoipa::path(
    get, path = "/ws", tag = "live",
    responses(
        (status = 101, description = "The connection is a WebSocket. Codes that end it: 1003, 1007 and 1009, the client sent what is not \
            understood or too large; 1008, it took or said nothing for too long, or said too much; 1012, the server stops; 1013, it is \
            not ready."),
        OnSocket,
    ),
)]
async fn open_socket(
    State(api): State<Api>,
    _query: NoQuery,
    mut request: Request<Body>,
) -> Result<Response, ApiError> {
    let live = api.live.clone();
    admit(&live, request.headers())?;
    let upgrade = Upgrade::of(&mut request).ok_or_else(|| {
        ApiError::new(Kind::UpgradeRequired, "Only a WebSocket client gets an answer here.")
    })?;
    let client = live.enter("websocket").map_err(|why| refused(why, &live))?;
    let answer = upgrade.answer();
    tokio::spawn(socket::serve(live, client, PROJECT, upgrade));
    Ok(answer)
}

fn admit(live: &Live, headers: &HeaderMap) -> Result<(), ApiError> {
    if origin::may_listen(headers, &live.options().origins) {
        return Ok(());
    }
    live.count_refused("origin");
    let detail = "The page that asks is of another web site, which is not among ALLOWED_ORIGINS.";
    Err(ApiError::new(Kind::ForeignOrigin, detail))
}

fn refused(why: Refusal, live: &Live) -> ApiError {
    match why {
        Refusal::Full => {
            let most = live.options().clients;
            let detail = format!("{most} clients listen to this server, as many as may.");
            ApiError::new(Kind::TooManyClients, detail)
        }
        Refusal::NotReady => ApiError::new(
            Kind::StoreUnavailable,
            "What was told lately cannot be read yet. Try again in a moment.",
        ),
    }
}
