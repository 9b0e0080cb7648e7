//! History on its way to another store.
//!
//! Runs of a series come in the order of their slots and never change, so what has been copied is
//! told by one slot a series, and what is under way by two.

use std::collections::BTreeMap;

use sqlx::FromRow;
use uuid::Uuid;

use super::read::{RunRow, run_columns};
use super::{SqliteHistory, error, json};
use crate::models::ids::{BatchId, CheckId, ProjectId};
use crate::models::schedule::Slot;
use crate::ports::StoreResult;
use crate::ports::history::Shipment;
use crate::stores::history_row::HistoryRow;
use crate::stores::row_binary;

/// Runs in one shipment.
const ROWS: i64 = 20_000;

/// Runs of one series that travel together: from `first` to `last`.
#[derive(Clone, Copy, Debug, FromRow)]
struct Range {
    shipment_id: Uuid,
    series: i64,
    first: i64,
    last: i64,
}

impl SqliteHistory {
    /// What `target` lacks of the runs from `since` on, as a shipment of its own: first the one that
    /// was under way when a copy was interrupted. With the number of its runs.
    pub(in crate::stores) async fn next_to_copy(
        &self,
        target: &str,
        since: Slot,
    ) -> StoreResult<Option<(Shipment, u64)>> {
        let mut ranges = self.under_way(target).await?;
        if ranges.is_empty() {
            ranges = self.plan(target, since).await?;
        }
        let Some(id) = ranges.first().map(|range| BatchId(range.shipment_id)) else {
            return Ok(None);
        };
        let (mut rows, mut count) = (Vec::new(), 0);
        for range in &ranges {
            for row in self.runs_in(range).await? {
                row_binary::write(&row, &mut rows);
                count += 1;
            }
        }
        Ok(Some((Shipment { id, rows, leased_until: since }, count)))
    }

    /// The shipment under way has arrived.
    pub(in crate::stores) async fn copied(&self, target: &str) -> StoreResult<()> {
        let mut tx = self.database.begin().await?;
        sqlx::query(
            "-- history.copied
             INSERT INTO copies (target, series, until)
             SELECT target, series, last FROM copy_ranges WHERE target = ?1
             ON CONFLICT (target, series) DO UPDATE SET until = excluded.until",
        )
        .bind(target)
        .execute(&mut *tx)
        .await
        .map_err(error)?;
        sqlx::query(
            "-- history.copied: under way no more\n DELETE FROM copy_ranges WHERE target = ?1",
        )
        .bind(target)
        .execute(&mut *tx)
        .await
        .map_err(error)?;
        tx.commit().await.map_err(error)
    }

    /// Forgets what `target` is thought to have: the next copy sends it all again.
    pub(in crate::stores) async fn forget_copies(&self, target: &str) -> StoreResult<()> {
        for forget in [
            "-- history.forget_copies\n DELETE FROM copies WHERE target = ?1",
            "-- history.forget_copies: under way\n DELETE FROM copy_ranges WHERE target = ?1",
        ] {
            let done = sqlx::query(forget).bind(target).execute(self.database.writer()).await;
            done.map_err(error)?;
        }
        Ok(())
    }

    /// Runs from `since` on, by check.
    pub(in crate::stores) async fn count_runs(
        &self,
        since: Slot,
    ) -> StoreResult<BTreeMap<CheckId, u64>> {
        let counts: Vec<(Uuid, i64)> = sqlx::query_as(
            "-- history.count_runs
             SELECT s.check_id, count(*) FROM series s CROSS JOIN runs r ON r.series = s.id
             WHERE r.slot >= ?1 GROUP BY s.check_id",
        )
        .bind(since.0)
        .fetch_all(self.database.readers())
        .await
        .map_err(error)?;
        Ok(counts.into_iter().map(|(check, runs)| (CheckId(check), runs.unsigned_abs())).collect())
    }

    /// Runs from `since` on that `target` is not known to have.
    pub(in crate::stores) async fn count_to_copy(
        &self,
        target: &str,
        since: Slot,
    ) -> StoreResult<u64> {
        let runs: i64 = sqlx::query_scalar(
            "-- history.count_to_copy
             SELECT count(*) FROM series s
             LEFT JOIN copies c ON c.target = ?1 AND c.series = s.id
             CROSS JOIN runs r ON r.series = s.id AND r.slot > max(coalesce(c.until, 0), ?2 - 1)",
        )
        .bind(target)
        .bind(since.0)
        .fetch_one(self.database.readers())
        .await
        .map_err(error)?;
        Ok(runs.unsigned_abs())
    }

    async fn under_way(&self, target: &str) -> StoreResult<Vec<Range>> {
        sqlx::query_as(
            "-- history.copy_under_way
             SELECT shipment_id, series, first, last FROM copy_ranges WHERE target = ?1 ORDER BY series",
        )
        .bind(target)
        .fetch_all(self.database.readers())
        .await
        .map_err(error)
    }

    /// Notes what travels next, before it is sent.
    async fn plan(&self, target: &str, since: Slot) -> StoreResult<Vec<Range>> {
        let waiting: Vec<(i64, i64)> = sqlx::query_as(
            "-- history.copy_plan: series that go on
             SELECT s.id, max(coalesce(c.until, 0), ?2 - 1) AS until FROM series s
             LEFT JOIN copies c ON c.target = ?1 AND c.series = s.id
             WHERE EXISTS (SELECT 1 FROM runs r
                           WHERE r.series = s.id AND r.slot > max(coalesce(c.until, 0), ?2 - 1))
             ORDER BY s.id LIMIT ?3",
        )
        .bind(target)
        .bind(since.0)
        .bind(ROWS)
        .fetch_all(self.database.readers())
        .await
        .map_err(error)?;
        let shipment_id = BatchId::generate().0;
        let (mut ranges, mut room) = (Vec::new(), ROWS);
        for (series, until) in waiting {
            if room <= 0 {
                break;
            }
            let (first, last, runs): (i64, i64, i64) = sqlx::query_as(
                "-- history.copy_plan: its next runs
                 SELECT min(slot), max(slot), count(*)
                 FROM (SELECT slot FROM runs WHERE series = ?1 AND slot > ?2 ORDER BY slot LIMIT ?3)",
            )
            .bind(series)
            .bind(until)
            .bind(room)
            .fetch_one(self.database.readers())
            .await
            .map_err(error)?;
            ranges.push(Range { shipment_id, series, first, last });
            room -= runs;
        }
        self.note(target, &ranges).await?;
        Ok(ranges)
    }

    async fn note(&self, target: &str, ranges: &[Range]) -> StoreResult<()> {
        let list: Vec<_> = ranges
            .iter()
            .map(|range| (range.series, range.shipment_id.simple(), range.first, range.last))
            .collect();
        sqlx::query(
            "-- history.copy_note
             INSERT INTO copy_ranges (target, series, shipment_id, first, last)
             SELECT ?1, value ->> 0, unhex(value ->> 1), value ->> 2, value ->> 3 FROM jsonb_each(?2)",
        )
        .bind(target)
        .bind(json(&list)?)
        .execute(self.database.writer())
        .await
        .map(drop)
        .map_err(error)
    }

    async fn runs_in(&self, range: &Range) -> StoreResult<Vec<HistoryRow<'static>>> {
        let whose: (Uuid, Uuid) = sqlx::query_as(
            "-- history.copy_whose\n SELECT project_id, check_id FROM series WHERE id = ?1",
        )
        .bind(range.series)
        .fetch_one(self.database.readers())
        .await
        .map_err(error)?;
        let rows: Vec<RunRow> = sqlx::query_as(concat!(
            "-- history.copy_runs
             SELECT ",
            run_columns!(),
            " FROM series s CROSS JOIN runs r ON r.series = s.id
             WHERE s.id = ?1 AND r.slot BETWEEN ?2 AND ?3 ORDER BY r.slot"
        ))
        .bind(range.series)
        .bind(range.first)
        .bind(range.last)
        .fetch_all(self.database.readers())
        .await
        .map_err(error)?;
        let of = |row: RunRow| row.of(ProjectId(whose.0), CheckId(whose.1));
        Ok(rows.into_iter().map(of).collect())
    }
}
