//! What an alert says: gathered once when it is raised, and worded alike for every channel.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::models::alert::AlertKind;
use crate::models::ids::{CheckId, IncidentId};
use crate::models::incident::{Before, IncidentKind};

words! {
    /// How bad it is.
    Severity {
        /// Alive, and less than well.
        Degraded = "degraded",
        /// Not working.
        Down = "down",
    }
}

/// See the module. It is kept with its alert, so that another channel can be told the same later: a
/// field that is added needs `#[serde(default)]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// What happened.
    pub kind: AlertKind,
    /// How bad it is, or was.
    pub severity: Severity,
    /// When the alert was raised, by the store's clock.
    pub at: DateTime<Utc>,
    /// The check, as it was then.
    pub check: About,
    /// The incident, as it was then.
    pub incident: Told,
    /// Where people go on from here.
    pub links: Links,
}

/// Whose incident it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Its id.
    pub id: CheckId,
    /// Its name.
    pub name: String,
    /// Its address.
    pub url: String,
    /// Its tags, sorted.
    pub tags: Vec<String>,
}

/// What is told of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Its id.
    pub id: IncidentId,
    /// What it is.
    pub kind: IncidentKind,
    /// The slot as of which it is so: the first that failed, or was degraded.
    pub started_at: DateTime<Utc>,
    /// The first good slot after it; `None` while it lasts.
    pub resolved_at: Option<DateTime<Utc>>,
    /// Why it ended, in a word.
    pub resolution: Option<String>,
    /// Who said that it is over, where somebody did and told a name.
    pub resolved_by: Option<String>,
    /// What was seen, in a sentence.
    pub cause: String,
    /// Where that is seen from, while it lasts.
    pub seen: Option<Seen>,
    /// What the check was before, if that is known.
    pub before: Option<Before>,
}

/// Where an outage is seen from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The regions that see it, sorted; at least one.
    pub from: Vec<String>,
    /// How many regions look.
    pub of: usize,
}

/// Addresses of Pulse's own pages; `None` where it was not told its public address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Links {
    /// The incident.
    pub incident: Option<String>,
    /// Acknowledges it without an account.
    pub acknowledge: Option<String>,
}

impl Message {
    /// What happened, in a few words: `Shop is down`.
    #[must_use]
    pub fn title(&self) -> String {
        let (name, severity) = (&self.check.name, self.severity);
        if !self.incident.kind.has_check() {
            return self.own_title();
        }
        match self.kind {
            AlertKind::Opened => format!("{name} is {severity}"),
            AlertKind::Reminder => format!("{name} is still {severity}"),
            AlertKind::Resolved => match self.incident.resolution.as_deref() {
                Some("recovered") | None => format!("{name} is up again"),
                Some("worsened") => format!("{name} is not degraded any more, but down"),
                Some("eased") => format!("{name} is not down any more, but degraded"),
                Some("resolved") => format!("{name}: incident resolved {}", self.by_whom()),
                Some(ended) => format!("{name}: incident ended, {ended}"),
            },
            AlertKind::Test => format!("A test from Pulse: {name}"),
        }
    }

    /// That of an incident which has a title instead of a check.
    fn own_title(&self) -> String {
        let name = &self.check.name;
        match self.kind {
            AlertKind::Opened => name.clone(),
            AlertKind::Reminder => format!("{name}: not over yet"),
            AlertKind::Resolved => match self.incident.resolution.as_deref() {
                Some("recovered") | None => format!("{name}: over"),
                Some("worsened") => format!("{name}: over, and some went down"),
                Some("eased") => format!("{name}: over, and some are degraded"),
                Some(_) => format!("{name}: resolved {}", self.by_whom()),
            },
            AlertKind::Test => format!("A test from Pulse: {name}"),
        }
    }

    fn by_whom(&self) -> String {
        self.incident.resolved_by.as_ref().map_or("by hand".into(), |name| format!("by {name}"))
    }

    /// What people ask next, as a question in a word and its answer, in the order of asking. Nothing
    /// that is not known.
    #[must_use]
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let known = |text: String| Some(text).filter(|text| !text.trim().is_empty());
        if self.kind == AlertKind::Test {
            return known(self.incident.cause.clone())
                .map(|why| ("Why", why))
                .into_iter()
                .collect();
        }
        let lasted = self.lasted().map(spoken);
        [
            ("Why", known(self.incident.cause.clone())),
            ("Severity", self.severity_if_untold()),
            ("Since", Some(time(self.incident.started_at))),
            ("Until", self.incident.resolved_at.map(time)),
            (if self.is_over() { "Lasted" } else { "Lasts" }, lasted),
            ("From", self.incident.seen.as_ref().map(Seen::told)),
            ("Before", self.before()),
            ("Address", known(self.check.url.clone())),
            ("Tags", known(self.check.tags.join(", "))),
        ]
        .into_iter()
        .filter_map(|(question, answer)| Some((question, answer?)))
        .collect()
    }

    /// The facts as lines of plain text; the title where there are none, for receivers that want a text.
    #[must_use]
    pub fn lines(&self) -> String {
        let lines: Vec<_> =
            self.facts().into_iter().map(|(what, it)| format!("{what}: {it}")).collect();
        if lines.is_empty() { self.title() } else { lines.join("\n") }
    }

    /// Whether there is nothing to do any more.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.kind, AlertKind::Resolved)
    }

    /// How bad it is from here on; `None` when all is well.
    #[must_use]
    pub fn goes_on_as(&self) -> Option<Severity> {
        if !self.is_over() {
            return Some(self.severity);
        }
        match self.incident.resolution.as_deref() {
            Some("worsened") => Some(Severity::Down),
            Some("eased") => Some(Severity::Degraded),
            _ => None,
        }
    }

    /// As it is kept.
    #[must_use]
    pub fn kept(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// As it was when it was kept; `None` where another version kept what this one cannot read.
    #[must_use]
    pub fn of_kept(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// What joins the messages of one incident at receivers that keep such a thing: the same for all of
    /// them, another for every other incident.
    #[must_use]
    pub fn key(&self) -> String {
        format!("pulse-{}", self.incident.id)
    }

    /// A title of somebody's own does not say how bad it is.
    fn severity_if_untold(&self) -> Option<String> {
        (!self.incident.kind.has_check()).then(|| self.severity.to_string())
    }

    /// Of no interest any more when it is over.
    fn before(&self) -> Option<String> {
        let Before { state, calm_since } = self.incident.before.filter(|_| !self.is_over())?;
        let calm = self.incident.started_at - calm_since.time();
        if calm <= TimeDelta::zero() {
            // It comes right after another.
            return Some(state.to_string());
        }
        Some(format!("{state}, without an incident for {}", spoken(calm)))
    }

    fn lasted(&self) -> Option<TimeDelta> {
        let until = self.incident.resolved_at.unwrap_or(self.at);
        let lasted = until - self.incident.started_at;
        (self.kind != AlertKind::Opened && lasted >= TimeDelta::zero()).then_some(lasted)
    }
}

impl Seen {
    fn told(&self) -> String {
        let from = self.from.join(", ");
        match (self.from.len(), self.of) {
            (_, 0 | 1) => from,
            (seen, of) => format!("{from} ({seen} of {of} regions)"),
        }
    }
}

/// An instant as RFC 3339 has it, to the second, in UTC.
pub(super) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The same to the millisecond, for programs.
pub(super) fn exact(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A time as people say it, in its two largest units: `2 h 5 min`.
fn spoken(lasted: TimeDelta) -> String {
    let seconds = lasted.num_seconds();
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let first = parts.iter().position(|(n, _)| *n > 0).unwrap_or(parts.len() - 1);
    let said: Vec<_> = parts[first..]
        .iter()
        .take(2)
        .filter(|(n, _)| *n > 0 || first == parts.len() - 1)
        .map(|(n, unit)| format!("{n} {unit}"))
        .collect();
    said.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_their_two_largest_units() {
        for (seconds, told) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (125, "2 min 5 s"),
            (7_500, "2 h 5 min"),
            (90_000, "1 d 1 h"),
            (86_400 + 60, "1 d"),
        ] {
            assert_eq!(spoken(TimeDelta::seconds(seconds)), told);
        }
    }
}
