//! `pulse check`: what is looked at, and how.

mod act;
mod edit;
mod flags;
mod table;

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::Value;
use uuid::Uuid;

use super::api::{Api, Call};
use super::error::{ApiError, Kind};
use super::find::{self, Found};
use super::pages::List;
use crate::output::Output;
use flags::Flags;

/// See the module.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Add a check; its first run starts at once.
    Add(Box<Add>),
    /// List checks, newest first.
    List(Which),
    /// Show a check.
    Show {
        /// Its id or its exact name.
        check: String,
    },
    /// Change a check: what is not named stays as it is.
    Edit(Box<edit::Edit>),
    /// Stop running checks until they are resumed; open incidents are resolved.
    Pause(act::Checks),
    /// Run paused checks again, the first time at once.
    Resume(act::Checks),
    /// Run checks now.
    Run(act::Checks),
    /// Delete checks; open incidents are resolved.
    Delete(act::Checks),
}

/// What to add.
#[derive(Args, Debug)]
pub struct Add {
    /// What to look at; begins with http://, https://, tcp://, tls://, redis://, rediss://, postgres://,
    /// mysql://, smtp://, udp://, icmp://, dns://, grpc://, grpcs://, ws:// or wss://. Or heartbeat://, to
    /// wait for a job that calls.
    #[arg(id = "target", value_name = "URL")]
    target: String,
    #[command(flatten)]
    flags: Flags,
}

/// Which checks to list; all conditions must hold.
#[derive(Args, Debug)]
pub struct Which {
    /// Only checks with this status.
    #[arg(long)]
    status: Option<Status>,
    /// Only checks with this tag; repeated, with all of them.
    #[arg(long)]
    tag: Vec<String>,
    /// Only checks whose name or URL contains this, whatever the case.
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// How many at most; all when left out.
    #[arg(long, value_name = "N", value_parser = crate::client::limit)]
    limit: Option<usize>,
}

/// The health of a check over all regions.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Status {
    Pending,
    Up,
    Degraded,
    Down,
    Paused,
}

/// Does it.
pub async fn run(command: Command, api: &Api, out: &mut Output) -> anyhow::Result<()> {
    match command {
        Command::Add(what) => add(*what, api, out).await,
        Command::List(which) => list(which, api, out).await,
        Command::Show { check } => show(&find::check(api, &check).await?, api, out),
        Command::Edit(edit) => edit::run(*edit, api, out).await,
        Command::Pause(checks) => act::run(act::Verb::Pause, &checks, api, out).await,
        Command::Resume(checks) => act::run(act::Verb::Resume, &checks, api, out).await,
        Command::Run(checks) => act::run(act::Verb::Run, &checks, api, out).await,
        Command::Delete(checks) => act::run(act::Verb::Delete, &checks, api, out).await,
    }
}

async fn add(what: Add, api: &Api, out: &mut Output) -> anyhow::Result<()> {
    let mut fields = what.flags.fields()?;
    fields.entry("name").or_insert_with(|| Value::from(name_of(&what.target)));
    fields.insert("url".into(), what.target.into());
    let created = create(api, &Value::Object(fields)).await?;
    show(&Found::read(api, created)?, api, out)
}

/// Asks once more when the answer got lost, under the same key: no check is made twice.
async fn create(api: &Api, body: &Value) -> Result<Value, ApiError> {
    let key = Uuid::now_v7().to_string();
    let call = || Call::new(Method::POST, &["checks"]).body(body).key(&key);
    match api.send(call()).await {
        Err(error) if matches!(error.kind, Kind::Lost | Kind::Unable) => api.send(call()).await,
        answer => answer,
    }
}

/// What a check is called when nobody says: its URL without what is the same for all.
fn name_of(url: &str) -> String {
    let place = url.split_once("://").map_or(url, |(_, rest)| rest);
    let place = place.split(['?', '#']).next().unwrap_or_default();
    place.trim_end_matches('/').chars().take(200).collect()
}

async fn list(which: Which, api: &Api, out: &mut Output) -> anyhow::Result<()> {
    let mut list = List::new(api, &["checks"]);
    if let Some(status) = which.status.and_then(|status| status.to_possible_value()) {
        list = list.only("status", status.get_name());
    }
    for tag in which.tag {
        list = list.only("tag", tag);
    }
    if let Some(text) = which.search {
        list = list.only("q", text);
    }
    let found = list.newest(which.limit).await?;
    found.admit();
    let checks = found.items.into_iter().map(|json| Found::read(api, json));
    table::print(&checks.collect::<Result<Vec<_>, _>>()?, out)
}

fn show(found: &Found, api: &Api, out: &mut Output) -> anyhow::Result<()> {
    out.item(&found.json, &table::fields(&found.check, &api.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_without_a_name_is_called_by_its_place() {
        for (url, name) in [
            ("https://shop.example/", "shop.example"),
            ("http://shop.example:81/health?key=s3cret#x", "shop.example:81/health"),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(name_of(url), name);
        }
    }
}
