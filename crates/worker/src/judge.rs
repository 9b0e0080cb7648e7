//! Says what a look at a target means.
//!
//! Pure: what was seen and what was expected go in, the outcome and its sentence come out, and of what
//! was picked up on the way what is worth keeping.

use pulse_core::models::assertion::{Compiled, Evaluated, Scalar, Severity, Source};
use pulse_core::models::evidence::Evidence;
use pulse_core::models::expected_status::ExpectedStatus;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::run::{FailClass, Observation, Outcome};
use pulse_core::models::scheme::Scheme;
use pulse_core::models::text::tame;

use crate::probes::Sight;
use crate::sighting::Sighting;

const LONGEST_ERROR: usize = 500;

/// What a look is judged by.
#[derive(Clone, Debug, Default)]
pub struct Expectations {
    /// `None` where an answer has no status, and where assertions say which is expected.
    status: Option<ExpectedStatus>,
    assertions: Vec<Compiled>,
    upside_down: bool,
}

impl Expectations {
    /// What `spec`, which is of this kind, expects.
    ///
    /// # Errors
    /// What is wrong with an assertion. None that was read has anything wrong.
    pub fn of(spec: &ProbeSpec, scheme: Scheme) -> Result<Self, String> {
        let assertions = spec.assertions.iter().map(Compiled::new);
        let assertions = assertions.collect::<Result<Vec<_>, _>>()?;
        let is_said = assertions.iter().any(|assertion| assertion.is_about(Source::Status));
        let usual = || (scheme.is_http() && !is_said).then(ExpectedStatus::any_2xx);
        let status = spec.expected_status.clone().or_else(usual);
        Ok(Self { status, assertions, upside_down: spec.upside_down })
    }

    /// Whether all of what comes back is looked through.
    #[must_use]
    pub fn read_everything(&self) -> bool {
        let about = |source| self.assertions.iter().any(|it| it.is_about(source));
        about(Source::Body) || about(Source::Json) || about(Source::Size)
    }
}

/// Judges one look. The observation comes back with its error told, in a sentence for the check's
/// owner, when all was not well, and with the evidence that is worth keeping.
#[must_use]
pub fn judge(sight: Sight, expected: &Expectations) -> (Outcome, Observation) {
    let (outcome, sentence, asked) = assess(&sight, expected);
    let (outcome, sentence) =
        if expected.upside_down { turned(outcome, sentence) } else { (outcome, sentence) };
    let Sight { mut observation, notes, ended } = sight;
    observation.error = sentence.map(|sentence| tame(&sentence, LONGEST_ERROR));
    if outcome != Outcome::Ok || !asked.is_empty() {
        let all = if outcome == Outcome::Ok { Evidence::default() } else { notes.evidence() };
        let failure = ended.err().filter(|failure| failure.outcome() == outcome);
        let detail = failure.and_then(|failure| failure.detail);
        let evidence = Evidence { detail, assertions: asked, ..all };
        observation.evidence = Some(Box::new(evidence.packed()));
    }
    (outcome, observation)
}

/// An unexpected status decides, whatever became of its body: it is what the owner must know. Then
/// what kept the look from its end; then the first assertion that does not hold, failures before
/// degradations.
fn assess(sight: &Sight, expected: &Expectations) -> (Outcome, Option<String>, Vec<Evaluated>) {
    let status = sight.observation.status_code;
    let refused = status.zip(expected.status.as_ref()).filter(|(it, all)| !all.contains(*it));
    let asked = ask(sight, expected);
    let (outcome, sentence) = match (refused, &sight.ended) {
        (Some((status, expected)), _) => {
            (Outcome::Fail(FailClass::Status), Some(unexpected(status, expected)))
        }
        (None, Err(failure)) => (failure.outcome(), Some(failure.sentence.clone())),
        (None, Ok(())) => {
            let first = |severity| {
                let broken = |it: &&Evaluated| it.severity == severity && it.passed == Some(false);
                asked.iter().find(broken).map(|it| it.sentence.clone().unwrap_or_default())
            };
            match (first(Severity::Fail), first(Severity::Degraded)) {
                (Some(sentence), _) => (Outcome::Fail(FailClass::Assertion), Some(sentence)),
                (None, Some(sentence)) => (Outcome::Degraded, Some(sentence)),
                (None, None) => (Outcome::Ok, None),
            }
        }
    };
    (outcome, sentence, asked)
}

/// Assertions are asked when there is an answer to ask them of.
fn ask(sight: &Sight, expected: &Expectations) -> Vec<Evaluated> {
    if expected.assertions.is_empty() {
        return Vec::new();
    }
    let has_answer = sight.ended.is_ok() || sight.observation.status_code.is_some();
    let sighting = Sighting::of(sight);
    let asked = expected.assertions.iter();
    asked.map(|it| if has_answer { it.ask(&sighting) } else { it.unasked() }).collect()
}

/// What it means when the target ought to be down. What told nothing tells nothing this way either,
/// and neither does an address that nobody may reach.
fn turned(outcome: Outcome, sentence: Option<String>) -> (Outcome, Option<String>) {
    match outcome {
        Outcome::Ok | Outcome::Degraded => {
            let sentence = "the target is well, and should not be: the check is upside down";
            (Outcome::Fail(FailClass::Assertion), Some(sentence.to_owned()))
        }
        Outcome::Fail(class) if class != FailClass::ForbiddenAddress => (Outcome::Ok, None),
        other => (other, sentence),
    }
}

/// A rule that was asked, and where it is one comparison, its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What it is about.
    pub source: Option<&'static str>,
    /// How it compares: a word of [`Comparison`], or `is` and `is_any` of a status.
    ///
    /// [`Comparison`]: pulse_core::models::assertion::Comparison
    pub comparison: Option<&'static str>,
    /// What it wants.
    pub target: Option<String>,
    /// How it ended.
    pub evaluated: Evaluated,
}

/// Every rule that [`judge`] applies with what was seen, the expected status among them.
#[must_use]
pub fn rules(sight: &Sight, expected: &Expectations) -> Vec<Asked> {
    let status = expected.status.as_ref().map(|it| ask_status(sight.observation.status_code, it));
    let asked = expected.assertions.iter().zip(ask(sight, expected)).map(|(rule, evaluated)| {
        let test = rule.test();
        Asked {
            source: test.map(|test| test.source.as_str()),
            comparison: test.map(|test| test.comparison.as_str()),
            target: test.and_then(|test| test.target.as_ref()).map(Scalar::to_string),
            evaluated,
        }
    });
    status.into_iter().chain(asked).collect()
}

fn ask_status(seen: Option<u16>, expected: &ExpectedStatus) -> Asked {
    let any = if expected.only().is_some() { "" } else { "any " };
    let passed = seen.map(|seen| expected.contains(seen));
    Asked {
        source: Some(Source::Status.as_str()),
        comparison: Some(if any.is_empty() { "is" } else { "is_any" }),
        target: Some(expected.to_string()),
        evaluated: Evaluated {
            rule: format!("status is {any}{expected}"),
            severity: Severity::Fail,
            observed: seen.map(|seen| seen.to_string()),
            passed,
            sentence: seen.filter(|_| passed == Some(false)).map(|it| unexpected(it, expected)),
        },
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
    use serde_json::json;

    use super::*;
    use crate::probes::{Notes, ProbeFailure};

    fn expecting(status: Option<&str>) -> Expectations {
        let spec = ProbeSpec {
            expected_status: status.map(|text| text.parse().unwrap()),
            ..ProbeSpec::at("http://shop.example/")
        };
        Expectations::of(&spec, Scheme::Http).unwrap()
    }

    fn asserting(assertions: serde_json::Value, upside_down: bool) -> Expectations {
        let assertions = serde_json::from_value(assertions).unwrap();
        let spec = ProbeSpec { assertions, upside_down, ..ProbeSpec::at("http://shop.example/") };
        Expectations::of(&spec, Scheme::Http).unwrap()
    }

    fn saw(status: Option<u16>, ended: Result<(), ProbeFailure>) -> Sight {
        let observation = Observation {
            started_at: DateTime::UNIX_EPOCH,
            status_code: status,
            phases: Phases::default(),
            address: None,
            error: None,
            evidence: None,
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
            let asked = rules(&saw(status, Ok(())), &expecting(expected)).remove(0);
            let told = (asked.evaluated.rule, asked.evaluated.observed);
            (asked.comparison, told.0, told.1, asked.evaluated.passed)
        };

        let cases = [
            (Some(502), None, ("is_any", "status is any 2xx", Some("502"), Some(false))),
            (Some(204), None, ("is_any", "status is any 2xx", Some("204"), Some(true))),
            (Some(301), Some("301"), ("is", "status is 301", Some("301"), Some(true))),
            (Some(200), Some("301"), ("is", "status is 301", Some("200"), Some(false))),
            (None, None, ("is_any", "status is any 2xx", None, None)),
        ];
        for (status, expected, (comparison, rule, observed, passed)) in cases {
            let wanted = (Some(comparison), rule.to_owned(), observed.map(str::to_owned), passed);
            assert_eq!(told(status, expected), wanted);
        }
    }

    #[test]
    fn the_first_assertion_that_fails_decides_and_degrading_ones_come_last() {
        let fails = json!({"source": "status", "comparison": "less_than", "target": 200});
        let slow = json!({"source": "redirects", "comparison": "equals", "target": 1, "severity": "degraded"});
        let holds = json!({"source": "status", "comparison": "equals", "target": 204});
        let judged = |list: serde_json::Value| {
            let (outcome, seen) = judge(saw(Some(204), Ok(())), &asserting(list, false));
            (outcome, seen.error, seen.evidence.unwrap().assertions)
        };

        let (outcome, error, _) = judged(json!([slow, holds, fails]));
        assert_eq!(outcome, Outcome::Fail(FailClass::Assertion));
        assert_eq!(error.as_deref(), Some("status 204, expected less than 200"));

        let (outcome, error, _) = judged(json!([holds, slow]));
        assert_eq!(outcome, Outcome::Degraded);
        assert_eq!(error.as_deref(), Some("redirects 0, expected 1"));

        let (outcome, error, kept) = judged(json!([holds]));
        assert_eq!((outcome, error), (Outcome::Ok, None));
        assert_eq!((kept[0].observed.as_deref(), kept[0].passed), (Some("204"), Some(true)));
    }

    #[test]
    fn who_asserts_a_status_expects_no_other() {
        let not_found = json!([{"source": "status", "comparison": "equals", "target": 404}]);

        let (outcome, _) = judge(saw(Some(404), Ok(())), &asserting(not_found, false));

        assert_eq!(outcome, Outcome::Ok);
    }

    #[test]
    fn upside_down_what_fails_is_well_and_what_told_nothing_still_does() {
        let turned = |sight| judge(sight, &asserting(json!([]), true)).0;
        let failing = |class| Err(ProbeFailure::of_target(class, "no"));

        assert_eq!(turned(saw(Some(200), Ok(()))), Outcome::Fail(FailClass::Assertion));
        assert_eq!(turned(saw(Some(500), Ok(()))), Outcome::Ok);
        assert_eq!(turned(saw(None, failing(FailClass::Connect))), Outcome::Ok);
        let forbidden = FailClass::ForbiddenAddress;
        assert_eq!(turned(saw(None, failing(forbidden))), Outcome::Fail(forbidden));
        let local = Outcome::Inconclusive(InconclusiveReason::Local);
        assert_eq!(turned(saw(None, Err(ProbeFailure::of_worker("no")))), local);
    }

    #[test]
    fn an_assertion_without_an_answer_is_not_asked() {
        let exists = json!([{"source": "header", "property": "x", "comparison": "not_exists"}]);
        let refused = ProbeFailure::of_target(FailClass::Connect, "refused");

        let (outcome, seen) = judge(saw(None, Err(refused)), &asserting(exists, false));

        assert_eq!(outcome, Outcome::Fail(FailClass::Connect));
        assert_eq!(seen.evidence.unwrap().assertions[0].passed, None);
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
