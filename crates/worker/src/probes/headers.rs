//! The headers that a check sends, whatever it speaks over HTTP.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use pulse_core::models::probe_spec::{Auth, ProbeSpec};

use super::PrepareError;

const OURS: HeaderValue = HeaderValue::from_static(concat!("Pulse/", env!("CARGO_PKG_VERSION")));

/// Those of the check, who asks, and by what.
pub(super) fn of(spec: &ProbeSpec) -> Result<HeaderMap, PrepareError> {
    let mut headers = HeaderMap::with_capacity(spec.headers.len() + 4);
    for (name, value) in &spec.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(PrepareError::HeaderName)?;
        let value = HeaderValue::from_str(value).map_err(PrepareError::HeaderValue)?;
        headers.append(name, value);
    }
    if let Some(auth) = &spec.auth {
        headers.insert(AUTHORIZATION, authorization(auth)?);
    }
    headers.entry(USER_AGENT).or_insert(OURS);
    Ok(headers)
}

fn authorization(auth: &Auth) -> Result<HeaderValue, PrepareError> {
    let credentials = match auth {
        Auth::Basic { username, password } => {
            format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
        }
        Auth::Bearer { token } => format!("Bearer {token}"),
    };
    let mut value = HeaderValue::from_str(&credentials).map_err(PrepareError::HeaderValue)?;
    value.set_sensitive(true);
    Ok(value)
}
