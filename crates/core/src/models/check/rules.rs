//! What each field of a check may be.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::models::expected_status::ExpectedStatus;
use crate::models::http_version::HttpVersion;
use crate::models::ids::CheckId;
use crate::models::pattern;
use crate::models::probe_spec::{Auth, MASK};
use crate::models::retry::{LONGEST_DELAY_MS, MOST_ATTEMPTS, Retry};
use crate::models::target::Target;
use crate::models::way::{AddressChoice, IpFamily, name_server};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Seconds between runs when nobody says otherwise.
pub const DEFAULT_INTERVAL_SECONDS: u32 = 60;
/// Failures that make an outage when nobody says otherwise.
pub const DEFAULT_THRESHOLD: u32 = 3;
/// The same where a job is waited for: a period without a ping is long enough.
pub const HEARTBEAT_THRESHOLD: u32 = 1;
/// Good slots in a row that end it when nobody says otherwise.
pub const DEFAULT_RECOVERY: u32 = 1;
/// Limit of a run when nobody says otherwise and the interval leaves room for it.
pub const DEFAULT_TIMEOUT_MS: u32 = 10_000;
/// The methods a check may use.
pub const METHODS: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"];

pub(super) const INTERVALS: std::ops::RangeInclusive<u32> = 1..=604_800;
pub(super) const THRESHOLDS: std::ops::RangeInclusive<u32> = 1..=100;
/// A worker keeps what it reads of many answers at a time.
pub(super) const BODY_BYTES: std::ops::RangeInclusive<u32> = 1..=1_048_576;
pub(super) const REDIRECTS: std::ops::RangeInclusive<u8> = 0..=20;
/// A run holds a place in its worker while it lasts.
const LONGEST_TIMEOUT_MS: u32 = 300_000;
const MOST_HEADERS: usize = 50;
const MOST_HEADER_BYTES: usize = 16 * 1024;
const MOST_BODY_BYTES: usize = 64 * 1024;
const MOST_PATTERN_BYTES: usize = 1024;
const MOST_AUTH_BYTES: usize = 8 * 1024;
const MOST_TAGS: usize = 20;
const MOST_PARENTS: usize = 20;

/// Headers that belong to the connection or to Pulse, not to the user.
const RESERVED_HEADERS: [&str; 8] = [
    "connection",
    "content-length",
    "keep-alive",
    "pulse-run",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// For serde, which wants a function.
pub(super) const fn default_recovery() -> u32 {
    DEFAULT_RECOVERY
}

/// The limit that fits an interval: 10 s, or four fifths of a shorter interval.
#[must_use]
pub const fn default_timeout_ms(interval_seconds: u32) -> u32 {
    let room = interval_seconds.saturating_mul(800);
    if room < DEFAULT_TIMEOUT_MS { room } else { DEFAULT_TIMEOUT_MS }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "a rule takes what was read and gives what is kept"
)]
pub fn name(name: String) -> Result<String, String> {
    let trimmed = name.trim();
    match trimmed.chars().count() {
        1..=200 if !trimmed.chars().any(char::is_control) => Ok(trimmed.to_owned()),
        1..=200 => Err("must not contain control characters".into()),
        _ => Err("must have 1 to 200 characters".into()),
    }
}

pub(super) fn url(text: String) -> Result<String, String> {
    Target::parse(&text).map(|_target| text)
}

pub(super) fn depends_on(checks: BTreeSet<CheckId>) -> Result<BTreeSet<CheckId>, String> {
    if checks.len() <= MOST_PARENTS {
        return Ok(checks);
    }
    Err(format!("must be at most {MOST_PARENTS} ids of checks"))
}

pub(super) fn method(method: String) -> Result<String, String> {
    if METHODS.contains(&method.as_str()) {
        return Ok(method);
    }
    Err(format!("must be one of {}", METHODS.join(", ")))
}

pub(super) fn expected_status(value: Value) -> Result<ExpectedStatus, String> {
    serde_json::from_value(value).map_err(|wrong| wrong.to_string())
}

pub(super) fn http_version(word: Value) -> Result<HttpVersion, String> {
    HttpVersion::parse(&plain(word)).ok_or_else(|| {
        let known: Vec<_> = HttpVersion::ALL.iter().map(|it| format!("\"{it}\"")).collect();
        format!("must be one of {}", known.join(", "))
    })
}

/// A word that looks like a number may be written as one.
fn plain(word: Value) -> String {
    match word {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

pub(super) fn within<T>(
    range: &std::ops::RangeInclusive<T>,
    unit: &str,
) -> impl Fn(T) -> Result<T, String>
where
    T: PartialOrd + Copy + std::fmt::Display,
{
    move |value| {
        if range.contains(&value) {
            return Ok(value);
        }
        Err(format!("must be from {} to {}{unit}", range.start(), range.end()))
    }
}

pub(super) fn window(threshold: u32, window: u32) -> Result<u32, String> {
    let most = *THRESHOLDS.end();
    if (threshold..=most).contains(&window) {
        return Ok(window);
    }
    Err(format!("must be from {threshold} (the alert_threshold) to {most}"))
}

pub(super) fn timeout(interval_seconds: u32, timeout_ms: u32) -> Result<u32, String> {
    let interval_ms = u64::from(interval_seconds) * 1000;
    if (1..=LONGEST_TIMEOUT_MS).contains(&timeout_ms) && u64::from(timeout_ms) < interval_ms {
        return Ok(timeout_ms);
    }
    Err(format!(
        "must be from 1 to {LONGEST_TIMEOUT_MS} and less than the interval of {interval_ms} ms, so that one run ends before the next begins"
    ))
}

pub(super) fn headers(
    headers: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, String> {
    let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if headers.len() > MOST_HEADERS || bytes > MOST_HEADER_BYTES {
        return Err(format!(
            "must be at most {MOST_HEADERS} headers and {MOST_HEADER_BYTES} bytes in all"
        ));
    }
    header_faults(&headers)?;
    Ok(headers)
}

/// What is wrong with headers that Pulse is to send besides its own.
pub fn header_faults(headers: &BTreeMap<String, String>) -> Result<(), String> {
    for (name, value) in headers {
        if !is_token(name) {
            return Err(format!("{name:?} is not a header name"));
        }
        if RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(format!("{name} is set by Pulse itself"));
        }
        if value.chars().any(|c| c.is_control() && c != '\t') {
            return Err(format!("the value of {name} must not contain control characters"));
        }
    }
    Ok(())
}

/// RFC 9110, section 5.6.2.
fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

pub(super) fn body(body: String) -> Result<String, String> {
    if body.len() > MOST_BODY_BYTES {
        return Err(format!("must have at most {MOST_BODY_BYTES} bytes"));
    }
    Ok(body)
}

/// Linear in what it searches, and bounded in what it takes to compile.
pub(super) fn expect(text: String) -> Result<String, String> {
    if text.len() > MOST_PATTERN_BYTES {
        return Err(format!("must have at most {MOST_PATTERN_BYTES} bytes"));
    }
    pattern::compile(&text).map(|_compiled| text)
}

pub(super) fn auth(auth: Auth) -> Result<Auth, String> {
    let (texts, colon): (Vec<&String>, bool) = match &auth {
        Auth::Basic { username, password } => (vec![username, password], username.contains(':')),
        Auth::Bearer { token } => (vec![token], false),
        Auth::Oauth2(client) => {
            client.check()?;
            (client.texts().collect(), false)
        }
    };
    if auth.secret() == MASK {
        return Err(format!(
            "must have the secret itself, not {MASK}, which stands for it in answers"
        ));
    }
    if colon {
        return Err("must have no colon in the username".into());
    }
    if texts.iter().any(|text| text.len() > MOST_AUTH_BYTES || text.chars().any(char::is_control)) {
        return Err(format!(
            "must have texts of at most {MOST_AUTH_BYTES} bytes without control characters"
        ));
    }
    Ok(auth)
}

pub(super) fn ip_family(word: Value) -> Result<IpFamily, String> {
    let known =
        || IpFamily::ALL.iter().map(|it| format!("\"{it}\"")).collect::<Vec<_>>().join(", ");
    IpFamily::parse(&plain(word)).ok_or_else(|| format!("must be one of {}", known()))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "a rule takes what was read and gives what is kept"
)]
pub(super) fn addresses(word: String) -> Result<AddressChoice, String> {
    let known =
        || AddressChoice::ALL.iter().map(|it| format!("\"{it}\"")).collect::<Vec<_>>().join(", ");
    AddressChoice::parse(&word).ok_or_else(|| format!("must be one of {}", known()))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "a rule takes what was read and gives what is kept"
)]
pub(super) fn resolver(text: String) -> Result<SocketAddr, String> {
    name_server(&text).ok_or_else(|| {
        "must be the address of a name server, such as 10.0.0.53 or [fd00::53]:5353".to_owned()
    })
}

pub(super) fn retry(retry: Retry) -> Result<Retry, String> {
    if !(2..=MOST_ATTEMPTS).contains(&retry.attempts) || retry.delay_ms > LONGEST_DELAY_MS {
        return Err(format!(
            "must have 2 to {MOST_ATTEMPTS} attempts and a delay of at most {LONGEST_DELAY_MS} ms"
        ));
    }
    Ok(retry)
}

pub(super) fn tags(mut tags: Vec<String>) -> Result<Vec<String>, String> {
    let fits = |tag: &String| {
        (1..=64).contains(&tag.chars().count()) && !tag.chars().any(char::is_control)
    };
    if tags.len() > MOST_TAGS || !tags.iter().all(fits) {
        return Err(format!("must be at most {MOST_TAGS} tags of 1 to 64 characters"));
    }
    tags.sort();
    tags.dedup();
    Ok(tags)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "a rule takes what was read and gives what is kept"
)]
pub(super) fn regions(names: Vec<String>) -> Result<Vec<super::Region>, String> {
    let mut regions: Vec<_> = names.iter().filter_map(|name| super::Region::parse(name)).collect();
    if regions.len() != names.len() || !(1..=20).contains(&regions.len()) {
        return Err("must be 1 to 20 names of lower-case letters, digits and hyphens, 32 characters at most".into());
    }
    regions.sort();
    regions.dedup();
    Ok(regions)
}

/// The form of the Standard Webhooks specification: `whsec_` and 24 to 64 bytes in base64.
pub fn webhook_secret(secret: String) -> Result<String, String> {
    let bytes = secret.strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok());
    match bytes.map(|bytes| bytes.len()) {
        Some(24..=64) => Ok(secret),
        _ => Err("must be whsec_ followed by 24 to 64 bytes in base64".into()),
    }
}
