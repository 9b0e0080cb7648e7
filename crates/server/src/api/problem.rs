//! What callers are told when a request cannot be served: problem+json (RFC 9457).
//!
//! [`Kind`] is the closed list of problems; a name, once published, keeps its meaning. An
//! [`ApiError`] is one occurrence: a sentence for the caller, the fields at fault and, for the log
//! only, the cause. It leaves a handler unrendered, because only `layers` knows the request's id:
//! rendering and logging happen there, once.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use pulse_core::models::check::FieldError;
use pulse_core::ports::StoreError;
use pulse_core::runtime::telemetry::chain;
use serde::Serialize;
use utoipa::openapi::{Content, Ref, RefOr, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

/// The media type of every error.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Seconds after which trying again is worth it when a store is away.
const RETRY_AFTER_SECONDS: &str = "5";

/// Declares the kinds: variant, name in the `type`, status, title, what a caller can do about it.
macro_rules! kinds {
    ($($kind:ident = $name:literal, $status:ident, $title:literal, $advice:literal;)+) => {
        /// What can be wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind { $($kind),+ }

        impl Kind {
            /// Every kind, by status.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// The last segment of the `type`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name),+ }
            }

            /// The status it is answered with.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$kind => StatusCode::$status),+ }
            }

            /// The same words whatever the occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$kind => $title),+ }
            }

            /// What to do about it.
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$kind => $advice),+ }
            }
        }
    };
}

kinds! {
    MalformedJson = "malformed-json", BAD_REQUEST, "The body is not JSON",
        "Send one JSON object in UTF-8; `detail` gives the line and column of the fault.";
    BadQuery = "bad-query", BAD_REQUEST, "The query string is not understood",
        "`errors` names each parameter at fault and says what it may be.";
    BadHeader = "bad-header", BAD_REQUEST, "A header is not understood",
        "`errors` names the header and says what it may be.";
    CrossSite = "cross-site", FORBIDDEN, "Other web sites may not change anything here",
        "Call the API from a program, or from a page that Pulse itself serves.";
    ForeignOrigin = "foreign-origin", FORBIDDEN, "That web site may not listen here",
        "Name its origin in ALLOWED_ORIGINS, or listen from a program, or from a page that Pulse itself serves.";
    NotFound = "not-found", NOT_FOUND, "There is nothing here",
        "Check the path and the id; what was deleted is found no more.";
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED, "That method does not work here",
        "The `Allow` header lists those that do.";
    SlowBody = "slow-body", REQUEST_TIMEOUT, "The body did not arrive in time",
        "Send the whole body within 8 s.";
    Paused = "paused", CONFLICT, "The check is paused",
        "Resume the check first: POST /checks/{id}/resume.";
    NotRun = "not-run", CONFLICT, "Pulse does not run checks of this kind",
        "Their job calls Pulse when it runs: see the check's `ping_url`.";
    IncidentOver = "incident-over", CONFLICT, "The incident is over",
        "There is nothing to see to any more; `/notes` takes what is still to be said.";
    TooManyReported = "too-many-reported", CONFLICT, "As many incidents were opened by hand as may last",
        "Resolve some of them first: GET /incidents?kind=manual&status=open, POST /incidents/{id}/resolve.";
    Conflict = "conflict", CONFLICT, "The check is being changed by others",
        "Read the check again and repeat the change.";
    NoSecretKey = "no-secret-key", CONFLICT, "There is no key to seal secrets with",
        "Set PULSE_SECRET_KEY to 32 bytes in base64 (`openssl rand -base64 32`), the same on every server and worker, and start them again.";
    SecretInUse = "secret-in-use", CONFLICT, "Checks refer to the secret",
        "`detail` names them; change or delete them first.";
    Gone = "gone", GONE, "What that Idempotency-Key created has been deleted",
        "Use a new key to create another check.";
    BodyTooLarge = "body-too-large", PAYLOAD_TOO_LARGE, "The body is too large",
        "Send at most 1 MiB.";
    UnsupportedMediaType = "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE, "The body is not declared as JSON",
        "Send `Content-Type: application/json` and no `Content-Encoding`.";
    Validation = "validation", UNPROCESSABLE_ENTITY, "Some fields are not right",
        "`errors` names each field at fault by a JSON pointer and says what it may be.";
    IdempotencyKeyReused = "idempotency-key-reused", UNPROCESSABLE_ENTITY, "The Idempotency-Key belongs to another request",
        "Repeat a request with the same body, byte for byte, or use a new key.";
    UpgradeRequired = "upgrade-required", UPGRADE_REQUIRED, "This is spoken by WebSocket alone",
        "Connect with a WebSocket client (RFC 6455, version 13), or follow GET /events.";
    Internal = "internal", INTERNAL_SERVER_ERROR, "Pulse could not serve this request",
        "A fault of Pulse: report it with the `request_id`.";
    StoreUnavailable = "store-unavailable", SERVICE_UNAVAILABLE, "A store that Pulse needs does not answer",
        "Try again after `Retry-After` seconds; checks go on meanwhile as far as they can.";
    TooManyClients = "too-many-clients", SERVICE_UNAVAILABLE, "As many clients listen as may",
        "Come again after `Retry-After` seconds, or listen to another server; EVENT_CLIENTS says how many may.";
    NoWorker = "no-worker", SERVICE_UNAVAILABLE, "No worker looked in time",
        "See that a worker of that region runs (`/health` names those that do), and try again.";
    Timeout = "timeout", SERVICE_UNAVAILABLE, "The request took too long",
        "It may still take effect: look before trying again, or repeat a creation with the same Idempotency-Key.";
}

impl Kind {
    /// The `type`: a reference that resolves to an explanation on the same server.
    pub fn uri(self) -> String {
        format!("/problems/{}", self.name())
    }
}

/// One occurrence of a problem.
#[derive(Clone, Debug)]
pub struct ApiError {
    kind: Kind,
    detail: String,
    errors: Vec<FieldError>,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl ApiError {
    /// A problem, told to the caller in `detail`, a whole sentence.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new(), cause: None }
    }

    /// The same with what is wrong in which field.
    pub fn of_fields(kind: Kind, errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [] => kind.title().to_owned() + ".",
            [one] => sentence(one),
            [first, rest @ ..] => {
                format!("{} And {} more: see errors.", sentence(first), rest.len())
            }
        };
        Self { errors, ..Self::new(kind, detail) }
    }

    /// A fault of Pulse; `cause` goes to the log.
    pub fn internal(cause: impl Error + Send + Sync + 'static) -> Self {
        let detail =
            "Something went wrong inside Pulse. It has been logged under this request's id.";
        Self { cause: Some(Arc::new(cause)), ..Self::new(Kind::Internal, detail) }
    }

    /// Writes a failure of Pulse's own to the log; what callers did wrong is theirs to know.
    pub fn log(&self) {
        let cause = self.cause.as_deref().map(|cause| chain(cause)).unwrap_or_default();
        match self.kind {
            Kind::Internal => tracing::error!(error = cause, "a request could not be served"),
            Kind::StoreUnavailable => tracing::warn!(error = cause, "a request found a store away"),
            Kind::Timeout => tracing::warn!("a request is taking too long, and goes on unwatched"),
            _ => {}
        }
    }

    /// The body that goes to the caller.
    pub fn problem(&self, request_id: &str) -> Problem {
        Problem {
            kind: self.kind.uri(),
            title: self.kind.title(),
            status: self.kind.status().as_u16(),
            detail: self.detail.clone(),
            errors: self
                .errors
                .iter()
                .map(|e| Fault { pointer: e.pointer.clone(), detail: e.detail.clone() })
                .collect(),
            request_id: request_id.to_owned(),
        }
    }
}

fn sentence(error: &FieldError) -> String {
    let name = error.pointer.trim_start_matches('/');
    let subject = if name.is_empty() { "The body" } else { name };
    format!("{subject} {}.", error.detail)
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable { .. } => {
                let detail = "Pulse cannot reach a store it needs for this. Try again in a moment.";
                Self { cause: Some(Arc::new(error)), ..Self::new(Kind::StoreUnavailable, detail) }
            }
            StoreError::Refused { .. }
            | StoreError::Unusable(_)
            | StoreError::Unreadable { .. } => Self::internal(error),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.kind.status().into_response();
        if self.kind.status() == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        if self.kind == Kind::UpgradeRequired {
            response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// An error, as RFC 9457 has it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Problem {
    /// Which problem: `/problems/` and a name that keeps its meaning. Resolves to an explanation.
    #[serde(rename = "type")]
    #[schema(example = "/problems/validation")]
    kind: String,
    /// The same for every occurrence of the problem.
    #[schema(value_type = String, example = "Some fields are not right")]
    title: &'static str,
    /// The response's status.
    #[schema(example = 422)]
    status: u16,
    /// What is wrong this time, in a sentence.
    #[schema(
        example = "url must be an absolute URL that begins with http://, https://, tcp://, tls://, redis://, rediss://, postgres://, mysql://, smtp://, udp://, icmp:// or dns://."
    )]
    detail: String,
    /// What is wrong where; absent when the problem is not about fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<Fault>,
    /// The request's id, as in the `x-request-id` header and in Pulse's log.
    #[schema(example = "019a9f0e-5c1a-7c55-9d9c-3f5a4b6c7d8e")]
    request_id: String,
}

/// One thing wrong with a request.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Fault {
    /// A JSON pointer into the body (RFC 6901), or the name of a query parameter or header.
    #[schema(example = "/url")]
    pointer: String,
    /// What is wrong and what would be right.
    #[schema(
        example = "must be an absolute URL that begins with http://, https://, tcp://, tls://, redis://, rediss://, postgres://, mysql://, smtp://, udp://, icmp:// or dns://"
    )]
    detail: String,
}

/// Declares which problems an operation may answer with, for the API's description. Each of them may
/// also fail the ways any request may.
macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident: $($kind:ident),+;)+) => {$(
        $(#[$doc])*
        pub struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
                documented(&[$(Kind::$kind),+, Kind::Internal, Kind::StoreUnavailable, Kind::Timeout])
            }
        }
    )+};
}

problems! {
    /// Reading a list.
    OnList: BadQuery;
    /// Reading something of a check.
    OnCheck: BadQuery, NotFound;
    /// Creating a check.
    OnCreate: MalformedJson, BadQuery, BadHeader, CrossSite, SlowBody, Gone, BodyTooLarge, UnsupportedMediaType, Validation,
        IdempotencyKeyReused;
    /// Opening an incident by hand.
    OnReport: MalformedJson, BadQuery, CrossSite, SlowBody, TooManyReported, BodyTooLarge, UnsupportedMediaType, Validation;
    /// Creating a channel or a route.
    OnCreateSetting: MalformedJson, BadQuery, CrossSite, SlowBody, BodyTooLarge, UnsupportedMediaType, Validation;
    /// Changing a check by a body.
    OnChange: MalformedJson, BadQuery, CrossSite, NotFound, SlowBody, Conflict, BodyTooLarge, UnsupportedMediaType, Validation;
    /// Doing something to a check.
    OnAct: BadQuery, CrossSite, NotFound, Conflict;
    /// Acknowledging an incident.
    OnAck: MalformedJson, BadQuery, CrossSite, NotFound, SlowBody, IncidentOver, BodyTooLarge, UnsupportedMediaType, Validation;
    /// Taking an acknowledgement back.
    OnUnack: BadQuery, CrossSite, NotFound, IncidentOver;
    /// Resolving an incident, or writing a note on it.
    OnWrite: MalformedJson, BadQuery, CrossSite, NotFound, SlowBody, BodyTooLarge, UnsupportedMediaType, Validation;
    /// Running a check now.
    OnRun: BadQuery, CrossSite, NotFound, Paused, NotRun;
    /// Taking a ping.
    OnPing: BadQuery, CrossSite, NotFound;
    /// Looking for a check without saving it.
    OnDryRun: MalformedJson, BadQuery, CrossSite, SlowBody, BodyTooLarge, UnsupportedMediaType, Validation, NoWorker;
    /// Removing a check, or sending a delivery again.
    OnRemove: BadQuery, CrossSite, NotFound;
    /// Putting a secret.
    OnPutSecret: MalformedJson, BadQuery, CrossSite, SlowBody, NoSecretKey, BodyTooLarge, UnsupportedMediaType, Validation;
    /// Following events.
    OnListen: BadQuery, ForeignOrigin, TooManyClients;
    /// The same by WebSocket.
    OnSocket: BadQuery, ForeignOrigin, UpgradeRequired, TooManyClients;
    /// Removing a secret.
    OnRemoveSecret: BadQuery, CrossSite, NotFound, SecretInUse;
}

fn documented(kinds: &[Kind]) -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
    let mut by_status: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for kind in kinds {
        by_status.entry(kind.status().as_u16()).or_default().push(format!(
            "{} (`{}`).",
            kind.title(),
            kind.uri()
        ));
    }
    let response = |titles: Vec<String>| {
        let content = Content::new(Some(Ref::from_schema_name("Problem")));
        ResponseBuilder::new().description(titles.join(" ")).content(MEDIA_TYPE, content).build()
    };
    by_status
        .into_iter()
        .map(|(status, titles)| (status.to_string(), RefOr::T(response(titles))))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_problem_says_what_where_and_under_which_id() {
        let errors = vec![
            FieldError { pointer: "/url".into(), detail: "is required".into() },
            FieldError { pointer: "/name".into(), detail: "is required".into() },
        ];

        let problem = ApiError::of_fields(Kind::Validation, errors).problem("r-1");

        let expected = json!({
            "type": "/problems/validation",
            "title": "Some fields are not right",
            "status": 422,
            "detail": "url is required. And 1 more: see errors.",
            "errors": [
                {"pointer": "/url", "detail": "is required"},
                {"pointer": "/name", "detail": "is required"},
            ],
            "request_id": "r-1",
        });
        assert_eq!(serde_json::to_value(problem).unwrap(), expected);
    }

    #[test]
    fn names_are_unique_and_fit_a_path() {
        let names: std::collections::BTreeSet<_> =
            Kind::ALL.iter().map(|kind| kind.name()).collect();

        assert_eq!(names.len(), Kind::ALL.len());
        assert!(names.iter().all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
    }

    #[test]
    fn a_store_that_is_away_is_worth_another_try_and_one_that_refuses_is_not() {
        let away = StoreError::Unavailable { store: "postgres", source: "refused".into() };
        let refused = StoreError::Refused { store: "postgres", source: "secret detail".into() };

        let (away, refused) = (ApiError::from(away), ApiError::from(refused));

        assert_eq!((away.kind, refused.kind), (Kind::StoreUnavailable, Kind::Internal));
        assert_eq!(away.into_response().headers()[header::RETRY_AFTER], "5");
        assert!(!refused.detail.contains("secret"));
        assert_eq!(chain(refused.cause.as_deref().unwrap()), "postgres refused: secret detail");
    }
}
