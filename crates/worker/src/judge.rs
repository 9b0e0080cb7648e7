//! Says what a look at a target means.
//!
//! Pure: what was seen and what was expected go in, the outcome and its sentence come out.

use std::fmt;

use pulse_core::models::expected_status::ExpectedStatus;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::run::{FailClass, Observation, Outcome};
use pulse_core::models::scheme::Scheme;
use pulse_core::models::text::tame;

use crate::probes::{ProbeFailure, Sight};

const LONGEST_ERROR: usize = 500;

/// What a look is judged by.
#[derive(Clone, Debug, Default)]
pub struct Expectations {
    /// `None` where an answer has no status.
    status: Option<ExpectedStatus>,
}

impl Expectations {
    /// What `spec`, which is of this kind, expects.
    #[must_use]
    pub fn of(spec: &ProbeSpec, scheme: Scheme) -> Self {
        let status = || spec.expected_status.clone().unwrap_or_else(ExpectedStatus::any_2xx);
        Self { status: scheme.is_http().then(status) }
    }
}

/// Judges one look. The observation comes back with its error told, in a sentence for the check's
/// owner, when the outcome is not `ok`.
#[must_use]
pub fn judge(sight: Sight, expected: &Expectations) -> (Outcome, Observation) {
    let Sight { mut observation, ended, .. } = sight;
    let (outcome, sentence) = assess(observation.status_code, ended, expected);
    observation.error = sentence.map(|sentence| tame(&sentence, LONGEST_ERROR));
    (outcome, observation)
}

/// How an assertion compares what was observed with what it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The very same.
    Is,
    /// One of a class, as in `2xx`.
    IsAny,
}

impl Comparison {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Is => "is",
            Self::IsAny => "is_any",
        }
    }
}

/// A rule over an observation, told with the value observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// The part of the observation that it is about.
    pub source: &'static str,
    /// How the two are compared.
    pub comparison: Comparison,
    /// What is wanted.
    pub target: String,
    /// What was seen; `None` when the look did not come that far.
    pub observed: Option<String>,
    /// Whether it holds; `None` when nothing was seen that could tell.
    pub passed: Option<bool>,
}

impl fmt::Display for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let any = if self.comparison == Comparison::IsAny { "any " } else { "" };
        let saw = self.observed.as_deref().unwrap_or("none");
        write!(f, "{}: expected {any}{}, saw {saw}", self.source, self.target)
    }
}

/// Each rule that [`judge`] applies, by itself.
#[must_use]
pub fn assertions(observation: &Observation, expected: &Expectations) -> Vec<Assertion> {
    let status = observation.status_code;
    let rule = expected.status.as_ref().map(|expected| Assertion {
        source: "status",
        comparison: match expected.only() {
            Some(_one) => Comparison::Is,
            None => Comparison::IsAny,
        },
        target: expected.to_string(),
        observed: status.map(|status| status.to_string()),
        passed: status.map(|status| expected.contains(status)),
    });
    rule.into_iter().collect()
}

/// An unexpected status decides, whatever became of its body: it is what the owner must know.
fn assess(
    status: Option<u16>,
    ended: Result<(), ProbeFailure>,
    expected: &Expectations,
) -> (Outcome, Option<String>) {
    let refused = status.zip(expected.status.as_ref()).filter(|(it, all)| !all.contains(*it));
    match (refused, ended) {
        (Some((status, expected)), _) => {
            (Outcome::Fail(FailClass::Status), Some(unexpected(status, expected)))
        }
        (None, Err(failure)) => (failure.outcome(), Some(failure.sentence)),
        (None, Ok(())) => (Outcome::Ok, None),
    }
}

fn unexpected(status: u16, expected: &ExpectedStatus) -> String {
    if expected.only().is_some() {
        format!("status {status}, expected {expected}")
    } else if expected.is_one_class() {
        format!("status {status}, expected any {expected}")
    } else {
        format!("status {status}, expected any of {expected}")
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use pulse_core::models::run::{InconclusiveReason, Phases};

    use super::*;
    use crate::probes::Notes;

    fn expecting(status: Option<&str>) -> Expectations {
        let spec = ProbeSpec {
            expected_status: status.map(|text| text.parse().unwrap()),
            ..ProbeSpec::at("http://shop.example/")
        };
        Expectations::of(&spec, Scheme::Http)
    }

    fn saw(status: Option<u16>, ended: Result<(), ProbeFailure>) -> Sight {
        let observation = Observation {
            started_at: DateTime::UNIX_EPOCH,
            status_code: status,
            phases: Phases::default(),
            address: None,
            error: None,
        };
        Sight { observation, notes: Notes::default(), ended }
    }

    fn verdict(sight: Sight, expected: Option<&str>) -> (Outcome, Option<String>) {
        let (outcome, observation) = judge(sight, &expecting(expected));
        (outcome, observation.error)
    }

    #[test]
    fn any_2xx_will_do_unless_one_status_is_expected() {
        for status in [200, 204, 299] {
            assert_eq!(verdict(saw(Some(status), Ok(())), None), (Outcome::Ok, None));
        }
        assert_eq!(verdict(saw(Some(301), Ok(())), Some("301")), (Outcome::Ok, None));

        let cases = [
            (502, None, "status 502, expected any 2xx"),
            (301, None, "status 301, expected any 2xx"),
            (502, Some("200"), "status 502, expected 200"),
            (200, Some("204"), "status 200, expected 204"),
            (205, Some("200-204,3xx"), "status 205, expected any of 200-204,3xx"),
        ];
        for (status, expected, sentence) in cases {
            let verdict = verdict(saw(Some(status), Ok(())), expected);
            assert_eq!(verdict, (Outcome::Fail(FailClass::Status), Some(sentence.to_owned())));
        }
    }

    #[test]
    fn an_assertion_tells_what_it_wanted_and_what_it_saw() {
        let told = |status, expected: Option<&str>| {
            let told = assertions(&saw(status, Ok(())).observation, &expecting(expected));
            (told[0].to_string(), told[0].passed)
        };

        let cases = [
            (Some(502), None, "status: expected any 2xx, saw 502", Some(false)),
            (Some(204), None, "status: expected any 2xx, saw 204", Some(true)),
            (Some(301), Some("301"), "status: expected 301, saw 301", Some(true)),
            (Some(200), Some("301"), "status: expected 301, saw 200", Some(false)),
            (Some(307), Some("3xx"), "status: expected any 3xx, saw 307", Some(true)),
            (None, None, "status: expected any 2xx, saw none", None),
        ];
        for (status, expected, sentence, passed) in cases {
            assert_eq!(told(status, expected), (sentence.to_owned(), passed));
        }
    }

    #[test]
    fn a_failure_tells_its_class_unless_the_status_already_was_wrong() {
        let broken = || ProbeFailure::of_target(FailClass::Protocol, "the body ended too early");

        let (outcome, error) = verdict(saw(Some(200), Err(broken())), None);
        assert_eq!(outcome, Outcome::Fail(FailClass::Protocol));
        assert_eq!(error.as_deref(), Some("the body ended too early"));

        let (outcome, error) = verdict(saw(Some(500), Err(broken())), None);
        assert_eq!(outcome, Outcome::Fail(FailClass::Status));
        assert_eq!(error.as_deref(), Some("status 500, expected any 2xx"));
    }

    #[test]
    fn what_we_lack_ourselves_is_never_a_failure_of_the_target() {
        let (outcome, error) =
            verdict(saw(None, Err(ProbeFailure::of_worker("no descriptors"))), None);

        assert_eq!(outcome, Outcome::Inconclusive(InconclusiveReason::Local));
        assert_eq!(error.as_deref(), Some("no descriptors"));
    }

    #[test]
    fn a_sentence_is_tame_and_short() {
        let wild = format!("\0\x1b[31m{}", "x".repeat(10_000));

        let (_, error) =
            verdict(saw(None, Err(ProbeFailure::of_target(FailClass::Tls, wild))), None);

        let error = error.unwrap();
        assert!(error.starts_with("  [31mxxx"));
        assert_eq!(error.len(), LONGEST_ERROR);
    }
}
