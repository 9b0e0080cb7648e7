//! Which checks go to which channels, how bad it must be, and who is told when nobody sees to it.

mod reminders;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::calendar::QuietHours;
use super::channel::Severity;
use super::ids::{CheckId, SettingId};
use super::matching;
use super::schedule::Slot;

pub use reminders::Reminders;

const MOST_CHANNELS: usize = 20;
const MOST_STEPS: usize = 10;
/// A week.
const LONGEST_MINUTES: u32 = 10_080;

/// A route: of what it matches, these channels are told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// For people; 1 to 200 characters.
    pub name: String,
    /// Checks that have all of these tags; none for any.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Checks that are among these; none for any.
    #[serde(default)]
    pub checks: BTreeSet<CheckId>,
    /// How bad it is; none for `down` alone.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub severities: BTreeSet<Severity>,
    /// Who is told at once.
    pub channels: BTreeSet<SettingId>,
    /// Who is told besides, when nobody has said that they see to it; in the order of time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// How those who were told are reminded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reminders: Option<Reminders>,
    /// When nobody is told: what falls due then waits until that is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet: Option<Quiet>,
}

/// Hours in which a route tells nobody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quiet {
    /// Which.
    pub hours: QuietHours,
    /// What is told all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub except: Option<Severity>,
}

/// A step of an escalation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// How long nobody has acknowledged the incident since people were first told; 1 to 10,080.
    pub after_minutes: u32,
    /// Who is told then. Who was told before is reminded.
    pub channels: BTreeSet<SettingId>,
}

impl Route {
    /// The same, if it can be used as it stands.
    ///
    /// # Errors
    /// A field, and what is wrong with it.
    pub fn checked(mut self) -> Result<Self, (&'static str, String)> {
        channels("channels", &self.channels)?;
        matching::check(&self.tags, &self.checks)?;
        if self.steps.len() > MOST_STEPS {
            return Err(("steps", format!("must be at most {MOST_STEPS} steps")));
        }
        for step in &self.steps {
            minutes("steps", "after_minutes", step.after_minutes)?;
            channels("steps", &step.channels)?;
        }
        self.steps.sort_by_key(|step| step.after_minutes);
        self.reminders = self.reminders.map(Reminders::checked).transpose()?;
        self.quiet = self.quiet.map(Quiet::checked).transpose()?;
        Ok(self)
    }

    /// Whether it concerns an incident of this severity, of a check with these tags.
    #[must_use]
    pub fn concerns(&self, check: CheckId, tags: &[String], severity: Severity) -> bool {
        let severe = match severity {
            Severity::Down if self.severities.is_empty() => true,
            severity => self.severities.contains(&severity),
        };
        severe && matching::matches(&self.tags, &self.checks, check, tags)
    }

    /// Who is told with step `number`, and how many milliseconds after the first were told; the first
    /// step is 0. `None` behind the last.
    #[must_use]
    pub fn step(&self, number: usize) -> Option<(i64, &BTreeSet<SettingId>)> {
        match number.checked_sub(1) {
            None => Some((0, &self.channels)),
            Some(place) => {
                let step = self.steps.get(place)?;
                Some((milliseconds(step.after_minutes), &step.channels))
            }
        }
    }

    /// When what falls due at `at` may be told.
    #[must_use]
    pub fn release(&self, at: Slot, severity: Severity) -> Slot {
        let holds = |quiet: &&Quiet| quiet.except.is_none_or(|except| severity < except);
        let quiet = self.quiet.as_ref().filter(holds);
        quiet.and_then(|quiet| quiet.hours.until(at.time())).map_or(at, Slot::from)
    }

    /// Everybody whom its first steps tell, so many of them.
    pub fn told_by(&self, steps: usize) -> impl Iterator<Item = SettingId> + '_ {
        (0..steps)
            .filter_map(|number| self.step(number))
            .flat_map(|(_, channels)| channels)
            .copied()
    }

    /// Puts other channels in the place of some.
    pub fn lead_elsewhere(&mut self, instead: &BTreeMap<SettingId, SettingId>) {
        let steps = self.steps.iter_mut().map(|step| &mut step.channels);
        for channels in steps.chain([&mut self.channels]) {
            let other = |id: &SettingId| *instead.get(id).unwrap_or(id);
            *channels = channels.iter().map(other).collect();
        }
    }

    /// All channels it ever leads to.
    #[must_use]
    pub fn leads_to(&self) -> BTreeSet<SettingId> {
        self.told_by(self.steps.len() + 1).collect()
    }
}

impl Quiet {
    fn checked(self) -> Result<Self, (&'static str, String)> {
        let hours =
            self.hours.checked().map_err(|(field, why)| ("quiet", format!("{field} {why}")))?;
        Ok(Self { hours, ..self })
    }
}

fn channels(
    field: &'static str,
    channels: &BTreeSet<SettingId>,
) -> Result<(), (&'static str, String)> {
    if (1..=MOST_CHANNELS).contains(&channels.len()) {
        return Ok(());
    }
    Err((field, format!("must name 1 to {MOST_CHANNELS} ids of channels")))
}

fn minutes(field: &'static str, name: &str, minutes: u32) -> Result<(), (&'static str, String)> {
    if (1..=LONGEST_MINUTES).contains(&minutes) {
        return Ok(());
    }
    Err((field, format!("must have {name} from 1 to {LONGEST_MINUTES} (a week)")))
}

fn milliseconds(minutes: u32) -> i64 {
    i64::from(minutes) * 60_000
}

#[cfg(test)]
mod tests;
