//! A target made ready once, to be looked at many times.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::Method;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH,
    CONTENT_TYPE, HeaderMap, HeaderValue,
};
use pulse_core::models::http_version::HttpVersion;
use pulse_core::models::probe_spec::{ProbeSpec, USUAL_BODY_BYTES};
use pulse_core::models::request_body::RequestBody;
use url::Url;

use super::hop::Hop;
use super::mark::Mark;
use crate::probes::trace::Trace;
use crate::probes::{PrepareError, headers};

/// A definition, parsed. Keep it by check and version.
#[derive(Debug)]
pub struct PreparedHttp {
    first: Hop,
    most_redirects: u8,
    version: HttpVersion,
    /// Whether answers may have more headers than the usual parser takes.
    many_headers: AtomicBool,
    /// Whether all of a body is kept, as far as it is read.
    keeps_body: bool,
    most_body: u32,
    busts_caches: bool,
}

impl PreparedHttp {
    /// Parses everything that does not change from run to run.
    pub fn new(spec: &ProbeSpec) -> Result<Self, PrepareError> {
        let url = Url::parse(&spec.url).map_err(PrepareError::Url)?;
        let method: Method = spec.method.parse().map_err(PrepareError::Method)?;
        let version = spec.http_version;
        // What changes something is not asked for twice to find out; over HTTP/2 there is room.
        let has_room = !method.is_safe() || version == HttpVersion::Two;
        let many_headers = AtomicBool::new(has_room);
        let body = spec.request_body();
        let headers = headers(spec, body.as_ref())?;
        let body = body.map(|body| Bytes::from(body.text)).unwrap_or_default();
        let mut first = Hop::to(&url, method, headers, body)?;
        first.leads_on = (spec.max_redirects > 0).then(|| Box::new(url));
        if version != HttpVersion::One && first.request_in_http2(None).is_none() {
            let detail = "have a Host that is none in HTTP/2".to_owned();
            return Err(PrepareError::Field { field: "headers", detail });
        }
        let most_redirects = spec.max_redirects;
        let most_body = spec.max_body_bytes.unwrap_or(USUAL_BODY_BYTES);
        Ok(Self {
            first,
            most_redirects,
            version,
            many_headers,
            keeps_body: false,
            most_body,
            busts_caches: spec.cache_busting,
        })
    }

    /// The same, and all of a body is kept, if so.
    pub(in crate::probes) fn keeping_body(self, keeps_body: bool) -> Self {
        Self { keeps_body, ..self }
    }

    /// Marks these headers as what stays with its origin.
    pub(in crate::probes) fn keep_at_origin(&mut self, names: &[String]) {
        for (name, value) in &mut self.first.headers {
            if names.iter().any(|kept| kept.eq_ignore_ascii_case(name.as_str())) {
                value.set_sensitive(true);
            }
        }
    }

    /// Keeps the body from other origins.
    pub(in crate::probes) fn keep_body_at_origin(&mut self) {
        self.first.keep_body();
    }

    pub(super) const fn keeps_body(&self) -> bool {
        self.keeps_body
    }

    /// Of a body so many bytes are read.
    pub(super) const fn most_body(&self) -> u32 {
        self.most_body
    }

    pub(super) const fn first(&self) -> &Hop {
        &self.first
    }

    /// The first request where it is another every time.
    pub(super) fn of_this_look(&self, trace: &mut Trace) -> Option<Box<Hop>> {
        let token = trace.authorization().cloned();
        if token.is_none() && !self.busts_caches {
            return None;
        }
        let mut own = Box::new(self.first.clone());
        if let Some(token) = token {
            own.headers.insert(AUTHORIZATION, token);
        }
        if self.busts_caches {
            let mark = Mark::new();
            own.uri = mark.on(&own.uri);
            trace.marked(mark);
        }
        Some(own)
    }

    pub(super) const fn most_redirects(&self) -> u8 {
        self.most_redirects
    }

    pub(super) const fn version(&self) -> HttpVersion {
        self.version
    }

    pub(super) fn has_many_headers(&self) -> bool {
        self.many_headers.load(Ordering::Relaxed)
    }

    /// From now on there is room for many headers; whether that is news.
    pub(super) fn expect_many_headers(&self) -> bool {
        !self.many_headers.swap(true, Ordering::Relaxed)
    }
}

fn headers(spec: &ProbeSpec, body: Option<&RequestBody>) -> Result<HeaderMap, PrepareError> {
    let mut headers = headers::of(spec)?;
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    headers.entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static("identity"));
    if spec.cache_busting {
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
    }
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if let Some(kind) = body.and_then(|body| body.content_type) {
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
    }
    if let Some(length) = content_length(spec, body) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(headers)
}

/// Methods that are about a body say so even when it is empty (RFC 9110, section 8.6).
fn content_length(spec: &ProbeSpec, body: Option<&RequestBody>) -> Option<usize> {
    match body {
        Some(body) => Some(body.text.len()),
        None => matches!(spec.method.as_str(), "POST" | "PUT" | "PATCH").then_some(0),
    }
}

#[cfg(test)]
mod tests {
    use http::header::{HOST, USER_AGENT};
    use pulse_core::models::probe_spec::Auth;
    use rustls::pki_types::ServerName;

    use super::*;

    fn spec(url: &str) -> ProbeSpec {
        ProbeSpec::at(url)
    }

    fn prepared(url: &str) -> Hop {
        PreparedHttp::new(&spec(url)).unwrap().first
    }

    #[test]
    fn an_address_is_taken_apart_once() {
        let target = prepared("https://Shop.Example:8443/a b?q=1#part");

        assert_eq!((target.host.to_string().as_str(), target.port), ("shop.example", 8443));
        assert_eq!(target.uri.to_string(), "/a%20b?q=1");
        assert_eq!(target.headers[HOST], "shop.example:8443");
        assert_eq!(target.server_name, Some(ServerName::try_from("shop.example").unwrap()));
    }

    #[test]
    fn the_usual_port_is_not_named_and_a_path_is_always_asked_for() {
        let target = prepared("http://shop.example:80");

        assert_eq!((target.port, target.uri.path()), (80, "/"));
        assert_eq!(target.headers[HOST], "shop.example");
        assert_eq!(target.server_name, None);
    }

    #[test]
    fn a_literal_is_no_name() {
        let target = prepared("https://[::1]:8443/");

        assert!(!matches!(target.host, url::Host::Domain(_)));
        assert_eq!(target.headers[HOST], "[::1]:8443");
        assert!(matches!(target.server_name, Some(ServerName::IpAddress(_))));
    }

    #[test]
    fn headers_of_the_check_come_before_our_own() {
        let mut spec = spec("http://shop.example/");
        spec.headers = [("user-agent", "me"), ("Host", "other"), ("X-Städte", "Köln")]
            .map(|(name, value)| (name.replace('ä', "ae"), value.to_owned()))
            .into();

        let target = PreparedHttp::new(&spec).unwrap().first;

        assert_eq!(target.headers[USER_AGENT], "me");
        assert_eq!(target.headers[HOST], "other");
        assert_eq!(target.headers["x-staedte"].as_bytes(), "Köln".as_bytes());
        assert_eq!(target.headers[ACCEPT_ENCODING], "identity");
        assert_eq!(target.headers[CONNECTION], "close");
        assert!(!target.headers.contains_key(CONTENT_LENGTH));
    }

    #[test]
    fn who_asks_is_said_as_the_standards_have_it() {
        let saying = |auth| {
            let spec = ProbeSpec { auth: Some(auth), ..spec("http://shop.example/") };
            PreparedHttp::new(&spec).unwrap().first.headers[AUTHORIZATION].clone()
        };

        // The example of RFC 7617, section 2.
        let basic = Auth::Basic { username: "Aladdin".into(), password: "open sesame".into() };
        assert_eq!(saying(basic), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        let bearer = saying(Auth::Bearer { token: "t0ken".into() });
        assert_eq!(bearer, "Bearer t0ken");
        assert!(bearer.is_sensitive());
    }

    #[test]
    fn headers_that_carry_secrets_are_marked_and_no_others() {
        let headers = [("X-Key", "1"), ("X-Other", "2")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let spec = ProbeSpec { headers, ..spec("http://shop.example/") };
        let mut prepared = PreparedHttp::new(&spec).unwrap();

        prepared.keep_at_origin(&["X-KEY".to_owned()]);

        let sensitive = |name: &str| prepared.first.headers[name].is_sensitive();
        assert_eq!((sensitive("x-key"), sensitive("x-other")), (true, false));
    }

    #[test]
    fn what_cannot_be_probed_is_said_and_never_panics() {
        for url in [
            "",
            "shop.example",
            "ftp://shop.example/",
            "data:x",
            "https://[::1",
            "https://a..b/",
            "http://",
        ] {
            assert!(PreparedHttp::new(&spec(url)).is_err(), "{url:?}");
        }
        assert!(
            PreparedHttp::new(&ProbeSpec { method: "GE T".to_owned(), ..spec("http://a/") })
                .is_err()
        );
        let bad = |name: &str, value: &str| ProbeSpec {
            headers: [(name.to_owned(), value.to_owned())].into(),
            ..spec("http://a/")
        };
        assert!(PreparedHttp::new(&bad("a b", "c")).is_err());
        assert!(PreparedHttp::new(&bad("a", "b\r\nc: d")).is_err());
    }
}
