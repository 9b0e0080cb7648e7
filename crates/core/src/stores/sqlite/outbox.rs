//! History on its way: sealed here by whoever made it, taken from here by the shipper.

use async_trait::async_trait;
use uuid::Uuid;

use super::list::ids;
use super::{Sqlite, Tx, error, unreadable};
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
         INSERT INTO history_batches (id, row_count, bytes, rows) VALUES (?1, ?2, ?3, ?4)",
    )
    .bind(id.0)
    .bind(i64::try_from(row_count).unwrap_or(i64::MAX))
    .bind(i64::try_from(rows.len()).unwrap_or(i64::MAX))
    .bind(rows)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

#[async_trait]
impl HistoryOutbox for Sqlite {
    async fn next(&self, now: Slot, lease_ms: i64) -> StoreResult<Option<Shipment>> {
        if !self.anything_waits(now).await? {
            return Ok(None);
        }
        let mut tx = self.begin().await?;
        let until = now.plus(lease_ms).0;
        let begun: Option<Uuid> = sqlx::query_scalar(
            "-- outbox.next: one that somebody began
             UPDATE history_shipments SET leased_until = ?2 WHERE id = (
                 SELECT id FROM history_shipments WHERE leased_until <= ?1 ORDER BY id LIMIT 1)
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
             SELECT rows FROM history_batches WHERE shipment_id = ?1 ORDER BY id",
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
             UPDATE history_shipments SET leased_until = ?3 WHERE id = ?1 AND leased_until = ?2",
        )
        .bind(shipment.id.0)
        .bind(shipment.leased_until.0)
        .bind(until.0)
        .execute(self.state.writer())
        .await
        .map_err(error)?;
        shipment.leased_until = until;
        Ok(done.rows_affected() == 1)
    }

    async fn settle(&self, id: BatchId) -> StoreResult<()> {
        // The batches go with it (ON DELETE CASCADE).
        sqlx::query("-- outbox.settle\n DELETE FROM history_shipments WHERE id = ?1")
            .bind(id.0)
            .execute(self.state.writer())
            .await
            .map_err(error)?;
        Ok(())
    }

    async fn bound(&self, limit: u64) -> StoreResult<Backlog> {
        let (bytes, _) = self.waiting().await?;
        let dropped_rows = if bytes > limit { self.drop_oldest(limit).await? } else { 0 };
        let (bytes, batches) = self.waiting().await?;
        Ok(Backlog { bytes, batches, dropped_rows })
    }
}

impl Sqlite {
    /// Asked of a reader of the loops', so that an idle shipper never takes the writer's place.
    async fn anything_waits(&self, now: Slot) -> StoreResult<bool> {
        sqlx::query_scalar(
            "-- outbox.anything_waits
             SELECT EXISTS (SELECT 1 FROM history_shipments WHERE leased_until <= ?1)
                 OR EXISTS (SELECT 1 FROM history_batches WHERE shipment_id IS NULL)",
        )
        .bind(now.0)
        .fetch_one(self.state.polls())
        .await
        .map_err(error)
    }

    /// Bytes and batches that wait.
    async fn waiting(&self) -> StoreResult<(u64, u64)> {
        let (bytes, batches): (i64, i64) = sqlx::query_as(
            "-- outbox.waiting
             SELECT coalesce(sum(bytes), 0), count(*) FROM history_batches",
        )
        .fetch_one(self.readers())
        .await
        .map_err(error)?;
        Ok((bytes.unsigned_abs(), batches.unsigned_abs()))
    }

    /// Newest kept first; batches of a shipment under way are left alone. Rows dropped.
    async fn drop_oldest(&self, limit: u64) -> StoreResult<u64> {
        let dropped: Vec<i64> = sqlx::query_scalar(
            "-- outbox.drop_oldest
             DELETE FROM history_batches WHERE id IN (
                 SELECT id FROM (
                     SELECT id, sum(bytes) OVER (ORDER BY id DESC) AS kept
                     FROM history_batches WHERE shipment_id IS NULL)
                 WHERE kept > ?1)
             RETURNING row_count",
        )
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(self.state.writer())
        .await
        .map_err(error)?;
        Ok(dropped.into_iter().map(i64::unsigned_abs).sum())
    }
}

/// Groups waiting batches into a new shipment; `None` when none waits.
async fn group(tx: &mut Tx, until: i64) -> StoreResult<Option<Uuid>> {
    let batches: Vec<Uuid> = sqlx::query_scalar(
        "-- outbox.group: what waits
         SELECT id FROM history_batches WHERE shipment_id IS NULL ORDER BY id LIMIT ?1",
    )
    .bind(BATCHES)
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    if batches.is_empty() {
        return Ok(None);
    }
    let id = BatchId::generate().0;
    sqlx::query("INSERT INTO history_shipments (id, leased_until) VALUES (?1, ?2)")
        .bind(id)
        .bind(until)
        .execute(&mut **tx)
        .await
        .map_err(error)?;
    sqlx::query(
        "-- outbox.group
         UPDATE history_batches SET shipment_id = ?1 WHERE id IN (SELECT unhex(value) FROM jsonb_each(?2))",
    )
    .bind(id)
    .bind(ids(batches))
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(Some(id))
}
