//! What the checks that a check depends on have to do with its incident.
//!
//! While one of them is down, the incident is told under the other's: its own is no news. Which of the two
//! is recognised first depends on the phases of their slots alone, so an incident waits a moment for
//! its parents; and when the parent is well again, for as long as it takes to be recognised as well, too.

use crate::models::check::CheckConfig;
use crate::models::ids::IncidentId;
use crate::models::schedule::Slot;

/// Nobody waits longer for a parent that may yet turn out to be down.
const LONGEST_GRACE_MS: i64 = 300_000;

/// See the module. That of a check which depends on nothing is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Family {
    /// The outage of a parent that lasts.
    pub parent: Option<IncidentId>,
    /// When a parent that went down with this check is recognised as down.
    pub recognised_by: Option<Slot>,
    /// Milliseconds from the end of a parent's outage to when this one would have ended with it.
    pub well_after_ms: i64,
}

impl Family {
    /// That of an incident of `child`, which began at `started` and was recognised at `opened`.
    #[must_use]
    pub fn of<'a>(
        child: &CheckConfig,
        parents: impl Iterator<Item = &'a CheckConfig>,
        down: Option<IncidentId>,
        started: Slot,
        opened: Slot,
    ) -> Self {
        let latest = opened.plus(LONGEST_GRACE_MS);
        let recognised = parents
            .filter(|parent| parent.enabled && !parent.goes_by_cron())
            .map(|parent| started.plus(parent.recognised_after_ms()).min(latest));
        Self { parent: down, recognised_by: recognised.max(), well_after_ms: child.well_after_ms() }
    }
}
