//! The sums' place in the file; `stores::sums` has the rules.

use std::collections::BTreeMap;

use sqlx::FromRow;

use super::append::Placed;
use super::{Tx, error, hex, json};
use crate::models::histogram::Histogram;
use crate::ports::StoreResult;
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
    histogram: Vec<u8>,
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
            histogram: Histogram::from_bytes(&row.histogram),
        };
        (row.bucket, sum)
    }
}

/// Series, width in seconds and beginning: the key, so that writes go through the table in order.
type Bucket = (i64, i32, i64);

/// Adds rows to the sums of their minute, hour and day.
pub(super) async fn sum_up(tx: &mut Tx, rows: &[Placed<'_>]) -> StoreResult<()> {
    let mut sums: BTreeMap<Bucket, Sum> = BTreeMap::new();
    for (series, row) in rows {
        count(&mut sums, row, |resolution, bucket| (*series, resolution.seconds, bucket));
    }
    let keys: Vec<&Bucket> = sums.keys().collect();
    for (key, before) in read(tx, &keys).await? {
        if let Some(sum) = sums.get_mut(&key) {
            sum.add(&before);
        }
    }
    write(tx, &sums).await
}

#[derive(FromRow)]
struct KeyedRow {
    series: i64,
    resolution_s: i32,
    #[sqlx(flatten)]
    sum: SumRow,
}

async fn read(tx: &mut Tx, keys: &[&Bucket]) -> StoreResult<Vec<(Bucket, Sum)>> {
    let rows: Vec<KeyedRow> = sqlx::query_as(
        "-- history.read_buckets
         SELECT m.* FROM jsonb_each(?1) k
         CROSS JOIN run_metrics m ON m.series = k.value ->> 0 AND m.resolution_s = k.value ->> 1
                                 AND m.bucket = k.value ->> 2",
    )
    .bind(json(&keys)?)
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    let keyed = |row: KeyedRow| {
        let (bucket, sum) = row.sum.into();
        ((row.series, row.resolution_s, bucket), sum)
    };
    Ok(rows.into_iter().map(keyed).collect())
}

async fn write(tx: &mut Tx, sums: &BTreeMap<Bucket, Sum>) -> StoreResult<()> {
    let list: Vec<_> = sums
        .iter()
        .map(|((series, seconds, bucket), sum)| {
            let counts = (sum.ok, sum.failed, sum.inconclusive, sum.missed);
            let latency = (sum.latency_us, sum.latency_count, hex(&sum.histogram.to_bytes()));
            (series, seconds, bucket, counts, latency)
        })
        .collect();
    sqlx::query(
        "-- history.write_buckets
         INSERT OR REPLACE INTO run_metrics (series, resolution_s, bucket, ok, failed, inconclusive, missed,
                                             latency_us_sum, latency_count, histogram)
         SELECT value ->> 0, value ->> 1, value ->> 2,
                value ->> '$[3][0]', value ->> '$[3][1]', value ->> '$[3][2]', value ->> '$[3][3]',
                value ->> '$[4][0]', value ->> '$[4][1]', unhex(value ->> '$[4][2]')
         FROM jsonb_each(?1)",
    )
    .bind(json(&list)?)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}
