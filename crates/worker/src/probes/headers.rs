//! The headers that a check sends, whatever it speaks over HTTP.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use pulse_core::models::probe_spec::{Auth, ProbeSpec};

use super::PrepareError;

/// Says which run a request belongs to.
pub(super) const PULSE_RUN: HeaderName = HeaderName::from_static("pulse-run");

const OURS: HeaderValue = HeaderValue::from_static(concat!("Pulse/", env!("CARGO_PKG_VERSION")));

/// Those of the check, who asks, and by what.
pub(super) fn of(spec: &ProbeSpec) -> Result<HeaderMap, PrepareError> {
    let mut headers = HeaderMap::with_capacity(spec.headers.len() + 4);
    for (name, value) in &spec.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(PrepareError::HeaderName)?;
        let value = HeaderValue::from_str(value).map_err(PrepareError::HeaderValue)?;
        headers.append(name, value);
    }
    if let Some(credentials) = spec.auth.as_ref().and_then(credentials) {
        headers.insert(AUTHORIZATION, authorization(&credentials)?);
    }
    headers.entry(USER_AGENT).or_insert(OURS);
    Ok(headers)
}

/// What is known beforehand; a token that has to be asked for is not.
fn credentials(auth: &Auth) -> Option<String> {
    match auth {
        Auth::Basic { username, password } => {
            Some(format!("Basic {}", STANDARD.encode(format!("{username}:{password}"))))
        }
        Auth::Bearer { token } => Some(bearing(token)),
        Auth::Oauth2(_) => None,
    }
}

/// How a token is shown (RFC 6750, section 2.1).
pub(super) fn bearing(token: &str) -> String {
    format!("Bearer {token}")
}

/// As the value of a header that no log shows.
pub(super) fn authorization(credentials: &str) -> Result<HeaderValue, PrepareError> {
    let mut value = HeaderValue::from_str(credentials).map_err(PrepareError::HeaderValue)?;
    value.set_sensitive(true);
    Ok(value)
}
