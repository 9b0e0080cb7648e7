//! History on its way: sealed here by whoever made it, taken from here by the shipper.

use async_trait::async_trait;
use uuid::Uuid;

use super::{Postgres, Tx, error, unreadable};
use crate::models::ids::BatchId;
use crate::models::schedule::Slot;
use crate::ports::StoreResult;
use crate::ports::history::{Backlog, HistoryOutbox, Shipment};
use crate::stores::history_row;
use crate::stores::sql::StateTx as _;
use crate::stores::sql::outbox::BATCHES;

pub(super) async fn insert(
    tx: &mut Tx,
    id: BatchId,
    rows: &[u8],
    row_count: usize,
) -> StoreResult<()> {
    sqlx::query(
        "-- outbox.insert
         INSERT INTO history_batches (id, row_count, bytes, rows) VALUES ($1, $2, $3, $4)",
    )
    .bind(id.0)
    .bind(i32::try_from(row_count).unwrap_or(i32::MAX))
    .bind(i32::try_from(rows.len()).unwrap_or(i32::MAX))
    .bind(rows)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

#[async_trait]
impl HistoryOutbox for Postgres {
    async fn next(&self, now: Slot, lease_ms: i64) -> StoreResult<Option<Shipment>> {
        let mut tx = self.begin().await?;
        let until = now.plus(lease_ms).0;
        let begun: Option<Uuid> = sqlx::query_scalar(
            "-- outbox.next: one that somebody began
             UPDATE history_shipments SET leased_until = $2 WHERE id = (
                 SELECT id FROM history_shipments WHERE leased_until <= $1
                 ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
             RETURNING id",
        )
        .bind(now.0)
        .bind(until)
        .fetch_optional(&mut *tx)
        .await
        .map_err(error)?;
        let id = match begun {
            Some(id) => Some(id),
            None => group(&mut tx, until).await?,
        };
        let Some(id) = id else { return Ok(tx.unchanged(None).await) };
        let sealed: Vec<Vec<u8>> = sqlx::query_scalar(
            "-- outbox.next: its rows, always in this order
             SELECT rows FROM history_batches WHERE shipment_id = $1 ORDER BY id",
        )
        .bind(id)
        .fetch_all(&mut *tx)
        .await
        .map_err(error)?;
        tx.commit().await.map_err(error)?;
        let rows = history_row::open(&sealed).map_err(|source| unreadable(source.to_string()))?;
        Ok(Some(Shipment { id: BatchId(id), rows, leased_until: Slot(until) }))
    }

    async fn renew(&self, shipment: &mut Shipment, now: Slot, lease_ms: i64) -> StoreResult<bool> {
        let until = now.plus(lease_ms);
        let done = sqlx::query(
            "-- outbox.renew
             UPDATE history_shipments SET leased_until = $3 WHERE id = $1 AND leased_until = $2",
        )
        .bind(shipment.id.0)
        .bind(shipment.leased_until.0)
        .bind(until.0)
        .execute(&self.pool)
        .await
        .map_err(error)?;
        shipment.leased_until = until;
        Ok(done.rows_affected() == 1)
    }

    async fn settle(&self, id: BatchId) -> StoreResult<()> {
        // The batches go with it (ON DELETE CASCADE).
        sqlx::query("-- outbox.settle\n DELETE FROM history_shipments WHERE id = $1")
            .bind(id.0)
            .execute(&self.pool)
            .await
            .map_err(error)?;
        Ok(())
    }

    async fn bound(&self, limit: u64) -> StoreResult<Backlog> {
        let dropped: Option<i64> = sqlx::query_scalar(
            // Newest kept first; batches of a shipment under way are left alone.
            "-- outbox.bound
             WITH sized AS (
                 SELECT id, sum(bytes) OVER (ORDER BY id DESC) AS kept FROM history_batches WHERE shipment_id IS NULL
             ), dropped AS (
                 DELETE FROM history_batches b USING sized s
                 WHERE b.id = s.id AND s.kept > $1 AND b.shipment_id IS NULL RETURNING b.row_count
             ) SELECT sum(row_count)::bigint FROM dropped",
        )
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_one(&self.pool)
        .await
        .map_err(error)?;
        let (bytes, batches): (i64, i64) = sqlx::query_as(
            "-- outbox.bound: what waits
             SELECT coalesce(sum(bytes), 0)::bigint, count(*) FROM history_batches",
        )
        .fetch_one(&self.pool)
        .await
        .map_err(error)?;
        Ok(Backlog {
            bytes: bytes.unsigned_abs(),
            batches: batches.unsigned_abs(),
            dropped_rows: dropped.unwrap_or_default().unsigned_abs(),
        })
    }
}

/// Groups waiting batches into a new shipment; `None` when none waits.
async fn group(tx: &mut Tx, until: i64) -> StoreResult<Option<Uuid>> {
    let batches: Vec<Uuid> = sqlx::query_scalar(
        "-- outbox.group: what waits
         SELECT id FROM history_batches WHERE shipment_id IS NULL ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED",
    )
    .bind(BATCHES)
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    if batches.is_empty() {
        return Ok(None);
    }
    let id = BatchId::generate().0;
    sqlx::query("INSERT INTO history_shipments (id, leased_until) VALUES ($1, $2)")
        .bind(id)
        .bind(until)
        .execute(&mut **tx)
        .await
        .map_err(error)?;
    sqlx::query("-- outbox.group\n UPDATE history_batches SET shipment_id = $1 WHERE id = ANY($2)")
        .bind(id)
        .bind(batches)
        .execute(&mut **tx)
        .await
        .map_err(error)?;
    Ok(Some(id))
}
