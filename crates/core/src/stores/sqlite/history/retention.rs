//! Forgetting, in small steps: between two of them the writer is free for a shipment that waits.

use super::error;
use crate::models::schedule::Slot;
use crate::ports::StoreResult;
use crate::stores::sqlite::database::Database;
use crate::stores::sums::{DAY_MS, RESOLUTIONS};

/// Rows dropped by one statement.
const STEP: u32 = 5_000;
/// Series looked through by one statement.
const SERIES: u32 = 500;
/// Arrived shipments that are remembered: far more than are ever under way.
const ARRIVALS: u32 = 10_000;
/// Pages given back by one statement.
const PAGES: u32 = 500;

/// A row of series, by id: after the first, up to the last.
#[derive(Clone, Copy, Debug)]
struct Group(i64, i64);

pub(super) async fn retain(database: &Database, now: Slot, days: u32) -> StoreResult<()> {
    let runs_from = now.plus(-i64::from(days) * DAY_MS).0;
    let mut group = Group(0, 0);
    while let Some(last) = last_of_next(database, group.1).await? {
        group = Group(group.1, last);
        while drop_runs(database, group, runs_from).await? == u64::from(STEP) {}
        for resolution in RESOLUTIONS {
            let from = resolution.kept_from(now);
            while drop_sums(database, group, resolution.seconds, from).await? == u64::from(STEP) {}
        }
        drop_series(database, group).await?;
    }
    while drop_arrivals(database).await? == u64::from(STEP) {}
    give_back(database).await?;
    database.checkpoint().await
}

async fn last_of_next(database: &Database, after: i64) -> StoreResult<Option<i64>> {
    sqlx::query_scalar(
        "-- history.retain: the next series
         SELECT max(id) FROM (SELECT id FROM series WHERE id > ?1 ORDER BY id LIMIT ?2)",
    )
    .bind(after)
    .bind(SERIES)
    .fetch_one(database.readers())
    .await
    .map_err(error)
}

async fn drop_runs(database: &Database, group: Group, before: i64) -> StoreResult<u64> {
    let done = sqlx::query(
        "-- history.retain: runs
         DELETE FROM runs WHERE (series, slot) IN (
             SELECT r.series, r.slot FROM series s CROSS JOIN runs r ON r.series = s.id
             WHERE s.id > ?1 AND s.id <= ?2 AND r.slot < ?3 LIMIT ?4)",
    )
    .bind(group.0)
    .bind(group.1)
    .bind(before)
    .bind(STEP)
    .execute(database.writer())
    .await
    .map_err(error)?;
    Ok(done.rows_affected())
}

async fn drop_sums(
    database: &Database,
    group: Group,
    seconds: i32,
    before: i64,
) -> StoreResult<u64> {
    let done = sqlx::query(
        "-- history.retain: sums
         DELETE FROM run_metrics WHERE (series, resolution_s, bucket) IN (
             SELECT m.series, m.resolution_s, m.bucket FROM series s CROSS JOIN run_metrics m ON m.series = s.id
             WHERE s.id > ?1 AND s.id <= ?2 AND m.resolution_s = ?3 AND m.bucket < ?4 LIMIT ?5)",
    )
    .bind(group.0)
    .bind(group.1)
    .bind(seconds)
    .bind(before)
    .bind(STEP)
    .execute(database.writer())
    .await
    .map_err(error)?;
    Ok(done.rows_affected())
}

/// Those that nothing refers to any more.
async fn drop_series(database: &Database, group: Group) -> StoreResult<()> {
    sqlx::query(
        "-- history.retain: series
         DELETE FROM series AS s WHERE s.id > ?1 AND s.id <= ?2
             AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.series = s.id)
             AND NOT EXISTS (SELECT 1 FROM run_metrics m WHERE m.series = s.id)",
    )
    .bind(group.0)
    .bind(group.1)
    .execute(database.writer())
    .await
    .map(drop)
    .map_err(error)
}

async fn drop_arrivals(database: &Database) -> StoreResult<u64> {
    let done = sqlx::query(
        "-- history.retain: arrivals
         DELETE FROM history_arrivals WHERE number IN (
             SELECT number FROM history_arrivals
             WHERE number <= (SELECT max(number) FROM history_arrivals) - ?1 LIMIT ?2)",
    )
    .bind(ARRIVALS)
    .bind(STEP)
    .execute(database.writer())
    .await
    .map_err(error)?;
    Ok(done.rows_affected())
}

/// Gives free pages back to the system while they are more than a quarter of the file. The rest is
/// kept: what is forgotten in an hour makes room for the next hour's runs, and giving it back only to
/// ask for it again would write everything twice.
async fn give_back(database: &Database) -> StoreResult<()> {
    let mut before = i64::MAX;
    loop {
        let (free, pages): (i64, i64) = sqlx::query_as(
            "-- history.retain: free pages
             SELECT freelist_count, page_count FROM pragma_freelist_count, pragma_page_count",
        )
        .fetch_one(database.readers())
        .await
        .map_err(error)?;
        if free <= pages / 4 || free >= before {
            return Ok(());
        }
        before = free;
        sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA incremental_vacuum({PAGES})")))
            .execute(database.writer())
            .await
            .map_err(error)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::ids::CheckId;
    use crate::ports::history::History as _;
    use crate::stores::sqlite::history::tests::{NOW, a_history, a_row, a_shipment};

    const ALL: Group = Group(0, i64::MAX);

    async fn count(database: &Database, of: &'static str) -> i64 {
        sqlx::query_scalar(of).fetch_one(database.readers()).await.unwrap()
    }

    #[tokio::test]
    async fn a_step_drops_no_more_than_it_may() {
        let (_folder, history) = a_history().await;
        let check = CheckId::generate();
        let rows: Vec<_> = (0..=STEP).map(|n| a_row(check, NOW.plus(i64::from(n)))).collect();
        history.append(&a_shipment(&rows)).await.unwrap();
        let end = NOW.plus(DAY_MS).0;

        let mut dropped = Vec::new();
        for _ in 0..3 {
            dropped.push(drop_runs(&history.database, ALL, end).await.unwrap());
        }

        assert_eq!(dropped, [u64::from(STEP), 1, 0]);
        assert_eq!(drop_sums(&history.database, ALL, 60, end).await.unwrap(), 1);
        assert_eq!(drop_sums(&history.database, ALL, 60, end).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn more_than_a_step_and_more_series_than_a_group_are_forgotten_all_the_same() {
        let (_folder, history) = a_history().await;
        let mut rows: Vec<_> = (0..=SERIES).map(|_| a_row(CheckId::generate(), NOW)).collect();
        let busy = CheckId::generate();
        rows.extend((0..=STEP).map(|n| a_row(busy, NOW.plus(i64::from(n)))));
        let young = a_row(CheckId::generate(), NOW.plus(1_000 * DAY_MS));
        rows.push(young);
        history.append(&a_shipment(&rows)).await.unwrap();

        history.retain(NOW.plus(1_000 * DAY_MS)).await.unwrap();

        let database = &history.database;
        assert_eq!(count(database, "SELECT count(*) FROM runs").await, 1);
        assert_eq!(count(database, "SELECT count(*) FROM run_metrics").await, 3);
        assert_eq!(count(database, "SELECT count(*) FROM series").await, 1);
    }

    #[tokio::test]
    async fn the_newest_arrivals_are_remembered() {
        let (_folder, history) = a_history().await;
        let numbers: Vec<u32> = (0..ARRIVALS + STEP).collect();
        sqlx::query(
            "INSERT INTO history_arrivals (shipment_id)
             SELECT CAST(value AS BLOB) FROM json_each(?1)",
        )
        .bind(serde_json::to_string(&numbers).unwrap())
        .execute(history.database.writer())
        .await
        .unwrap();
        let last = a_shipment(&[a_row(CheckId::generate(), NOW)]);
        history.append(&last).await.unwrap();

        history.retain(NOW).await.unwrap();

        let all = "SELECT count(*) FROM history_arrivals";
        assert_eq!(count(&history.database, all).await, i64::from(ARRIVALS));
        history.append(&last).await.unwrap();
        assert_eq!(count(&history.database, all).await, i64::from(ARRIVALS));
    }

    #[tokio::test]
    async fn much_room_is_given_back_and_a_little_is_kept_for_what_comes() {
        let (folder, history) = a_history().await;
        let check = CheckId::generate();
        let rows = |days: std::ops::Range<i64>| {
            let day = |day: i64| (0..100).map(move |n| NOW.plus(day * DAY_MS + n));
            let mut rows: Vec<_> = days.flat_map(day).map(|slot| a_row(check, slot)).collect();
            for row in &mut rows {
                row.error = "it went wrong ".repeat(30).into();
            }
            rows
        };
        history.append(&a_shipment(&rows(0..30))).await.unwrap();
        history.database.checkpoint().await.unwrap();
        let size = || std::fs::metadata(folder.path().join("history.db")).unwrap().len();
        let full = size();

        history.retain(NOW.plus(33 * DAY_MS)).await.unwrap();
        let after_three_days = size();
        let free =
            count(&history.database, "SELECT freelist_count FROM pragma_freelist_count").await;
        history.retain(NOW.plus(55 * DAY_MS)).await.unwrap();

        assert!(free > 0);
        assert_eq!(after_three_days, full);
        assert!(size() < full / 3, "{} of {full}", size());
        let log = std::fs::metadata(folder.path().join("history.db-wal")).unwrap().len();
        assert_eq!(log, 0);
    }
}
