//! From transitions in regions to edges of a check's one incident.
//!
//! A check is as bad as the worst of its regions. While any is down or degraded an incident lasts, of that
//! severity; where it gets better or worse without being well, that incident ends and another begins, so
//! that each is routed, acknowledged and told by how bad it is.

use std::collections::BTreeMap;

use super::alert::Resolution;
use super::channel::Severity;
use super::health::{State, Transition};
use super::ids::{CheckId, Region};
use super::schedule::Slot;
use super::telling::storm::Shared;

/// An edge of a check's incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edge {
    /// It began.
    Open {
        /// The check.
        check: CheckId,
        /// How bad it is.
        severity: Severity,
        /// As of when it counts as such.
        since: Slot,
        /// Where that was.
        region: Region,
        /// What the check was before; of one that was well, what it was there.
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

/// A region that moved, and what was seen there.
#[derive(Clone, Copy, Debug)]
pub struct Move<'a> {
    /// The region.
    pub region: &'a Region,
    /// Its state before.
    pub was: State,
    /// Its state from then on.
    pub transition: Transition,
    /// What was seen, in a sentence; empty where that says nothing.
    pub cause: &'a str,
    /// What others may share.
    pub shared: &'a Shared,
}

/// The regions of one check that are not well.
#[derive(Debug)]
pub struct Unwell {
    check: CheckId,
    regions: BTreeMap<Region, Severity>,
}

/// How bad a region is in that state; `None` for one that is well, or of which nothing is known.
#[must_use]
pub const fn severity(state: State) -> Option<Severity> {
    match state {
        State::Pending | State::Up => None,
        State::Degraded => Some(Severity::Degraded),
        State::Down => Some(Severity::Down),
    }
}

impl Unwell {
    /// Those among these.
    pub fn new(check: CheckId, regions: impl IntoIterator<Item = (Region, State)>) -> Self {
        let unwell = |(region, state)| Some((region, severity(state)?));
        Self { check, regions: regions.into_iter().filter_map(unwell).collect() }
    }

    /// Takes what happened in a region, in the order of slots; returns the edges it makes for the check as a
    /// whole, in order.
    pub fn observe(&mut self, moved: Move<'_>) -> Vec<Edge> {
        let before = self.worst();
        match severity(moved.transition.to) {
            Some(severity) => self.regions.insert(moved.region.clone(), severity),
            None => self.regions.remove(moved.region),
        };
        let at = moved.transition.at;
        let end = self.end(before, Resolution::Recovered, at);
        end.into_iter().chain(self.begin(before, at, Some(moved))).collect()
    }

    /// What an edit at `now` makes of it, after which these are its regions that are not well. None gets
    /// worse by it: what is left was less bad than what is gone.
    #[must_use]
    pub fn edit(&self, after: &Self, why: Resolution, now: Slot) -> Vec<Edge> {
        let before = self.worst();
        let end = after.end(before, why, now);
        end.into_iter().chain(after.begin(before, now, None)).collect()
    }

    fn worst(&self) -> Option<Severity> {
        self.regions.values().max().copied()
    }

    /// The end of what was so bad, if it is not any more; `well` says why if all is well now.
    fn end(&self, before: Option<Severity>, well: Resolution, at: Slot) -> Option<Edge> {
        let after = self.worst();
        let resolution = match before.filter(|_| before != after)? {
            _ if after.is_none() => well,
            _ if after > before => Resolution::Worsened,
            _ => Resolution::Eased,
        };
        Some(Edge::Resolve { check: self.check, at, resolution, by: None })
    }

    /// The beginning of what is so bad now, if it was not before: where it moved, or where it was so already.
    fn begin(
        &self,
        before: Option<Severity>,
        since: Slot,
        moved: Option<Move<'_>>,
    ) -> Option<Edge> {
        let after = self.worst();
        let severity = after.filter(|_| before != after)?;
        let seen = moved.filter(|it| self.regions.get(it.region) == Some(&severity));
        let other = || self.regions.iter().find(|(_, bad)| **bad == severity).map(|(it, _)| it);
        let region = seen.map(|it| it.region).or_else(other)?.clone();
        let told = seen.map(|it| it.cause).filter(|cause| {
            // The run that ended an outage may have been well itself, only not often enough.
            !cause.is_empty() || severity == Severity::Down
        });
        let was = match before {
            Some(Severity::Down) => State::Down,
            Some(Severity::Degraded) => State::Degraded,
            None => seen.map_or(State::Up, |it| it.was),
        };
        Some(Edge::Open {
            check: self.check,
            severity,
            since,
            was,
            cause: told.map_or_else(|| format!("still less than well in {region}"), str::to_owned),
            shared: seen.map(|it| it.shared.clone()).unwrap_or_default(),
            region,
        })
    }
}

#[cfg(test)]
mod tests;
