//! What every request passes through: it gets an id and a span, runs apart from its connection,
//! and what went wrong is rendered and logged here, once.

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;
use tracing::Instrument;
use uuid::Uuid;

use super::patience::Patience;
use super::problem::{self, ApiError, Kind};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST_REQUEST_ID: usize = 128;

/// Sent unless a handler says otherwise.
const SAFE_HEADERS: [(HeaderName, &str); 6] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Puts everything round a router that serves requests, its fallbacks included.
pub fn around(router: Router) -> Router {
    router.fallback(no_such_path).method_not_allowed_fallback(no_such_method).layer(from_fn(serve))
}

async fn no_such_path(uri: Uri) -> ApiError {
    let path = pulse_core::models::text::tame(uri.path(), 200);
    ApiError::new(Kind::NotFound, format!("There is no {path}; /docs lists what there is."))
}

async fn no_such_method(request: Request) -> ApiError {
    let method = pulse_core::models::text::tame(request.method().as_str(), 40);
    ApiError::new(
        Kind::MethodNotAllowed,
        format!("{method} does not work here; the Allow header lists what does."),
    )
}

async fn serve(request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    let span = tracing::info_span!("api.request", request.id = id, http.method = %request.method(), http.route = route);
    async {
        let began = Instant::now();
        let mut response = match came_from_elsewhere(&request) {
            Some(refusal) => refusal.into_response(),
            None => next.run(request).await,
        };
        render_problem(&mut response, &id);
        add_headers(response.headers_mut(), &id);
        let latency_ms = began.elapsed().as_millis();
        tracing::debug!(
            http.status = response.status().as_u16(),
            latency_ms,
            "a request was answered"
        );
        response
    }
    .instrument(span.clone())
    .await
}

/// The caller's id for the request, or one of ours.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let fits = |id: &&str| {
        (1..=LONGEST_REQUEST_ID).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:/+=".contains(&b))
    };
    given.filter(fits).map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

/// A page of another web site, open in a browser that can reach this server, could change things
/// without anyone asking: browsers say so, and are refused.
fn came_from_elsewhere(request: &Request) -> Option<ApiError> {
    let site = request.headers().get("sec-fetch-site")?;
    let harmless = request.method().is_safe() || site == "same-origin" || site == "none";
    (!harmless).then(|| {
        ApiError::new(Kind::CrossSite, "This request was made by a page of another web site.")
    })
}

/// Runs each handler of a router in a task of its own.
///
/// A connection that closes, or a caller that has waited long enough, must not end a handler in the
/// middle of its work: nobody would know how far it came. So nothing here ever aborts one.
pub fn apart(router: Router, patience: Patience) -> Router {
    router.layer(from_fn_with_state(patience, run_apart))
}

async fn run_apart(State(patience): State<Patience>, request: Request, next: Next) -> Response {
    patience.wait_for(tokio::spawn(next.run(request).in_current_span())).await
}

fn render_problem(response: &mut Response, id: &str) {
    let Some(error) = response.extensions_mut().remove::<ApiError>() else {
        return;
    };
    error.log();
    let body = serde_json::to_vec(&error.problem(id)).unwrap_or_default();
    *response.body_mut() = Body::from(body);
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(problem::MEDIA_TYPE));
}

fn add_headers(headers: &mut HeaderMap, id: &str) {
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    for (name, value) in SAFE_HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_kept_when_it_is_plain_and_made_when_it_is_not() {
        let id_for = |given: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_bytes(given).unwrap());
            request_id(&headers)
        };

        assert_eq!(id_for(b"abc-1.2:3/4"), "abc-1.2:3/4");
        for strange in [&b""[..], b"a b", b"a\"b", b"\xff", &[b'x'; 129]] {
            assert!(Uuid::parse_str(&id_for(strange)).is_ok());
        }
    }
}
