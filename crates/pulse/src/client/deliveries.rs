//! `pulse deliveries`: how incidents were told, attempt by attempt, and telling one again.

use clap::Args;
use uuid::Uuid;

use super::api::Api;
use super::find;
use super::pages::List;
use super::shapes::{self, Attempt, Replay};
use crate::output::{Cell, Column, In, Listing, Output};

const COLUMNS: &[Column] = &[
    Column::new("DELIVERY", 36),
    Column::new("STATE", 9),
    Column::new("ALERT", 8),
    Column::only(In::Roomy, "ATTEMPT", 7),
    Column::only(In::Lines, "STARTED", 24),
    Column::only(In::Tables, "STARTED", 12),
    Column::only(In::Roomy, "MS", 9),
    Column::only(In::Lines, "CHECK", 36),
    Column::new("RESULT", 0),
    Column::only(In::Roomy, "URL", 0),
];

/// Which attempts, or which delivery to send again.
#[derive(Args, Debug)]
pub struct Deliveries {
    /// Only for this check: its id or exact name.
    #[arg(long)]
    check: Option<String>,
    /// How many attempts at most.
    #[arg(long, value_name = "N", default_value = "20", value_parser = super::limit)]
    limit: usize,
    /// Send this delivery again: the same id, the same bytes, at once.
    #[arg(long, value_name = "DELIVERY")]
    replay: Option<Uuid>,
}

/// Lists the attempts, or sends one delivery again.
pub async fn run(wanted: &Deliveries, api: &Api, out: &mut Output) -> anyhow::Result<()> {
    let check = match &wanted.check {
        Some(check) => Some(find::id(api, check).await?),
        None => None,
    };
    match wanted.replay {
        Some(delivery) => replay(api, check, delivery, out).await,
        None => list(api, check, wanted.limit, out).await,
    }
}

async fn replay(
    api: &Api,
    check: Option<Uuid>,
    delivery: Uuid,
    out: &mut Output,
) -> anyhow::Result<()> {
    let delivery = delivery.to_string();
    let json = match check.map(|id| id.to_string()) {
        Some(id) => api.post(&["checks", &id, "webhooks", &delivery, "replay"]).await?,
        None => api.post(&["deliveries", &delivery, "replay"]).await?,
    };
    let replay: Replay = shapes::read(api, &json, "delivery")?;
    let fields =
        [("delivery_id", Cell::of(replay.delivery_id)), ("state", Cell::word(&replay.state))];
    out.item(&json, &fields)
}

async fn list(
    api: &Api,
    check: Option<Uuid>,
    limit: usize,
    out: &mut Output,
) -> anyhow::Result<()> {
    let mut list = List::new(api, &["deliveries"]);
    if let Some(check) = check {
        list = list.only("check_id", check);
    }
    let found = list.newest(Some(limit)).await?;
    found.admit();
    let attempts = found.items.iter().map(|json| shapes::read(api, json, "attempt"));
    let attempts: Vec<Attempt> = attempts.collect::<Result<_, _>>()?;
    let rows = attempts.iter().map(row).collect();
    out.items(&found.items, &Listing::new(COLUMNS, rows, "No deliveries."))
}

fn row(attempt: &Attempt) -> Vec<Cell> {
    vec![
        Cell::of(attempt.delivery_id),
        Cell::word(&attempt.state),
        Cell::of(&attempt.kind),
        Cell::of(attempt.attempt),
        Cell::of(super::time(attempt.started_at)),
        Cell::of(super::ago(attempt.started_at)),
        Cell::maybe(attempt.latency_ms),
        Cell::of(attempt.check_id),
        Cell::of(result(attempt)),
        Cell::of(&attempt.request.url),
    ]
}

/// What came of an attempt: a status, an error, or why neither is known.
fn result(attempt: &Attempt) -> String {
    match (&attempt.response, &attempt.error) {
        (Some(response), _) => response.status.to_string(),
        (None, Some(error)) => error.clone(),
        (None, None) if attempt.outcome_unknown => "unknown".to_owned(),
        (None, None) if attempt.finished_at.is_none() => "under way".to_owned(),
        (None, None) => String::new(),
    }
}
