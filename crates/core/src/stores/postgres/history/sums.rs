//! Sums by minute, hour and day, each with a histogram of its latencies.

use std::collections::BTreeMap;

use sqlx::FromRow;
use uuid::Uuid;

use super::RESOLUTIONS;
use crate::models::histogram::Histogram;
use crate::models::schedule::Slot;
use crate::ports::StoreResult;
use crate::ports::history::{Latency, Metrics, Summary};
use crate::stores::history_row::HistoryRow;
use crate::stores::postgres::{Tx, error};

/// Counts and latencies of one bucket.
#[derive(Clone, Debug, Default)]
struct Sum {
    ok: i64,
    failed: i64,
    inconclusive: i64,
    missed: i64,
    latency_us: i64,
    latency_count: i64,
    histogram: Histogram,
}

impl Sum {
    fn count(&mut self, row: &HistoryRow) {
        let slots = i64::from(row.slots);
        match row.outcome.as_str() {
            "ok" => self.ok += slots,
            "fail" => self.failed += slots,
            "inconclusive" => self.inconclusive += slots,
            _ => self.missed += slots,
        }
        // Only an answer has a latency: a refused connection is fast, and says nothing of speed.
        if row.status_code > 0 {
            self.latency_us += i64::from(row.total_us);
            self.latency_count += 1;
            self.histogram.record(row.total_us);
        }
    }

    fn add(&mut self, other: &Self) {
        self.ok += other.ok;
        self.failed += other.failed;
        self.inconclusive += other.inconclusive;
        self.missed += other.missed;
        self.latency_us += other.latency_us;
        self.latency_count += other.latency_count;
        self.histogram.merge(&other.histogram);
    }

    fn summary(&self) -> Summary {
        Summary {
            ok: self.ok.unsigned_abs(),
            failed: self.failed.unsigned_abs(),
            inconclusive: self.inconclusive.unsigned_abs(),
            missed: self.missed.unsigned_abs(),
            latency: self.latency(),
        }
    }

    fn latency(&self) -> Option<Latency> {
        let ms = |q| self.histogram.quantile(q).map(|us| us / 1000.0);
        #[expect(
            clippy::cast_precision_loss,
            reason = "sums of microseconds stay far below 2^52 in a bucket"
        )]
        let mean_ms = self.latency_us as f64 / self.latency_count.max(1) as f64 / 1000.0;
        Some(Latency { mean_ms, p50_ms: ms(0.5)?, p95_ms: ms(0.95)?, p99_ms: ms(0.99)? })
    }
}

#[derive(FromRow)]
pub(super) struct SumRow {
    bucket: i64,
    ok: i64,
    failed: i64,
    inconclusive: i64,
    missed: i64,
    latency_us_sum: i64,
    latency_count: i64,
    histogram: Vec<i32>,
}

impl From<SumRow> for Sum {
    fn from(row: SumRow) -> Self {
        Self {
            ok: row.ok,
            failed: row.failed,
            inconclusive: row.inconclusive,
            missed: row.missed,
            latency_us: row.latency_us_sum,
            latency_count: row.latency_count,
            histogram: Histogram::from_pairs(&row.histogram),
        }
    }
}

pub(super) fn sum(rows: Vec<SumRow>, bucket_ms: i64) -> Metrics {
    let (mut total, mut buckets) = (Sum::default(), BTreeMap::<i64, Sum>::new());
    for row in rows {
        let start = row.bucket - row.bucket.rem_euclid(bucket_ms.max(1));
        let one = Sum::from(row);
        total.add(&one);
        buckets.entry(start).or_default().add(&one);
    }
    let buckets =
        buckets.into_iter().map(|(start, sum)| (Slot(start).time(), sum.summary())).collect();
    Metrics { total: total.summary(), buckets }
}

type Bucket = (Uuid, i32, i64, String);

/// Adds rows to the sums of their minute, hour and day.
pub(super) async fn sum_up(tx: &mut Tx, rows: &[HistoryRow]) -> StoreResult<()> {
    // In one order for all: two shippers that meet wait for each other, and never in a circle.
    let mut sums: BTreeMap<Bucket, (Uuid, Sum)> = BTreeMap::new();
    for row in rows {
        for (seconds, _) in RESOLUTIONS {
            let at = row.slot.timestamp_millis();
            let bucket = at - at.rem_euclid(i64::from(seconds) * 1000);
            let key = (row.check_id, seconds, bucket, row.region.clone());
            sums.entry(key).or_insert_with(|| (row.project_id, Sum::default())).1.count(row);
        }
    }
    let keys: Vec<Bucket> = sums.keys().cloned().collect();
    claim_buckets(tx, &keys, &sums).await?;
    for (key, before) in read_buckets(tx, &keys).await? {
        if let Some((_, sum)) = sums.get_mut(&key) {
            sum.add(&before);
        }
    }
    write_buckets(tx, &sums).await
}

/// Makes sure every bucket has a row, so that reading them can lock them.
async fn claim_buckets(
    tx: &mut Tx,
    keys: &[Bucket],
    sums: &BTreeMap<Bucket, (Uuid, Sum)>,
) -> StoreResult<()> {
    let projects: Vec<Uuid> = sums.values().map(|(project, _)| *project).collect();
    let (checks, seconds, buckets, regions) = columns(keys);
    sqlx::query(
        "-- history.claim_buckets
         INSERT INTO run_metrics (project_id, check_id, resolution_s, bucket, region, ok, failed, inconclusive, missed,
                                  latency_us_sum, latency_count, histogram)
         SELECT n.*, 0, 0, 0, 0, 0, 0, '{}'
         FROM UNNEST($1::uuid[], $2::uuid[], $3::int[], $4::bigint[], $5::text[]) AS n
         ON CONFLICT DO NOTHING",
    )
    .bind(projects)
    .bind(checks)
    .bind(seconds)
    .bind(buckets)
    .bind(regions)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

#[derive(FromRow)]
struct KeyedRow {
    check_id: Uuid,
    resolution_s: i32,
    region: String,
    #[sqlx(flatten)]
    sum: SumRow,
}

async fn read_buckets(tx: &mut Tx, keys: &[Bucket]) -> StoreResult<Vec<(Bucket, Sum)>> {
    let (checks, seconds, buckets, regions) = columns(keys);
    let rows: Vec<KeyedRow> = sqlx::query_as(
        "-- history.read_buckets
         SELECT m.* FROM run_metrics m
         JOIN UNNEST($1::uuid[], $2::int[], $3::bigint[], $4::text[]) AS k (check_id, resolution_s, bucket, region)
              USING (check_id, resolution_s, bucket, region)
         ORDER BY m.check_id, m.resolution_s, m.bucket, m.region FOR NO KEY UPDATE OF m",
    )
    .bind(checks)
    .bind(seconds)
    .bind(buckets)
    .bind(regions)
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    Ok(rows
        .into_iter()
        .map(|row| ((row.check_id, row.resolution_s, row.sum.bucket, row.region), row.sum.into()))
        .collect())
}

async fn write_buckets(tx: &mut Tx, sums: &BTreeMap<Bucket, (Uuid, Sum)>) -> StoreResult<()> {
    // An array of arrays of different lengths is none in SQL: one statement a bucket.
    for ((check, seconds, bucket, region), (_, sum)) in sums {
        sqlx::query(
            "-- history.write_bucket
             UPDATE run_metrics SET ok = $5, failed = $6, inconclusive = $7, missed = $8, latency_us_sum = $9,
                                    latency_count = $10, histogram = $11
             WHERE check_id = $1 AND resolution_s = $2 AND bucket = $3 AND region = $4",
        )
        .bind(check)
        .bind(seconds)
        .bind(bucket)
        .bind(region)
        .bind(sum.ok)
        .bind(sum.failed)
        .bind(sum.inconclusive)
        .bind(sum.missed)
        .bind(sum.latency_us)
        .bind(sum.latency_count)
        .bind(sum.histogram.to_pairs())
        .execute(&mut **tx)
        .await
        .map_err(error)?;
    }
    Ok(())
}

fn columns(keys: &[Bucket]) -> (Vec<Uuid>, Vec<i32>, Vec<i64>, Vec<&str>) {
    let mut columns = (vec![], vec![], vec![], vec![]);
    for (check, seconds, bucket, region) in keys {
        columns.0.push(*check);
        columns.1.push(*seconds);
        columns.2.push(*bucket);
        columns.3.push(region.as_str());
    }
    columns
}
