//! Assertions: whatever is read compiles, is written so that it is read the same again, and is judged of
//! whatever was seen, in little time, in words that are short, tame and without secrets.
//!
//! An input is assertions in JSON, a line feed, and what was seen: it is the body, and its lines are the
//! values of everything else.

#![no_main]

use std::borrow::Cow;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use pulse_fuzz::models::assertion::{
    Assertion, Compiled, Evaluated, Observed, Phase, Rule, Seen, Severity, Subject, Unread,
};
use serde_json::Value;

/// In lower case, so that no word of ours holds it, and of nothing that JSON or a number is made of.
const SECRET: &[u8] = b"\xc2\xa7hidden\xc2\xa7";
/// Far more than an input of a few thousand bytes needs on a busy machine.
const PATIENCE: Duration = Duration::from_secs(2);
const LONGEST_TOLD: usize = 400;
const MOST_VALUES: usize = 50;

struct Sight<'a> {
    body: &'a [u8],
    json: Result<Value, Unread>,
}

impl Sight<'_> {
    /// The lines, numbers where they are such.
    fn values(&self) -> Vec<Observed<'_>> {
        let value = |line| match std::str::from_utf8(line).ok().and_then(|it| it.parse().ok()) {
            Some(number) => Observed::Number(number),
            None => Observed::Text(Cow::Borrowed(line)),
        };
        self.body.split(|byte| *byte == b'\n').take(MOST_VALUES).map(value).collect()
    }
}

impl Seen for Sight<'_> {
    fn observe(&self, subject: &Subject) -> Result<Vec<Observed<'_>>, Unread> {
        Ok(match subject {
            Subject::Header(name) if name.len() % 2 == 0 => vec![Observed::Hidden(SECRET)],
            Subject::Latency(phase) if *phase != Phase::Total => Vec::new(),
            Subject::Whole(_) => vec![Observed::Text(Cow::Borrowed(self.body))],
            _ => self.values(),
        })
    }

    fn json(&self) -> Result<&Value, Unread> {
        self.json.as_ref().map_err(|unread| *unread)
    }
}

fn is_told_well(evaluated: &Evaluated) {
    let Evaluated { rule, observed, passed, sentence, .. } = evaluated;
    assert_eq!(sentence.is_some(), *passed == Some(false), "{evaluated:?}");
    assert!(!rule.is_empty());
    for told in [Some(rule), observed.as_ref(), sentence.as_ref()].into_iter().flatten() {
        assert!(told.len() <= LONGEST_TOLD && !told.contains(char::is_control), "{told:?}");
        assert!(!told.contains("§hidden§"), "{told:?}");
    }
}

/// `None` where that is not known, which never passes.
fn passes(assertion: &Assertion, seen: &Sight<'_>) -> Option<bool> {
    let compiled = Compiled::new(assertion).expect("what was read compiles");
    is_told_well(&compiled.unasked());
    let evaluated = compiled.ask(seen);
    is_told_well(&evaluated);
    let passed = evaluated.passed.expect("it was asked");
    assert!(!(passed && evaluated.is_unknown), "{evaluated:?}");
    assert!(!evaluated.is_unknown || seen.json.is_err(), "{evaluated:?}");
    (!evaluated.is_unknown).then_some(passed)
}

fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (list, body) = (&input[..end], input.get(end + 1..).unwrap_or_default());
    let Ok(list) = serde_json::from_slice::<Value>(list) else { return };
    if list.to_string().contains("§hidden§") {
        return;
    }
    let began = Instant::now();
    let assertions = match Assertion::read_all(&list, "/assertions") {
        Ok(assertions) => assertions,
        Err(errors) => {
            assert!(!errors.is_empty());
            for error in errors {
                assert!(error.pointer.starts_with("/assertions"), "{error:?}");
                assert!(!error.detail.is_empty() && !error.detail.ends_with('.'), "{error:?}");
            }
            return;
        }
    };

    let written = serde_json::to_value(&assertions).expect("it is written as JSON");
    let again = Assertion::read_all(&written, "").expect("and read again");
    assert_eq!(again, assertions, "{written}");

    let seen = Sight { body, json: serde_json::from_slice(body).map_err(|_| Unread::NoJson) };
    for assertion in assertions {
        let opposite =
            Assertion { rule: Rule::Not(assertion.rule.clone().into()), severity: Severity::Fail };
        let (told, turned) = (passes(&assertion, &seen), passes(&opposite, &seen));
        assert_eq!(told, turned.map(|passed| !passed), "{assertion:?}");
    }
    assert!(began.elapsed() < PATIENCE, "{:?} for {written}", began.elapsed());
});
