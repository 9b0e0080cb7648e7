//! History in PostgreSQL, for installations without `ClickHouse`.
//!
//! Raw runs live in one partition a day, so that forgetting them is dropping a table. Sums by
//! minute, hour and day carry a histogram of latencies, so that percentiles of any span add up.

mod sums;

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use self::sums::{SumRow, sum_up};
use super::pool::Pool;
use super::{Tx, error, unreadable};
use crate::models::run::Run;
use crate::models::schedule::Slot;
use crate::ports::history::{History, Metrics, MetricsOf, RunsOf, Shipment};
use crate::ports::{Page, StoreResult};
use crate::stores::history_row::HistoryRow;
use crate::stores::row_binary::Rows;
use crate::stores::sums::{DAY_MS, RESOLUTIONS, Resolution, fold};

/// Sums dropped at a time.
const STEP: i64 = 10_000;
/// How long an arrived shipment is remembered: far longer than anyone retries one.
const ARRIVALS_MS: i64 = 7 * DAY_MS;

/// See the module.
#[derive(Clone, Debug)]
pub struct PostgresHistory {
    pool: Pool,
    retention_days: u32,
}

impl PostgresHistory {
    pub(super) const fn new(pool: Pool, retention_days: u32) -> Self {
        Self { pool, retention_days }
    }
}

#[async_trait]
impl History for PostgresHistory {
    async fn prepare(&self) -> StoreResult<()> {
        // The tables came with the state's migrations; partitions come with the first run of a day.
        Ok(())
    }

    async fn append(&self, shipment: &Shipment) -> StoreResult<()> {
        let rows: Result<Vec<_>, _> = Rows::of(&shipment.rows).collect();
        let rows = rows.map_err(|_not_rows| unreadable("a shipment's rows"))?;
        for day in rows.iter().map(|row| day_of(&row.slot)).collect::<BTreeSet<_>>() {
            self.ensure_partition(day).await?;
        }
        let mut tx = self.pool.begin().await.map_err(error)?;
        let arrived = sqlx::query(
            "-- history.arrive
             INSERT INTO history_arrivals (shipment_id, arrived_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        )
        .bind(shipment.id.0)
        .bind(Slot::from(Utc::now()).0)
        .execute(&mut *tx)
        .await
        .map_err(error)?;
        if arrived.rows_affected() == 1 {
            insert(&mut tx, &rows).await?;
            sum_up(&mut tx, &rows).await?;
        }
        tx.commit().await.map_err(error)
    }

    async fn runs(&self, of: RunsOf, page: Page<(Slot, String)>) -> StoreResult<Vec<Run>> {
        let (slot, region) =
            page.after.map_or((None, None), |(slot, region)| (Some(slot.0), Some(region)));
        let rows: Vec<RunRow> = sqlx::query_as(
            "-- history.runs
             SELECT * FROM runs
             WHERE project_id = $1 AND check_id = $2 AND ($3::bigint IS NULL OR (slot, region) < ($3, $4))
             ORDER BY slot DESC, region DESC LIMIT $5 OFFSET $6",
        )
        .bind(of.project.0)
        .bind(of.check.0)
        .bind(slot)
        .bind(region)
        .bind(i64::from(page.limit))
        .bind(i64::from(page.offset))
        .fetch_all(&self.pool)
        .await
        .map_err(error)?;
        Ok(rows.into_iter().filter_map(|row| HistoryRow::from(row).into_run()).collect())
    }

    async fn metrics(&self, of: MetricsOf) -> StoreResult<Metrics> {
        let rows: Vec<SumRow> = sqlx::query_as(
            "-- history.metrics
             SELECT bucket, ok, failed, inconclusive, missed, latency_us_sum, latency_count, histogram
             FROM run_metrics
             WHERE project_id = $1 AND check_id = $2 AND resolution_s = $3 AND bucket >= $4 AND bucket < $5",
        )
        .bind(of.project.0)
        .bind(of.check.0)
        .bind(Resolution::for_buckets_of(of.bucket_seconds).seconds)
        .bind(of.from.timestamp_millis())
        .bind(of.until.timestamp_millis())
        .fetch_all(&self.pool)
        .await
        .map_err(error)?;
        Ok(fold(rows.into_iter().map(SumRow::into), of.bucket_seconds))
    }

    async fn retain(&self, now: Slot) -> StoreResult<()> {
        let oldest = (now.0 / DAY_MS) - i64::from(self.retention_days);
        let partitions: Vec<String> = sqlx::query_scalar(
            "-- history.retain: partitions
             SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
             WHERE i.inhparent = 'runs'::regclass ORDER BY 1",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(error)?;
        for name in
            partitions.iter().filter(|name| partition_day(name).is_some_and(|day| day < oldest))
        {
            // The name is our own: `partition_day` has just read it back.
            let drop = format!("DROP TABLE IF EXISTS {name}");
            sqlx::query(AssertSqlSafe(drop)).execute(&self.pool).await.map_err(error)?;
        }
        for resolution in RESOLUTIONS {
            let before = resolution.kept_from(now);
            while self.drop_sums(resolution.seconds, before).await? == STEP.unsigned_abs() {}
        }
        sqlx::query(
            "-- history.retain: arrivals\n DELETE FROM history_arrivals WHERE arrived_at < $1",
        )
        .bind(now.0 - ARRIVALS_MS)
        .execute(&self.pool)
        .await
        .map_err(error)?;
        Ok(())
    }
}

impl PostgresHistory {
    /// In small steps, so that no statement meets its deadline.
    async fn drop_sums(&self, seconds: i32, before: i64) -> StoreResult<u64> {
        let done = sqlx::query(
            "-- history.retain: sums
             DELETE FROM run_metrics WHERE ctid = ANY(ARRAY(
                 SELECT ctid FROM run_metrics WHERE resolution_s = $1 AND bucket < $2 LIMIT $3))",
        )
        .bind(seconds)
        .bind(before)
        .bind(STEP)
        .execute(&self.pool)
        .await
        .map_err(error)?;
        Ok(done.rows_affected())
    }

    async fn ensure_partition(&self, day: i64) -> StoreResult<()> {
        let name = partition_name(day);
        let exists: Option<String> = sqlx::query_scalar("SELECT to_regclass($1)::text")
            .bind(&name)
            .fetch_one(&self.pool)
            .await
            .map_err(error)?;
        if exists.is_some() {
            return Ok(());
        }
        let create = format!(
            "CREATE TABLE IF NOT EXISTS {name} PARTITION OF runs FOR VALUES FROM ({}) TO ({})",
            day * DAY_MS,
            (day + 1) * DAY_MS,
        );
        let created = sqlx::query(AssertSqlSafe(create)).execute(&self.pool).await;
        match created {
            // Another shipper was first: that is as good.
            Err(sqlx::Error::Database(e))
                if e.code().is_some_and(|code| code == "42P07" || code == "23505") =>
            {
                Ok(())
            }
            done => done.map(drop).map_err(error),
        }
    }
}

fn day_of(slot: &DateTime<Utc>) -> i64 {
    slot.timestamp_millis().div_euclid(DAY_MS)
}

fn partition_name(day: i64) -> String {
    format!("runs_day_{day}")
}

fn partition_day(name: &str) -> Option<i64> {
    name.strip_prefix("runs_day_")?.parse().ok()
}

#[derive(FromRow)]
struct RunRow {
    project_id: Uuid,
    check_id: Uuid,
    region: String,
    slot: i64,
    slots: i32,
    outcome: String,
    reason: String,
    attempt: i32,
    started_at: DateTime<Utc>,
    status_code: i32,
    dns_us: i64,
    connect_us: i64,
    tls_us: i64,
    first_byte_us: i64,
    total_us: i64,
    address: String,
    error: String,
    evidence: Option<String>,
}

impl From<RunRow> for HistoryRow<'_> {
    fn from(row: RunRow) -> Self {
        let us = |us: i64| u32::try_from(us).unwrap_or(u32::MAX);
        Self {
            project_id: row.project_id,
            check_id: row.check_id,
            region: row.region.into(),
            slot: Slot(row.slot).time(),
            slots: u32::try_from(row.slots).unwrap_or(1),
            outcome: row.outcome.into(),
            reason: row.reason.into(),
            attempt: u32::try_from(row.attempt).unwrap_or_default(),
            started_at: row.started_at,
            status_code: u16::try_from(row.status_code).unwrap_or_default(),
            dns_us: us(row.dns_us),
            connect_us: us(row.connect_us),
            tls_us: us(row.tls_us),
            first_byte_us: us(row.first_byte_us),
            total_us: us(row.total_us),
            address: row.address.into(),
            error: row.error.into(),
            evidence: row.evidence.unwrap_or_default().into(),
        }
    }
}

async fn insert(tx: &mut Tx, rows: &[HistoryRow<'_>]) -> StoreResult<()> {
    fn column<'a, T>(rows: &'a [HistoryRow], of: impl Fn(&'a HistoryRow<'a>) -> T) -> Vec<T> {
        rows.iter().map(of).collect()
    }
    sqlx::query(
        "-- history.insert
         INSERT INTO runs (project_id, check_id, region, slot, slots, outcome, reason, attempt, started_at,
                           status_code, dns_us, connect_us, tls_us, first_byte_us, total_us, address, error,
                           evidence)
         SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::int[], $6::text[], $7::text[],
                              $8::int[], $9::timestamptz[], $10::int[], $11::bigint[], $12::bigint[], $13::bigint[],
                              $14::bigint[], $15::bigint[], $16::text[], $17::text[], $18::text[])
         ON CONFLICT DO NOTHING",
    )
    .bind(column(rows, |r| r.project_id))
    .bind(column(rows, |r| r.check_id))
    .bind(column(rows, |r| &*r.region))
    .bind(column(rows, |r| r.slot.timestamp_millis()))
    .bind(column(rows, |r| i32::try_from(r.slots).unwrap_or(i32::MAX)))
    .bind(column(rows, |r| &*r.outcome))
    .bind(column(rows, |r| &*r.reason))
    .bind(column(rows, |r| i32::try_from(r.attempt).unwrap_or(i32::MAX)))
    .bind(column(rows, |r| r.started_at))
    .bind(column(rows, |r| i32::from(r.status_code)))
    .bind(column(rows, |r| i64::from(r.dns_us)))
    .bind(column(rows, |r| i64::from(r.connect_us)))
    .bind(column(rows, |r| i64::from(r.tls_us)))
    .bind(column(rows, |r| i64::from(r.first_byte_us)))
    .bind(column(rows, |r| i64::from(r.total_us)))
    .bind(column(rows, |r| &*r.address))
    .bind(column(rows, |r| &*r.error))
    .bind(column(rows, |r| (!r.evidence.is_empty()).then_some(&*r.evidence)))
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}
