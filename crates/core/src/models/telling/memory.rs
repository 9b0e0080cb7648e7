//! What was done of an incident so far, as it is kept with it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Facts, Family, Ladder, Muted, MutedBy, Rules, Tell, storm};
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
    /// The storm that it was last a part of.
    #[serde(default)]
    pub storm: Option<IncidentId>,
    /// What was told of it, if it is a storm itself.
    #[serde(default)]
    pub weather: storm::Told,
    /// Whether the check's own webhook was told.
    #[serde(default)]
    webhook: bool,
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

    /// What people have not heard of when a storm breaks is told as a part of it.
    pub(super) fn in_storm(&mut self, storm: Option<IncidentId>) -> Option<Muted> {
        let id = storm.filter(|_| self.began.is_none())?;
        self.storm = Some(id);
        Some(Muted { by: MutedBy::Storm, id: Some(id.0), until: None })
    }

    /// The incident under which this one is told.
    #[must_use]
    pub fn under(&self) -> Option<IncidentId> {
        self.parent.or(self.storm)
    }

    pub(super) fn tells_webhook(&mut self, facts: &Facts<'_>) -> bool {
        let tells = facts.has_webhook && !self.webhook;
        self.webhook |= tells;
        tells
    }

    /// A storm keeps nothing from a check's own webhook: whoever listens there asked for this check alone.
    pub(super) fn tell_webhook(&mut self, facts: &Facts<'_>) -> Vec<Tell> {
        let in_storm = self.muted.is_some_and(|muted| muted.by == MutedBy::Storm);
        if in_storm && self.tells_webhook(facts) {
            return self.tell(false, true, BTreeSet::new(), BTreeSet::new());
        }
        Vec::new()
    }

    /// Enrols the routes that concern any incident of a storm, unless that was done before.
    pub(super) fn enrol(&mut self, members: &[Facts<'_>], rules: &Rules, now: Slot) {
        self.began.get_or_insert(now);
        for id in rules.concerning_any(members, &self.weather.routes) {
            self.weather.routes.insert(id);
            self.routes.insert(id, Ladder::default());
        }
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
