//! What makes a request one that no cache has an answer to.

use http::header::{CONTENT_LOCATION, HeaderMap, HeaderValue, LOCATION};
use http::uri::{PathAndQuery, Uri};
use rand::RngExt;

const NAME: &str = "_pulse";

/// A value that is another every time.
#[derive(Debug)]
pub(in crate::probes) struct Mark(String);

impl Mark {
    pub(super) fn new() -> Self {
        Self(format!("{:016x}", rand::rng().random::<u64>()))
    }

    /// The path and the query with it as one more parameter.
    pub(super) fn on(&self, uri: &Uri) -> Uri {
        let asked = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let parted = if uri.query().is_some() { '&' } else { '?' };
        let marked = format!("{asked}{parted}{NAME}={}", self.0);
        // Hexadecimal digits take nothing from what was an address before.
        marked.parse().unwrap_or_else(|_no_address| uri.clone())
    }

    /// Takes it out of the addresses that a target sent back with it: it means nothing to people, and
    /// would make every answer another.
    pub(in crate::probes) fn forget_in(&self, headers: &mut HeaderMap) {
        for name in [LOCATION, CONTENT_LOCATION] {
            let Some(value) = headers.get(&name).and_then(|value| value.to_str().ok()) else {
                continue;
            };
            if let Ok(value) = HeaderValue::try_from(self.taken_out_of(value)) {
                headers.insert(name, value);
            }
        }
    }

    fn taken_out_of(&self, address: &str) -> String {
        let parameter = format!("{NAME}={}", self.0);
        let address = address
            .replace(&format!("&{parameter}"), "")
            .replace(&format!("?{parameter}&"), "?")
            .replace(&format!("?{parameter}"), "");
        // Within another address it may be written in other ways.
        address.replace(&self.0, "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gets_one_more_parameter() {
        let mark = Mark("0a".to_owned());

        for (before, after) in
            [("/", "/?_pulse=0a"), ("/a?b=c", "/a?b=c&_pulse=0a"), ("/a?", "/a?&_pulse=0a")]
        {
            assert_eq!(mark.on(&before.parse().unwrap()), after);
        }
        assert_ne!(Mark::new().0, Mark::new().0);
    }

    #[test]
    fn what_comes_back_is_as_if_it_had_never_been_there() {
        let mark = Mark("0a1b".to_owned());
        let mut headers = HeaderMap::new();

        for (before, after) in [
            ("/in?_pulse=0a1b", "/in"),
            ("/in?_pulse=0a1b&x=1", "/in?x=1"),
            ("/in?x=1&_pulse=0a1b&y=2#z", "/in?x=1&y=2#z"),
            ("/in?to=%2F%3F_pulse%3D0a1b", "/in?to=%2F%3F_pulse%3D"),
            ("/in?x=1", "/in?x=1"),
        ] {
            headers.insert(LOCATION, HeaderValue::from_static(before));
            mark.forget_in(&mut headers);
            assert_eq!(headers[LOCATION], after);
        }
    }
}
