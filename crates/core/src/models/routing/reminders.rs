//! Reminders: further and further apart, and not for ever.

use serde::{Deserialize, Serialize};

use super::{LONGEST_MINUTES, milliseconds, minutes};

const MOST: u32 = 100;

/// How those who were told are reminded while an incident lasts and nobody has acknowledged it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reminders {
    /// Before the first; each further one takes twice as long as the one before. 1 to 10,080.
    pub every_minutes: u32,
    /// The longest that it takes, at least `every_minutes`; a day where nobody says otherwise.
    #[serde(default = "a_day")]
    pub longest_minutes: u32,
    /// How many there are at most, 1 to 100.
    #[serde(default = "ten")]
    pub at_most: u32,
}

const fn a_day() -> u32 {
    1_440
}

const fn ten() -> u32 {
    10
}

impl Reminders {
    pub(super) fn checked(self) -> Result<Self, (&'static str, String)> {
        const FIELD: &str = "reminders";
        minutes(FIELD, "every_minutes", self.every_minutes)?;
        if !(self.every_minutes..=LONGEST_MINUTES).contains(&self.longest_minutes) {
            let (least, most) = (self.every_minutes, LONGEST_MINUTES);
            return Err((
                FIELD,
                format!("must have longest_minutes from {least} (the every_minutes) to {most}"),
            ));
        }
        if !(1..=MOST).contains(&self.at_most) {
            return Err((FIELD, format!("must have at_most from 1 to {MOST}")));
        }
        Ok(self)
    }

    /// Milliseconds from the one before to the next, when there were so many; `None` behind the last.
    #[must_use]
    pub fn wait(&self, reminders: u32) -> Option<i64> {
        if reminders >= self.at_most {
            return None;
        }
        let doubled = u64::from(self.every_minutes) << reminders.min(30);
        let minutes = u32::try_from(doubled).unwrap_or(u32::MAX).min(self.longest_minutes);
        Some(milliseconds(minutes))
    }
}
