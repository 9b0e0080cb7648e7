//! What a user asserts of an answer: rules over what was seen.
//!
//! A check has a list of assertions, and all of them are asked of every look. Each is a test, as in
//! `{"source": "json", "property": "$.state", "comparison": "equals", "target": "up"}`, or is made of
//! others: `{"any": [...]}`, `{"all": [...]}`, `{"not": {...}}`. One with the severity `degraded` does
//! not fail a run: it says that the target is alive, and not as it should be.
//!
//! Where there are several values, answers of a name server or what a path finds, a test holds if it
//! holds for one of them, and the opposite test if it holds for none. What was not there passes only
//! what asks for that: `not_exists`, `not_equals`, `not_contains`, `not_matches`. What could not be
//! read may have been there or not: whether a test of it holds is not known, and neither is whether
//! its opposite does.

mod compiled;
mod path;
mod read;
mod seen;
#[cfg(test)]
mod tests;
mod value;

use serde::{Deserialize, Serialize};

pub use compiled::Compiled;
pub use seen::{Phase, Seen, Subject, Unread};
pub use value::{Observed, Scalar};

words! {
    /// What a test is about.
    Source {
        /// The status of the response.
        Status = "status",
        /// A header; the property is its name. Of several with the name any may hold.
        Header = "header",
        /// What came back, as far as it was read, as text.
        Body = "body",
        /// Bytes of it.
        Size = "size",
        /// What came back as JSON; the property is a path (RFC 9535).
        Json = "json",
        /// Milliseconds; the property is a phase, `total` when there is none.
        Latency = "latency",
        /// Whole days until the server's certificate expires.
        CertificateDays = "certificate_days",
        /// As in `TLS 1.3`.
        TlsVersion = "tls_version",
        /// The address that was connected to.
        Ip = "ip",
        /// The values that a name server answered.
        Dns = "dns",
        /// Redirects that were followed.
        Redirects = "redirects",
        /// The number of the status of gRPC.
        GrpcStatus = "grpc_status",
        /// What else the target said of itself; the property is its name.
        Fact = "fact",
    }
}

words! {
    /// How what was seen is compared with what is wanted.
    Comparison {
        /// The same number, or the same text.
        Equals = "equals",
        /// The opposite.
        NotEquals = "not_equals",
        /// A smaller number.
        LessThan = "less_than",
        /// A larger number.
        GreaterThan = "greater_than",
        /// No larger number.
        AtMost = "at_most",
        /// No smaller number.
        AtLeast = "at_least",
        /// The text is in it.
        Contains = "contains",
        /// The opposite.
        NotContains = "not_contains",
        /// The regular expression is found in it.
        Matches = "matches",
        /// The opposite.
        NotMatches = "not_matches",
        /// It is there.
        Exists = "exists",
        /// It is not.
        NotExists = "not_exists",
    }
}

impl Comparison {
    /// The comparison that holds for none where `self` holds for one; `None` where `self` is not an
    /// opposite.
    const fn opposite_of(self) -> Option<Self> {
        match self {
            Self::NotEquals => Some(Self::Equals),
            Self::NotContains => Some(Self::Contains),
            Self::NotMatches => Some(Self::Matches),
            Self::NotExists => Some(Self::Exists),
            _ => None,
        }
    }
}

words! {
    /// What it means when an assertion does not hold.
    Severity {
        /// The run failed.
        Fail = "fail",
        /// The target is alive, and not as it should be.
        Degraded = "degraded",
    }
}

/// One assertion of a check, as it was written. What [`read_all`](Self::read_all) lets through compiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// What must hold.
    pub rule: Rule,
    /// What it means when it does not.
    pub severity: Severity,
}

/// What must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// All of these, at least one.
    All(Vec<Rule>),
    /// One of these, at least.
    Any(Vec<Rule>),
    /// This does not.
    Not(Box<Rule>),
    /// One comparison.
    Test(Test),
}

impl Rule {
    /// Whether any of it is about this.
    #[must_use]
    pub fn is_about(&self, source: Source) -> bool {
        match self {
            Self::All(rules) | Self::Any(rules) => rules.iter().any(|rule| rule.is_about(source)),
            Self::Not(rule) => rule.is_about(source),
            Self::Test(test) => test.source == source,
        }
    }
}

/// One comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Test {
    /// What it is about.
    pub source: Source,
    /// Which part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub property: Option<String>,
    /// How.
    pub comparison: Comparison,
    /// With what; `None` where nothing is compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Scalar>,
}

/// An assertion that was asked, with the value observed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evaluated {
    /// What it says, in words: `status equals 200`.
    pub rule: String,
    /// What it means when it does not hold.
    pub severity: Severity,
    /// What was seen, tamed and short; `None` where it was not there, and for rules made of others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed: Option<String>,
    /// Whether it held, as far as is known; `None` when the look did not come as far as an answer.
    pub passed: Option<bool>,
    /// Whether it did not pass because what it asks of could not be read. Not kept.
    #[serde(skip)]
    pub is_unknown: bool,
    /// Why not, in a sentence: `status 502, expected 200`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentence: Option<String>,
}

impl Evaluated {
    /// Every text in it that may have come from the target.
    pub fn texts_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let Self { rule, severity: _, observed, passed: _, is_unknown: _, sentence } = self;
        std::iter::once(rule).chain(observed).chain(sentence)
    }
}
