//! What people do with incidents: take them on, say that they are over, write down what they know.
//!
//! What an incident is stands in `alert`, beside what is told of it. Here is what it is about when it is
//! no outage of a check, and the bounds of what people may say.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::channel::Severity;
use super::health::State;
use super::ids::{IncidentId, NoteId};
use super::schedule::Slot;

words! {
    /// What an incident is.
    IncidentKind {
        /// A check is down or degraded, as its severity says.
        Outage = "outage",
        /// Somebody said that something is wrong.
        Manual = "manual",
        /// Many incidents at once, told of as one.
        Storm = "storm",
        /// Somebody tried a channel; over at once.
        Test = "test",
        /// Pulse has something to say of itself: it switched a channel off. Over at once.
        System = "system",
    }
}

impl IncidentKind {
    /// Whether there is a check that it is about.
    #[must_use]
    pub const fn has_check(self) -> bool {
        matches!(self, Self::Outage)
    }
}

words! {
    /// Where an incident stands.
    Standing {
        /// It lasts, and nobody has said that they see to it.
        Open = "open",
        /// It lasts, and somebody sees to it.
        Acknowledged = "acknowledged",
        /// It is over.
        Resolved = "resolved",
    }
}

/// Who sees to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Since when, by the store's clock.
    pub at: DateTime<Utc>,
    /// As they called themselves, where they did.
    pub by: Option<String>,
}

/// What a check was before an incident began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Its state where the first failing slot was.
    pub state: State,
    /// The end of its last incident, or when it was created; no longer ago than incidents are kept.
    pub calm_since: Slot,
}

words! {
    /// What somebody did.
    NoteKind {
        /// Said that something is wrong.
        Reported = "reported",
        /// Wrote something down.
        Note = "note",
        /// Said that they see to it.
        Acknowledged = "acknowledged",
        /// Took that back.
        Unacknowledged = "unacknowledged",
        /// Said that it is over.
        Resolved = "resolved",
    }
}

/// Something that somebody did about an incident, or said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Its id, ordered by time.
    pub id: NoteId,
    /// The incident.
    pub incident_id: IncidentId,
    /// What was done.
    pub kind: NoteKind,
    /// As they called themselves, where they did.
    pub author: Option<String>,
    /// In their words; empty where they said nothing.
    pub text: String,
    /// When, by the store's clock.
    pub at: DateTime<Utc>,
}

/// Who does something about an incident, and what they say to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Act {
    /// As they call themselves, where they do.
    pub by: Option<String>,
    /// Empty where they say nothing.
    pub note: String,
}

/// An incident that somebody opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What it is called.
    pub title: String,
    /// What is known, in a sentence.
    pub cause: String,
    /// How bad it is.
    pub severity: Severity,
    /// What it has to do with: routes go by them.
    pub tags: Vec<String>,
}

/// Characters of a name.
pub const LONGEST_NAME: usize = 200;
/// Characters of a cause.
pub const LONGEST_CAUSE: usize = 1_000;
/// Characters of a note.
pub const LONGEST_NOTE: usize = 10_000;
/// Notes of one incident, and acts that are kept with it.
pub const MOST_NOTES: u32 = 500;
/// Incidents of a project that somebody opened, and that last.
pub const MOST_REPORTED: u32 = 1_000;
/// Tags of an incident.
pub const MOST_TAGS: usize = 20;
/// Characters of a tag.
pub const LONGEST_TAG: usize = 64;

/// Somebody's name, a title, or another line: without the space around it.
///
/// # Errors
/// What it should be.
pub fn line(text: &str, most: usize) -> Result<String, String> {
    let text = text.trim();
    let fits = (1..=most).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    let told = || format!("must have 1 to {most} characters, none of them a control character");
    fits.then(|| text.to_owned()).ok_or_else(told)
}

/// What somebody writes, lines and all: without the space around it.
///
/// # Errors
/// What it should be.
pub fn prose(text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_strange = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    let fits = text.chars().count() <= LONGEST_NOTE && !text.chars().any(is_strange);
    let told = || {
        format!(
            "must have at most {LONGEST_NOTE} characters, no control characters but line ends and tabs"
        )
    };
    fits.then(|| text.to_owned()).ok_or_else(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_short_line_and_a_note_may_have_many() {
        assert_eq!(line(" Ada ", 3), Ok("Ada".into()));
        assert_eq!(prose("\nfirst\n\tsecond\n"), Ok("first\n\tsecond".into()));
        assert_eq!(prose("  "), Ok(String::new()));

        for wrong in ["", "  ", "Adas", "A\nB", "A\0"] {
            assert!(line(wrong, 3).is_err(), "{wrong:?}");
        }
        for wrong in ["a\0b".to_owned(), "\u{1b}[31m".to_owned(), "x".repeat(LONGEST_NOTE + 1)] {
            assert!(prose(&wrong).is_err(), "{wrong:?}");
        }
    }
}
