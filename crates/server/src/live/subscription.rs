//! What a client wants to hear of.

use std::collections::BTreeSet;

use pulse_core::models::check::FieldError;
use pulse_core::models::event::EventKind;
use pulse_core::models::ids::CheckId;
use serde::Deserialize;
use uuid::Uuid;

/// The most checks that one subscription names.
pub const MOST_CHECKS: usize = 1_000;
/// The most tags.
pub const MOST_TAGS: usize = 20;
const LONGEST_TAG: usize = 64;

/// All conditions must hold. The default is everything but runs, which must be asked for by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    types: Option<BTreeSet<EventKind>>,
    checks: BTreeSet<CheckId>,
    tags: Vec<String>,
}

/// A subscription as a client writes it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wish {
    /// Words of kinds; none for all but `run.finished`.
    pub types: Vec<String>,
    /// Ids of checks; none for all.
    pub checks: Vec<String>,
    /// Tags that a check must have, all of them.
    pub tags: Vec<String>,
}

impl Subscription {
    /// What a client wrote.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn read(wish: &Wish) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut or_empty = |field: &str, read: Result<(), String>| {
            errors.extend(read.err().map(|detail| FieldError { pointer: field.into(), detail }));
        };
        let mut subscription = Self::default();
        or_empty("types", types(&wish.types).map(|types| subscription.types = types));
        or_empty("checks", checks(&wish.checks).map(|checks| subscription.checks = checks));
        or_empty("tags", tags(&wish.tags).map(|tags| subscription.tags = tags));
        if errors.is_empty() { Ok(subscription) } else { Err(errors) }
    }

    /// Whether runs are among it.
    #[must_use]
    pub fn wants_runs(&self) -> bool {
        self.types.as_ref().is_some_and(|types| types.contains(&EventKind::RunFinished))
    }

    /// Whether an event is among it; `None` for a kind that this version does not know.
    #[must_use]
    pub fn wants(&self, kind: Option<EventKind>, check: Option<CheckId>, tags: &[String]) -> bool {
        let of_kind = match (&self.types, kind) {
            (Some(types), Some(kind)) => types.contains(&kind),
            (Some(_), None) => false,
            (None, kind) => kind != Some(EventKind::RunFinished),
        };
        of_kind
            && (self.checks.is_empty() || check.is_some_and(|check| self.checks.contains(&check)))
            && self.tags.iter().all(|tag| tags.contains(tag))
    }
}

fn types(words: &[String]) -> Result<Option<BTreeSet<EventKind>>, String> {
    let known: Option<BTreeSet<_>> = words.iter().map(|word| EventKind::parse(word)).collect();
    let types = known.ok_or_else(|| {
        let all: Vec<_> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
        format!("must be among {}", all.join(", "))
    })?;
    Ok(Some(types).filter(|types| !types.is_empty()))
}

fn checks(ids: &[String]) -> Result<BTreeSet<CheckId>, String> {
    if ids.len() > MOST_CHECKS {
        return Err(format!("may name {MOST_CHECKS} checks at most"));
    }
    let id = |id: &String| Uuid::parse_str(id).map(CheckId);
    ids.iter()
        .map(id)
        .collect::<Result<_, _>>()
        .map_err(|_no_id| "must be ids of checks, UUIDs".into())
}

fn tags(tags: &[String]) -> Result<Vec<String>, String> {
    if tags.len() > MOST_TAGS || tags.iter().any(|tag| tag.chars().count() > LONGEST_TAG) {
        return Err(format!(
            "may be {MOST_TAGS} tags at most, each of {LONGEST_TAG} characters at most"
        ));
    }
    Ok(tags.to_vec())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(wish: Value) -> Result<Subscription, Vec<FieldError>> {
        Subscription::read(&serde_json::from_value(wish).unwrap())
    }

    #[test]
    fn all_conditions_must_hold() {
        let check = CheckId(Uuid::from_u128(1));
        let other = CheckId(Uuid::from_u128(2));
        let eu = ["eu".to_owned(), "shop".to_owned()];
        let opened = Some(EventKind::IncidentOpened);
        let wish = read(json!({"types": ["incident.opened"], "checks": [check], "tags": ["eu"]}));
        let wish = wish.unwrap();

        assert!(wish.wants(opened, Some(check), &eu));
        assert!(!wish.wants(opened, Some(check), &eu[1..]), "another tag");
        assert!(!wish.wants(opened, Some(other), &eu), "another check");
        assert!(!wish.wants(opened, None, &eu), "no check");
        assert!(!wish.wants(Some(EventKind::IncidentResolved), Some(check), &eu), "another kind");
        assert!(!wish.wants(None, Some(check), &eu), "a kind of a later version");
    }

    #[test]
    fn runs_must_be_asked_for_by_name() {
        let all = read(json!({})).unwrap();
        let runs = read(json!({"types": ["run.finished"]})).unwrap();

        assert_eq!((all.wants_runs(), runs.wants_runs()), (false, true));
        assert!(!all.wants(Some(EventKind::RunFinished), None, &[]));
        assert!(runs.wants(Some(EventKind::RunFinished), None, &[]));
        assert!(all.wants(None, None, &[]), "what a later version adds is of everything");
    }

    #[test]
    fn all_that_is_wrong_is_told() {
        let many: Vec<_> = (0..=MOST_CHECKS).map(|_| Uuid::nil()).collect();

        let wrong = read(json!({"types": ["boom"], "checks": ["7"], "tags": ["x".repeat(65)]}));
        let too_many = read(json!({"checks": many}));

        let pointers: Vec<_> = wrong.unwrap_err().into_iter().map(|error| error.pointer).collect();
        assert_eq!(pointers, ["types", "checks", "tags"]);
        assert!(too_many.unwrap_err()[0].detail.contains("1000"));
    }
}
