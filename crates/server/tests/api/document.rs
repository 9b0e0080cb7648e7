//! The description of the API is whole, current, and needs nothing from outside.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use serde_json::Value;

use super::client::{Answer, Client};
use super::fake::Fake;

const CHECKED_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
const MANUAL: &str = include_str!("../../../../docs/API.md");

/// Described here, served by the runtime, the same on every process.
const OF_THE_PROCESS: [&str; 3] = ["GET /health", "GET /ready", "GET /metrics"];

fn document() -> Value {
    serde_json::to_value(pulse_server::api::openapi()).unwrap()
}

/// Every operation: `GET /checks` and its description.
fn operations(document: &Value) -> Vec<(String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &Value)| {
        let operations = item.as_object().unwrap().iter().filter(|(_, value)| value.is_object());
        operations
            .map(|(method, operation)| {
                (format!("{} {path}", method.to_uppercase()), operation.clone())
            })
            .collect()
    };
    paths.iter().flat_map(|entry| -> Vec<_> { of_path(entry) }).collect()
}

#[test]
fn the_checked_in_description_is_the_one_the_handlers_give() {
    let current = serde_json::to_string_pretty(&document()).unwrap() + "\n";
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(CHECKED_IN, &current).unwrap();
    }

    let checked_in = std::fs::read_to_string(Path::new(CHECKED_IN)).unwrap_or_default();

    assert!(
        checked_in == current,
        "docs/openapi.json is not what the handlers say; look at the difference after \
         `UPDATE_OPENAPI=1 cargo test -p pulse-server --test api_embedded`"
    );
}

#[tokio::test]
async fn the_served_description_is_the_same_at_both_places() {
    let client = Client::of(Fake::Empty.api());

    for path in ["/openapi.json", "/api/v1/openapi.json"] {
        assert_eq!(client.ask(&format!("GET {path}")).await.good(200), document());
    }
}

/// 101: from there on another protocol is spoken.
fn is_good(status: &str) -> bool {
    status.starts_with('2') || status == "101"
}

#[test]
fn the_description_is_complete() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();

    for (line, operation) in operations(&document) {
        assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{line}");
        assert!(operation["summary"].is_string() && operation["tags"][0].is_string(), "{line}");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| is_good(status)), "{line}");
        for (status, response) in responses {
            assert!(
                !response["description"].as_str().unwrap_or_default().is_empty(),
                "{line} {status}"
            );
            if !OF_THE_PROCESS.contains(&line.as_str()) && !is_good(status) {
                let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
                assert_eq!(schema, "#/components/schemas/Problem", "{line} {status}");
            }
        }
        for name in line.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            let parameters = operation["parameters"].as_array().unwrap();
            let described = parameters
                .iter()
                .any(|p| p["name"] == name && p["in"] == "path" && p["required"] == true);
            assert!(described, "{line}: {name}");
        }
    }
}

#[test]
fn every_field_is_explained() {
    let document = document();

    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let parts = schema["allOf"].as_array().cloned().unwrap_or_default();
        let whole_and_parts = std::iter::once(schema).chain(&parts);
        for (field, rule) in whole_and_parts.filter_map(|it| it["properties"].as_object()).flatten()
        {
            let inside = rule["oneOf"].as_array().and_then(|rules| rules.first());
            let told =
                [Some(rule), inside].into_iter().flatten().any(|it| it["description"].is_string());
            assert!(told, "{name}.{field}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|field| references(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);

    assert!(!found.is_empty());
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn every_described_operation_is_served_at_both_places() {
    let client = Client::of(Fake::Empty.api());

    for (line, _) in operations(&document()) {
        if OF_THE_PROCESS.contains(&line.as_str()) {
            continue;
        }
        let (method, path) = line.split_once(' ').unwrap();
        let path = path.replace("{name}", "paused");
        for prefix in ["", "/api/v1"] {
            let answer = client.ask(&format!("{method} {prefix}{path}")).await;
            assert_ne!(answer.status, 405, "{line}");
            let detail = String::from_utf8_lossy(&answer.body).into_owned();
            assert!(!detail.contains("/docs lists what there is"), "{line}: {detail}");
        }
    }
}

#[tokio::test]
async fn the_pages_load_nothing_from_outside() {
    let client = Client::of(Fake::Empty.api());

    for base in ["/docs", "/api/v1/docs"] {
        let moved = client.ask(&format!("GET {base}")).await;
        assert_eq!(
            (moved.status.as_u16(), moved.header("location")),
            (308, format!("{base}/").as_str())
        );
        let page = client.ask(&format!("GET {base}/")).await;
        assert_eq!(page.status, 200);
        let policy = page.header("content-security-policy").to_owned();
        assert!(
            policy.contains("default-src 'none'; script-src 'self'") && !policy.contains("http"),
            "{policy}"
        );
        let html = text(&page);
        assert!(!html.contains("<script>"), "{html}");
        let files = links(&html);
        assert!(files.iter().any(|file| file.ends_with("swagger-ui-bundle.js")), "{files:?}");
        for file in files {
            assert!(!file.contains("//"), "{file} is outside");
            let answer = client.ask(&format!("GET {base}/{}", file.trim_start_matches("./"))).await;
            assert_eq!(answer.status, 200, "{file}");
            if answer.header("content-type") == "text/css" {
                let css = text(&answer);
                let loads = css.match_indices("url(").map(|(at, url)| &css[at + url.len()..]);
                let outside = loads
                    .map(|url| url.trim_start_matches(['"', '\'']))
                    .find(|url| !url.starts_with("data:"))
                    .map(|url| &url[..url.len().min(80)]);
                assert_eq!(outside, None, "{file}");
                assert!(!css.contains("@import"), "{file}");
            }
        }
    }
}

#[tokio::test]
async fn the_pages_ask_only_this_server_for_the_description() {
    let client = Client::of(Fake::Empty.api());

    let begin = text(&client.ask("GET /docs/swagger-initializer.js").await);

    assert!(
        begin.contains("../openapi.json") && begin.contains(r#""validatorUrl": "none""#),
        "{begin}"
    );
    assert!(!begin.contains("http"), "{begin}");
}

/// What a page refers to.
fn links(html: &str) -> Vec<String> {
    let after = |attribute| html.split(attribute).skip(1).filter_map(|rest| rest.split('"').next());
    after("src=\"").chain(after("href=\"")).map(str::to_owned).collect()
}

fn text(answer: &Answer) -> String {
    if answer.header("content-encoding") != "gzip" {
        return String::from_utf8(answer.body.to_vec()).unwrap();
    }
    let mut text = String::new();
    flate2::read::GzDecoder::new(&answer.body[..]).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn the_manual_names_every_operation_and_every_problem_it_may_end_in() {
    for (line, operation) in operations(&document()) {
        let path = line.split_once(' ').unwrap().1;
        assert!(MANUAL.contains(path), "docs/API.md does not mention {line}");
        for response in operation["responses"].as_object().unwrap().values() {
            let said = response["description"].as_str().unwrap();
            let quoted = said.split('`').skip(1).step_by(2);
            for problem in quoted.filter(|quoted| quoted.starts_with("/problems/")) {
                let row = format!("| `{problem}` |");
                assert!(MANUAL.contains(&row), "docs/API.md does not explain {problem}");
            }
        }
    }
}

#[tokio::test]
async fn every_problem_of_the_manual_exists() {
    let client = Client::of(Fake::Empty.api());

    let rows = MANUAL.lines().filter_map(|line| line.strip_prefix("| `/problems/"));
    let names: Vec<_> = rows.filter_map(|row| row.split('`').next()).collect();

    assert!(names.len() > 10, "{names:?}");
    for name in names {
        assert_eq!(client.ask(&format!("GET /problems/{name}")).await.status, 200, "{name}");
    }
}
