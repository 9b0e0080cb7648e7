//! A command line that asks by curl what a run over HTTP asked.
//!
//! It is made of a check's configuration, in which secrets are references: none is ever resolved here.
//! What curl cannot be told in words is said in a comment at its end.

use std::fmt::Write;
use std::net::IpAddr;

use url::{Host, Url};

use super::evidence::is_secret;
use super::http_version::HttpVersion;
use super::probe_spec::{Auth, MASK, ProbeSpec};
use super::secret::is_reference;
use super::way::IpFamily;

const USER_AGENT: &str = concat!("Pulse/", env!("CARGO_PKG_VERSION"));
/// Of a longer body the beginning is in the command.
const LONGEST_BODY: usize = 4_096;

/// The command, for a POSIX shell; `None` where there is none: for other kinds, and for what no shell can
/// be told. With `reached`, curl goes to that address of the host.
#[must_use]
pub fn command(spec: &ProbeSpec, reached: Option<IpAddr>) -> Option<String> {
    let mut url =
        Url::parse(&spec.url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    url.set_fragment(None);
    if url.password().is_some() {
        url.set_password(Some(MASK)).ok()?;
    }
    let mut line = Line { text: "curl --include --globoff".into(), lacks: Vec::new() };
    line.version(spec, url.scheme() == "https");
    line.way(spec, &url, reached);
    line.request(spec)?;
    line.headers(spec);
    line.word(url.as_str());
    line.ended()
}

struct Line {
    text: String,
    /// What is not as it was.
    lacks: Vec<&'static str>,
}

impl Line {
    fn word(&mut self, word: &str) {
        self.text.push(' ');
        self.text.push_str(&quoted(word));
    }

    fn option(&mut self, name: &str, value: &str) {
        self.word(name);
        self.word(value);
    }

    fn header(&mut self, name: &str, value: &str) {
        // With a colon and nothing behind it, curl would leave the header out.
        let header = if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") };
        self.option("--header", &header);
    }

    fn version(&mut self, spec: &ProbeSpec, is_tls: bool) {
        self.word(match (spec.http_version, is_tls) {
            (HttpVersion::One, _) | (HttpVersion::Auto, false) => "--http1.1",
            (HttpVersion::Two | HttpVersion::Auto, true) => "--http2",
            (HttpVersion::Two, false) => "--http2-prior-knowledge",
        });
    }

    fn way(&mut self, spec: &ProbeSpec, url: &Url, reached: Option<IpAddr>) {
        match spec.ip_family {
            IpFamily::Any => {}
            IpFamily::V4 => self.word("--ipv4"),
            IpFamily::V6 => self.word("--ipv6"),
        }
        if let (Some(Host::Domain(name)), Some(port), Some(address)) =
            (url.host(), url.port_or_known_default(), reached)
        {
            let address = match address {
                IpAddr::V4(address) => Host::<String>::Ipv4(address),
                IpAddr::V6(address) => Host::Ipv6(address),
            };
            self.option("--resolve", &format!("{name}:{port}:{address}"));
        }
        if spec.max_redirects > 0 {
            self.word("--location");
            self.option("--max-redirs", &spec.max_redirects.to_string());
        }
        if spec.proxy.is_some() {
            self.lacks.push("the check's proxy");
        } else {
            self.option("--noproxy", "*");
        }
        let Some(tls) = &spec.tls else { return };
        if !tls.verify {
            self.word("--insecure");
        }
        if tls.ca.is_some() {
            self.lacks.push("the check's own authorities");
        }
        if tls.certificate.is_some() {
            self.lacks.push("the check's own certificate");
        }
    }

    /// `None` where curl has no words for it.
    fn request(&mut self, spec: &ProbeSpec) -> Option<()> {
        let body = spec.request_body();
        let text = body.as_ref().map(|body| &*body.text);
        let is_about_a_body = matches!(spec.method.as_str(), "POST" | "PUT" | "PATCH");
        let text = text.or_else(|| is_about_a_body.then_some(""));
        match (spec.method.as_str(), text) {
            ("GET", None) | ("POST", Some(_)) => {}
            ("HEAD", None) => self.word("--head"),
            ("HEAD", Some(_)) => return None,
            (method, _) => {
                self.option("--request", method);
                if spec.max_redirects > 0 && method != "GET" {
                    self.lacks.push("another method where a redirect asks for it");
                }
            }
        }
        let Some(text) = text else { return Some(()) };
        let cut = text.floor_char_boundary(LONGEST_BODY);
        if cut < text.len() {
            self.lacks.push("the rest of the body");
        }
        self.option("--data-raw", &text[..cut]);
        if !has(spec, "content-type") {
            match body.and_then(|body| body.content_type) {
                Some(kind) => self.header("content-type", kind),
                // Without it curl would say that it is a form.
                None => self.option("--header", "content-type:"),
            }
        }
        Some(())
    }

    fn headers(&mut self, spec: &ProbeSpec) {
        for (name, value) in &spec.headers {
            // Who asks is said once, and `auth` has the last word.
            if !(spec.auth.is_some() && name.eq_ignore_ascii_case("authorization")) {
                self.header(name, shown(name, value));
            }
        }
        if !has(spec, "user-agent") {
            self.option("--user-agent", USER_AGENT);
        }
        if !has(spec, "accept-encoding") {
            self.header("accept-encoding", "identity");
        }
        if spec.cache_busting {
            if !has(spec, "cache-control") {
                self.header("cache-control", "no-cache");
            }
            self.lacks.push("the parameter that no cache knows");
        }
        if spec.http_version == HttpVersion::One {
            self.header("connection", "close");
        }
        match spec.auth.as_ref().map(Auth::masked) {
            Some(Auth::Basic { username, password }) => {
                self.option("--user", &format!("{username}:{password}"));
            }
            Some(Auth::Bearer { token }) => {
                self.header("authorization", &format!("Bearer {token}"));
            }
            Some(Auth::Oauth2(_)) => self.lacks.push("the token"),
            None => {}
        }
    }

    fn ended(mut self) -> Option<String> {
        if !self.lacks.is_empty() {
            // Writing to a string does not fail.
            let _written = write!(self.text, " # without {}", self.lacks.join(", "));
        }
        // No argument of a command can have it.
        (!self.text.contains('\0')).then_some(self.text)
    }
}

fn has(spec: &ProbeSpec, name: &str) -> bool {
    spec.headers.keys().any(|it| it.eq_ignore_ascii_case(name))
}

/// A header's value, unless it lets whoever reads it pass for somebody else. A reference does not, and
/// neither does the word before it.
fn shown<'a>(name: &str, value: &'a str) -> &'a str {
    let is_open = |value: &str| {
        is_reference(value) || value.split_once(' ').is_some_and(|(_, rest)| is_reference(rest))
    };
    if is_secret(&name.to_ascii_lowercase()) && !is_open(value) { MASK } else { value }
}

/// As one word of a POSIX shell: within single quotes nothing has a meaning but the next one.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(spec: Value) -> Option<String> {
        let spec: ProbeSpec = serde_json::from_value(spec).unwrap();
        command(&spec, Some(IpAddr::from([192, 0, 2, 7])))
    }

    #[test]
    fn a_plain_look_is_a_plain_command() {
        let expected = format!(
            "curl --include --globoff --http1.1 --resolve shop.example:443:192.0.2.7 --noproxy '*' \
             --user-agent {USER_AGENT} --header 'accept-encoding: identity' --header 'connection: close' \
             'https://shop.example/?a=1&b=2'"
        );
        assert_eq!(told(json!({"url": "https://shop.example?a=1&b=2#c"})), Some(expected));
        for url in ["tcp://shop.example:1", "nothing"] {
            assert_eq!(told(json!({ "url": url })), None);
        }
    }

    #[test]
    fn secrets_are_masks_or_references() {
        let line = told(json!({
            "url": "http://me:hush@h/",
            "headers": {"Cookie": "hush", "X-Api-Key": "{{secret.A}}", "Proxy-Authorization": "Basic {{secret.B}}"},
            "auth": {"type": "basic", "username": "me", "password": "hush"},
        }))
        .unwrap();

        assert!(!line.contains("hush"), "{line}");
        for word in [
            "'Cookie: ***'",
            "'X-Api-Key: {{secret.A}}'",
            "'Proxy-Authorization: Basic {{secret.B}}'",
            "'me:***'",
        ] {
            assert!(line.contains(word), "{word} in {line}");
        }
        let line = told(json!({"url": "http://h/", "auth": {"type": "bearer", "token": "hush"}}));
        assert!(line.unwrap().contains("--header 'authorization: Bearer ***'"));
    }

    #[test]
    fn what_curl_cannot_be_told_is_said() {
        let line = told(json!({
            "url": "https://h/", "method": "PUT", "body": "x".repeat(5_000), "max_redirects": 2,
            "tls": {"verify": true, "ca": "x"}, "cache_busting": true,
        }))
        .unwrap();

        let (_, lacks) = line.split_once(" # without ").unwrap();
        assert_eq!(
            lacks,
            "the check's own authorities, another method where a redirect asks for it, the rest of the body, \
             the parameter that no cache knows"
        );
        assert_eq!(told(json!({"url": "http://h/", "method": "POST", "body": "a\0b"})), None);
    }

    #[test]
    fn nothing_in_a_word_has_a_meaning() {
        for (word, expected) in [
            ("a-b_c.d/e:f=g@h%i+j,k", "a-b_c.d/e:f=g@h%i+j,k"),
            ("", "''"),
            ("$(x) `y` \"z\" \\ !\n*", "'$(x) `y` \"z\" \\ !\n*'"),
            ("it's", r"'it'\''s'"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }
}
