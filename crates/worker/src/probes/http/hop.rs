//! One request: where it goes and what it says, and where its answer may lead.

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, HeaderMap,
    HeaderName, HeaderValue, PROXY_AUTHORIZATION,
};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use pulse_core::models::run::FailClass;
use rustls::pki_types::ServerName;
use url::{Host, Position, Url};

use crate::probes::headers::PULSE_RUN;
use crate::probes::reach::server_name;
use crate::probes::{PrepareError, ProbeFailure, http2};

/// As long as a check's own address may be, four times over.
const LONGEST_LOCATION: usize = 8 * 1024;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Hop {
    pub(super) host: Host<String>,
    pub(super) port: u16,
    /// The name the server must show a certificate for; `None` without TLS.
    pub(super) server_name: Option<ServerName<'static>>,
    pub(super) method: Method,
    pub(super) uri: http::Uri,
    pub(super) headers: HeaderMap,
    body: Bytes,
    /// Whether the body goes to no other origin.
    body_stays: bool,
    /// What a redirect is reckoned from; `None` when none is followed.
    pub(super) leads_on: Option<Box<Url>>,
}

/// An answer that says to look elsewhere.
#[derive(Debug)]
pub(super) struct Pointer {
    status: StatusCode,
    location: HeaderValue,
}

impl Pointer {
    /// Where an answer points, if it does (RFC 9110, section 15.4).
    pub(super) fn of<B>(answer: &http::Response<B>) -> Option<Self> {
        let status = answer.status();
        let location = answer.headers().get(http::header::LOCATION)?.clone();
        matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308).then_some(Self { status, location })
    }
}

impl Hop {
    /// The host's name comes first (RFC 9112, section 3.2), unless `given` has another; of other headers
    /// those alone.
    pub(super) fn to(
        url: &Url,
        method: Method,
        given: HeaderMap,
        body: Bytes,
    ) -> Result<Self, PrepareError> {
        let host = url.host().ok_or(PrepareError::Address)?.to_owned();
        let port = url.port_or_known_default().ok_or(PrepareError::Address)?;
        let server_name = match url.scheme() {
            "http" => None,
            "https" => Some(server_name(&host).map_err(PrepareError::ServerName)?),
            _ => return Err(PrepareError::Address),
        };
        let mut headers = HeaderMap::with_capacity(given.len() + 1);
        if !given.contains_key(HOST) {
            let authority = HeaderValue::from_str(&url[Position::BeforeHost..Position::AfterPort]);
            headers.insert(HOST, authority.map_err(PrepareError::HeaderValue)?);
        }
        headers.extend(given);
        let path = &url[Position::BeforePath..Position::AfterQuery];
        let uri = path.parse().map_err(PrepareError::Path)?;
        Ok(Self {
            host,
            port,
            server_name,
            method,
            uri,
            headers,
            body,
            body_stays: false,
            leads_on: None,
        })
    }

    /// From now on the body goes to no other origin: it carries secrets.
    pub(super) fn keep_body(&mut self) {
        self.body_stays = true;
    }

    /// Whether this goes to the same origin as another; only known where redirects are followed.
    pub(super) fn is_of_origin(&self, other: &Self) -> bool {
        let origin = |hop: &Self| hop.leads_on.as_deref().map(Url::origin);
        origin(self) == origin(other)
    }

    /// The request for one run.
    pub(super) fn request(&self, run: Option<HeaderValue>) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.clone_from(&self.headers);
        if let Some(run) = run {
            headers.insert(PULSE_RUN, run);
        }
        request
    }

    /// The same and its body, in the words of HTTP/2; `None` when what it calls the host is none.
    pub(super) fn request_in_http2(
        &self,
        run: Option<HeaderValue>,
    ) -> Option<(Request<()>, Bytes)> {
        let (head, _body) = self.request(run).into_parts();
        let request = http2::in_its_words(head, self.server_name.is_some())?;
        Some((request, self.body.clone()))
    }

    /// The request that a redirect asks for. What proves who asks stays with the origin it was meant
    /// for, and so does the name of the host. Where a body that carries secrets would have to go along to
    /// another origin, the redirect is not followed.
    pub(super) fn follow(&self, pointer: &Pointer) -> Result<Self, ProbeFailure> {
        let astray = || protocol("the redirect points to no address that can be looked at");
        let from = self.leads_on.as_deref().ok_or_else(astray)?;
        let location = pointer.location.as_bytes();
        let location = std::str::from_utf8(location).ok().filter(|it| it.len() <= LONGEST_LOCATION);
        let url = location.and_then(|it| from.join(it).ok()).ok_or_else(astray)?;
        let mut headers = self.headers.clone();
        let leads_away = url.origin() != from.origin();
        if leads_away {
            for name in [HOST, AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE] {
                headers.remove(name);
            }
            let carry_secrets: Vec<HeaderName> = headers
                .iter()
                .filter(|(_, value)| value.is_sensitive())
                .map(|(name, _)| name.clone())
                .collect();
            for name in carry_secrets {
                headers.remove(name);
            }
        }
        let drops_body = becomes_get(pointer.status, &self.method);
        if leads_away && self.body_stays && !drops_body && !self.body.is_empty() {
            return Err(body_stays());
        }
        let (method, body) = if drops_body {
            for name in [CONTENT_LENGTH, CONTENT_TYPE, CONTENT_ENCODING] {
                headers.remove(name);
            }
            (Method::GET, Bytes::new())
        } else {
            (self.method.clone(), self.body.clone())
        };
        let mut next = Self::to(&url, method, headers, body).map_err(|_nowhere| astray())?;
        next.leads_on = Some(Box::new(url));
        next.body_stays = self.body_stays;
        Ok(next)
    }
}

/// As browsers do (RFC 9110, sections 15.4.2 to 15.4.4).
fn becomes_get(status: StatusCode, method: &Method) -> bool {
    match status.as_u16() {
        303 => *method != Method::GET && *method != Method::HEAD,
        301 | 302 => *method == Method::POST,
        _ => false,
    }
}

pub(super) fn no_host() -> ProbeFailure {
    protocol("the host has a name that cannot be said in HTTP/2")
}

fn body_stays() -> ProbeFailure {
    protocol("the redirect leads to another origin, where the body and its secrets do not go")
}

pub(super) fn too_many(most: u8) -> ProbeFailure {
    let times = if most == 1 { "once".to_owned() } else { format!("{most} times") };
    protocol(format!("redirected more than {times}"))
}

fn protocol(sentence: impl Into<String>) -> ProbeFailure {
    ProbeFailure::of_target(FailClass::Protocol, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(url: &str, method: Method) -> Hop {
        let url = Url::parse(url).unwrap();
        let secret = HeaderValue::from_static("secret");
        let mut headers = HeaderMap::new();
        for name in [AUTHORIZATION, COOKIE, CONTENT_TYPE, CONTENT_LENGTH] {
            headers.insert(name, secret.clone());
        }
        let mut hop = Hop::to(&url, method, headers, Bytes::from_static(b"body")).unwrap();
        hop.leads_on = Some(Box::new(url));
        hop
    }

    fn follow(from: &Hop, status: u16, location: &str) -> Result<Hop, ProbeFailure> {
        let status = StatusCode::from_u16(status).unwrap();
        from.follow(&Pointer { status, location: HeaderValue::from_str(location).unwrap() })
    }

    #[test]
    fn what_proves_who_asks_stays_with_its_origin() {
        let from = hop("https://shop.example/a/b", Method::GET);

        for (location, stays) in [
            ("c", true),
            ("/c", true),
            ("https://shop.example:443/c", true),
            ("http://shop.example/c", false),
            ("https://shop.example:8443/c", false),
            ("//other.example/c", false),
        ] {
            let next = follow(&from, 302, location).unwrap();
            assert_eq!(next.headers.contains_key(AUTHORIZATION), stays, "{location}");
            assert_eq!(next.headers.contains_key(COOKIE), stays, "{location}");
        }
        let other = follow(&from, 302, "http://other.example:81/x?y").unwrap();
        assert_eq!(other.headers[HOST], "other.example:81");
        assert_eq!((other.uri.to_string().as_str(), other.server_name), ("/x?y", None));
    }

    #[test]
    fn headers_that_carry_secrets_stay_with_their_origin() {
        let mut from = hop("http://shop.example/", Method::GET);
        let mut key = HeaderValue::from_static("hush");
        key.set_sensitive(true);
        from.headers.insert("x-key", key);
        from.headers.insert("x-other", HeaderValue::from_static("1"));

        let (there, elsewhere) =
            (follow(&from, 302, "/c").unwrap(), follow(&from, 302, "//other.example/").unwrap());

        assert!(there.headers.contains_key("x-key"));
        assert!(!elsewhere.headers.contains_key("x-key"));
        assert!(elsewhere.headers.contains_key("x-other"));
    }

    #[test]
    fn a_body_that_carries_secrets_stays_with_its_origin() {
        let mut from = hop("https://shop.example/", Method::POST);
        let elsewhere = ["//other.example/", "http://shop.example/", "https://shop.example:8443/"];

        for location in elsewhere {
            assert_eq!(follow(&from, 307, location).unwrap().body, "body", "it may go there");
        }
        from.keep_body();

        for location in elsewhere {
            for status in [307, 308] {
                let told = follow(&from, status, location).unwrap_err().sentence;
                assert!(told.contains("leads to another origin"), "{location}: {told}");
            }
            for status in [301, 302, 303] {
                assert!(follow(&from, status, location).unwrap().body.is_empty(), "{location}");
            }
        }
        for method in [Method::PUT, Method::PATCH, Method::DELETE] {
            let mut from = hop("https://shop.example/", method);
            from.keep_body();
            assert!(follow(&from, 302, "//other.example/").is_err());
        }
        let on = follow(&from, 308, "/on").unwrap();
        assert_eq!(on.body, "body");
        assert!(follow(&on, 307, "//other.example/").is_err(), "a hop later");
        let away = follow(&from, 303, "//other.example/").unwrap();
        assert!(follow(&away, 307, "//third.example/").is_ok(), "there is no body any more");
    }

    #[test]
    fn the_method_changes_as_it_does_in_browsers() {
        for (status, before, after) in [
            (301, Method::POST, Method::GET),
            (302, Method::POST, Method::GET),
            (303, Method::PUT, Method::GET),
            (303, Method::HEAD, Method::HEAD),
            (302, Method::PUT, Method::PUT),
            (307, Method::POST, Method::POST),
            (308, Method::POST, Method::POST),
        ] {
            let next = follow(&hop("http://h/", before.clone()), status, "/next").unwrap();
            assert_eq!(next.method, after, "{status} {before}");
            let keeps_body = before == after;
            assert_eq!(next.body.is_empty(), !keeps_body, "{status} {before}");
            assert_eq!(next.headers.contains_key(CONTENT_TYPE), keeps_body, "{status} {before}");
        }
    }

    #[test]
    fn a_redirect_to_nowhere_says_so() {
        let long = format!("/{}", "x".repeat(LONGEST_LOCATION));
        for location in ["ftp://h/", "http://", "data:x", "javascript:x", "http://[::1", &long] {
            let failure = follow(&hop("http://h/", Method::GET), 302, location).unwrap_err();
            assert!(failure.sentence.contains("points to no address"), "{location}");
        }
    }
}
