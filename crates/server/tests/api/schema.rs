//! Holds answers against the description: a caller who trusts the document must not be surprised.
//!
//! Knows as much of JSON Schema as the document uses, and fails on what it does not know.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use axum::http::Method;
use serde_json::{Map, Value};

use super::client::Answer;

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::to_value(pulse_server::api::openapi()).unwrap());

/// What an answer does that the document does not say; empty when all is well.
///
/// What is no operation of the document is not held to it.
pub fn surprises(method: &Method, path: &str, answer: &Answer) -> Vec<String> {
    // A HEAD answer is described by its GET, and has no body to hold against it.
    if *method == Method::HEAD {
        return Vec::new();
    }
    let path = path.strip_prefix("/api/v1").unwrap_or(path);
    let method = method.as_str().to_lowercase();
    let mut described = DOCUMENT["paths"].as_object().unwrap().iter();
    let Some(operation) = described
        .find(|(template, _)| matches(template, path))
        .and_then(|(_, item)| item.get(&method))
    else {
        return Vec::new();
    };
    let Some(response) = operation["responses"].get(answer.status.as_str()) else {
        return vec![format!("status {} is not described", answer.status)];
    };
    let Some(content) = response.get("content") else {
        let unsaid = (!answer.body.is_empty()).then(|| "a body is not described".to_owned());
        return unsaid.into_iter().collect();
    };
    let media_type = answer.header("content-type");
    let Some(content) = content.get(media_type) else {
        return vec![format!("{media_type} is not described")];
    };
    let mut found = Vec::new();
    look(&content["schema"], &answer.json(), "", &mut found);
    found
}

fn matches(template: &str, path: &str) -> bool {
    let (mut template, mut path) = (template.split('/'), path.split('/'));
    loop {
        match (template.next(), path.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if a.starts_with('{') || a == b => {}
            _ => return false,
        }
    }
}

/// Looks at a value that `schema` describes wholly: a field it does not name is a surprise.
fn look(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    look_at_part(schema, value, at, found);
    let mut named = BTreeSet::new();
    if let (true, Value::Object(fields)) = (name_fields(schema, &mut named), value) {
        let unnamed = fields.keys().filter(|name| !named.contains(*name));
        found.extend(unnamed.map(|name| format!("{at}/{name} is not described")));
    }
}

/// Gathers the names of an object's fields; `false` when it may have others.
fn name_fields(schema: &Value, named: &mut BTreeSet<String>) -> bool {
    let fields = schema["properties"].as_object();
    named.extend(fields.into_iter().flat_map(Map::keys).cloned());
    let parts = schema["allOf"].as_array();
    let mut closed = fields.is_some() || parts.is_some();
    for part in parts.into_iter().flatten() {
        name_fields(part, named);
    }
    if let Some(reference) = schema["$ref"].as_str() {
        closed |= name_fields(referred(reference), named);
    }
    closed
}

fn referred(reference: &str) -> &'static Value {
    DOCUMENT.pointer(reference.strip_prefix('#').unwrap()).unwrap()
}

fn look_at_part(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    for (keyword, rule) in schema.as_object().unwrap() {
        match keyword.as_str() {
            "$ref" => look_at_part(referred(rule.as_str().unwrap()), value, at, found),
            "type" if !has_type(rule, value) => found.push(format!("{at}: {value} is no {rule}")),
            "enum" if !rule.as_array().unwrap().contains(value) => {
                found.push(format!("{at}: {value} is none of {rule}"));
            }
            "oneOf" if !rule.as_array().unwrap().iter().any(|schema| fits(schema, value)) => {
                found.push(format!("{at}: {value} fits nothing of {rule}"));
            }
            "allOf" => {
                rule.as_array()
                    .unwrap()
                    .iter()
                    .for_each(|part| look_at_part(part, value, at, found));
            }
            "items" => {
                for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                    look(rule, item, &format!("{at}/{i}"), found);
                }
            }
            "required" if value.is_object() => {
                let names = rule.as_array().unwrap().iter().filter_map(Value::as_str);
                let missing = names.filter(|name| value.get(name).is_none());
                found.extend(missing.map(|name| format!("{at}/{name} is missing")));
            }
            "minimum" if value.is_number() && value.as_f64() < rule.as_f64() => {
                found.push(format!("{at}: {value} is less than {rule}"));
            }
            "maximum" if value.is_number() && value.as_f64() > rule.as_f64() => {
                found.push(format!("{at}: {value} is more than {rule}"));
            }
            "minItems"
                if value.as_array().is_some_and(|it| rule.as_u64() > Some(it.len() as u64)) =>
            {
                found.push(format!("{at}: {value} has fewer than {rule} items"));
            }
            "maxItems"
                if value.as_array().is_some_and(|it| rule.as_u64() < Some(it.len() as u64)) =>
            {
                found.push(format!("{at}: {value} has more than {rule} items"));
            }
            "properties" => {
                for (name, field) in value.as_object().into_iter().flatten() {
                    if let Some(rule) = rule.get(name) {
                        look(rule, field, &format!("{at}/{name}"), found);
                    }
                }
            }
            "type"
            | "enum"
            | "oneOf"
            | "required"
            | "minimum"
            | "maximum"
            | "minItems"
            | "maxItems"
            | "default"
            | "additionalProperties"
            | "propertyNames"
            | "description"
            | "example"
            | "format" => {}
            unknown => found.push(format!("{at}: this test does not know {unknown}")),
        }
    }
}

fn fits(schema: &Value, value: &Value) -> bool {
    let mut wrong = Vec::new();
    look(schema, value, "", &mut wrong);
    wrong.is_empty()
}

fn has_type(rule: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => false,
    };
    match rule {
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(is),
        _ => false,
    }
}
