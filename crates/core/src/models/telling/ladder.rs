//! How far an incident has come on one route: its steps, and its reminders.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::models::channel::Severity;
use crate::models::ids::SettingId;
use crate::models::routing::Route;
use crate::models::schedule::Slot;

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ladder {
    /// Steps that were taken.
    #[serde(default)]
    steps: u16,
    /// Reminders that were due.
    #[serde(default)]
    reminders: u32,
    /// When the first step was taken, or the last reminder was due.
    #[serde(default)]
    told_at: Option<Slot>,
    /// For how long quiet hours kept the first step waiting, in milliseconds: all others wait as long.
    #[serde(default)]
    late_ms: i64,
}

/// What taking all steps that are due comes to.
#[derive(Debug, Default)]
pub(super) struct Climbed {
    /// Whom the steps tell.
    pub told: BTreeSet<SettingId>,
    /// Whom a reminder is for.
    pub reminded: BTreeSet<SettingId>,
    /// When there is more; `None` for never.
    pub next: Option<Slot>,
    /// Whether quiet hours keep its first step from being taken.
    pub waits: bool,
}

impl Ladder {
    /// Takes what is due at `now` of an incident that people were first told of at `began`. Of reminders
    /// that were due meanwhile one is enough.
    pub(super) fn climb(
        &mut self,
        route: &Route,
        severity: Severity,
        began: Slot,
        now: Slot,
    ) -> Climbed {
        let mut climbed = Climbed::default();
        self.remind(route, severity, now, &mut climbed);
        while let Some((after, channels)) = route.step(self.steps.into()) {
            let planned = began.plus(after).plus(self.late_ms);
            let due = route.release(planned, severity);
            if due > now {
                climbed.next = Some(due);
                climbed.waits = self.steps == 0;
                break;
            }
            if self.steps == 0 {
                self.late_ms = due.0 - planned.0;
            }
            climbed.told.extend(channels);
            self.steps += 1;
            self.told_at.get_or_insert(now);
        }
        let reminder = self.reminder(route, severity);
        climbed.next = [climbed.next, reminder].into_iter().flatten().min();
        climbed
    }

    fn remind(&mut self, route: &Route, severity: Severity, now: Slot, climbed: &mut Climbed) {
        if self.reminder(route, severity).is_some_and(|due| due <= now) {
            climbed.reminded.extend(route.told_by(self.steps.into()));
            self.reminders += 1;
            self.told_at = Some(now);
        }
    }

    /// When the next reminder is due; `None` when there is none any more, or none yet.
    fn reminder(&self, route: &Route, severity: Severity) -> Option<Slot> {
        let wait = route.reminders.as_ref()?.wait(self.reminders)?;
        Some(route.release(self.told_at?.plus(wait), severity))
    }
}
