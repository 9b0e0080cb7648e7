//! Holds what Pulse says against what the oracles saw. Pure: logs in, figures out.
//!
//! `chain` says when a check was due, `hits` whether the target was hit then, `ledger` whether the
//! runs of the API account for every slot and invent none, `outages` whether the incidents are
//! those that the runs imply, `repeats` whether a slot was hit again for a reason, `deliveries` whether each of their edges was told, once and in
//! order, `kinds` the same of channels of any kind, `verdicts` whether looks at hostile targets came to what they had to, in time, and `refusals` whether what must not
//! be reached was refused. Nothing here reads a clock, a socket or another judge's verdict.

pub mod chain;
pub mod deliveries;
pub mod hits;
pub mod kinds;
pub mod ledger;
pub mod outages;
pub mod refusals;
pub mod repeats;
pub mod verdicts;

use std::collections::HashMap;

use uuid::Uuid;

use crate::client::Check;
use crate::target::Hit;

/// What a judge needs to know of a check.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// When it was created, which is its first slot.
    pub created_ms: i64,
    /// Between two slots.
    pub interval_ms: i64,
    /// Failures in a row that make an incident.
    pub threshold: u32,
}

impl From<&Check> for Definition {
    fn from(check: &Check) -> Self {
        Self {
            id: check.id,
            name: check.name.clone(),
            created_ms: check.created_at.timestamp_millis(),
            interval_ms: i64::from(check.interval_seconds) * 1000,
            threshold: check.alert_threshold,
        }
    }
}

/// Hits sorted by check and slot; those of one slot in the order of arrival.
#[derive(Debug)]
pub struct HitsBySlot<'a>(HashMap<Uuid, HashMap<i64, Vec<&'a Hit>>>);

impl<'a> HitsBySlot<'a> {
    /// Sorts a log.
    #[must_use]
    pub fn of(hits: &'a [Hit]) -> Self {
        let mut sorted: HashMap<Uuid, HashMap<i64, Vec<&Hit>>> = HashMap::new();
        for hit in hits {
            sorted.entry(hit.check).or_default().entry(hit.slot_ms).or_default().push(hit);
        }
        Self(sorted)
    }

    /// All slots of a check that were hit, in no order.
    pub fn slots(&self, check: Uuid) -> impl Iterator<Item = i64> {
        self.0.get(&check).into_iter().flat_map(|slots| slots.keys().copied())
    }

    /// The hits of each slot, in no order of slots.
    pub fn each(&self) -> impl Iterator<Item = &[&'a Hit]> {
        self.0.values().flat_map(HashMap::values).map(Vec::as_slice)
    }

    /// The hits of one slot.
    #[must_use]
    pub fn at(&self, check: Uuid, slot_ms: i64) -> &[&'a Hit] {
        self.0.get(&check).and_then(|slots| slots.get(&slot_ms)).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
pub(crate) mod fixtures {
    //! A check every 2 s, created at 1 000 500 ms, whose grid is 1 000 000 + k * 2000.

    use chrono::DateTime;

    use super::*;
    use crate::client::{Outcome, Run};
    use crate::target::Plan;

    pub const ID: Uuid = Uuid::from_u128(1);
    pub const CREATED: i64 = 1_000_500;
    pub const SECOND: i64 = 1_002_000;

    pub fn a_check() -> Definition {
        Definition {
            id: ID,
            name: "a".to_owned(),
            created_ms: CREATED,
            interval_ms: 2000,
            threshold: 3,
        }
    }

    pub fn a_hit(slot_ms: i64) -> Hit {
        Hit {
            name: "a".into(),
            check: ID,
            slot_ms,
            attempt: 1,
            at_us: slot_ms * 1000 + 10_000,
            plan: Plan::status(200),
            status: Some(200),
        }
    }

    pub fn a_run(slot_ms: i64, outcome: Outcome) -> Run {
        Run {
            slot: DateTime::from_timestamp_millis(slot_ms).unwrap(),
            slots: 1,
            outcome,
            reason: None,
            class: None,
            status_code: (outcome == Outcome::Ok).then_some(200),
            phases: None,
            address: None,
            error: None,
        }
    }

    /// The first `count` slots, all good.
    pub fn good_runs(count: usize) -> Vec<Run> {
        slots(count).into_iter().map(|slot| a_run(slot, Outcome::Ok)).collect()
    }

    /// A hit for each of the first `count` slots.
    pub fn good_hits(count: usize) -> Vec<Hit> {
        slots(count).into_iter().map(a_hit).collect()
    }

    pub fn slots(count: usize) -> Vec<i64> {
        std::iter::once(CREATED).chain((SECOND..).step_by(2000)).take(count).collect()
    }
}
