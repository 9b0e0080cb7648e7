//! Which checks something configured is about: all, those with certain tags, or those that are named.

use std::collections::BTreeSet;

use super::ids::CheckId;

const MOST_CHECKS: usize = 1_000;
const MOST_TAGS: usize = 20;

/// What is wrong with a list of tags or of checks: the field, and why.
pub(super) fn check(
    tags: &[String],
    checks: &BTreeSet<CheckId>,
) -> Result<(), (&'static str, String)> {
    if checks.len() > MOST_CHECKS {
        return Err(("checks", format!("must be at most {MOST_CHECKS} ids of checks")));
    }
    let fits = |tag: &String| (1..=64).contains(&tag.chars().count());
    if tags.len() > MOST_TAGS || !tags.iter().all(fits) {
        return Err(("tags", format!("must be at most {MOST_TAGS} tags of 1 to 64 characters")));
    }
    Ok(())
}

/// Whether a check has all of `wanted` and is among `checks`, where there are any.
pub(super) fn matches(
    wanted: &[String],
    checks: &BTreeSet<CheckId>,
    check: CheckId,
    tags: &[String],
) -> bool {
    (checks.is_empty() || checks.contains(&check)) && wanted.iter().all(|tag| tags.contains(tag))
}
