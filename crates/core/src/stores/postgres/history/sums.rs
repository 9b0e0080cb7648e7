//! The sums' place in PostgreSQL; `stores::sums` has the rules.

use std::collections::{BTreeMap, HashMap};

use sqlx::FromRow;
use uuid::Uuid;

use crate::models::histogram::Histogram;
use crate::ports::StoreResult;
use crate::stores::history_row::HistoryRow;
use crate::stores::postgres::{Tx, error};
use crate::stores::sums::{Sum, count};

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

impl From<SumRow> for (i64, Sum) {
    fn from(row: SumRow) -> Self {
        let sum = Sum {
            ok: row.ok,
            failed: row.failed,
            inconclusive: row.inconclusive,
            missed: row.missed,
            latency_us: row.latency_us_sum,
            latency_count: row.latency_count,
            histogram: Histogram::from_pairs(&row.histogram),
        };
        (row.bucket, sum)
    }
}

type Bucket = (Uuid, i32, i64, String);

/// Adds rows to the sums of their minute, hour and day.
pub(super) async fn sum_up(tx: &mut Tx, rows: &[HistoryRow<'_>]) -> StoreResult<()> {
    // In one order for all: two shippers that meet wait for each other, and never in a circle.
    let mut sums: BTreeMap<Bucket, Sum> = BTreeMap::new();
    for row in rows {
        count(&mut sums, row, |resolution, bucket| {
            (row.check_id, resolution.seconds, bucket, row.region.clone().into_owned())
        });
    }
    let projects = rows.iter().map(|row| (row.check_id, row.project_id)).collect();
    let keys: Vec<Bucket> = sums.keys().cloned().collect();
    claim_buckets(tx, &keys, &projects).await?;
    for (key, before) in read_buckets(tx, &keys).await? {
        if let Some(sum) = sums.get_mut(&key) {
            sum.add(&before);
        }
    }
    write_buckets(tx, &sums).await
}

/// Makes sure every bucket has a row, so that reading them can lock them.
async fn claim_buckets(
    tx: &mut Tx,
    keys: &[Bucket],
    projects: &HashMap<Uuid, Uuid>,
) -> StoreResult<()> {
    let (checks, seconds, buckets, regions) = columns(keys);
    let projects: Vec<Uuid> =
        checks.iter().filter_map(|check| projects.get(check).copied()).collect();
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
    let keyed = |row: KeyedRow| {
        let (bucket, sum) = row.sum.into();
        ((row.check_id, row.resolution_s, bucket, row.region), sum)
    };
    Ok(rows.into_iter().map(keyed).collect())
}

async fn write_buckets(tx: &mut Tx, sums: &BTreeMap<Bucket, Sum>) -> StoreResult<()> {
    // An array of arrays of different lengths is none in SQL: one statement a bucket.
    for ((check, seconds, bucket, region), sum) in sums {
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
