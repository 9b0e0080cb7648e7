//! `pulse incidents`: what was wrong, and for how long.

use std::collections::BTreeMap;

use clap::Args;
use uuid::Uuid;

use super::api::Api;
use super::find;
use super::pages::List;
use super::shapes::{self, Incident};
use crate::duration;
use crate::output::{Cell, Column, In, Listing, Output};

const DEFAULT_LIMIT: usize = 20;
const COLUMNS: &[Column] = &[
    Column::only(In::Lines, "INCIDENT", 36),
    Column::only(In::Lines, "CHECK", 36),
    Column::new("STATE", 12),
    Column::only(In::Tables, "SEVERITY", 8),
    Column::only(In::Lines, "STARTED", 24),
    Column::only(In::Tables, "STARTED", 20),
    Column::only(In::Lines, "RESOLVED", 24),
    Column::only(In::Tables, "LASTED", 8),
    Column::new("CHECK", 0),
    Column::new("CAUSE", 0),
    // Last, so that scripts which know the others go on.
    Column::only(In::Lines, "SEVERITY", 8),
];

/// Which incidents.
#[derive(Args, Debug)]
pub struct Incidents {
    /// Only of this check: its id or exact name.
    #[arg(long)]
    check: Option<String>,
    /// How many at most; 20 when left out, and with `--open` all.
    #[arg(long, value_name = "N", value_parser = super::limit)]
    limit: Option<usize>,
    /// Only those that last.
    #[arg(long)]
    open: bool,
    /// Only those that stand so: open, acknowledged or resolved.
    #[arg(long, conflicts_with = "open")]
    status: Option<String>,
    /// Only with this tag; repeated, with all of them.
    #[arg(long)]
    tag: Vec<String>,
}

/// Lists them.
pub async fn run(wanted: &Incidents, api: &Api, out: &mut Output) -> anyhow::Result<()> {
    let mut list = List::new(api, &["incidents"]);
    if let Some(check) = &wanted.check {
        list = list.only("check_id", find::id(api, check).await?);
    }
    if let Some(status) = &wanted.status {
        list = list.only("status", status);
    }
    for tag in &wanted.tag {
        list = list.only("tag", tag);
    }
    let found = if wanted.open {
        list.newest_that(wanted.limit, |incident| incident["resolved_at"].is_null()).await?
    } else {
        list.newest(Some(wanted.limit.unwrap_or(DEFAULT_LIMIT))).await?
    };
    found.admit();
    let incidents = found.items.iter().map(|json| shapes::read(api, json, "incident"));
    let incidents: Vec<Incident> = incidents.collect::<Result<_, _>>()?;
    let names = names(api, &incidents, out).await?;
    out.items(&found.items, &listing(&incidents, &names))
}

async fn names(
    api: &Api,
    incidents: &[Incident],
    out: &Output,
) -> anyhow::Result<BTreeMap<Uuid, String>> {
    if out.is_json() {
        return Ok(BTreeMap::new());
    }
    Ok(find::names(api, incidents.iter().filter_map(|it| it.check_id).collect()).await?)
}

fn listing(incidents: &[Incident], names: &BTreeMap<Uuid, String>) -> Listing {
    let rows = incidents.iter().map(|incident| {
        let name = incident.check_id.and_then(|id| names.get(&id).cloned());
        let unnamed = || incident.check_id.map(|id| id.to_string()).unwrap_or_default();
        let name = name.or_else(|| incident.title.clone()).unwrap_or_else(unnamed);
        vec![
            Cell::of(incident.id),
            Cell::maybe(incident.check_id),
            Cell::word(incident.standing()),
            Cell::word(&incident.severity),
            Cell::of(super::time(incident.started_at)),
            Cell::of(super::seconds(incident.started_at)),
            Cell::maybe(incident.resolved_at.map(super::time)),
            Cell::of(lasted(incident)),
            Cell::of(name),
            Cell::of(&incident.cause),
            Cell::word(&incident.severity),
        ]
    });
    Listing::new(COLUMNS, rows.collect(), "No incidents.")
}

/// How long it took, or has taken by the clock here.
fn lasted(incident: &Incident) -> String {
    let until = incident.resolved_at.unwrap_or_else(chrono::Utc::now);
    duration::rough(super::since(incident.started_at, until))
}
