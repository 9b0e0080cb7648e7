//! Who is told of an incident, and when: one rule for every way there is to be told.
//!
//! [`decide`] takes what is known of an incident ([`Facts`]), what its project configured ([`Rules`]), what
//! was done so far ([`Memory`]) and an instant. It says who is to be told now, and when to look again.
//! The recorder asks when an incident opens, the follow-ups ask when an instant has come that an earlier
//! answer named. Whoever asks keeps the memory in the same transaction in which people are told, so
//! that asking twice tells nobody twice.
//!
//! What holds an incident back holds back everything but its end: whoever has heard that it opened
//! hears that it is over, at once, and nobody else does.

mod family;
mod ladder;
mod memory;
mod muted;
mod rules;
pub mod storm;

use std::collections::BTreeSet;

use super::alert::AlertKind;
use super::channel::Severity;
use super::ids::{CheckId, IncidentId, SettingId};
use super::schedule::Slot;

pub use family::Family;
pub use ladder::Ladder;
pub use memory::Memory;
pub use muted::{Muted, MutedBy};
pub use rules::Rules;

/// What is known of an open incident.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The check.
    pub check: CheckId,
    /// Its tags.
    pub tags: &'a [String],
    /// How bad it is.
    pub severity: Severity,
    /// Whether the check has a webhook of its own.
    pub has_webhook: bool,
    /// Whether somebody has said that they see to it.
    pub acknowledged: bool,
    /// The channels that have heard that it opened.
    pub heard: &'a BTreeSet<SettingId>,
    /// What the checks that it depends on have to do with it.
    pub family: Family,
    /// The storm that it is a part of and that lasts, or that gathers in its project.
    pub storm: Option<IncidentId>,
}

/// What is to be told now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tell {
    /// What.
    pub kind: AlertKind,
    /// Tells it from others of its kind and incident; from 1.
    pub number: u16,
    /// Whether the check's own webhook is told.
    pub webhook: bool,
    /// The channels that are told.
    pub channels: BTreeSet<SettingId>,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// What is to be told, in this order.
    pub tell: Vec<Tell>,
    /// What has been done once that is told.
    pub memory: Memory,
    /// When to ask again; `None` for never, as long as nothing else happens.
    pub follow_up_at: Option<Slot>,
}

/// What was configured may change, whatever was said before: nobody is left waiting for longer than ten
/// minutes without being asked of again.
const LONGEST_WAIT_MS: i64 = 600_000;

/// Decides what is told of an open incident at `now`.
#[must_use]
pub fn decide(memory: Memory, facts: &Facts<'_>, rules: &Rules, now: Slot) -> Decision {
    let decision = held(memory, facts, rules, now);
    let soon = |at: Slot| at.min(now.plus(LONGEST_WAIT_MS));
    Decision { follow_up_at: decision.follow_up_at.map(soon), ..decision }
}

/// Decides what is told of a storm at `now`: to whom the routes lead that concern any of its `members`, by
/// their steps and reminders. With `news`, whoever has heard of it hears of it again. Of members that a
/// silence or maintenance holds nobody is told, and where it holds all of them nobody at all.
#[must_use]
pub fn decide_storm(
    mut memory: Memory,
    storm: &Facts<'_>,
    members: &[Facts<'_>],
    news: bool,
    rules: &Rules,
    now: Slot,
) -> Decision {
    let loud: Vec<Facts<'_>> =
        members.iter().filter(|member| rules.hold(member).is_none()).copied().collect();
    let held = loud.is_empty() && !members.is_empty();
    if storm.acknowledged || held {
        return Decision { memory, ..Decision::default() };
    }
    memory.enrol(&loud, rules, now);
    climb(memory, storm, rules, news, now)
}

/// Unless something holds it back, or somebody sees to it.
fn held(mut memory: Memory, facts: &Facts<'_>, rules: &Rules, now: Slot) -> Decision {
    if facts.acknowledged {
        // Whoever sees to it needs no reminding, and nobody else needs to be fetched: unless they take
        // that back, it stays as it is.
        return Decision { memory, ..Decision::default() };
    }
    memory.muted = rules
        .hold(facts)
        .or_else(|| memory.under_parent(facts.family, now))
        .or_else(|| memory.in_storm(facts.storm));
    if let Some(Muted { until, .. }) = memory.muted {
        // Where nobody knows until when, whoever ends it asks; and if not, it is asked all the same.
        let follow_up_at = Some(until.unwrap_or(Slot(i64::MAX)));
        let tell = memory.tell_webhook(facts);
        return Decision { tell, memory, follow_up_at };
    }
    climb(memory, facts, rules, false, now)
}

/// Takes every step and every reminder that is due; news are for everybody who has heard of it.
fn climb(mut memory: Memory, facts: &Facts<'_>, rules: &Rules, news: bool, now: Slot) -> Decision {
    let begins = memory.begin(facts, rules, now);
    let began = memory.began.unwrap_or(now);
    let mut due = BTreeSet::new();
    let mut reminded = BTreeSet::new();
    let (mut next, mut quiet): (Option<Slot>, Option<Muted>) = (None, None);
    memory.routes.retain(|id, ladder| {
        let Some(route) = rules.route(*id) else { return false };
        let climbed = ladder.climb(route, facts.severity, began, now);
        due.extend(climbed.told);
        reminded.extend(climbed.reminded);
        next = [next, climbed.next].into_iter().flatten().min();
        quiet = quiet.or_else(|| {
            let (by, until) = (MutedBy::QuietHours, climbed.next.filter(|_| climbed.waits)?);
            Some(Muted { by, id: Some(id.0), until: Some(until) })
        });
        climbed.next.is_some()
    });
    let opened: BTreeSet<_> = due.difference(facts.heard).copied().collect();
    // Whom a later step names again hears again; of those who never heard of it nobody is reminded.
    let is_for = |id: &&SettingId| news || reminded.contains(*id) || due.contains(*id);
    let again = facts.heard.iter().filter(is_for).copied().collect();
    let webhook = begins && memory.tells_webhook(facts);
    memory.muted =
        if facts.heard.is_empty() && opened.is_empty() && !webhook { quiet } else { None };
    let nobody_waits = begins && next.is_none();
    let tell = memory.tell(nobody_waits, webhook, opened, again);
    Decision { tell, memory, follow_up_at: next }
}

#[cfg(test)]
mod tests;
