//! Percentiles of delays.

use std::fmt;

/// Delays in microseconds, sorted.
#[derive(Clone, Debug, Default)]
pub struct Spread(Vec<i64>);

impl Spread {
    /// Of delays in any order.
    #[must_use]
    pub fn of(mut delays_us: Vec<i64>) -> Self {
        delays_us.sort_unstable();
        Self(delays_us)
    }

    /// The smallest delay that `percent` of all do not exceed (nearest rank); 0 of none.
    #[must_use]
    pub fn percentile_us(&self, percent: usize) -> i64 {
        let rank = (self.0.len() * percent).div_ceil(100);
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or(0)
    }

    /// The same in milliseconds, rounded up.
    #[must_use]
    pub fn percentile_ms(&self, percent: usize) -> i64 {
        ceil_ms(self.percentile_us(percent))
    }

    /// Microseconds as seconds.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "delays stay far below 2^52")]
    pub const fn seconds(us: i64) -> f64 {
        us as f64 / 1e6
    }

    /// The largest delay in milliseconds, rounded up; 0 of none.
    #[must_use]
    pub fn max_ms(&self) -> i64 {
        self.percentile_ms(100)
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99, max] = [50, 99, 100].map(|percent| {
            let us = self.percentile_us(percent);
            let sign = if us < 0 { "-" } else { "" };
            format!("{sign}{}.{}", us.abs() / 1000, us.abs() % 1000 / 100)
        });
        write!(f, "{p50} / {p99} / {max}")
    }
}

/// Against a pass line a part of a millisecond counts as a whole one.
fn ceil_ms(us: i64) -> i64 {
    us.div_euclid(1000) + i64::from(us.rem_euclid(1000) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let spread = Spread::of((1..=200).rev().map(|ms| ms * 1000).collect());

        assert_eq!(spread.percentile_ms(50), 100);
        assert_eq!(spread.percentile_ms(99), 198);
        assert_eq!(spread.max_ms(), 200);
        assert_eq!(spread.to_string(), "100.0 / 198.0 / 200.0");
    }

    #[test]
    fn of_nothing_all_are_zero() {
        assert_eq!(Spread::default().percentile_us(99), 0);
    }

    #[test]
    fn part_of_a_millisecond_counts_against_the_line() {
        assert_eq!(Spread::of(vec![250_001]).max_ms(), 251);
        assert_eq!(Spread::of(vec![-1500]).max_ms(), -1);
    }
}
