//! Looking again before a verdict: one bad look may be an accident of the way there.
//!
//! All looks belong to one run: it ends with the first that is not a failure to look at again, or with
//! the last. Each has the check's timeout; all of them and the waits between fit into its interval.

use serde::{Deserialize, Serialize};

use super::run::FailClass;

/// Looks in a run at most.
pub const MOST_ATTEMPTS: u32 = 10;
/// The longest first wait, in milliseconds.
pub const LONGEST_DELAY_MS: u32 = 60_000;

words! {
    /// How waits grow.
    Growth {
        /// Not at all.
        Fixed = "fixed",
        /// Each is twice the one before.
        Exponential = "exponential",
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Looks in all; 2 to [`MOST_ATTEMPTS`].
    pub attempts: u32,
    /// Before the second look, in milliseconds; at most [`LONGEST_DELAY_MS`].
    #[serde(default = "half_a_second")]
    pub delay_ms: u32,
    /// How later waits grow.
    #[serde(default = "fixed")]
    pub backoff: Growth,
    /// After which failures; any when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<FailClass>,
}

const fn half_a_second() -> u32 {
    500
}

const fn fixed() -> Growth {
    Growth::Fixed
}

impl Retry {
    /// Milliseconds to wait before look number `attempt` (from 2).
    #[must_use]
    pub fn delay_before(&self, attempt: u32) -> u64 {
        let doubled = match self.backoff {
            Growth::Fixed => 0,
            Growth::Exponential => attempt.saturating_sub(2).min(MOST_ATTEMPTS),
        };
        u64::from(self.delay_ms) << doubled
    }

    /// Milliseconds of all waits together.
    #[must_use]
    pub fn delays(&self) -> u64 {
        (2..=self.attempts.min(MOST_ATTEMPTS)).map(|attempt| self.delay_before(attempt)).sum()
    }

    /// Whether a look that failed with `class` is followed by another, if there is one left.
    #[must_use]
    pub fn is_after(&self, class: FailClass) -> bool {
        // Where nobody may look, looking again changes nothing.
        class != FailClass::ForbiddenAddress && (self.on.is_empty() || self.on.contains(&class))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_or_double_and_add_up() {
        let retry = |backoff| Retry { attempts: 4, delay_ms: 100, backoff, on: vec![] };
        let waits = |retry: &Retry| (2..=4).map(|it| retry.delay_before(it)).collect::<Vec<_>>();

        let (fixed, doubling) = (retry(Growth::Fixed), retry(Growth::Exponential));

        assert_eq!((waits(&fixed), fixed.delays()), (vec![100, 100, 100], 300));
        assert_eq!((waits(&doubling), doubling.delays()), (vec![100, 200, 400], 700));
    }

    #[test]
    fn another_look_follows_what_was_named_or_anything_but_a_refusal_of_our_own() {
        let on = |on: &[FailClass]| Retry {
            attempts: 2,
            delay_ms: 0,
            backoff: Growth::Fixed,
            on: on.to_vec(),
        };

        assert!(on(&[]).is_after(FailClass::Status));
        assert!(on(&[FailClass::Connect]).is_after(FailClass::Connect));
        assert!(!on(&[FailClass::Connect]).is_after(FailClass::Status));
        assert!(!on(&[]).is_after(FailClass::ForbiddenAddress));
    }
}
