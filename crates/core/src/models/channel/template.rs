//! Templates of webhook bodies: a text with `{{ data.check.name }}` in it, and `{{ data.check.name | json }}`
//! where it must be quoted for JSON.
//!
//! A template sees what Pulse's own body has, by the same names. There are no loops and no expressions:
//! what it writes is bounded by what it is and what it is given, however it was meant.

use chrono::DateTime;
use serde_json::Value;
use uuid::Uuid;

use super::message::{About, Links, Message, Seen, Severity, Told};
use super::webhook;
use crate::models::alert::AlertKind;
use crate::models::health::State;
use crate::models::ids::{CheckId, IncidentId};
use crate::models::incident::{Before, IncidentKind};
use crate::models::schedule::Slot;

const LONGEST: usize = 16 * 1024;
const LONGEST_BODY: usize = 64 * 1024;

/// Whether it can be read, and makes something of an alert.
pub(super) fn check(text: &str) -> Result<(), String> {
    if text.len() > LONGEST {
        return Err(format!("must have at most {LONGEST} bytes"));
    }
    render(text, &webhook::event(&example())).map(drop)
}

/// What it makes of `event`.
pub(super) fn render(text: &str, event: &Value) -> Result<String, String> {
    let mut parts = text.split("{{");
    let mut body = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (place, rest) = part.split_once("}}").ok_or("has a {{ without its }}")?;
        body.push_str(&value_at(place, event)?);
        body.push_str(rest);
        if body.len() > LONGEST_BODY {
            return Err(format!("writes more than {LONGEST_BODY} bytes"));
        }
    }
    Ok(body)
}

fn value_at(place: &str, event: &Value) -> Result<String, String> {
    let (path, quoted) = match place.split_once('|').map(|(path, filter)| (path, filter.trim())) {
        None => (place.trim(), false),
        Some((path, "json")) => (path.trim(), true),
        Some((_, other)) => return Err(format!("knows no filter {other:?}, only json")),
    };
    let value = path.split('.').try_fold(event, part_of);
    let value = value.ok_or_else(|| format!("knows no {path:?}"))?;
    Ok(match value {
        Value::String(text) if !quoted => text.clone(),
        Value::Null if !quoted => String::new(),
        other => other.to_string(),
    })
}

/// What is unknown has unknown parts: a template that was saved makes something of every alert.
fn part_of<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    if value.is_null() { Some(value) } else { value.get(name) }
}

/// Everything that an alert may say.
fn example() -> Message {
    Message {
        kind: AlertKind::Resolved,
        severity: Severity::Down,
        at: DateTime::UNIX_EPOCH,
        check: About {
            id: CheckId(Uuid::nil()),
            name: "Shop".into(),
            url: "https://shop.example/".into(),
            tags: vec!["shop".into()],
        },
        incident: Told {
            id: IncidentId(Uuid::nil()),
            kind: IncidentKind::Outage,
            started_at: DateTime::UNIX_EPOCH,
            resolved_at: Some(DateTime::UNIX_EPOCH),
            resolution: Some("recovered".into()),
            resolved_by: Some("Ada".into()),
            cause: "status 500, expected any 2xx".into(),
            seen: Some(Seen { from: vec!["default".into()], of: 1 }),
            before: Some(Before { state: State::Up, calm_since: Slot(0) }),
        },
        links: Links {
            incident: Some("https://pulse.example/incidents/1".into()),
            acknowledge: Some("https://pulse.example/ack/1".into()),
        },
    }
}
