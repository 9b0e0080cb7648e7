//! Reading a recurrence rule (RFC 5545, section 3.3.10).
//!
//! It must be of days or longer: what comes several times a day says so by `BYHOUR` and `BYMINUTE`. What
//! the specification leaves undefined is refused.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc, Weekday};

const LONGEST: usize = 500;
const COUNTS: RangeInclusive<i64> = 1..=1_000;
const INTERVALS: RangeInclusive<i64> = 1..=1_000;
/// In a day: every half hour.
const MOST_TIMES: usize = 48;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Frequency {
    #[default]
    Daily,
    Weekly,
    Monthly,
    Yearly,
}

/// The last instant at which an occurrence may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    Local(NaiveDateTime),
    Utc(DateTime<Utc>),
}

/// A weekday, and which one of the month or year, from its beginning or, if negative, from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ByDay {
    pub nth: Option<i64>,
    pub number_from_monday: u32,
}

/// As it is written: an empty list stands for a part that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub frequency: Frequency,
    pub interval: i64,
    pub count: Option<usize>,
    pub until: Option<Until>,
    pub months: Vec<i64>,
    pub weeks: Vec<i64>,
    pub year_days: Vec<i64>,
    pub month_days: Vec<i64>,
    pub days: Vec<ByDay>,
    pub hours: Vec<u32>,
    pub minutes: Vec<u32>,
    pub seconds: Vec<u32>,
    pub positions: Vec<i64>,
    pub week_start: Weekday,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            frequency: Frequency::default(),
            interval: 1,
            count: None,
            until: None,
            months: Vec::new(),
            weeks: Vec::new(),
            year_days: Vec::new(),
            month_days: Vec::new(),
            days: Vec::new(),
            hours: Vec::new(),
            minutes: Vec::new(),
            seconds: Vec::new(),
            positions: Vec::new(),
            week_start: Weekday::Mon,
        }
    }
}

impl Rule {
    /// Reads the value of an `RRULE`, or the whole line.
    ///
    /// # Errors
    /// What is wrong with it, for the person who wrote it.
    pub fn read(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST || !text.is_ascii() || text.contains(|c: char| c.is_ascii_control())
        {
            return Err(format!("must be one line of {LONGEST} ASCII characters at most"));
        }
        let upper = text.to_ascii_uppercase();
        let mut rule = Self::default();
        let mut named = BTreeSet::new();
        for part in upper.strip_prefix("RRULE:").unwrap_or(&upper).split(';') {
            let (name, value) = part
                .split_once('=')
                .ok_or_else(|| format!("must have parts as in FREQ=DAILY, not {part:?}"))?;
            if !named.insert(name) {
                return Err(format!("must have {name} once"));
            }
            rule.take(name, value)?;
        }
        if !named.contains("FREQ") {
            return Err("must have a FREQ".to_owned());
        }
        rule.fits().map(|()| rule)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), String> {
        let times = |most| times_in(name, value, most);
        let from_either_end = |most| numbers_in(name, value, 1..=most, true);
        match name {
            "FREQ" => self.frequency = frequency(value)?,
            "INTERVAL" => self.interval = number(name, value, &INTERVALS, false)?,
            "COUNT" => self.count = usize::try_from(number(name, value, &COUNTS, false)?).ok(),
            "UNTIL" => self.until = Some(until(value)?),
            "BYMONTH" => self.months = numbers_in(name, value, 1..=12, false)?,
            "BYWEEKNO" => self.weeks = from_either_end(53)?,
            "BYYEARDAY" => self.year_days = from_either_end(366)?,
            "BYMONTHDAY" => self.month_days = from_either_end(31)?,
            "BYDAY" => self.days = days(value)?,
            "BYHOUR" => self.hours = times(23)?,
            "BYMINUTE" => self.minutes = times(59)?,
            "BYSECOND" => self.seconds = times(59)?,
            "BYSETPOS" => self.positions = from_either_end(366)?,
            "WKST" => self.week_start = weekday(value).ok_or_else(|| wants_day(name, value))?,
            other => return Err(format!("must not have {other:?}, which is no part of a rule")),
        }
        Ok(())
    }

    /// Whether its parts go together (the table and the notes of section 3.3.10).
    fn fits(&self) -> Result<(), String> {
        let is = |frequency| self.frequency == frequency;
        let numbered = self.days.iter().any(|day| day.nth.is_some());
        let is_named = |lists: &[bool]| lists.iter().any(|is_empty| !is_empty);
        let others = [
            self.months.is_empty(),
            self.weeks.is_empty(),
            self.year_days.is_empty(),
            self.month_days.is_empty(),
            self.days.is_empty(),
            self.hours.is_empty(),
            self.minutes.is_empty(),
            self.seconds.is_empty(),
        ];
        let faults = [
            (self.count.is_some() && self.until.is_some(), "must not have both COUNT and UNTIL"),
            (
                !self.weeks.is_empty() && !is(Frequency::Yearly),
                "must not have BYWEEKNO unless FREQ is YEARLY",
            ),
            (
                !self.weeks.is_empty() && (self.days.is_empty() || numbered),
                "must say by BYDAY, without numbers, which days of the weeks in BYWEEKNO are meant",
            ),
            (
                !self.year_days.is_empty() && !is(Frequency::Yearly),
                "must not have BYYEARDAY unless FREQ is YEARLY",
            ),
            (
                !self.month_days.is_empty() && is(Frequency::Weekly),
                "must not have BYMONTHDAY where FREQ is WEEKLY",
            ),
            (
                numbered && (is(Frequency::Daily) || is(Frequency::Weekly)),
                "must not have numbers in BYDAY unless FREQ is MONTHLY or YEARLY",
            ),
            (
                !self.positions.is_empty() && !is_named(&others),
                "must not have BYSETPOS without another part that begins with BY",
            ),
        ];
        if let Some((_, why)) = faults.iter().find(|(is_so, _)| *is_so) {
            return Err((*why).to_owned());
        }
        let times = [&self.hours, &self.minutes, &self.seconds].map(|list| list.len().max(1));
        if times.iter().product::<usize>() > MOST_TIMES {
            return Err(format!("must not come more than {MOST_TIMES} times a day"));
        }
        Ok(())
    }
}

fn frequency(value: &str) -> Result<Frequency, String> {
    Ok(match value {
        "DAILY" => Frequency::Daily,
        "WEEKLY" => Frequency::Weekly,
        "MONTHLY" => Frequency::Monthly,
        "YEARLY" => Frequency::Yearly,
        other => {
            return Err(format!(
                "must have a FREQ of DAILY, WEEKLY, MONTHLY or YEARLY, not {other:?}; what comes several \
                 times a day has BYHOUR and BYMINUTE"
            ));
        }
    })
}

/// A number that is allowed, or, with `both`, the same below zero.
fn number(
    name: &str,
    value: &str,
    allowed: &RangeInclusive<i64>,
    both: bool,
) -> Result<i64, String> {
    let fits = |n: &i64| allowed.contains(n) || (both && allowed.contains(&-n));
    value.parse().ok().filter(|n| (-1_000..=1_000).contains(n)).filter(fits).ok_or_else(|| {
        let (least, most) = (allowed.start(), allowed.end());
        let or = if both { format!(" or -{most} to -{least}") } else { String::new() };
        format!("must have a {name} of {least} to {most}{or}, not {value:?}")
    })
}

/// Several, in order, each once.
fn numbers_in(
    name: &str,
    list: &str,
    allowed: RangeInclusive<i64>,
    both: bool,
) -> Result<Vec<i64>, String> {
    let all: Result<BTreeSet<_>, _> =
        list.split(',').map(|value| number(name, value, &allowed, both)).collect();
    Ok(all?.into_iter().collect())
}

fn times_in(name: &str, list: &str, most: i64) -> Result<Vec<u32>, String> {
    let all = numbers_in(name, list, 0..=most, false)?;
    Ok(all.into_iter().filter_map(|n| u32::try_from(n).ok()).collect())
}

fn days(list: &str) -> Result<Vec<ByDay>, String> {
    let all: Result<BTreeSet<_>, String> = list.split(',').map(day).collect();
    Ok(all?.into_iter().collect())
}

/// As in `MO`, `2MO` and `-1MO`.
fn day(value: &str) -> Result<ByDay, String> {
    let (nth, name) = value.split_at(value.len().saturating_sub(2));
    let weekday = weekday(name).ok_or_else(|| wants_day("BYDAY", value))?;
    let nth = match nth {
        "" => None,
        nth => Some(number("BYDAY", nth, &(1..=53), true)?),
    };
    Ok(ByDay { nth, number_from_monday: weekday.number_from_monday() })
}

fn weekday(name: &str) -> Option<Weekday> {
    Some(match name {
        "MO" => Weekday::Mon,
        "TU" => Weekday::Tue,
        "WE" => Weekday::Wed,
        "TH" => Weekday::Thu,
        "FR" => Weekday::Fri,
        "SA" => Weekday::Sat,
        "SU" => Weekday::Sun,
        _ => return None,
    })
}

fn wants_day(name: &str, value: &str) -> String {
    format!("must have {name} of MO, TU, WE, TH, FR, SA and SU, not {value:?}")
}

/// A date, of which all is meant, a local time, or one in UTC.
fn until(value: &str) -> Result<Until, String> {
    let wanted = || format!("must have an UNTIL as in 20261231 or 20261231T235959Z, not {value:?}");
    let local = |text: &str| NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%S").ok();
    let read = match value.len() {
        8 => NaiveDate::parse_from_str(value, "%Y%m%d")
            .ok()
            .and_then(|day| day.and_hms_opt(23, 59, 59))
            .map(Until::Local),
        15 => local(value).map(Until::Local),
        16 => value.strip_suffix('Z').and_then(local).map(|at| Until::Utc(at.and_utc())),
        _ => None,
    };
    read.ok_or_else(wanted)
}
