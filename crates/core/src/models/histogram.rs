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

    /// The same in few bytes: of each bucket the distance from the one before and the count, as
    /// LEB128 varints. Most take two bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (mut bytes, mut before) = (Vec::with_capacity(self.0.len() * 2), 0);
        for (bucket, count) in &self.0 {
            write_varint(&mut bytes, u32::from(*bucket - before));
            write_varint(&mut bytes, *count);
            before = *bucket;
        }
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote; from the first byte on that makes no sense, the rest is left out.
    #[must_use]
    pub fn from_bytes(mut bytes: &[u8]) -> Self {
        let (mut histogram, mut before) = (Self::default(), 0_u16);
        while let Some((bucket, count)) = read_pair(&mut bytes, before) {
            let sum = histogram.0.entry(bucket).or_default();
            *sum = sum.saturating_add(count);
            before = bucket;
        }
        histogram
    }
}

fn read_pair(bytes: &mut &[u8], before: u16) -> Option<(u16, u32)> {
    let distance = u16::try_from(read_varint(bytes)?).ok()?;
    Some((before.checked_add(distance)?, read_varint(bytes)?))
}

fn write_varint(bytes: &mut Vec<u8>, mut value: u32) {
    while value > 0x7f {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}

fn read_varint(bytes: &mut &[u8]) -> Option<u32> {
    let mut value = 0_u64;
    for shift in (0..35).step_by(7) {
        let byte = *bytes.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return u32::try_from(value).ok();
        }
    }
    None
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

    #[test]
    fn bytes_are_few_and_read_back_as_they_were() {
        let mut histogram = Histogram::default();
        for us in [1, 1, 17, 900, 40_000, 40_001, u32::MAX] {
            histogram.record(us);
        }
        histogram.0.insert(300, u32::MAX);

        let bytes = histogram.to_bytes();

        assert_eq!(Histogram::from_bytes(&bytes), histogram);
        // Six pairs, of which one has a distance and one a count that takes more than a byte.
        assert_eq!(bytes.len(), 6 * 2 + 4 + 1);
        assert!(Histogram::default().to_bytes().is_empty());
    }

    #[test]
    fn bytes_that_make_no_sense_are_left_out() {
        let mut one = Histogram::default();
        one.record(900);
        let good = one.to_bytes();

        for wrong in [
            &[0x80_u8][..],
            &[5],
            &[0xff; 20],
            &[0xff, 0xff, 0xff, 0xff, 0x0f, 1],
            &[0xff, 0xff, 0x03, 1, 0xff, 0xff, 0x03, 1],
        ] {
            let read = Histogram::from_bytes(&[&good, wrong].concat());
            assert_eq!(read.quantile(0.0), one.quantile(0.0), "{wrong:?}");
        }
    }
}
