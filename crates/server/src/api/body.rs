//! Bodies besides those of JSON that must be there: JSON that may be left out, and forms.

use axum::extract::{FromRequest, Request};
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::extract::{must_be_json, parsed, received};
use super::problem::ApiError;

/// More than any form of ours has.
const MOST_FIELDS: usize = 20;

/// A body of JSON that may be left out: an empty object then.
pub struct MaybeJson(pub Value);

impl<S: Sync> FromRequest<S> for MaybeJson {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let declared = must_be_json(request.headers());
        let bytes = received(request).await?;
        if bytes.is_empty() {
            return Ok(Self(Value::Object(Map::new())));
        }
        declared?;
        parsed(&bytes).map(Self)
    }
}

/// What the form of a page sends.
pub struct Form(Vec<(String, String)>);

impl Form {
    /// What a field holds; the first, where there are several of that name.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

impl<S: Sync> FromRequest<S> for Form {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let bytes = received(request).await?;
        let fields = form_urlencoded::parse(&bytes).into_owned().take(MOST_FIELDS);
        Ok(Self(fields.collect()))
    }
}
