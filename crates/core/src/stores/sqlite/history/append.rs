//! A shipment's way into the file.
//!
//! Lists are read with `jsonb_each`: it hands each element over as it was parsed, where `json_each`
//! writes it out as text again for every column that is asked of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use uuid::Uuid;

use super::sums::sum_up;
use super::{Tx, error, hex, json, unreadable};
use crate::models::ids::BatchId;
use crate::ports::StoreResult;
use crate::stores::history_row::HistoryRow;
use crate::stores::row_binary::Rows;

/// Rows in one statement, and bytes of what they tell and keep: megabytes of JSON at most.
const ROWS: usize = 5_000;
const TOLD_BYTES: usize = 1 << 20;

/// Parts an error from the evidence; errors are tamed, and hold no control characters.
pub(super) const EVIDENCE_FOLLOWS: char = '\u{1e}';

/// A row and its series.
pub(super) type Placed<'a> = (i64, HistoryRow<'a>);

/// Notes the shipment; `false` when it has arrived before.
pub(super) async fn arrive(tx: &mut Tx, id: BatchId) -> StoreResult<bool> {
    let arrived = sqlx::query(
        "-- history.arrive
         INSERT INTO history_arrivals (shipment_id) VALUES (?1) ON CONFLICT DO NOTHING",
    )
    .bind(id.0)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(arrived.rows_affected() == 1)
}

/// Adds the runs that `packed` holds, and their sums.
pub(super) async fn append(tx: &mut Tx, packed: &[u8]) -> StoreResult<()> {
    let mut packed = Rows::of(packed);
    while !packed.is_empty() {
        let rows = portion(&mut packed)?;
        let mut rows = place(tx, rows).await?;
        // In the order of the key: neighbours meet the same page.
        rows.sort_unstable_by_key(|(series, row)| (*series, row.slot));
        insert(tx, &rows).await?;
        sum_up(tx, &rows).await?;
    }
    Ok(())
}

fn portion<'a>(packed: &mut Rows<'a>) -> StoreResult<Vec<HistoryRow<'a>>> {
    let (mut rows, mut told) = (Vec::new(), 0);
    while rows.len() < ROWS && told < TOLD_BYTES {
        let Some(row) = packed.next() else { break };
        let row = row.map_err(|_no_row| unreadable("a shipment's rows"))?;
        told += row.error.len() + row.evidence.len();
        rows.push(row);
    }
    Ok(rows)
}

type Key<'a> = (Uuid, Uuid, &'a str);

fn key<'a>(row: &'a HistoryRow) -> Key<'a> {
    (row.project_id, row.check_id, &row.region)
}

/// Finds each row's series, and makes those that are new.
async fn place<'a>(tx: &mut Tx, rows: Vec<HistoryRow<'a>>) -> StoreResult<Vec<Placed<'a>>> {
    let keys: BTreeSet<Key> = rows.iter().map(key).collect();
    let list: Vec<_> = keys
        .iter()
        .map(|(project, check, region)| (project.simple(), check.simple(), region))
        .collect();
    let list = json(&list)?;
    sqlx::query(
        "-- history.make_series
         INSERT INTO series (project_id, check_id, region)
         SELECT unhex(value ->> 0), unhex(value ->> 1), value ->> 2 FROM jsonb_each(?1) WHERE true
         ON CONFLICT DO NOTHING",
    )
    .bind(&list)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    let found: Vec<(Uuid, Uuid, String, i64)> = sqlx::query_as(
        "-- history.find_series
         SELECT s.project_id, s.check_id, s.region, s.id FROM jsonb_each(?1) k
         CROSS JOIN series s ON s.project_id = unhex(k.value ->> 0) AND s.check_id = unhex(k.value ->> 1)
                            AND s.region = k.value ->> 2",
    )
    .bind(&list)
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    let ids: BTreeMap<Key, i64> = found
        .iter()
        .map(|(project, check, region, id)| ((*project, *check, region.as_str()), *id))
        .collect();
    let id = |row: &HistoryRow| {
        ids.get(&key(row)).copied().ok_or_else(|| unreadable("the series of a run"))
    };
    rows.into_iter().map(|row| Ok((id(&row)?, row))).collect()
}

async fn insert(tx: &mut Tx, rows: &[Placed<'_>]) -> StoreResult<()> {
    let list: Vec<_> = rows.iter().map(columns).collect();
    sqlx::query(
        "-- history.insert
         INSERT INTO runs (series, slot, slots, outcome, reason, attempt, started_after_ms, status_code,
                           dns_us, connect_us, tls_us, first_byte_us, total_us, address, error)
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
                value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12,
                unhex(value ->> 13), value ->> 14
         FROM jsonb_each(?1) WHERE true
         ON CONFLICT DO NOTHING",
    )
    .bind(json(&list)?)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

fn columns((series, row): &Placed) -> impl serde::Serialize {
    let slot = row.slot.timestamp_millis();
    let told = |text: &str, usual: &str| (text != usual).then(|| text.to_owned());
    (
        *series,
        slot,
        row.slots,
        told(&row.outcome, "ok"),
        told(&row.reason, ""),
        row.attempt,
        row.started_at.timestamp_millis() - slot,
        row.status_code,
        row.dns_us,
        row.connect_us,
        row.tls_us,
        row.first_byte_us,
        row.total_us,
        row.address.parse().ok().map(address),
        told(&told_and_kept(row), ""),
    )
}

/// A run that all was well with has neither, and pays for no second column: evidence stands behind the
/// error, which holds no such sign.
fn told_and_kept(row: &HistoryRow) -> String {
    if row.evidence.is_empty() {
        return row.error.to_string();
    }
    format!("{}{EVIDENCE_FOLLOWS}{}", row.error, row.evidence)
}

fn address(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => hex(&address.octets()),
        IpAddr::V6(address) => hex(&address.octets()),
    }
}
