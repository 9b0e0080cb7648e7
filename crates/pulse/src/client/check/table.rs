//! Checks as rows, and one as its fields.

use serde_json::Value;

use crate::client::find::Found;
use crate::client::shapes::Check;
use crate::client::{ago, time};
use crate::duration;
use crate::output::{Cell, Column, In, Listing, Output};

const COLUMNS: &[Column] = &[
    Column::only(In::Roomy, "ID", 36),
    Column::new("STATUS", 8),
    Column::new("EVERY", 6),
    Column::only(In::Lines, "LAST RUN", 24),
    Column::only(In::Tables, "LAST RUN", 12),
    Column::new("NAME", 0),
    Column::new("URL", 0),
    Column::new("TAGS", 0),
];

/// Prints checks.
pub fn print(checks: &[Found], out: &mut Output) -> anyhow::Result<()> {
    print_as(checks, |found| &found.check.status, out)
}

/// Prints checks, with another word for how they stand.
pub fn print_as(
    checks: &[Found],
    status: impl Fn(&Found) -> &str,
    out: &mut Output,
) -> anyhow::Result<()> {
    let rows = checks.iter().map(|found| row(&found.check, status(found))).collect();
    let items: Vec<Value> = checks.iter().map(|found| found.json.clone()).collect();
    out.items(&items, &Listing::new(COLUMNS, rows, "No checks."))
}

fn row(check: &Check, status: &str) -> Vec<Cell> {
    vec![
        Cell::of(check.id),
        Cell::word(status),
        Cell::of(every(check)),
        Cell::maybe(check.last_run_at.map(time)),
        Cell::maybe(check.last_run_at.map(ago)),
        Cell::of(&check.name),
        Cell::of(address(check)),
        Cell::of(check.tags.join(",")),
    ]
}

fn every(check: &Check) -> String {
    match check.interval_seconds {
        Some(seconds) => duration::show(seconds.saturating_mul(1_000)),
        // By a cron expression, which its fields have.
        None => "cron".to_owned(),
    }
}

/// Whether a field that this version has no place for says anything.
fn is_telling(name: &str, value: &Value) -> bool {
    let is_usual = match value {
        Value::Null | Value::Bool(_) => value == &Value::Bool(false) || value.is_null(),
        Value::Array(items) => items.is_empty(),
        Value::String(text) => name == "ip_family" && text == "any",
        _ => false,
    };
    !is_usual && name != "enabled"
}

/// The address, and whether its certificate goes unverified: nobody should have to look for that.
fn address(check: &Check) -> String {
    let verifies =
        check.rest.get("tls").and_then(|tls| tls.get("verify")) != Some(&Value::Bool(false));
    if verifies { check.url.clone() } else { format!("{} (certificate not verified)", check.url) }
}

/// Everything about a check of that server, under the API's names.
pub fn fields<'a>(check: &'a Check, server: &str) -> Vec<(&'a str, Cell)> {
    let expected = check.expected_status.as_ref().map_or("any 2xx".to_owned(), ToString::to_string);
    let mut fields = vec![
        ("id", Cell::of(check.id)),
        ("name", Cell::of(&check.name)),
        ("url", Cell::of(address(check))),
        ("status", Cell::word(&check.status)),
        ("method", Cell::of(&check.method)),
        ("expected_status", Cell::of(expected)),
        ("max_redirects", Cell::of(check.max_redirects)),
        ("interval", Cell::of(every(check))),
        ("timeout", Cell::of(duration::show(check.timeout_ms))),
        ("alert_threshold", Cell::of(check.alert_threshold)),
        ("alert_window", Cell::maybe(check.alert_window)),
        ("recovery_threshold", Cell::maybe(check.recovery_threshold)),
        ("webhook_url", Cell::maybe(check.webhook_url.as_ref())),
    ];
    if let Some(version) = &check.http_version {
        fields.push(("http_version", Cell::of(version)));
    }
    if let Some(secret) = &check.webhook_secret {
        fields.push(("webhook_secret", Cell::of(secret)));
    }
    for (name, value) in &check.headers {
        fields.push(("header", Cell::of(format!("{name}: {value}"))));
    }
    for (name, value) in check.rest.iter().filter(|(name, value)| is_telling(name, value)) {
        let cell = match (name.as_str(), value) {
            // To be pasted where the job is.
            ("ping_url", Value::String(path)) => Cell::of(format!("{server}{path}")),
            _ => Cell::of(value),
        };
        fields.push((name.as_str(), cell));
    }
    fields.extend([
        ("body", Cell::maybe(check.body.as_ref())),
        ("tags", Cell::of(check.tags.join(","))),
        ("regions", Cell::of(check.regions.join(","))),
        ("next_run_at", Cell::maybe(check.next_run_at.map(time))),
        ("last_run_at", Cell::maybe(check.last_run_at.map(time))),
        ("version", Cell::of(check.version)),
        ("created_at", Cell::of(time(check.created_at))),
        ("updated_at", Cell::of(time(check.updated_at))),
    ]);
    fields
}
