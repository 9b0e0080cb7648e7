//! One look as JSON. The names of the fields are documented in `docs/CLI.md`, and stay.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use pulse_core::models::evidence;
use pulse_core::models::run::{Detail, Phases};
use pulse_worker::judge;
use serde::Serialize;

use super::look::Look;

/// An object in one line, with its line break. What was not seen is `null`.
pub fn line(look: &Look) -> String {
    let object = serde_json::to_string(&Shown::of(look)).unwrap_or_default();
    object + "\n"
}

#[derive(Serialize)]
struct Shown<'a> {
    started_at: DateTime<Utc>,
    outcome: &'static str,
    reason: Option<&'static str>,
    detail: Option<&'static str>,
    error: Option<&'a str>,
    status: Option<u16>,
    http_version: Option<&'a str>,
    address: Option<IpAddr>,
    phases_ms: Milliseconds,
    tls: Option<Tls<'a>>,
    location: Option<&'a str>,
    reply: Option<&'a str>,
    reply_bytes: Option<u64>,
    answers: &'a [evidence::Answer],
    facts: Vec<Fact<'a>>,
    assertions: Vec<Assertion<'a>>,
}

#[derive(Serialize)]
struct Milliseconds {
    dns: Option<f64>,
    connect: Option<f64>,
    tls: Option<f64>,
    first_byte: Option<f64>,
    total: Option<f64>,
}

#[derive(Serialize)]
struct Tls<'a> {
    version: Option<&'a str>,
    cipher: Option<&'a str>,
    certificate: Option<Certificate<'a>>,
}

#[derive(Serialize)]
struct Certificate<'a> {
    subject: &'a str,
    issuer: &'a str,
    names: &'a [String],
    not_before: DateTime<Utc>,
    not_after: DateTime<Utc>,
    days_left: i64,
}

#[derive(Serialize)]
struct Fact<'a> {
    name: &'a str,
    value: &'a str,
}

#[derive(Serialize)]
struct Assertion<'a> {
    source: Option<&'static str>,
    comparison: Option<&'static str>,
    target: Option<&'a str>,
    observed: Option<&'a str>,
    passed: Option<bool>,
    rule: &'a str,
    severity: &'static str,
}

impl<'a> Shown<'a> {
    fn of(look: &'a Look) -> Self {
        let (seen, evidence) = (&look.observation, &look.evidence);
        let reason = look.outcome.reason();
        Self {
            started_at: seen.started_at,
            outcome: look.outcome.as_str(),
            reason: (!reason.is_empty()).then_some(reason),
            detail: seen.evidence.as_ref().and_then(|it| it.detail).map(Detail::as_str),
            error: seen.error.as_deref(),
            status: seen.status_code,
            http_version: evidence.http_version.as_deref(),
            address: seen.address,
            phases_ms: Milliseconds::of(&seen.phases),
            tls: Tls::of(look),
            location: evidence.location.as_deref(),
            reply: evidence.reply.as_deref(),
            reply_bytes: evidence.reply_bytes,
            answers: &evidence.answers,
            facts: evidence.facts.iter().map(|(name, value)| Fact { name, value }).collect(),
            assertions: look.assertions.iter().map(Assertion::of).collect(),
        }
    }
}

impl Milliseconds {
    fn of(phases: &Phases) -> Self {
        let milliseconds = |us: Option<u32>| us.map(|us| f64::from(us) / 1000.0);
        Self {
            dns: milliseconds(phases.dns_us),
            connect: milliseconds(phases.connect_us),
            tls: milliseconds(phases.tls_us),
            first_byte: milliseconds(phases.first_byte_us),
            total: milliseconds(phases.total_us),
        }
    }
}

impl<'a> Tls<'a> {
    /// `None` when nothing of it was seen.
    fn of(look: &'a Look) -> Option<Self> {
        let evidence = &look.evidence;
        let at = look.observation.started_at;
        let certificate = evidence.certificates.first();
        (evidence.tls_version.is_some() || certificate.is_some()).then(|| Self {
            version: evidence.tls_version.as_deref(),
            cipher: evidence.cipher_suite.as_deref(),
            certificate: certificate.map(|certificate| Certificate::of(certificate, at)),
        })
    }
}

impl<'a> Certificate<'a> {
    fn of(read: &'a evidence::Certificate, at: DateTime<Utc>) -> Self {
        Self {
            subject: &read.subject,
            issuer: &read.issuer,
            names: &read.names,
            not_before: read.not_before,
            not_after: read.not_after,
            days_left: read.days_left(at),
        }
    }
}

impl<'a> Assertion<'a> {
    fn of(told: &'a judge::Asked) -> Self {
        let evaluated = &told.evaluated;
        Self {
            source: told.source,
            comparison: told.comparison,
            target: told.target.as_deref(),
            observed: evaluated.observed.as_deref(),
            passed: evaluated.passed,
            rule: &evaluated.rule,
            severity: evaluated.severity.as_str(),
        }
    }
}
