//! Assertions from JSON, with whatever is wrong named where it is; and back.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::{Assertion, Comparison, Compiled, Rule, Scalar, Severity, Source, Test};
use crate::models::check::FieldError;

const MOST_TESTS: usize = 50;
const DEEPEST: usize = 5;
const LONGEST_TEXT: usize = 1_024;

impl Assertion {
    /// Reads the assertions of a check; `pointer` says where they stand.
    ///
    /// # Errors
    /// The first thing that is wrong in each of them.
    pub fn read_all(list: &Value, pointer: &str) -> Result<Vec<Self>, Vec<FieldError>> {
        let Value::Array(items) = list else {
            return Err(vec![wrong(pointer, "must be a list of assertions")]);
        };
        let places = (0..).map(|place: usize| format!("{pointer}/{place}"));
        let read = items.iter().zip(places).map(|(item, place)| {
            let read = Self::read(item, &place)?;
            Compiled::new(&read).map_err(|error| wrong(&place, &error))?;
            Ok(read)
        });
        let (read, errors): (Vec<_>, Vec<_>) = read.partition(Result::is_ok);
        let errors: Vec<_> = errors.into_iter().filter_map(Result::err).collect();
        let read: Vec<_> = read.into_iter().filter_map(Result::ok).collect();
        if !errors.is_empty() {
            return Err(errors);
        }
        if read.iter().map(|it| it.rule.tests()).sum::<usize>() > MOST_TESTS {
            return Err(vec![wrong(
                pointer,
                &format!("must have at most {MOST_TESTS} tests in all"),
            )]);
        }
        Ok(read)
    }

    fn read(item: &Value, pointer: &str) -> Result<Self, FieldError> {
        let Value::Object(fields) = item else {
            return Err(wrong(pointer, "must be an object"));
        };
        let mut fields = fields.clone();
        let severity = match fields.remove("severity") {
            None | Some(Value::Null) => Severity::Fail,
            Some(word) => word_of(&word, Severity::parse, &words(Severity::ALL))
                .map_err(|rule| wrong(&format!("{pointer}/severity"), &rule))?,
        };
        Ok(Self { rule: rule(&Value::Object(fields), pointer, DEEPEST)?, severity })
    }
}

fn rule(item: &Value, pointer: &str, depth: usize) -> Result<Rule, FieldError> {
    let Value::Object(fields) = item else {
        return Err(wrong(pointer, "must be an object"));
    };
    let Some(deeper) = depth.checked_sub(1) else {
        return Err(wrong(pointer, &format!("must not be nested deeper than {DEEPEST}")));
    };
    let only = fields.iter().next().filter(|_| fields.len() == 1);
    match only.map(|(name, value)| (name.as_str(), value)) {
        Some(("all", value)) => several(value, &format!("{pointer}/all"), deeper).map(Rule::All),
        Some(("any", value)) => several(value, &format!("{pointer}/any"), deeper).map(Rule::Any),
        Some(("not", value)) => {
            rule(value, &format!("{pointer}/not"), deeper).map(Box::new).map(Rule::Not)
        }
        _ => test(fields, pointer).map(Rule::Test),
    }
}

fn several(value: &Value, pointer: &str, depth: usize) -> Result<Vec<Rule>, FieldError> {
    let items = value.as_array().filter(|items| (1..=MOST_TESTS).contains(&items.len()));
    let rule_at = |(place, item): (usize, &Value)| rule(item, &format!("{pointer}/{place}"), depth);
    match items {
        Some(items) => items.iter().enumerate().map(rule_at).collect(),
        None => Err(wrong(pointer, &format!("must be a list of 1 to {MOST_TESTS} rules"))),
    }
}

fn test(fields: &Map<String, Value>, pointer: &str) -> Result<Test, FieldError> {
    let known = ["source", "property", "comparison", "target"];
    if let Some(other) = fields.keys().find(|name| !known.contains(&name.as_str())) {
        let name = crate::models::text::tame_line(other, 100);
        let told = format!(
            "{name} is none of source, property, comparison, target, severity, all, any, not"
        );
        return Err(wrong(pointer, &told));
    }
    let at = |name: &str, rule: String| wrong(&format!("{pointer}/{name}"), &rule);
    let get = |name: &str| fields.get(name).unwrap_or(&Value::Null);
    let source = word_of(get("source"), Source::parse, &words(Source::ALL));
    let comparison = word_of(get("comparison"), Comparison::parse, &words(Comparison::ALL));
    let comparison = comparison.map_err(|rule| at("comparison", rule))?;
    Ok(Test {
        source: source.map_err(|rule| at("source", rule))?,
        property: property(get("property")).map_err(|rule| at("property", rule))?,
        comparison,
        target: target(get("target"), comparison).map_err(|rule| at("target", rule))?,
    })
}

fn property(value: &Value) -> Result<Option<String>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if (1..=LONGEST_TEXT).contains(&text.len()) => Ok(Some(text.clone())),
        _ => Err(format!("must be a text of 1 to {LONGEST_TEXT} bytes")),
    }
}

fn target(value: &Value, comparison: Comparison) -> Result<Option<Scalar>, String> {
    use Comparison::{
        AtLeast, AtMost, Exists, GreaterThan, LessThan, Matches, NotExists, NotMatches,
    };
    match (comparison, value) {
        (Exists | NotExists, Value::Null) => Ok(None),
        (Exists | NotExists, _) => Err(format!("must be left out: {comparison} compares nothing")),
        (_, Value::String(text)) if text.len() > LONGEST_TEXT => {
            Err(format!("must have at most {LONGEST_TEXT} bytes"))
        }
        (LessThan | GreaterThan | AtMost | AtLeast, Value::Number(number)) => {
            Ok(Some(Scalar::Number(number.clone())))
        }
        (LessThan | GreaterThan | AtMost | AtLeast, _) => Err("must be a number".to_owned()),
        (_, Value::String(text)) => Ok(Some(Scalar::Text(text.clone()))),
        (Matches | NotMatches, _) => Err("must be a regular expression".to_owned()),
        (_, Value::Number(number)) => Ok(Some(Scalar::Number(number.clone()))),
        (_, Value::Bool(yes)) => Ok(Some(Scalar::Bool(*yes))),
        _ => Err("must be a number, a text, true or false".to_owned()),
    }
}

fn word_of<T>(value: &Value, parse: fn(&str) -> Option<T>, known: &str) -> Result<T, String> {
    value.as_str().and_then(parse).ok_or_else(|| format!("must be one of {known}"))
}

fn words<T: std::fmt::Display>(all: &[T]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn wrong(pointer: &str, detail: &str) -> FieldError {
    FieldError { pointer: pointer.to_owned(), detail: detail.to_owned() }
}

impl Rule {
    fn tests(&self) -> usize {
        match self {
            Self::All(rules) | Self::Any(rules) => rules.iter().map(Self::tests).sum(),
            Self::Not(rule) => rule.tests(),
            Self::Test(_) => 1,
        }
    }

    fn to_json(&self) -> Value {
        let several = |rules: &[Self]| rules.iter().map(Self::to_json).collect::<Vec<_>>();
        match self {
            Self::All(rules) => json!({"all": several(rules)}),
            Self::Any(rules) => json!({"any": several(rules)}),
            Self::Not(rule) => json!({"not": rule.to_json()}),
            Self::Test(test) => serde_json::to_value(test).unwrap_or_default(),
        }
    }
}

impl Serialize for Assertion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut written = self.rule.to_json();
        if self.severity != Severity::Fail {
            written["severity"] = self.severity.as_str().into();
        }
        written.serialize(serializer)
    }
}

/// As it was stored. Whether it can be asked is for whoever asks to see: a version with other bounds may have
/// taken it, and one check must not keep others from being read.
impl<'de> Deserialize<'de> for Assertion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Value::deserialize(deserializer)?;
        Self::read(&written, "").map_err(|error| D::Error::custom(error.detail))
    }
}
