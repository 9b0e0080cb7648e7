//! What assertions are asked of.

use serde_json::Value;
use serde_json_path::JsonPath;

use super::{Observed, Source};

words! {
    /// A phase of a look.
    Phase {
        /// From the start to the end.
        Total = "total",
        /// To the addresses.
        Dns = "dns",
        /// To a connection.
        Connect = "connect",
        /// The TLS handshake.
        Tls = "tls",
        /// From the request to the first of the answer.
        FirstByte = "first_byte",
    }
}

/// What a test is about, made ready.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A source that has no parts.
    Whole(Source),
    /// A header, its name in lower case.
    Header(String),
    /// A path into JSON.
    Json(JsonPath),
    /// A phase.
    Latency(Phase),
    /// A fact.
    Fact(String),
}

/// The values of a subject. What a path finds is written as text when it is asked of, one at a time: all
/// of it together may be far larger than the answer.
pub(super) enum Values<'a> {
    Observed(Vec<Observed<'a>>),
    Found(Vec<&'a Value>),
}

impl<'a> Values<'a> {
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Observed(all) => all.len(),
            Self::Found(all) => all.len(),
        }
    }

    pub(super) fn first(&self) -> Option<Observed<'a>> {
        match self {
            Self::Observed(all) => all.first().cloned(),
            Self::Found(all) => all.first().copied().map(Observed::json),
        }
    }

    pub(super) fn any(&self, holds: impl Fn(&Observed<'_>) -> bool) -> bool {
        match self {
            Self::Observed(all) => all.iter().any(holds),
            Self::Found(all) => all.iter().any(|value| holds(&Observed::json(value))),
        }
    }
}

/// A look that is over, to be asked. Implemented by whoever looked.
pub trait Seen {
    /// The values of a subject that is not JSON; none when it was not there.
    fn observe(&self, subject: &Subject) -> Vec<Observed<'_>>;

    /// What came back as JSON; `None` when it is none.
    fn json(&self) -> Option<&Value>;
}

impl Subject {
    /// Its values in a look.
    pub(super) fn values<'a>(&self, seen: &'a dyn Seen) -> Values<'a> {
        match self {
            Self::Json(path) => {
                Values::Found(seen.json().map(|value| path.query(value).all()).unwrap_or_default())
            }
            subject => Values::Observed(seen.observe(subject)),
        }
    }

    /// What its numbers count, with a space before it.
    pub(super) const fn unit(&self) -> &'static str {
        match self {
            Self::Latency(_) => " ms",
            Self::Whole(Source::Size) => " bytes",
            _ => "",
        }
    }

    /// Its name in a sentence.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Whole(Source::CertificateDays) => "days left of the certificate".to_owned(),
            Self::Whole(Source::TlsVersion) => "TLS version".to_owned(),
            Self::Whole(Source::Dns) => "DNS answer".to_owned(),
            Self::Whole(Source::GrpcStatus) => "gRPC status".to_owned(),
            Self::Whole(source) => source.as_str().to_owned(),
            Self::Header(name) => format!("header {name}"),
            Self::Json(path) => format!("json {path}"),
            Self::Latency(Phase::Total) => "latency".to_owned(),
            Self::Latency(phase) => format!("latency of {}", phase.as_str().replace('_', " ")),
            Self::Fact(name) => name.clone(),
        }
    }
}
