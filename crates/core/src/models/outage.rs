//! From transitions in regions to edges of a check's one incident.
//!
//! A check is down while at least one region says so: the first region to go down opens the
//! incident, the last to recover resolves it.

use std::collections::BTreeSet;

use super::alert::Resolution;
use super::health::{State, Transition};
use super::ids::{CheckId, Region};
use super::schedule::Slot;
use super::telling::storm::Shared;

/// An edge of a check's incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edge {
    /// An outage began.
    Open {
        /// The check.
        check: CheckId,
        /// The first failing slot.
        since: Slot,
        /// Where that was.
        region: Region,
        /// What the check was there before.
        was: State,
        /// What was seen, in a sentence.
        cause: String,
        /// What others may share.
        shared: Shared,
    },
    /// It is over.
    Resolve {
        /// The check.
        check: CheckId,
        /// As of when.
        at: Slot,
        /// Why.
        resolution: Resolution,
        /// Who said so, where somebody did.
        by: Option<String>,
    },
}

impl Edge {
    /// Whose edge it is.
    #[must_use]
    pub const fn check(&self) -> CheckId {
        match self {
            Self::Open { check, .. } | Self::Resolve { check, .. } => *check,
        }
    }
}

/// The regions of one check that are down, and what moves in them.
#[derive(Debug)]
pub struct Outage {
    check: CheckId,
    down: BTreeSet<Region>,
}

impl Outage {
    /// Begins with the regions known to be down.
    #[must_use]
    pub const fn new(check: CheckId, down: BTreeSet<Region>) -> Self {
        Self { check, down }
    }

    /// Takes a transition of a region that was in that state, in the order of slots; returns the edge it
    /// makes for the check as a whole.
    pub fn observe(
        &mut self,
        region: &Region,
        was: State,
        transition: Transition,
        cause: &str,
        shared: &Shared,
    ) -> Option<Edge> {
        match transition {
            Transition::WentDown { since } => {
                let first = self.down.is_empty();
                self.down.insert(region.clone());
                first.then(|| Edge::Open {
                    check: self.check,
                    since,
                    region: region.clone(),
                    was,
                    cause: cause.to_owned(),
                    shared: shared.clone(),
                })
            }
            Transition::Recovered { at } => {
                self.down.remove(region);
                let last = self.down.is_empty();
                last.then_some(Edge::Resolve {
                    check: self.check,
                    at,
                    resolution: Resolution::Recovered,
                    by: None,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_region_opens_and_the_last_resolves() {
        let check = CheckId::generate();
        let (east, west) = (Region::parse("east").unwrap(), Region::parse("west").unwrap());
        let mut outage = Outage::new(check, BTreeSet::new());
        let none = Shared::default();

        let edges: Vec<_> = [
            outage.observe(
                &east,
                State::Up,
                Transition::WentDown { since: Slot(1) },
                "refused",
                &none,
            ),
            outage.observe(
                &west,
                State::Pending,
                Transition::WentDown { since: Slot(2) },
                "refused",
                &none,
            ),
            outage.observe(&east, State::Down, Transition::Recovered { at: Slot(3) }, "", &none),
            outage.observe(&west, State::Down, Transition::Recovered { at: Slot(4) }, "", &none),
        ]
        .into();

        assert_eq!(
            edges,
            [
                Some(Edge::Open {
                    check,
                    since: Slot(1),
                    region: east,
                    was: State::Up,
                    cause: "refused".into(),
                    shared: none
                }),
                None,
                None,
                Some(Edge::Resolve {
                    check,
                    at: Slot(4),
                    resolution: Resolution::Recovered,
                    by: None
                }),
            ]
        );
    }
}
