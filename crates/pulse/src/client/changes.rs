//! `pulse changes`: what of targets changed between two runs.

use std::collections::BTreeMap;

use clap::Args;
use uuid::Uuid;

use super::api::Api;
use super::find;
use super::pages::List;
use super::shapes::{self, Change, Traits};
use crate::output::{Cell, Column, In, Listing, Output};

/// Digits of a certificate's hash that tell it from others.
const DIGITS: usize = 16;
const COLUMNS: &[Column] = &[
    Column::only(In::Lines, "CHANGE", 36),
    Column::only(In::Lines, "CHECK", 36),
    Column::only(In::Lines, "SEEN", 24),
    Column::only(In::Tables, "SEEN", 20),
    Column::new("WHAT", 11),
    Column::only(In::Roomy, "REGION", 10),
    Column::new("CHECK", 0),
    Column::new("BEFORE", 0),
    Column::new("AFTER", 0),
];

/// Which changes.
#[derive(Args, Debug)]
pub struct Changes {
    /// Only of this check: its id or exact name.
    #[arg(long)]
    check: Option<String>,
    /// Only of this kind: addresses, certificate or redirect.
    #[arg(long)]
    kind: Option<String>,
    /// How many at most.
    #[arg(long, value_name = "N", default_value = "20", value_parser = super::limit)]
    limit: usize,
}

/// Lists them.
pub async fn run(wanted: &Changes, api: &Api, out: &mut Output) -> anyhow::Result<()> {
    let mut list = List::new(api, &["changes"]);
    if let Some(check) = &wanted.check {
        list = list.only("check_id", find::id(api, check).await?);
    }
    if let Some(kind) = &wanted.kind {
        list = list.only("kind", kind);
    }
    let found = list.newest(Some(wanted.limit)).await?;
    found.admit();
    let changes = found.items.iter().map(|json| shapes::read(api, json, "change"));
    let changes: Vec<Change> = changes.collect::<Result<_, _>>()?;
    let names = if out.is_json() {
        BTreeMap::new()
    } else {
        find::names(api, changes.iter().map(|it| it.check_id).collect()).await?
    };
    out.items(&found.items, &listing(&changes, &names))
}

fn listing(changes: &[Change], names: &BTreeMap<Uuid, String>) -> Listing {
    let rows = changes.iter().map(|change| {
        let name = names.get(&change.check_id).cloned();
        vec![
            Cell::of(change.id),
            Cell::of(change.check_id),
            Cell::of(super::time(change.seen_at)),
            Cell::of(super::seconds(change.seen_at)),
            Cell::of(&change.kind),
            Cell::of(&change.region),
            Cell::of(name.unwrap_or_else(|| change.check_id.to_string())),
            Cell::of(told(&change.before)),
            Cell::of(told(&change.after)),
        ]
    });
    Listing::new(COLUMNS, rows.collect(), "No changes.")
}

/// In a line.
fn told(seen: &Traits) -> String {
    if let Some(addresses) = &seen.addresses {
        return addresses.join(", ");
    }
    if let Some(leaf) = &seen.certificate {
        let digits = leaf.sha256.get(..DIGITS).unwrap_or(&leaf.sha256);
        return format!("{} until {} ({digits})", leaf.subject, super::seconds(leaf.not_after));
    }
    seen.redirect.clone().unwrap_or_default()
}
