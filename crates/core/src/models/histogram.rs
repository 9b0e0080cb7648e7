//! Latencies as counts in buckets of growing width, so that percentiles of any span can be had by
//! adding up, to within 2.5 %.
//!
//! Bucket `i` holds values in `(g^(i-1), g^i]` microseconds with `g = 1.05`, as in `DDSketch`
//! (Masson, Rim, Lee: "`DDSketch`", VLDB 2019) without its collapsing: latencies from 1 us to an hour
//! need fewer than 460 buckets.

use std::collections::BTreeMap;

const GROWTH: f64 = 1.05;

/// How many latencies fell into each bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram(BTreeMap<u16, u32>);

impl Histogram {
    /// Counts one latency.
    pub fn record(&mut self, us: u32) {
        *self.0.entry(bucket(us)).or_default() += 1;
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.0 {
            let sum = self.0.entry(*bucket).or_default();
            *sum = sum.saturating_add(*count);
        }
    }

    /// The value below which the share `q` (0 to 1) of the latencies lies, in microseconds; `None` when empty.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let total: u64 = self.0.values().map(|n| u64::from(*n)).sum();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank between 0 and a count far below 2^52"
        )]
        let rank = (q.clamp(0.0, 1.0) * total.saturating_sub(1) as f64).round() as u64;
        let mut seen = 0;
        self.0.iter().find_map(|(bucket, count)| {
            seen += u64::from(*count);
            (seen > rank).then(|| middle(*bucket))
        })
    }

    /// Pairs of bucket and count, flattened, for a column.
    #[must_use]
    pub fn to_pairs(&self) -> Vec<i32> {
        self.0
            .iter()
            .flat_map(|(bucket, count)| {
                [i32::from(*bucket), i32::try_from(*count).unwrap_or(i32::MAX)]
            })
            .collect()
    }

    /// Reads what [`Self::to_pairs`] wrote; pairs that make no sense are left out.
    #[must_use]
    pub fn from_pairs(pairs: &[i32]) -> Self {
        let (pairs, _) = pairs.as_chunks::<2>();
        Self(
            pairs
                .iter()
                .filter_map(|[bucket, count]| {
                    Some((u16::try_from(*bucket).ok()?, u32::try_from(*count).ok()?))
                })
                .collect(),
        )
    }
}

fn bucket(us: u32) -> u16 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 455"
    )]
    let index = f64::from(us.max(1)).log(GROWTH).ceil() as u16;
    index
}

fn middle(bucket: u16) -> f64 {
    // The point with the same relative distance to both ends.
    2.0 * GROWTH.powi(i32::from(bucket)) / (GROWTH + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_two_and_a_half_per_cent() {
        let mut histogram = Histogram::default();
        for us in 1..=100_000 {
            histogram.record(us);
        }

        for (q, exact) in [(0.5, 50_000.0), (0.95, 95_000.0), (0.99, 99_000.0)] {
            let found = histogram.quantile(q).unwrap();
            assert!((found / exact - 1.0).abs() < 0.025, "{q}: {found} for {exact}");
        }
        assert_eq!(Histogram::default().quantile(0.5), None);
    }

    #[test]
    fn parts_add_up_to_the_whole_and_survive_a_column() {
        let (mut odd, mut even, mut all) =
            (Histogram::default(), Histogram::default(), Histogram::default());
        for us in [0, 1, 17, 900, 40_000, u32::MAX] {
            if us % 2 == 0 {
                even.record(us);
            } else {
                odd.record(us);
            }
            all.record(us);
        }

        odd.merge(&Histogram::from_pairs(&even.to_pairs()));

        assert_eq!(odd, all);
    }
}
