//! `pulse deliveries`: who was told of incidents, what came of it, and telling it again.

use clap::Args;
use uuid::Uuid;

use super::api::Api;
use super::find;
use super::pages::List;
use super::shapes::{self, Attempt, Delivery, Replay};
use crate::output::{Cell, Column, In, Listing, Output};

const COLUMNS: &[Column] = &[
    Column::new("DELIVERY", 36),
    Column::new("STATE", 9),
    Column::new("ALERT", 8),
    Column::only(In::Roomy, "ATTEMPTS", 8),
    Column::only(In::Lines, "RAISED", 24),
    Column::only(In::Tables, "RAISED", 12),
    Column::only(In::Roomy, "MS", 9),
    Column::only(In::Lines, "CHECK", 36),
    Column::new("RESULT", 0),
    Column::only(In::Roomy, "TO", 0),
];

/// Which deliveries, or which one to send again.
#[derive(Args, Debug)]
pub struct Deliveries {
    /// Only for this check: its id or exact name.
    #[arg(long)]
    check: Option<String>,
    /// Only those that stand here: pending, delivered or dead.
    #[arg(long, value_name = "STATE", value_parser = ["pending", "delivered", "dead"])]
    state: Option<String>,
    /// How many at most.
    #[arg(long, value_name = "N", default_value = "20", value_parser = super::limit)]
    limit: usize,
    /// Send this delivery again: the same id, the same bytes, at once.
    #[arg(long, value_name = "DELIVERY")]
    replay: Option<Uuid>,
}

/// Lists deliveries, or sends one again.
pub async fn run(wanted: &Deliveries, api: &Api, out: &mut Output) -> anyhow::Result<()> {
    let check = match &wanted.check {
        Some(check) => Some(find::id(api, check).await?),
        None => None,
    };
    match wanted.replay {
        Some(delivery) => replay(api, check, delivery, out).await,
        None => list(api, check, wanted, out).await,
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
    wanted: &Deliveries,
    out: &mut Output,
) -> anyhow::Result<()> {
    let mut list = List::new(api, &["deliveries"]);
    if let Some(check) = check {
        list = list.only("check_id", check);
    }
    if let Some(state) = &wanted.state {
        list = list.only("state", state);
    }
    let found = list.newest(Some(wanted.limit)).await?;
    found.admit();
    let deliveries = found.items.iter().map(|json| shapes::read(api, json, "delivery"));
    let deliveries: Vec<Delivery> = deliveries.collect::<Result<_, _>>()?;
    let rows = deliveries.iter().map(row).collect();
    out.items(&found.items, &Listing::new(COLUMNS, rows, "No deliveries."))
}

fn row(delivery: &Delivery) -> Vec<Cell> {
    let channel = delivery.channel_id.map(|id| format!("channel {id}"));
    vec![
        Cell::of(delivery.id),
        Cell::word(&delivery.state),
        Cell::of(&delivery.kind),
        Cell::of(delivery.attempts),
        Cell::of(super::time(delivery.raised_at)),
        Cell::of(super::ago(delivery.raised_at)),
        Cell::maybe(delivery.last_attempt.as_ref().and_then(|last| last.latency_ms)),
        Cell::of(delivery.check_id),
        Cell::of(delivery.last_attempt.as_ref().map_or_else(|| "not tried yet".to_owned(), result)),
        Cell::maybe(delivery.url.clone().or(channel)),
    ]
}

/// What came of an attempt: a status, an error, or why neither is known.
fn result(attempt: &Attempt) -> String {
    match (attempt.status, &attempt.error) {
        (Some(status), _) => status.to_string(),
        (None, Some(error)) => error.clone(),
        (None, None) if attempt.outcome_unknown => "unknown".to_owned(),
        (None, None) if attempt.finished_at.is_none() => "under way".to_owned(),
        (None, None) => String::new(),
    }
}
