//! What assertions are asked of.

use std::fmt;

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

/// Why a look cannot be asked. What cannot be read may be there or not: nothing holds of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// What came back is no JSON.
    NoJson,
    /// What came back was not read to its end, and is no JSON so far.
    CutOff {
        /// So many bytes were read.
        bytes: u64,
    },
    /// What came back is in an encoding (RFC 9110, section 8.4) that is not known.
    Encoded,
    /// What came back is not in the encoding that it is said to be in.
    Broken,
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoJson => f.write_str("what came back is no JSON"),
            Self::Encoded => {
                f.write_str("what came back is in an encoding other than gzip, deflate and br")
            }
            Self::Broken => f.write_str("what came back is not in the encoding that it claims"),
            Self::CutOff { bytes } => {
                write!(f, "what came back was cut off after {bytes} bytes, before its end")
            }
        }
    }
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
    ///
    /// # Errors
    /// Why that cannot be read.
    fn observe(&self, subject: &Subject) -> Result<Vec<Observed<'_>>, Unread>;

    /// What came back as JSON.
    ///
    /// # Errors
    /// Why it cannot be read as such.
    fn json(&self) -> Result<&Value, Unread>;
}

impl Subject {
    /// Its values in a look.
    pub(super) fn values<'a>(&self, seen: &'a dyn Seen) -> Result<Values<'a>, Unread> {
        match self {
            Self::Json(path) => seen.json().map(|value| Values::Found(path.query(value).all())),
            subject => seen.observe(subject).map(Values::Observed),
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
