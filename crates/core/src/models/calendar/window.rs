//! Windows: once, by a recurrence rule, or by cron.

use std::ops::RangeInclusive;

use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, Timelike, Utc};
use serde::{Deserialize, Deserializer, Serialize};

use super::again::{Again, Recurrence};
use super::rule::Rule;
use super::{Fault, YEARS, cron, zone};

/// A minute to 31 days.
const DURATIONS: RangeInclusive<u32> = 60..=2_678_400;
/// Once, a window may last longer than that.
const LONGEST_ONCE: TimeDelta = TimeDelta::days(366);

/// A stretch of time, or many of one length. It is one of three:
///
/// * once: `from` and `to`;
/// * by a recurrence rule: `start`, `rrule`, `duration_seconds` and, where it is not UTC, `timezone`;
/// * by cron: `cron`, `duration_seconds` and, likewise, `timezone`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// When it begins.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "time")]
    pub from: Option<DateTime<Utc>>,
    /// When it is over: the first instant that is not in it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "time")]
    pub to: Option<DateTime<Utc>>,
    /// From when on the rule counts, by the clock of the zone. What the rule leaves open (a time, a
    /// weekday, a day of the month) is that of the start; it is not an occurrence unless the rule names
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "local_time")]
    pub start: Option<NaiveDateTime>,
    /// An RRULE of RFC 5545, of days or longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rrule: Option<String>,
    /// Five fields: minute, hour, day of the month, month, day of the week.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// How long each occurrence lasts; 60 to 2,678,400.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<u32>,
    /// Where the hours of a rule are counted, by its name at IANA. [`Window::checked`] adds UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
}

/// What a window is, once it is read.
enum Read {
    Once { from: DateTime<Utc>, to: DateTime<Utc> },
    Again(Again),
}

impl Window {
    /// The same with its zone, once it is certain that it means something.
    ///
    /// # Errors
    /// A field, and what is wrong with it.
    pub fn checked(mut self) -> Result<Self, Fault> {
        match self.read()? {
            Read::Once { from, to } if to <= from => {
                return Err(("to", "must be later than from".to_owned()));
            }
            Read::Once { from, to } if to.signed_duration_since(from) > LONGEST_ONCE => {
                let days = LONGEST_ONCE.num_days();
                return Err(("to", format!("must be at most {days} days after from")));
            }
            Read::Once { .. } => {}
            Read::Again(again) => {
                if !again.comes() {
                    let field = if self.cron.is_some() { "cron" } else { "rrule" };
                    return Err((
                        field,
                        "must come some day: within ten years, by a rule".to_owned(),
                    ));
                }
                self.timezone.get_or_insert_with(|| "UTC".to_owned());
            }
        }
        Ok(self)
    }

    /// Until when it is so, if it is at `at`: the end of the occurrence, or of all those that follow it
    /// without a pause. Of more than a hundred of those, the end of one: ask again then.
    ///
    /// A window that this version cannot read, which none is that was checked, is never so.
    #[must_use]
    pub fn until(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self.read().ok()? {
            Read::Once { from, to } => (from <= at && at < to).then_some(to),
            Read::Again(again) => again.until(at),
        }
    }

    /// When the next occurrence starts after `after`; `None` if none does in ten years.
    #[must_use]
    pub fn next(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self.read().ok()? {
            Read::Once { from, to } => (after < from && from < to).then_some(from),
            Read::Again(again) => again.next(after),
        }
    }

    fn read(&self) -> Result<Read, Fault> {
        if self.from.is_some() || self.to.is_some() {
            return self.read_once();
        }
        let recurrence = match (&self.rrule, &self.cron) {
            (Some(rrule), None) => self.read_rule(rrule)?,
            (None, Some(cron)) => self.read_cron(cron)?,
            (Some(_), Some(_)) => return Err(("cron", "must not stand beside rrule".to_owned())),
            (None, None) if self.start.is_some() => {
                return Err(("rrule", "is required where there is a start".to_owned()));
            }
            (None, None) => {
                let kinds = "must have from and to, or start and rrule, or cron";
                return Err(("", kinds.to_owned()));
            }
        };
        let Some(seconds) = self.duration_seconds else {
            return Err(("duration_seconds", "is required where there is a rule".to_owned()));
        };
        if !DURATIONS.contains(&seconds) {
            let (least, most) = (DURATIONS.start(), DURATIONS.end());
            return Err(("duration_seconds", format!("must be from {least} to {most}")));
        }
        let name = self.timezone.as_deref().unwrap_or("UTC");
        let zone =
            zone::read(name).ok_or_else(|| ("timezone", format!("must be a {}", zone::WANTED)))?;
        Ok(Read::Again(Again { recurrence, duration: TimeDelta::seconds(seconds.into()), zone }))
    }

    fn read_once(&self) -> Result<Read, Fault> {
        let others = [
            ("start", self.start.is_some()),
            ("rrule", self.rrule.is_some()),
            ("cron", self.cron.is_some()),
            ("duration_seconds", self.duration_seconds.is_some()),
            ("timezone", self.timezone.is_some()),
        ];
        if let Some((field, _)) = others.into_iter().find(|(_, is_there)| *is_there) {
            return Err((field, "must not stand beside from and to".to_owned()));
        }
        match (self.from, self.to) {
            (Some(from), Some(to)) => Ok(Read::Once { from, to }),
            (None, _) => Err(("from", "is required where there is a to".to_owned())),
            (_, None) => Err(("to", "is required where there is a from".to_owned())),
        }
    }

    fn read_rule(&self, text: &str) -> Result<Recurrence, Fault> {
        let rule = Rule::read(text).map_err(|why| ("rrule", why))?;
        let Some(start) = self.start else {
            return Err(("start", "is required where there is an rrule".to_owned()));
        };
        if !YEARS.contains(&start.year()) || start.nanosecond() != 0 {
            let (first, last) = (YEARS.start(), YEARS.end());
            return Err((
                "start",
                format!("must be a whole second of the years {first} to {last}"),
            ));
        }
        Ok(Recurrence::Rule { rule: Box::new(rule), start })
    }

    fn read_cron(&self, text: &str) -> Result<Recurrence, Fault> {
        if self.start.is_some() {
            return Err(("start", "must not stand beside cron".to_owned()));
        }
        let cron = cron::read(text).map_err(|wanted| ("cron", format!("must be a {wanted}")))?;
        Ok(Recurrence::Cron(Box::new(cron)))
    }
}

/// A text that is cut to what an answer can show.
fn quoted(text: &str) -> String {
    format!("{:?}", text.chars().take(40).collect::<String>())
}

fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
    let read = DateTime::parse_from_rfc3339(&text).map(|at| Some(at.to_utc()));
    read.map_err(|_other| {
        let wanted = "from and to must be times as in 2026-11-22T02:00:00Z, not";
        serde::de::Error::custom(format!("{wanted} {}", quoted(&text)))
    })
}

fn local_time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<NaiveDateTime>, D::Error> {
    let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
    text.parse().map(Some).map_err(|_other| {
        let wanted = "start must be a local time as in 2026-11-22T02:00:00, not";
        serde::de::Error::custom(format!("{wanted} {}", quoted(&text)))
    })
}
