//! Quiet hours: on some days of the week, from one time of the day to another.

use std::fmt;

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta, Timelike, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::{Fault, YEARS, zone};

words! {
    /// A day of the week.
    Day {
        /// Monday.
        Monday = "mon",
        /// Tuesday.
        Tuesday = "tue",
        /// Wednesday.
        Wednesday = "wed",
        /// Thursday.
        Thursday = "thu",
        /// Friday.
        Friday = "fri",
        /// Saturday.
        Saturday = "sat",
        /// Sunday.
        Sunday = "sun",
    }
}

/// A time of the day, to the minute, as in `22:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay(NaiveTime);

impl TryFrom<String> for TimeOfDay {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let read = NaiveTime::parse_from_str(&text, "%H:%M").ok().filter(|_| text.len() == 5);
        read.map(Self).ok_or_else(|| {
            let text: String = text.chars().take(40).collect();
            format!("a time of the day must be as in 22:00, not {text:?}")
        })
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> Self {
        time.to_string()
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0.hour(), self.0.minute())
    }
}

/// Hours in which people want to hear nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// The days on which they begin; none for every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Day>,
    /// When they begin.
    pub from: TimeOfDay,
    /// When they are over: on the day after, unless it is later than `from`.
    pub to: TimeOfDay,
    /// Where the hours are counted, by its name at IANA. [`QuietHours::checked`] adds UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
}

impl QuietHours {
    /// The same with its zone, each day named once, once it is certain that it means something.
    ///
    /// # Errors
    /// A field, and what is wrong with it.
    pub fn checked(mut self) -> Result<Self, Fault> {
        self.days.sort_unstable();
        self.days.dedup();
        let is_always = self.from == self.to && (self.days.is_empty() || self.days == Day::ALL);
        if is_always {
            return Err(("to", "must leave some of the week in which people are told".to_owned()));
        }
        if self.zone().is_none() {
            return Err(("timezone", format!("must be a {}", zone::WANTED)));
        }
        self.timezone.get_or_insert_with(|| "UTC".to_owned());
        Ok(self)
    }

    /// Until when it is quiet, if it is at `at`: the end of these hours, or of those that follow them
    /// without a pause.
    #[must_use]
    pub fn until(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // A day, and another where the date line is crossed; ahead, a week and what it ends in.
        const BEHIND: i64 = 2;
        const AHEAD: i64 = 9;
        if !YEARS.contains(&at.year()) {
            return None;
        }
        let zone = self.zone()?;
        let today = at.with_timezone(&zone).date_naive();
        let mut until = None;
        for days in -BEHIND..=AHEAD {
            let Some(day) = today.checked_add_signed(TimeDelta::days(days)) else { continue };
            let Some((begin, end)) = self.on(day, zone) else { continue };
            let reached = until.unwrap_or(at);
            if begin > reached {
                break;
            }
            if end > reached {
                until = Some(end);
            }
        }
        until
    }

    /// Those that begin on that day.
    fn on(&self, day: NaiveDate, zone: Tz) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let weekday = usize::try_from(day.weekday().num_days_from_monday()).ok()?;
        if !self.days.is_empty() && !self.days.contains(Day::ALL.get(weekday)?) {
            return None;
        }
        let last = if self.to > self.from { day } else { day.succ_opt()? };
        let reached = |day: NaiveDate, time: TimeOfDay| zone::reached(zone, day.and_time(time.0));
        Some((reached(day, self.from)?, reached(last, self.to)?))
    }

    fn zone(&self) -> Option<Tz> {
        zone::read(self.timezone.as_deref().unwrap_or("UTC"))
    }
}
