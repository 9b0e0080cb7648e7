//! Sums by minute, hour and day, each with a histogram of its latencies: the rules, for the stores
//! that do not sum up by themselves.
//!
//! Nothing here knows SQL. An adapter counts rows into the buckets they touch, adds what it has of
//! those buckets, and keeps the result; a span of any width is then folded from the buckets in it.

use std::collections::BTreeMap;

use crate::models::histogram::Histogram;
use crate::models::schedule::Slot;
use crate::ports::history::{Latency, Metrics, Summary};
use crate::stores::history_row::HistoryRow;

pub(super) const DAY_MS: i64 = 86_400_000;

/// A width that is summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resolution {
    pub(super) seconds: i32,
    /// How long its sums are kept.
    pub(super) days: i64,
}

/// Narrowest first.
pub(super) const RESOLUTIONS: [Resolution; 3] = [
    Resolution { seconds: 60, days: 2 },
    Resolution { seconds: 3_600, days: 90 },
    Resolution { seconds: 86_400, days: 800 },
];

impl Resolution {
    /// The widest that buckets of `bucket_seconds` can be made of.
    pub(super) fn for_buckets_of(bucket_seconds: u32) -> Self {
        let fits = |it: &Self| bucket_seconds.is_multiple_of(it.seconds.unsigned_abs());
        RESOLUTIONS.into_iter().rfind(fits).unwrap_or(RESOLUTIONS[0])
    }

    /// Where the bucket of the instant `at` begins, both in milliseconds.
    fn bucket(self, at: i64) -> i64 {
        at - at.rem_euclid(i64::from(self.seconds) * 1000)
    }

    /// Sums of buckets before this instant, in milliseconds, have been kept long enough at `now`.
    pub(super) const fn kept_from(self, now: Slot) -> i64 {
        now.plus(-self.days * DAY_MS).0
    }
}

/// Counts and latencies of one bucket. Counts are slots.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sum {
    pub(super) ok: i64,
    pub(super) failed: i64,
    pub(super) inconclusive: i64,
    pub(super) missed: i64,
    pub(super) latency_us: i64,
    pub(super) latency_count: i64,
    pub(super) histogram: Histogram,
}

impl Sum {
    fn count(&mut self, row: &HistoryRow) {
        let slots = i64::from(row.slots);
        match &*row.outcome {
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

    pub(super) fn add(&mut self, other: &Self) {
        for (sum, other) in [
            (&mut self.ok, other.ok),
            (&mut self.failed, other.failed),
            (&mut self.inconclusive, other.inconclusive),
            (&mut self.missed, other.missed),
            (&mut self.latency_us, other.latency_us),
            (&mut self.latency_count, other.latency_count),
        ] {
            *sum = sum.saturating_add(other);
        }
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

/// Counts `row` in its bucket of every width; `key` names the bucket of a width that begins at an instant.
pub(super) fn count<K: Ord>(
    sums: &mut BTreeMap<K, Sum>,
    row: &HistoryRow,
    key: impl Fn(Resolution, i64) -> K,
) {
    for resolution in RESOLUTIONS {
        let bucket = resolution.bucket(row.slot.timestamp_millis());
        sums.entry(key(resolution, bucket)).or_default().count(row);
    }
}

/// What sums by the beginning of their bucket add up to, as a whole and in buckets of `bucket_seconds`.
pub(super) fn fold(sums: impl IntoIterator<Item = (i64, Sum)>, bucket_seconds: u32) -> Metrics {
    let width = (i64::from(bucket_seconds) * 1000).max(1);
    let (mut total, mut buckets) = (Sum::default(), BTreeMap::<i64, Sum>::new());
    for (bucket, sum) in sums {
        total.add(&sum);
        buckets.entry(bucket - bucket.rem_euclid(width)).or_default().add(&sum);
    }
    let buckets =
        buckets.into_iter().map(|(start, sum)| (Slot(start).time(), sum.summary())).collect();
    Metrics { total: total.summary(), buckets }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_made_of_the_widest_sums_that_fit() {
        for (bucket_seconds, resolution) in [
            (60, 60),
            (900, 60),
            (3_600, 3_600),
            (7_200, 3_600),
            (86_400, 86_400),
            (604_800, 86_400),
            (90, 60),
        ] {
            assert_eq!(Resolution::for_buckets_of(bucket_seconds).seconds, resolution);
        }
    }
}
