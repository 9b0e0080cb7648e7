use serde_json::{Value, json};

use super::*;

/// A look that saw what a test says it saw.
struct Saw {
    status: f64,
    header: Option<&'static str>,
    answers: &'static [&'static str],
    body: Result<Value, Unread>,
}

impl Default for Saw {
    fn default() -> Self {
        Self {
            status: 502.0,
            header: Some("text/html; charset=utf-8"),
            answers: &["192.0.2.1", "192.0.2.2"],
            body: Ok(json!({"state": "down", "count": 3, "items": [{"up": true}, {"up": false}]})),
        }
    }
}

impl Seen for Saw {
    fn observe(&self, subject: &Subject) -> Result<Vec<Observed<'_>>, Unread> {
        Ok(match subject {
            Subject::Whole(Source::Status) => vec![Observed::Number(self.status)],
            Subject::Whole(Source::Body) => {
                self.body.iter().map(|body| Observed::text(body.to_string())).collect()
            }
            Subject::Whole(Source::Dns) => {
                self.answers.iter().map(|it| Observed::text(*it)).collect()
            }
            Subject::Header(name) if name == "content-type" => {
                self.header.into_iter().map(Observed::text).collect()
            }
            Subject::Header(name) if name == "set-cookie" => {
                vec![Observed::Hidden(b"session=hush")]
            }
            Subject::Latency(Phase::Total) => vec![Observed::Number(812.5)],
            _ => Vec::new(),
        })
    }

    fn json(&self) -> Result<&Value, Unread> {
        self.body.as_ref().map_err(|unread| *unread)
    }
}

fn ask(rule: impl Into<Value>) -> Evaluated {
    ask_of(&Saw::default(), rule)
}

fn ask_of(saw: &Saw, rule: impl Into<Value>) -> Evaluated {
    let read = Assertion::read_all(&json!([rule.into()]), "/assertions").unwrap();
    Compiled::new(&read[0]).unwrap().ask(saw)
}

fn test(source: &str, property: Option<&str>, comparison: &str, target: Value) -> Value {
    let mut test = json!({"source": source, "comparison": comparison});
    if let Some(property) = property {
        test["property"] = property.into();
    }
    if !target.is_null() {
        test["target"] = target;
    }
    test
}

#[test]
fn a_test_holds_or_says_what_it_saw_instead() {
    let broken = |source, property, comparison, target| {
        ask(test(source, property, comparison, target)).sentence.expect("should not hold")
    };

    for (told, sentence) in [
        (broken("status", None, "equals", json!(200)), "status 502, expected 200"),
        (broken("status", None, "less_than", json!(500)), "status 502, expected less than 500"),
        (
            broken("header", Some("Content-Type"), "contains", json!("json")),
            "header content-type \"text/html; charset=utf-8\", expected to contain \"json\"",
        ),
        (
            broken("header", Some("x-a"), "exists", json!(null)),
            "header x-a missing, expected it to be there",
        ),
        (
            broken("json", Some("$.state"), "equals", json!("up")),
            "json $.state \"down\", expected \"up\"",
        ),
        (
            broken("json", Some("$.items[*].up"), "equals", json!("maybe")),
            "json $.items[*].up \"true\" and 1 more, expected \"maybe\"",
        ),
        (
            broken("latency", None, "at_most", json!(500)),
            "latency 812.5 ms, expected at most 500 ms",
        ),
        (
            broken("dns", None, "not_equals", json!("192.0.2.2")),
            "DNS answer \"192.0.2.1\" and 1 more, expected another than \"192.0.2.2\"",
        ),
        (
            broken("header", Some("set-cookie"), "contains", json!("other")),
            "header set-cookie (not shown), expected to contain \"other\"",
        ),
        (
            broken("certificate_days", None, "greater_than", json!(14)),
            "days left of the certificate missing, expected more than 14",
        ),
    ] {
        assert_eq!(told, sentence);
    }
}

#[test]
fn every_comparison_holds_for_what_it_says() {
    for (source, property, comparison, target) in [
        ("status", None, "equals", json!(502)),
        ("status", None, "equals", json!("502")),
        ("status", None, "not_equals", json!(200)),
        ("status", None, "greater_than", json!(501.5)),
        ("status", None, "at_least", json!(502)),
        ("status", None, "at_most", json!(502)),
        ("header", Some("content-type"), "matches", json!("^text/.*utf-8$")),
        ("header", Some("content-type"), "not_matches", json!("json")),
        ("header", Some("x-a"), "not_contains", json!("x")),
        ("header", Some("x-a"), "not_exists", json!(null)),
        ("header", Some("set-cookie"), "contains", json!("hush")),
        ("body", None, "contains", json!("count")),
        ("json", Some("$.count"), "less_than", json!(4)),
        ("json", Some("$.items[?@.up == true]"), "exists", json!(null)),
        ("json", Some("$.items[*].up"), "equals", json!(false)),
        ("json", Some("$..nothing"), "not_exists", json!(null)),
        ("dns", None, "equals", json!("192.0.2.2")),
    ] {
        let told = ask(test(source, property, comparison, target));
        assert_eq!(told.sentence, None, "{}", told.rule);
    }
}

#[test]
fn rules_are_put_together_and_told_together() {
    let is = |status: u16| test("status", None, "equals", json!(status));

    let any = ask(json!({"any": [is(200), is(204)]}));
    let all = ask(json!({"all": [is(502), is(200)], "severity": "degraded"}));
    let not = ask(json!({"not": is(502)}));
    let held = ask(json!({"any": [is(200), {"not": {"all": [is(502), is(200)]}}]}));

    assert_eq!(
        any.sentence.as_deref(),
        Some("none of these holds: status 502, expected 200; status 502, expected 204")
    );
    assert_eq!(
        (all.sentence.as_deref(), all.severity),
        (Some("status 502, expected 200"), Severity::Degraded)
    );
    assert_eq!(not.sentence.as_deref(), Some("expected otherwise than status equals 502"));
    assert_eq!((held.passed, held.sentence), (Some(true), None));
    assert_eq!(held.rule, "(status equals 200 or not (status equals 502 and status equals 200))");
}

#[test]
fn what_could_not_be_read_holds_neither_one_way_nor_the_other() {
    let saw = Saw { body: Err(Unread::NoJson), ..Saw::default() };
    let unknown = test("json", Some("$.a"), "not_exists", json!(null));
    let [yes, no] = [502, 200].map(|status| test("status", None, "equals", json!(status)));

    for (rule, holds) in [
        (unknown.clone(), None),
        (test("json", Some("$.a"), "not_equals", json!(1)), None),
        (test("json", Some("$.a"), "not_contains", json!("x")), None),
        (test("json", Some("$.a"), "not_matches", json!("x")), None),
        (test("json", Some("$.a"), "exists", json!(null)), None),
        (json!({"not": unknown}), None),
        (json!({"not": {"not": unknown}}), None),
        (json!({"any": [unknown, yes]}), Some(true)),
        (json!({"any": [unknown, no]}), None),
        (json!({"all": [unknown, yes]}), None),
        (json!({"all": [unknown, no]}), Some(false)),
        (json!({"all": [no, unknown]}), Some(false)),
        (json!({"not": {"all": [unknown, no]}}), Some(true)),
        (json!({"not": {"any": [unknown, yes]}}), Some(false)),
        (test("header", Some("x-a"), "not_exists", json!(null)), Some(true)),
    ] {
        let told = ask_of(&saw, rule);
        assert_eq!(told.is_unknown, holds.is_none(), "{}", told.rule);
        assert_eq!(told.passed, Some(holds == Some(true)), "{}", told.rule);
        assert_eq!(told.sentence.is_some(), holds != Some(true), "{}", told.rule);
    }
}

#[test]
fn a_sentence_says_why_something_is_not_known() {
    let absent = || test("json", Some("$.a"), "not_exists", json!(null));
    for (unread, rule, sentence) in [
        (Unread::NoJson, absent(), "json $.a is not known: what came back is no JSON"),
        (
            Unread::CutOff { bytes: 65_536 },
            json!({"not": absent()}),
            "json $.a is not known: what came back was cut off after 65536 bytes, before its end",
        ),
        (
            Unread::NoJson,
            json!({"all": [absent(), test("status", None, "equals", json!(200))]}),
            "status 502, expected 200",
        ),
    ] {
        let told = ask_of(&Saw { body: Err(unread), ..Saw::default() }, rule);
        assert_eq!(told.sentence.as_deref(), Some(sentence));
    }
}

#[test]
fn what_cannot_be_read_is_named_where_it_stands() {
    let deep =
        (0..6).fold(test("status", None, "equals", json!(1)), |rule, _| json!({"not": rule}));
    let many = vec![test("status", None, "equals", json!(1)); 51];
    for (list, pointer, detail) in [
        (json!({}), "/a", "must be a list"),
        (json!([7]), "/a/0", "must be an object"),
        (json!([{}]), "/a/0/comparison", "must be one of equals"),
        (
            json!([{"source": "magic", "comparison": "equals", "target": 1}]),
            "/a/0/source",
            "status, header",
        ),
        (json!([test("status", None, "less_than", json!("x"))]), "/a/0/target", "must be a number"),
        (
            json!([test("status", None, "equals", json!(null))]),
            "/a/0/target",
            "must be a number, a text",
        ),
        (json!([test("body", None, "matches", json!("("))]), "/a/0", "not a regular expression"),
        (json!([test("header", None, "exists", json!(null))]), "/a/0", "the header's name"),
        (json!([test("header", Some("x"), "exists", json!(1))]), "/a/0/target", "left out"),
        (json!([test("status", Some("x"), "equals", json!(1))]), "/a/0", "has no parts"),
        (json!([test("json", Some("$.["), "equals", json!(1))]), "/a/0", "JSONPath"),
        (json!([test("json", Some("$..a..b"), "equals", json!(1))]), "/a/0", "at most one"),
        (json!([test("latency", Some("lunch"), "less_than", json!(1))]), "/a/0", "first_byte"),
        (json!([{"any": []}]), "/a/0/any", "1 to 50"),
        (
            json!([{"any": [{"not": {"source": "x"}}]}]),
            "/a/0/any/0/not/comparison",
            "must be one of",
        ),
        (json!([{"all": [], "other": 1}]), "/a/0", "is none of"),
        (json!([{"severity": "mild"}]), "/a/0/severity", "fail, degraded"),
        (json!([deep]), "/a/0/not/not/not/not/not", "nested deeper"),
        (json!(many), "/a", "at most 50 tests"),
    ] {
        let errors = Assertion::read_all(&list, "/a").expect_err(detail);
        assert_eq!(errors[0].pointer, pointer, "{}", errors[0].detail);
        assert!(errors[0].detail.contains(detail), "{pointer}: {}", errors[0].detail);
    }
}

#[test]
fn every_broken_assertion_is_named_not_the_first() {
    let list = json!([{"any": 1}, test("status", None, "equals", json!(1)), 7]);

    let errors = Assertion::read_all(&list, "/a").unwrap_err();

    let places: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
    assert_eq!(places, ["/a/0/any", "/a/2"]);
}

#[test]
fn what_was_read_is_written_as_it_was() {
    let list = json!([
        {"source": "json", "property": "$.a", "comparison": "equals", "target": true},
        {"any": [{"source": "status", "comparison": "exists"}, {"not": {"source": "size", "comparison": "less_than", "target": 1.5}}], "severity": "degraded"},
    ]);

    let read = Assertion::read_all(&list, "").unwrap();

    assert_eq!(serde_json::to_value(&read).unwrap(), list);
    assert_eq!(serde_json::from_value::<Vec<Assertion>>(list).unwrap(), read);
}
