use chrono::DateTime;
use pulse_core::models::run::{InconclusiveReason, Phases};
use serde_json::json;

use super::*;

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
        traits: None,
    };
    Sight { observation, notes: Box::default(), ended, among: None }
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
    let slow =
        json!({"source": "redirects", "comparison": "equals", "target": 1, "severity": "degraded"});
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
fn what_is_not_known_is_well_neither_way_up() {
    let item = |severity: &str| json!({"source": "json", "property": "$.errors", "comparison": "not_exists", "severity": severity});
    let other = json!({"source": "status", "comparison": "equals", "target": 200});
    let judged = |assertions, upside_down, ended| {
        let (outcome, seen) = judge(saw(Some(204), ended), &asserting(assertions, upside_down));
        (outcome, seen.error.unwrap_or_default())
    };
    let unknown = "json $.errors is not known: what came back is no JSON".to_owned();
    let failed = Outcome::Fail(FailClass::Assertion);

    for upside_down in [false, true] {
        let told = judged(json!([item("fail")]), upside_down, Ok(()));
        assert_eq!(told, (failed, unknown.clone()), "{upside_down}");
    }
    assert_eq!(judged(json!([item("degraded")]), false, Ok(())), (Outcome::Degraded, unknown));
    assert_eq!(judged(json!([item("degraded")]), true, Ok(())).0, failed);
    // That it is down is known all the same.
    assert_eq!(judged(json!([item("fail"), other]), true, Ok(())).0, Outcome::Ok);
    let unmet = Err(ProbeFailure::of_target(FailClass::Assertion, "unmet"));
    assert_eq!(judged(json!([item("fail")]), true, unmet).0, Outcome::Ok);
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
    let (outcome, error) = verdict(saw(None, Err(ProbeFailure::of_worker("no descriptors"))), None);

    assert_eq!(outcome, Outcome::Inconclusive(InconclusiveReason::Local));
    assert_eq!(error.as_deref(), Some("no descriptors"));
}

#[test]
fn a_sentence_is_tame_and_short() {
    let wild = format!("\0\x1b[31m{}", "x".repeat(10_000));

    let (_, error) = verdict(saw(None, Err(ProbeFailure::of_target(FailClass::Tls, wild))), None);

    let error = error.unwrap();
    assert!(error.starts_with("  [31mxxx"));
    assert_eq!(error.len(), LONGEST_ERROR);
}
