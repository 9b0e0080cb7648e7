//! What a project has configured about who is told.

use std::collections::{BTreeMap, BTreeSet};

use super::storm::StormBreaker;
use super::{Facts, Muted, MutedBy};
use crate::models::channel::Severity;
use crate::models::ids::{CheckId, SettingId};
use crate::models::maintenance::Maintenance;
use crate::models::matching;
use crate::models::routing::Route;
use crate::models::schedule::Slot;
use crate::models::silence::Silence;

/// See the module. What holds incidents back is asked once when it is added, not of every incident.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    routes: BTreeMap<SettingId, Route>,
    holds: Vec<Hold>,
    /// When many incidents are a storm.
    pub breaker: StormBreaker,
}

/// Something that holds incidents back at the instant in question.
#[derive(Clone, Debug)]
struct Hold {
    muted: Muted,
    tags: Vec<String>,
    checks: BTreeSet<CheckId>,
    severities: BTreeSet<Severity>,
}

impl Rules {
    /// Adds a route.
    pub fn add_route(&mut self, id: SettingId, route: Route) {
        self.routes.insert(id, route);
    }

    /// Adds a silence, if it holds at `now`.
    pub fn add_silence(&mut self, id: SettingId, silence: Silence, now: Slot) {
        if let Some(until) = silence.until(now.time()) {
            let muted =
                Muted { by: MutedBy::Silence, id: Some(id.0), until: Some(Slot::from(until)) };
            let Silence { tags, checks, severities, .. } = silence;
            self.holds.push(Hold { muted, tags, checks, severities });
        }
    }

    /// Adds maintenance, if it is so at `now`.
    pub fn add_maintenance(&mut self, id: SettingId, maintenance: Maintenance, now: Slot) {
        if let Some(until) = maintenance.window.until(now.time()) {
            let by = MutedBy::Maintenance;
            let muted = Muted { by, id: Some(id.0), until: Some(Slot::from(until)) };
            let Maintenance { tags, checks, .. } = maintenance;
            self.holds.push(Hold { muted, tags, checks, severities: BTreeSet::new() });
        }
    }

    /// Puts other channels in the place of some.
    pub fn lead_elsewhere(&mut self, instead: &BTreeMap<SettingId, SettingId>) {
        self.routes.values_mut().for_each(|route| route.lead_elsewhere(instead));
    }

    pub(super) fn route(&self, id: SettingId) -> Option<&Route> {
        self.routes.get(&id)
    }

    pub(super) fn concerning<'a>(
        &'a self,
        facts: &'a Facts<'_>,
    ) -> impl Iterator<Item = SettingId> + 'a {
        let concerned = self
            .routes
            .iter()
            .filter(|(_, route)| route.concerns(facts.check, facts.tags, facts.severity));
        concerned.map(|(id, _)| *id)
    }

    /// The routes that concern any of these, but for those that are `known`.
    pub(super) fn concerning_any(
        &self,
        members: &[Facts<'_>],
        known: &BTreeSet<SettingId>,
    ) -> Vec<SettingId> {
        let concerns =
            |route: &Route| members.iter().any(|it| route.concerns(it.check, it.tags, it.severity));
        let others =
            self.routes.iter().filter(|(id, route)| !known.contains(id) && concerns(route));
        others.map(|(id, _)| *id).collect()
    }

    /// What holds an incident back the longest.
    pub(super) fn hold(&self, facts: &Facts<'_>) -> Option<Muted> {
        let holds = self.holds.iter().filter(|hold| hold.holds(facts));
        holds.map(|hold| hold.muted).max_by_key(|muted| muted.until)
    }
}

impl Hold {
    fn holds(&self, facts: &Facts<'_>) -> bool {
        (self.severities.is_empty() || self.severities.contains(&facts.severity))
            && matching::matches(&self.tags, &self.checks, facts.check, facts.tags)
    }
}
