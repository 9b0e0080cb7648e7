//! `pulse runs`: what was seen of a check, slot by slot.

use clap::Args;
use serde_json::Value;

use super::api::Api;
use super::error::ApiError;
use super::pages::List;
use super::shapes::{self, Run};
use super::{find, follow};
use crate::output::{Cell, Column, In, Listing, Output};

const COLUMNS: &[Column] = &[
    Column::only(In::Lines, "SLOT", 24),
    Column::only(In::Tables, "SLOT", 20),
    Column::new("OUTCOME", 12),
    Column::new("WHY", 12),
    Column::only(In::Roomy, "STATUS", 6),
    Column::new("MS", 9),
    Column::new("REGION", 10),
    Column::only(In::Roomy, "SLOTS", 5),
    Column::new("ERROR", 0),
];

/// Which runs.
#[derive(Args, Debug)]
pub struct Runs {
    /// The check's id or exact name.
    check: String,
    /// How many at most; to begin with, when following.
    #[arg(long, value_name = "N", default_value = "20", value_parser = super::limit)]
    limit: usize,
    /// Go on with new runs as they come, newest last, until Ctrl-C.
    #[arg(long, short)]
    follow: bool,
}

/// Lists them, newest first, or follows them.
pub async fn run(wanted: &Runs, api: &Api, out: &mut Output) -> anyhow::Result<()> {
    let id = find::id(api, &wanted.check).await?.to_string();
    let path = ["checks", &id, "runs"];
    let list = List::new(api, &path);
    if wanted.follow {
        return tokio::select! {
            ended = follow::run(api, &list, wanted.limit, out) => ended,
            // Whoever has seen enough is served.
            Ok(()) = tokio::signal::ctrl_c() => Ok(()),
        };
    }
    let found = list.newest(Some(wanted.limit)).await?;
    found.admit();
    let runs: Result<Vec<_>, _> = found.items.iter().map(|json| read(api, json)).collect();
    out.items(&found.items, &listing(&runs?))
}

/// Reads a run out of an answer.
pub fn read(api: &Api, json: &Value) -> Result<Run, ApiError> {
    shapes::read(api, json, "run")
}

/// Runs as rows.
pub fn listing(runs: &[Run]) -> Listing {
    Listing::new(COLUMNS, runs.iter().map(row).collect(), "No runs.")
}

fn row(run: &Run) -> Vec<Cell> {
    vec![
        Cell::of(super::time(run.slot)),
        Cell::of(super::seconds(run.slot)),
        Cell::word(&run.outcome),
        Cell::maybe(run.class.as_ref().or(run.reason.as_ref())),
        Cell::maybe(run.status_code),
        Cell::maybe(run.latency_ms.map(|ms| format!("{ms:.1}"))),
        Cell::of(&run.region),
        Cell::of(run.slots),
        Cell::maybe(run.error.as_ref()),
    ]
}
