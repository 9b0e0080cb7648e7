//! What was done of an incident so far, as it is kept with it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Facts, Family, Ladder, Muted, MutedBy, Rules, Tell};
use crate::models::alert::AlertKind;
use crate::models::ids::{IncidentId, SettingId};
use crate::models::schedule::Slot;

/// See the module. Where everybody was told at once and nothing is to follow, none is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// When people were first told; `None` while nobody was.
    #[serde(default)]
    pub began: Option<Slot>,
    /// The routes that it goes on by: those that concerned it when people were first told, as long as
    /// there is more to come.
    #[serde(default)]
    pub routes: BTreeMap<SettingId, Ladder>,
    /// What holds it back, or did when it was over.
    #[serde(default)]
    pub muted: Option<Muted>,
    /// The incident of a parent under which it was last told.
    #[serde(default)]
    pub parent: Option<IncidentId>,
    /// When that was found to be over.
    #[serde(default)]
    released: Option<Slot>,
    /// How often people were told that it opened.
    #[serde(default)]
    openings: u16,
    /// How often they were reminded.
    #[serde(default)]
    reminders: u16,
}

impl Memory {
    /// What a parent that is down, may be, or was a moment ago, means to it.
    pub(super) fn under_parent(&mut self, family: Family, now: Slot) -> Option<Muted> {
        let by = MutedBy::Parent;
        if let Some(parent) = family.parent {
            (self.parent, self.released) = (Some(parent), None);
            return Some(Muted { by, id: Some(parent.0), until: None });
        }
        let (id, until) = match self.parent {
            Some(parent) => {
                let released = *self.released.get_or_insert(now);
                (Some(parent.0), released.plus(family.well_after_ms))
            }
            None if self.began.is_none() => (None, family.recognised_by?),
            None => return None,
        };
        (now < until).then_some(Muted { by, id, until: Some(until) })
    }

    /// Enrols the routes that concern an incident, unless that was done before; whether it was not.
    pub(super) fn begin(&mut self, facts: &Facts<'_>, rules: &Rules, now: Slot) -> bool {
        if self.began.is_some() {
            return false;
        }
        self.began = Some(now);
        self.routes = rules.concerning(facts).map(|id| (id, Ladder::default())).collect();
        true
    }

    /// Whether people were told that it opened, as far as there was anybody to tell.
    #[must_use]
    pub const fn was_told(&self) -> bool {
        self.openings > 0
    }

    /// What is told. An incident that nobody ever hears of is said to have opened all the same: `to_nobody`.
    pub(super) fn tell(
        &mut self,
        to_nobody: bool,
        webhook: bool,
        opened: BTreeSet<SettingId>,
        again: BTreeSet<SettingId>,
    ) -> Vec<Tell> {
        let mut tell = Vec::new();
        if to_nobody || webhook || !opened.is_empty() {
            self.openings = self.openings.saturating_add(1);
            let (kind, number) = (AlertKind::Opened, self.openings);
            tell.push(Tell { kind, number, webhook, channels: opened });
        }
        if !again.is_empty() {
            self.reminders = self.reminders.saturating_add(1);
            let (kind, number) = (AlertKind::Reminder, self.reminders);
            tell.push(Tell { kind, number, webhook: false, channels: again });
        }
        tell
    }
}
