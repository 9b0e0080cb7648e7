//! What handlers take from a request. Whatever is wrong with it becomes a problem here, so that no
//! handler sees half-read input and no framework answers in its own words.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt;
use pulse_core::models::check::FieldError;
use pulse_core::models::ids::{CheckId, DeliveryId, IncidentId, SettingId};
use pulse_core::models::secret::SecretName;
use pulse_core::models::text;
use serde_json::Value;
use sha2::{Digest, Sha256};
use utoipa::IntoParams;
use uuid::Uuid;

use super::problem::{ApiError, Kind};

/// The largest body that is read.
pub const MOST_BODY_BYTES: usize = 1024 * 1024;
/// Less than callers wait for an answer, so that they are told whose fault it is.
const LONGEST_UPLOAD: Duration = Duration::from_secs(8);
/// How much of a body that is too large is read and thrown away, and for how long: many clients see
/// the answer only when they could send all they wanted.
const MOST_DRAINED_BYTES: usize = 8 * MOST_BODY_BYTES;
const LONGEST_DRAIN: Duration = Duration::from_secs(2);
const LONGEST_KEY: usize = 255;

/// A body of JSON, as a value: what it means is for the models to say.
pub struct JsonBody {
    /// What was sent.
    pub value: Value,
    /// SHA-256 of the bytes that were sent.
    pub hash: Vec<u8>,
}

impl<S: Sync> FromRequest<S> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        must_be_json(request.headers())?;
        let bytes = received(request).await?;
        if bytes.is_empty() {
            return Err(ApiError::new(
                Kind::MalformedJson,
                "The body is empty; send a JSON object.",
            ));
        }
        Ok(Self { value: parsed(&bytes)?, hash: Sha256::digest(&bytes).to_vec() })
    }
}

/// All of a body, or why it was not waited for.
pub(super) async fn received(request: Request) -> Result<Vec<u8>, ApiError> {
    let Ok(bytes) = tokio::time::timeout(LONGEST_UPLOAD, read_body(request)).await else {
        let seconds = LONGEST_UPLOAD.as_secs();
        let detail = format!("The body was not here after {seconds} s.");
        return Err(ApiError::new(Kind::SlowBody, detail));
    };
    bytes
}

/// What was sent, as JSON.
pub(super) fn parsed(bytes: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(bytes).map_err(|error| {
        ApiError::new(Kind::MalformedJson, format!("The body is not JSON: {error}."))
    })
}

/// Whether a body is declared as one that is read here.
pub(super) fn must_be_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let refuse = |detail: String| Err(ApiError::new(Kind::UnsupportedMediaType, detail));
    if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return refuse("Send the body without a Content-Encoding.".into());
    }
    let Some(declared) = headers.get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    let declared = String::from_utf8_lossy(declared.as_bytes()).to_ascii_lowercase();
    let media_type = declared.split(';').next().unwrap_or_default().trim();
    match media_type {
        // A list of operations, not an object to merge: another format altogether.
        "application/json-patch+json" => refuse(
            "Send a JSON merge patch (application/merge-patch+json), not a JSON Patch.".into(),
        ),
        json if json.ends_with("/json") || json.ends_with("+json") => Ok(()),
        "application/x-www-form-urlencoded" => refuse(
            "The body is declared as a form; with curl, add -H 'content-type: application/json'."
                .into(),
        ),
        other => refuse(format!(
            "The body is declared as {:?}; send it with content-type: application/json.",
            text::tame(other, 100),
        )),
    }
}

async fn read_body(request: Request) -> Result<Vec<u8>, ApiError> {
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    let waits_for_leave = request.headers().contains_key(header::EXPECT);
    let mut body = request.into_body();
    if announced.is_some_and(|length: u64| length > MOST_BODY_BYTES as u64) {
        if !waits_for_leave {
            drain(body).await;
        }
        return Err(too_large());
    }
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|_broken| ApiError::new(Kind::MalformedJson, "The body ended early."))?;
        let Ok(bytes) = frame.into_data() else {
            continue;
        };
        if read.len() + bytes.len() > MOST_BODY_BYTES {
            drain(body).await;
            return Err(too_large());
        }
        read.extend_from_slice(&bytes);
    }
    Ok(read)
}

fn too_large() -> ApiError {
    ApiError::new(Kind::BodyTooLarge, format!("The body is larger than {MOST_BODY_BYTES} bytes."))
}

async fn drain(mut body: Body) {
    let drained = async {
        let mut left = MOST_DRAINED_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, |bytes| bytes.len().max(1)));
            if left == 0 {
                return;
            }
        }
    };
    // Either end will do: what matters is that it ends.
    let _ = tokio::time::timeout(LONGEST_DRAIN, drained).await;
}

/// The check that a path names. What is no id names nothing: not found.
#[derive(Clone, Copy, Debug, IntoParams)]
#[into_params(names("id"), parameter_in = Path)]
pub struct OfCheck(
    /// The check's id.
    #[param(value_type = Uuid)]
    pub CheckId,
);

impl<S: Send + Sync> FromRequestParts<S> for OfCheck {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::<Uuid>::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Self(CheckId(id))),
            Err(_no_id) => {
                Err(ApiError::new(Kind::NotFound, "That is not the id of a check; ids are UUIDs."))
            }
        }
    }
}

/// The incident that a path names.
#[derive(Clone, Copy, Debug, IntoParams)]
#[into_params(names("id"), parameter_in = Path)]
pub struct OfIncident(
    /// The incident's id.
    #[param(value_type = Uuid)]
    pub IncidentId,
);

impl<S: Send + Sync> FromRequestParts<S> for OfIncident {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::<Uuid>::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Self(IncidentId(id))),
            Err(_no_id) => Err(ApiError::new(
                Kind::NotFound,
                "That is not the id of an incident; ids are UUIDs.",
            )),
        }
    }
}

/// The secret that a path names, or what is wrong with its name.
#[derive(Clone, Debug, IntoParams)]
#[into_params(names("name"), parameter_in = Path)]
pub struct OfSecret(
    /// The secret's name: 1 to 64 letters, digits, `_` and `-`.
    #[param(value_type = String, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]+$", example = "API_KEY")]
    pub Result<SecretName, FieldError>,
);

impl<S: Send + Sync> FromRequestParts<S> for OfSecret {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let name = Path::<String>::from_request_parts(parts, state).await;
        let name = name.map(|Path(name)| name).unwrap_or_default();
        let wrong = |detail| FieldError { pointer: "name".to_owned(), detail };
        Ok(Self(SecretName::parse(&name).map_err(wrong)))
    }
}

/// The channel or the route that a path names.
#[derive(Clone, Copy, Debug, IntoParams)]
#[into_params(names("id"), parameter_in = Path)]
pub struct OfSetting(
    /// Its id.
    #[param(value_type = Uuid)]
    pub SettingId,
);

impl<S: Send + Sync> FromRequestParts<S> for OfSetting {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::<Uuid>::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Self(SettingId(id))),
            Err(_no_id) => Err(ApiError::new(Kind::NotFound, "That is not an id; ids are UUIDs.")),
        }
    }
}

/// The delivery of a check that a path names.
#[derive(Clone, Copy, Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct OfDelivery {
    /// The check's id.
    #[param(value_type = Uuid)]
    pub id: CheckId,
    /// The delivery's id: the `webhook-id` its receiver saw.
    #[param(value_type = Uuid)]
    pub delivery_id: DeliveryId,
}

impl<S: Send + Sync> FromRequestParts<S> for OfDelivery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::<(Uuid, Uuid)>::from_request_parts(parts, state).await {
            Ok(Path((check, delivery))) => {
                Ok(Self { id: CheckId(check), delivery_id: DeliveryId(delivery) })
            }
            Err(_no_ids) => Err(ApiError::new(
                Kind::NotFound,
                "Those are not the ids of a check and a delivery; ids are UUIDs.",
            )),
        }
    }
}

/// The delivery that a path names, whatever its check.
#[derive(Clone, Copy, Debug, IntoParams)]
#[into_params(names("delivery_id"), parameter_in = Path)]
pub struct AnyDelivery(
    /// The delivery's id: the `webhook-id` its receiver saw.
    #[param(value_type = Uuid)]
    pub DeliveryId,
);

impl<S: Send + Sync> FromRequestParts<S> for AnyDelivery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::<Uuid>::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Self(DeliveryId(id))),
            Err(_no_id) => Err(ApiError::new(
                Kind::NotFound,
                "That is not the id of a delivery; ids are UUIDs.",
            )),
        }
    }
}

/// Parameters of a query string, each taken by name, faults gathered on the way.
pub struct Params {
    pairs: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

impl Params {
    /// A parameter that may be given once; `None` when it is absent or at fault.
    pub fn one<T>(
        &mut self,
        name: &str,
        rule: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let values = self.take(name);
        let checked = match values.as_slice() {
            [] => return None,
            [value] => rule(value),
            _ => Err("may be given once only".to_owned()),
        };
        checked.map_err(|detail| self.fault(name, &detail)).ok()
    }

    /// A parameter that may be given any number of times.
    pub fn all<T>(
        &mut self,
        name: &str,
        rule: impl FnOnce(Vec<String>) -> Result<Vec<T>, String>,
    ) -> Vec<T> {
        rule(self.take(name)).map_err(|detail| self.fault(name, &detail)).unwrap_or_default()
    }

    fn take(&mut self, name: &str) -> Vec<String> {
        self.pairs.extract_if(.., |(key, _)| key == name).map(|(_, value)| value).collect()
    }

    fn fault(&mut self, name: &str, detail: &str) {
        self.errors.push(FieldError { pointer: text::tame(name, 100), detail: detail.to_owned() });
    }

    fn finish(mut self) -> Result<(), ApiError> {
        while let Some((name, _)) = self.pairs.pop() {
            self.pairs.retain(|(other, _)| *other != name);
            self.fault(&name, "is not a parameter here");
        }
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(ApiError::of_fields(Kind::BadQuery, self.errors))
        }
    }
}

/// Something that a query string says.
pub trait FromQuery {
    /// Takes its parameters; those at fault get any value, the request is refused anyway.
    fn read(params: &mut Params) -> Self;
}

/// A query string, read whole: unknown parameters are refused.
pub struct Query<T>(pub T);

impl<T: FromQuery, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let pairs = axum::extract::Query::from_request_parts(parts, state)
            .await
            .map_err(|error| ApiError::new(Kind::BadQuery, format!("{error}.")))?;
        let mut params = Params { pairs: pairs.0, errors: Vec::new() };
        let read = T::read(&mut params);
        params.finish().map(|()| Self(read))
    }
}

/// A query string that must be empty.
pub struct NoQuery;

impl FromQuery for NoQuery {
    fn read(_params: &mut Params) -> Self {
        Self
    }
}

impl<S: Send + Sync> FromRequestParts<S> for NoQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Query::from_request_parts(parts, state).await.map(|Query(nothing)| nothing)
    }
}

/// A client's word that two requests are one.
#[derive(IntoParams)]
#[into_params(names("Idempotency-Key"), parameter_in = Header)]
pub struct GivenKey(
    /// Makes repeating the request harmless for a day: the check is created once, and every
    /// repetition gets it. 1 to 255 visible ASCII characters.
    #[param(value_type = String, min_length = 1, max_length = 255, required = false)]
    pub Option<String>,
);

impl<S: Send + Sync> FromRequestParts<S> for GivenKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        const NAME: &str = "Idempotency-Key";
        let mut keys = parts.headers.get_all(NAME).iter();
        let key = match (keys.next(), keys.next()) {
            (None, _) => return Ok(Self(None)),
            (Some(key), None) => key.as_bytes(),
            (Some(_), Some(_)) => &[],
        };
        if (1..=LONGEST_KEY).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic) {
            return Ok(Self(Some(key.iter().copied().map(char::from).collect())));
        }
        let detail =
            format!("must be given once, with 1 to {LONGEST_KEY} visible ASCII characters");
        let error = FieldError { pointer: NAME.to_owned(), detail };
        Err(ApiError::of_fields(Kind::BadHeader, vec![error]))
    }
}
