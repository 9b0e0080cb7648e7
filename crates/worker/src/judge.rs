//! Says what a look at a target means.
//!
//! Pure: what was seen and what was expected go in, the outcome and its sentence come out, and of what
//! was picked up on the way what is worth keeping.

mod everywhere;

use pulse_core::models::assertion::{Compiled, Evaluated, Scalar, Severity, Source};
use pulse_core::models::evidence::Evidence;
use pulse_core::models::expected_status::ExpectedStatus;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::run::{FailClass, Observation, Outcome};
use pulse_core::models::scheme::Scheme;
use pulse_core::models::text::tame;
use pulse_core::models::way::AddressChoice;

pub use everywhere::Among;
pub(crate) use everywhere::{is_enough, speaking_for_all};

use crate::probes::{ProbeFailure, Sight};
use crate::sighting::Sighting;

const LONGEST_ERROR: usize = 500;

/// What a look is judged by.
#[derive(Clone, Debug, Default)]
pub struct Expectations {
    /// `None` where an answer has no status, and where assertions say which is expected.
    status: Option<ExpectedStatus>,
    assertions: Vec<Compiled>,
    /// Whether all of what comes back is looked through.
    reads_everything: bool,
    upside_down: bool,
    addresses: AddressChoice,
}

impl Expectations {
    /// What `spec`, which is of this kind, expects.
    ///
    /// # Errors
    /// What is wrong with an assertion. None that was read has anything wrong.
    pub fn of(spec: &ProbeSpec, scheme: Scheme) -> Result<Self, String> {
        let assertions = spec.assertions.iter().map(Compiled::new);
        let assertions = assertions.collect::<Result<Vec<_>, _>>()?;
        let about = |source| spec.assertions.iter().any(|it| it.rule.is_about(source));
        let usual = || (scheme.is_http() && !about(Source::Status)).then(ExpectedStatus::any_2xx);
        let status = spec.expected_status.clone().or_else(usual);
        let reads_everything = [Source::Body, Source::Json, Source::Size].into_iter().any(about);
        let (upside_down, addresses) = (spec.upside_down, spec.addresses);
        Ok(Self { status, assertions, reads_everything, upside_down, addresses })
    }

    /// Whether all of what comes back is looked through.
    #[must_use]
    pub const fn read_everything(&self) -> bool {
        self.reads_everything
    }
}

/// Judges one look. The observation comes back with its error told, in a sentence for the check's
/// owner, when all was not well, and with the evidence that is worth keeping.
#[must_use]
pub fn judge(sight: Sight, expected: &Expectations) -> (Outcome, Observation) {
    let (outcome, mut seen) = judge_in_full(sight, expected);
    seen.evidence = seen.evidence.map(|evidence| Box::new(evidence.packed()));
    (outcome, seen)
}

/// The same with all of the evidence, for those who want to see everything.
pub(crate) fn judge_in_full(sight: Sight, expected: &Expectations) -> (Outcome, Observation) {
    let (outcome, sentence, asked) = assess(&sight, expected);
    let sentence = match &sight.among {
        Some(among) => sentence.map(|sentence| among.tell(outcome, &sentence)),
        None => sentence,
    };
    let (outcome, sentence) = if expected.upside_down && !tells_nothing(&sight) {
        turned(outcome, sentence, is_unknown(&sight, &asked))
    } else {
        (outcome, sentence)
    };
    let Sight { mut observation, notes, ended, among: _ } = sight;
    observation.error = sentence.map(|sentence| tame(&sentence, LONGEST_ERROR));
    if outcome != Outcome::Ok || !asked.is_empty() {
        let all = if outcome == Outcome::Ok { Evidence::default() } else { notes.evidence() };
        let failure = ended.err().filter(|failure| failure.outcome() == outcome);
        let detail = failure.and_then(|failure| failure.detail);
        let evidence = Evidence { detail, assertions: asked, ..all };
        observation.evidence = Some(Box::new(evidence));
    }
    if let Some(scrub) = notes.scrub() {
        scrub.clean(&mut observation);
    }
    (outcome, observation)
}

/// Whether the look ended before it came to the target.
fn tells_nothing(sight: &Sight) -> bool {
    sight.ended.as_ref().is_err_and(ProbeFailure::is_short_of_target)
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

/// Whether a look fails by nothing but assertions of which it is not known whether they hold.
fn is_unknown(sight: &Sight, asked: &[Evaluated]) -> bool {
    let is_broken = |it: &&Evaluated| it.severity == Severity::Fail && it.passed == Some(false);
    sight.ended.is_ok() && asked.iter().filter(is_broken).all(|it| it.is_unknown)
}

/// What it means when the target ought to be down. What told nothing tells nothing this way either,
/// and neither does an address that nobody may reach. What is not known is well neither way.
fn turned(
    outcome: Outcome,
    sentence: Option<String>,
    is_unknown: bool,
) -> (Outcome, Option<String>) {
    match outcome {
        Outcome::Fail(FailClass::Assertion) if is_unknown => (outcome, sentence),
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
    let mut all: Vec<Asked> = status.into_iter().chain(asked).collect();
    if let Some(scrub) = sight.notes.scrub() {
        all.iter_mut()
            .flat_map(|asked| asked.evaluated.texts_mut())
            .for_each(|it| scrub.clean_text(it));
    }
    all
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
            is_unknown: false,
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
mod tests;
