//! The body of a request, as a check says it: a text, a JSON value, or a form.
//!
//! Secrets take their places before it is written, so that a quotation mark or an ampersand in one is
//! a character like any other.

use std::collections::BTreeMap;

use serde_json::Value;
use url::form_urlencoded::Serializer;

use super::probe_spec::ProbeSpec;
use super::secret;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const MOST_BYTES: usize = 64 * 1024;
/// Whoever reads a check holds its values one within another on the stack.
const DEEPEST: usize = 64;

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestBody {
    /// As it goes out.
    pub text: String,
    /// What it is; a text does not say.
    pub content_type: Option<&'static str>,
}

impl ProbeSpec {
    /// The body that its request has, if any.
    #[must_use]
    pub fn request_body(&self) -> Option<RequestBody> {
        if let Some(value) = &self.json {
            return Some(RequestBody { text: value.to_string(), content_type: Some(JSON) });
        }
        if let Some(fields) = &self.form {
            return Some(RequestBody { text: encode(fields), content_type: Some(FORM) });
        }
        self.body.clone().map(|text| RequestBody { text, content_type: None })
    }

    /// Whether there is at most one body.
    ///
    /// # Errors
    /// The field that is one too many, and why, for the person who wrote it.
    pub(super) fn check_body(&self) -> Result<(), (&'static str, String)> {
        let said = [
            ("body", self.body.is_some()),
            ("json", self.json.is_some()),
            ("form", self.form.is_some()),
        ];
        let mut said = said.into_iter().filter_map(|(field, is_said)| is_said.then_some(field));
        match (said.next(), said.next()) {
            (Some(first), Some(second)) => {
                Err((second, format!("must not stand beside {first}: a request has one body")))
            }
            _ => Ok(()),
        }
    }
}

fn encode(fields: &BTreeMap<String, String>) -> String {
    Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// Checks a JSON value.
///
/// # Errors
/// What is wrong with it, for the person who wrote it.
pub(super) fn json(value: Value) -> Result<Value, String> {
    if depth(&value) > DEEPEST {
        return Err(format!("must have at most {DEEPEST} values one within another"));
    }
    if names(&value).any(secret::mentions) {
        return Err("must not refer to a secret in the name of a field".into());
    }
    within_bounds(value.to_string().len()).map(|()| value)
}

/// Checks the fields of a form.
///
/// # Errors
/// What is wrong with them, for the person who wrote them.
pub(super) fn form(fields: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, String> {
    if fields.keys().any(|name| secret::mentions(name)) {
        return Err("must not refer to a secret in the name of a field".into());
    }
    within_bounds(encode(&fields).len()).map(|()| fields)
}

fn within_bounds(bytes: usize) -> Result<(), String> {
    if bytes > MOST_BYTES {
        return Err(format!("must have at most {MOST_BYTES} bytes as it is sent"));
    }
    Ok(())
}

/// What was read has a bound of its own, so this ends.
fn depth(value: &Value) -> usize {
    let within = match value {
        Value::Array(items) => items.iter().map(depth).max(),
        Value::Object(fields) => fields.values().map(depth).max(),
        _ => return 0,
    };
    within.unwrap_or(0) + 1
}

fn names(value: &Value) -> Box<dyn Iterator<Item = &str> + '_> {
    match value {
        Value::Array(items) => Box::new(items.iter().flat_map(names)),
        Value::Object(fields) => Box::new(
            fields
                .iter()
                .flat_map(|(name, value)| std::iter::once(name.as_str()).chain(names(value))),
        ),
        _ => Box::new(std::iter::empty()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::models::secret::SecretName;

    fn spec() -> ProbeSpec {
        ProbeSpec::at("http://h")
    }

    fn fields(name: &str, value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn a_body_goes_out_as_what_it_is() {
        let text = ProbeSpec { body: Some("a=b&c".into()), ..spec() };
        let value = ProbeSpec { json: Some(json!({"a": [1, "ä\""]})), ..spec() };
        let form = ProbeSpec { form: Some(fields("a b", "c&d=ä")), ..spec() };

        for (spec, text, content_type) in [
            (text, "a=b&c", None),
            (value, r#"{"a":[1,"ä\""]}"#, Some("application/json")),
            (form, "a+b=c%26d%3D%C3%A4", Some("application/x-www-form-urlencoded")),
        ] {
            let body = spec.request_body().unwrap();
            assert_eq!((body.text.as_str(), body.content_type), (text, content_type));
        }
        assert_eq!(spec().request_body(), None);
    }

    #[test]
    fn a_secret_stays_within_its_place() {
        let hostile = r#"x", "admin": true, "y": "&admin=1 %00"#;
        let name = SecretName::parse("a").unwrap();
        let values = BTreeMap::from([(name, hostile.to_owned())]);
        let value = ProbeSpec { json: Some(json!([{"k": "{{secret.a}}"}])), ..spec() };
        let form = ProbeSpec { form: Some(fields("k", "{{secret.a}}")), ..spec() };

        let sent = |spec: ProbeSpec| spec.with_secrets(&values).request_body().unwrap().text;

        let read: Value = serde_json::from_str(&sent(value)).unwrap();
        assert_eq!(read, json!([{"k": hostile}]));
        let read: Vec<_> =
            url::form_urlencoded::parse(sent(form).as_bytes()).into_owned().collect();
        assert_eq!(read, [("k".to_owned(), hostile.to_owned())]);
    }

    #[test]
    fn a_request_has_one_body() {
        let both = ProbeSpec { body: Some(String::new()), form: Some(fields("a", "b")), ..spec() };
        let other = ProbeSpec { json: Some(json!(1)), form: Some(fields("a", "b")), ..spec() };

        assert_eq!(both.check_body().unwrap_err().0, "form");
        assert!(other.check_body().unwrap_err().1.contains("beside json"));
        assert_eq!(ProbeSpec { json: Some(json!(1)), ..spec() }.check_body(), Ok(()));
    }

    #[test]
    fn a_body_has_bounds_and_names_in_the_clear() {
        let nested = |times| (0..times).fold(json!(1), |inner, _| json!([inner]));

        assert!(json(nested(64)).is_ok());
        assert!(json(nested(65)).unwrap_err().contains("at most 64 values"));
        assert!(json(json!("x".repeat(64 * 1024))).unwrap_err().contains("65536 bytes"));
        assert!(json(json!([{"{{secret.a}}": 1}])).unwrap_err().contains("name of a field"));
        assert!(form(fields("a", &"ä".repeat(11_000))).unwrap_err().contains("65536 bytes"));
        assert!(form(fields("{{secret.a}}", "")).unwrap_err().contains("name of a field"));
    }
}
