//! What a look kept for people to read, beyond the figures that every run has.
//!
//! Texts that came from a target are tamed and bounded before they get here, and what may be a secret
//! is left out.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::assertion::{Evaluated, Severity};
use super::run::Detail;

const DAY_SECONDS: i64 = 86_400;

/// Headers whose values let whoever reads them pass for somebody else.
const SECRET_HEADERS: [&str; 5] =
    ["authorization", "proxy-authorization", "cookie", "set-cookie", "authentication-info"];

/// Whoever calls a header by one of these means no less.
const SECRET_WORDS: [&str; 7] =
    ["token", "secret", "password", "session", "api-key", "apikey", "credential"];

/// Whether the value of a header, its name in lower case, is told to nobody.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    SECRET_HEADERS.contains(&name) || SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// An address without the name and the password that it may begin with. It need not be one that can
/// be followed: whatever a browser would take for them goes.
#[must_use]
pub fn without_user_info(address: &str) -> Cow<'_, str> {
    let after_scheme = address.split_once(':').filter(|(scheme, _)| is_scheme(scheme));
    let (scheme, rest) = after_scheme.unwrap_or(("", address));
    let authority = rest.trim_start_matches(['/', '\\']);
    let slashes = rest.len() - authority.len();
    // Of addresses of the web, browsers forgive missing slashes.
    let is_of_web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    if slashes < 2 && !is_of_web {
        return Cow::Borrowed(address);
    }
    let end = authority.find(['/', '\\', '?', '#']).unwrap_or(authority.len());
    match authority[..end].rfind('@') {
        None => Cow::Borrowed(address),
        Some(at) => {
            let before = &address[..address.len() - authority.len()];
            Cow::Owned(format!("{before}{}", &authority[at + 1..]))
        }
    }
}

fn is_scheme(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(is_part)
}

/// See the module. What was not seen is empty, and is left out where this is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evidence {
    /// What exactly went wrong, where there is a word for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Detail>,
    /// `HTTP/1.1`, say, as the response has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_version: Option<String>,
    /// Where a response with a 3xx status points.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Redirects that were followed.
    #[serde(skip_serializing_if = "is_zero")]
    pub redirects: u8,
    /// `TLS 1.3`, say; `None` without TLS, and when the handshake failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_version: Option<String>,
    /// By its name at IANA; `None` as for the version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cipher_suite: Option<String>,
    /// The server's chain as it was presented, its own certificate first; also when it was refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<Certificate>,
    /// The head of the response, names in lower case; values that may be secrets are left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The start of what came back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply: Option<String>,
    /// Bytes of what came back, as far as it was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_bytes: Option<u64>,
    /// What a name server answered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Answer>,
    /// What else the target said of itself: a name and a value, as in `state` and `SERVING`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<(String, String)>,
    /// The check's assertions with what they were asked of, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub assertions: Vec<Evaluated>,
}

/// Of a run so much is kept for months.
const MOST_KEPT_HEADERS: usize = 20;
const MOST_KEPT_CERTIFICATES: usize = 3;
const MOST_KEPT_NAMES: usize = 10;
const MOST_KEPT_ASSERTIONS: usize = 20;

impl Evidence {
    /// The same, cut down to what is kept of a run.
    #[must_use]
    pub fn packed(mut self) -> Self {
        self.headers.truncate(MOST_KEPT_HEADERS);
        self.certificates.truncate(MOST_KEPT_CERTIFICATES);
        for certificate in &mut self.certificates {
            certificate.names.truncate(MOST_KEPT_NAMES);
        }
        keep_most_telling(&mut self.assertions);
        self
    }

    /// Every text in it that may have come from the target: all but words of Pulse's own.
    pub fn texts_mut(&mut self) -> Vec<&mut String> {
        // Taken apart by name, so that a field that is added is thought of here.
        let Self {
            detail: _,
            http_version: _,
            location,
            redirects: _,
            tls_version: _,
            cipher_suite: _,
            certificates,
            headers,
            reply,
            reply_bytes: _,
            answers,
            facts,
            assertions,
        } = self;
        let mut texts: Vec<&mut String> = location.iter_mut().chain(reply).collect();
        for (name, value) in headers.iter_mut().chain(facts) {
            texts.extend([name, value]);
        }
        for Certificate { subject, issuer, names, not_before: _, not_after: _ } in certificates {
            texts.extend([subject, issuer]);
            texts.extend(names);
        }
        for Answer { record, value, ttl: _ } in answers {
            texts.extend([record, value]);
        }
        texts.extend(assertions.iter_mut().flat_map(Evaluated::texts_mut));
        texts
    }
}

/// Those that fail a run first, then those that degrade it, then others; in their order all the same.
fn keep_most_telling(assertions: &mut Vec<Evaluated>) {
    let mut room = [MOST_KEPT_ASSERTIONS; 3];
    for assertion in assertions.iter() {
        for less_telling in room.iter_mut().skip(rank(assertion) + 1) {
            *less_telling = less_telling.saturating_sub(1);
        }
    }
    assertions.retain(|assertion| {
        let room = &mut room[rank(assertion)];
        let is_kept = *room > 0;
        *room = room.saturating_sub(1);
        is_kept
    });
}

const fn rank(assertion: &Evaluated) -> usize {
    match (assertion.passed, assertion.severity) {
        (Some(false), Severity::Fail) => 0,
        (Some(false), Severity::Degraded) => 1,
        _ => 2,
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u8) -> bool {
    *number == 0
}

/// A record of the domain name system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Its type: `A`, `MX` and so on.
    pub record: String,
    /// Its value as in a zone file, without the final dots of names and the quotes of texts; tamed and
    /// bounded.
    pub value: String,
    /// For how many seconds it may be kept.
    pub ttl: u32,
}

/// The facts of a certificate. Nobody has verified it: it is read to be shown, and never decides
/// anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Whom it names, as a distinguished name: `CN=shop.example, O=Shop`.
    pub subject: String,
    /// Who signed it, likewise.
    pub issuer: String,
    /// The hosts and addresses it is for, a hundred at most.
    pub names: Vec<String>,
    /// Not valid before this instant.
    pub not_before: DateTime<Utc>,
    /// Not valid after this instant.
    pub not_after: DateTime<Utc>,
}

impl Certificate {
    /// Whole days from `at` until it expires; negative from the instant it has.
    #[must_use]
    pub fn days_left(&self, at: DateTime<Utc>) -> i64 {
        (self.not_after - at).num_seconds().div_euclid(DAY_SECONDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluated(rule: usize, severity: Severity, passed: bool) -> Evaluated {
        Evaluated {
            rule: rule.to_string(),
            severity,
            observed: None,
            passed: Some(passed),
            is_unknown: false,
            sentence: None,
        }
    }

    fn kept(assertions: Vec<Evaluated>) -> Vec<usize> {
        let packed = Evidence { assertions, ..Evidence::default() }.packed();
        packed.assertions.iter().map(|it| it.rule.parse().unwrap()).collect()
    }

    #[test]
    fn headers_that_may_be_secrets_are_known_by_their_names() {
        for name in [
            "authorization",
            "set-cookie",
            "x-api-key",
            "apikey",
            "x-auth-token",
            "x-amz-security-token",
            "x-csrf-token",
            "client-secret",
            "x-session-id",
            "x-password",
            "x-amz-credential",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in
            ["content-type", "location", "etag", "x-request-id", "www-authenticate", "x-key"]
        {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn an_address_is_told_without_who_asks() {
        for (address, told) in [
            ("https://me:hush@shop.example/a?b@c", "https://shop.example/a?b@c"),
            ("https://me@shop.example", "https://shop.example"),
            ("https://me:hu@sh@shop.example/", "https://shop.example/"),
            ("//me:hush@shop.example/", "//shop.example/"),
            ("HTTPS:me:hush@shop.example", "HTTPS:shop.example"),
            ("https:\\\\me:hush@shop.example\\@x", "https:\\\\shop.example\\@x"),
            ("redis://:hush@db:6379/0", "redis://db:6379/0"),
            ("https://shop.example/@me", "https://shop.example/@me"),
            ("https://shop.example?to=me@x", "https://shop.example?to=me@x"),
            ("mailto:me@shop.example", "mailto:me@shop.example"),
            ("/a/me:hush@b", "/a/me:hush@b"),
            ("me@b", "me@b"),
            ("", ""),
        ] {
            assert_eq!(without_user_info(address), told, "{address}");
        }
    }

    #[test]
    fn of_many_assertions_those_that_do_not_hold_are_kept() {
        let broken = |broken: &'static [usize], degraded: &'static [usize]| {
            let one = |rule| match rule {
                rule if broken.contains(&rule) => evaluated(rule, Severity::Fail, false),
                rule if degraded.contains(&rule) => evaluated(rule, Severity::Degraded, false),
                rule => evaluated(rule, Severity::Fail, true),
            };
            kept((0..50).map(one).collect())
        };
        let first = |most| (0..most).collect::<Vec<usize>>();

        assert_eq!(broken(&[], &[]), first(20));
        assert_eq!(broken(&[49], &[]), [first(19), vec![49]].concat());
        assert_eq!(broken(&[3, 30], &[40]), [first(18), vec![30, 40]].concat());
        let all = kept((0..50).map(|rule| evaluated(rule, Severity::Fail, false)).collect());
        assert_eq!(all, first(20));
        let late = (0..50).map(|rule| match rule {
            49 => evaluated(rule, Severity::Fail, false),
            rule => evaluated(rule, Severity::Degraded, false),
        });
        assert_eq!(kept(late.collect()), [first(19), vec![49]].concat());
    }
}
