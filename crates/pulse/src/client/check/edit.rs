//! `pulse check edit`: changes what is named, and nothing else.
//!
//! A change is a merge patch. Names of headers are matched whatever the case, against the check as it
//! was read; when others change it meanwhile, it is read again.

use std::time::Duration;

use clap::{Args, ValueEnum};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::flags::Flags;
use super::show;
use crate::client::api::{Api, Call};
use crate::client::error::Kind;
use crate::client::find::{self, Found};
use crate::client::shapes::Check;
use crate::exit::Told;
use crate::output::Output;

/// How often a change is tried that others keep overtaking.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(200);

/// What to change.
#[derive(Args, Debug)]
pub struct Edit {
    /// Its id or its exact name.
    check: String,
    /// What to look at from now on.
    #[arg(long, value_name = "URL")]
    target: Option<String>,
    #[command(flatten)]
    flags: Flags,
    /// A header to send no more; repeated for several.
    #[arg(long, value_name = "NAME")]
    remove_header: Vec<String>,
    /// What to set back to its default; repeated, or separated by commas.
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    reset: Vec<Reset>,
}

/// What has a default, by the word that sets it.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Reset {
    Interval,
    Timeout,
    Expect,
    Redirects,
    Http,
    Method,
    Header,
    Body,
    Threshold,
    Window,
    Recover,
    Webhook,
    Region,
    Tag,
}

impl Reset {
    const fn field(self) -> &'static str {
        match self {
            Self::Interval => "interval_seconds",
            Self::Timeout => "timeout_ms",
            Self::Expect => "expected_status",
            Self::Redirects => "max_redirects",
            Self::Http => "http_version",
            Self::Method => "method",
            Self::Header => "headers",
            Self::Body => "body",
            Self::Threshold => "alert_threshold",
            Self::Window => "alert_window",
            Self::Recover => "recovery_threshold",
            Self::Webhook => "webhook_url",
            Self::Region => "regions",
            Self::Tag => "tags",
        }
    }
}

/// Does it, and shows the check as it is now.
pub async fn run(edit: Edit, api: &Api, out: &mut Output) -> anyhow::Result<()> {
    let Edit { check, target, flags, remove_header, reset } = edit;
    let mut fields = flags.fields()?;
    fields.extend(target.map(|url| ("url".to_owned(), url.into())));
    for field in reset.into_iter().map(Reset::field) {
        if fields.insert(field.to_owned(), Value::Null).is_some_and(|before| !before.is_null()) {
            return Err(Told::wrong(format!("{field} cannot be set and reset at once")).into());
        }
    }
    if fields.is_empty() && remove_header.is_empty() {
        return Err(Told::wrong("say what to change, --interval 30s for example").into());
    }
    show(&change(api, &check, &fields, &remove_header).await?, api, out)
}

async fn change(
    api: &Api,
    called: &str,
    fields: &Map<String, Value>,
    without: &[String],
) -> anyhow::Result<Found> {
    let mut found = find::check(api, called).await?;
    let id = found.check.id.to_string();
    let mut attempt = 1;
    loop {
        let patch = patch(&found.check, fields.clone(), without)?;
        match api.send(Call::new(Method::PATCH, &["checks", &id]).body(&patch)).await {
            Ok(changed) => return Ok(Found::read(api, changed)?),
            Err(error) if error.kind == Kind::Stale && attempt < TRIES => {
                tokio::time::sleep(PAUSE * attempt).await;
                attempt += 1;
                found = find::check(api, &id).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The merge patch that makes of `check` what is wanted.
fn patch(check: &Check, mut fields: Map<String, Value>, without: &[String]) -> Result<Value, Told> {
    let as_stored = |name: &str| check.headers.keys().find(|it| it.eq_ignore_ascii_case(name));
    let mut headers = Map::new();
    for name in without {
        let stored = as_stored(name)
            .ok_or_else(|| Told::wrong(format!("the check sends no header called {name}")))?;
        headers.insert(stored.clone(), Value::Null);
    }
    match fields.get_mut("headers") {
        Some(Value::Object(given)) => {
            // Another spelling of a name replaces the header; it does not send it twice.
            let stored = given.keys().filter_map(|name| as_stored(name));
            headers.extend(stored.map(|name| (name.clone(), Value::Null)));
            headers.append(given);
        }
        // All of them go.
        Some(_null) => return Ok(Value::Object(fields)),
        None => {}
    }
    if !headers.is_empty() {
        fields.insert("headers".to_owned(), json!(headers));
    }
    Ok(Value::Object(fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check() -> Check {
        serde_json::from_value(json!({
            "id": uuid::Uuid::nil(), "name": "a", "url": "http://h", "status": "up", "method": "GET",
            "interval_seconds": 60, "timeout_ms": 1000, "alert_threshold": 3, "version": 1,
            "headers": {"X-A": "1", "X-B": "2"}, "created_at": "2026-11-21T07:28:00Z",
            "updated_at": "2026-11-21T07:28:00Z",
        }))
        .unwrap()
    }

    fn patched(fields: Value, without: &[&str]) -> Result<Value, Told> {
        let without: Vec<_> = without.iter().map(ToString::to_string).collect();
        patch(&check(), serde_json::from_value(fields).unwrap(), &without)
    }

    #[test]
    fn a_header_is_the_same_whatever_its_case() {
        assert_eq!(
            patched(json!({"headers": {"x-a": "9"}}), &["x-b"]).unwrap(),
            json!({"headers": {"X-A": null, "x-a": "9", "X-B": null}})
        );
        assert_eq!(
            patched(json!({"headers": {"X-A": "9"}}), &[]).unwrap(),
            json!({"headers": {"X-A": "9"}})
        );
    }

    #[test]
    fn a_header_that_is_not_sent_cannot_be_removed() {
        let error = patched(json!({}), &["X-C"]).unwrap_err();

        assert_eq!(error.sentence, "the check sends no header called X-C");
    }

    #[test]
    fn what_is_not_named_is_not_in_the_patch() {
        assert_eq!(patched(json!({"name": "b"}), &[]).unwrap(), json!({"name": "b"}));
        assert_eq!(patched(json!({"headers": null}), &[]).unwrap(), json!({"headers": null}));
    }
}
