//! Which pages may listen: those of this server, and those of the origins that are allowed.
//!
//! A browser lets any page open a WebSocket to any server, so the server must ask where a page is
//! from (RFC 6455, section 10.2). Programs send no `Origin`, and are no page's tool.

use axum::http::{HeaderMap, HeaderValue, header};

/// Whether whoever sent these headers may listen.
#[must_use]
pub fn may_listen(headers: &HeaderMap, allowed: &[String]) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    is_among(origin, allowed) || is_own(origin, headers.get(header::HOST))
}

/// The origin to name in an answer so that its page may read it; `None` for the server's own.
#[must_use]
pub fn foreign(headers: &HeaderMap, allowed: &[String]) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    origin.to_str().is_ok_and(|it| is_among(it, allowed)).then(|| origin.clone())
}

fn is_among(origin: &str, allowed: &[String]) -> bool {
    allowed.iter().any(|it| it.eq_ignore_ascii_case(origin))
}

/// By host and port: whoever stands before the server may speak TLS for it.
fn is_own(origin: &str, host: Option<&HeaderValue>) -> bool {
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    let host = host.and_then(|host| host.to_str().ok());
    authority.zip(host).is_some_and(|(of_page, ours)| of_page.eq_ignore_ascii_case(ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(origin: Option<&'static str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("pulse.example:8080"));
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
        }
        headers
    }

    #[test]
    fn programs_and_own_pages_may_listen_and_others_only_when_allowed() {
        let allowed = ["https://status.example".to_owned()];
        let may = |origin| may_listen(&headers(origin), &allowed);

        assert!(may(None));
        assert!(may(Some("http://pulse.example:8080")));
        assert!(may(Some("https://PULSE.example:8080")), "behind a proxy that speaks TLS");
        assert!(may(Some("https://status.example")));
        for wrong in [
            "https://evil.example",
            "https://pulse.example",
            "https://pulse.example:8080.evil.example",
            "https://status.example.evil.example",
            "http://status.example",
            "null",
            "",
            "file://",
        ] {
            assert!(!may(Some(wrong)), "{wrong:?}");
        }
    }

    #[test]
    fn only_an_allowed_origin_is_named_in_the_answer() {
        let allowed = ["https://status.example".to_owned()];
        let named = |origin| foreign(&headers(origin), &allowed);

        assert_eq!(named(Some("https://status.example")).unwrap(), "https://status.example");
        assert_eq!(named(Some("http://pulse.example:8080")), None);
        assert_eq!(named(None), None);
    }

    #[test]
    fn a_page_is_of_no_server_without_a_name() {
        let mut headers = headers(Some("http://a"));
        headers.remove(header::HOST);

        assert!(!may_listen(&headers, &[]));
    }
}
