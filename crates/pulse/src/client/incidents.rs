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
    Column::new("STATE", 9),
    Column::only(In::Lines, "STARTED", 24),
    Column::only(In::Tables, "STARTED", 20),
    Column::only(In::Lines, "RESOLVED", 24),
    Column::only(In::Tables, "LASTED", 8),
    Column::new("CHECK", 0),
    Column::new("CAUSE", 0),
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
}

/// Lists them.
pub async fn run(wanted: &Incidents, api: &Api, out: &mut Output) -> anyhow::Result<()> {
    let mut list = List::new(api, &["incidents"]);
    if let Some(check) = &wanted.check {
        list = list.only("check_id", find::id(api, check).await?);
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
    Ok(find::names(api, incidents.iter().map(|it| it.check_id).collect()).await?)
}

fn listing(incidents: &[Incident], names: &BTreeMap<Uuid, String>) -> Listing {
    let rows = incidents.iter().map(|incident| {
        let name = names.get(&incident.check_id).cloned();
        vec![
            Cell::of(incident.id),
            Cell::of(incident.check_id),
            Cell::word(incident.resolution.as_deref().unwrap_or("open")),
            Cell::of(super::time(incident.started_at)),
            Cell::of(super::seconds(incident.started_at)),
            Cell::maybe(incident.resolved_at.map(super::time)),
            Cell::of(lasted(incident)),
            Cell::of(name.unwrap_or_else(|| incident.check_id.to_string())),
            Cell::of(&incident.cause),
        ]
    });
    Listing::new(COLUMNS, rows.collect(), "No incidents.")
}

/// How long it took, or has taken by the clock here.
fn lasted(incident: &Incident) -> String {
    let until = incident.resolved_at.unwrap_or_else(chrono::Utc::now);
    duration::rough(super::since(incident.started_at, until))
}
