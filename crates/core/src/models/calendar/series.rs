//! The local times at which something starts by a recurrence rule, from any time on, forwards or back.
//!
//! A rule goes by periods (days, weeks, months, years), of which every so many count. The days of one
//! are those that all parts of the rule allow, each has the same times, and `BYSETPOS` picks of what
//! that makes. So any period can be told without those before it; what a `COUNT` allows is counted from
//! the beginning, once.

use chrono::{Datelike, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike};
use chrono_tz::Tz;

use super::rule::{ByDay, Frequency, Rule, Until};
use super::zone;

/// See the module.
#[derive(Debug)]
pub(super) struct Series {
    rule: Rule,
    /// Nothing starts before it.
    start: NaiveDateTime,
    zone: Tz,
    /// Those of every day, in order.
    times: Vec<NaiveTime>,
    /// Nothing starts after it, as far as was asked.
    last: Option<NaiveDateTime>,
}

/// Where something stands among all of its kind.
#[derive(Clone, Copy)]
struct Place {
    /// From 1.
    nth: i64,
    of: i64,
}

impl Place {
    /// Whether it is among the numbers, which count from the end where they are negative. No numbers
    /// ask for nothing.
    fn is_in(self, numbers: &[i64]) -> bool {
        numbers.is_empty() || numbers.iter().any(|n| self.is(*n))
    }

    const fn is(self, n: i64) -> bool {
        n == self.nth || n == self.nth - self.of - 1
    }
}

impl Series {
    /// What the rule makes of a start, as far as `limit`.
    pub fn new(rule: Rule, start: NaiveDateTime, zone: Tz, limit: NaiveDateTime) -> Self {
        let mut series = Self { times: times(&rule, start), rule, start, zone, last: None };
        series.take_from_start();
        // What is left of it afterwards is for `is_in_time` to say.
        series.last = series.rule.until.map(|until| match until {
            Until::Local(until) => until,
            Until::Utc(until) => {
                until.naive_utc().checked_add_signed(zone::LARGEST_CHANGE).unwrap_or(limit)
            }
        });
        if let Some(count) = series.rule.count {
            let last = series.from(start, limit).nth(count - 1);
            series.last = last;
        }
        series
    }

    /// What the rule leaves open is as it is on the day of the start.
    fn take_from_start(&mut self) {
        let (rule, start) = (&mut self.rule, self.start);
        let no_day = rule.days.is_empty()
            && rule.month_days.is_empty()
            && rule.year_days.is_empty()
            && rule.weeks.is_empty();
        if !no_day {
            return;
        }
        match rule.frequency {
            Frequency::Daily => {}
            Frequency::Weekly => {
                let number_from_monday = start.weekday().number_from_monday();
                rule.days = vec![ByDay { nth: None, number_from_monday }];
            }
            Frequency::Monthly => rule.month_days = vec![start.day().into()],
            Frequency::Yearly => {
                rule.month_days = vec![start.day().into()];
                if rule.months.is_empty() {
                    rule.months = vec![start.month().into()];
                }
            }
        }
    }

    /// In order, from `from` to `to`.
    pub fn from(
        &self,
        from: NaiveDateTime,
        to: NaiveDateTime,
    ) -> impl Iterator<Item = NaiveDateTime> {
        let (from, to) = (from.max(self.start), self.last.map_or(to, |last| last.min(to)));
        (self.period_of(from.date())..)
            .map_while(move |index| self.period(index).filter(|(first, _)| *first <= to.date()))
            .flat_map(move |period| self.within(period, (from.date(), to.date())))
            .skip_while(move |local| *local < from)
            .take_while(move |local| *local <= to)
            .filter(|local| self.is_in_time(*local))
    }

    /// The other way round: from `to` back to `from`.
    pub fn back(
        &self,
        to: NaiveDateTime,
        from: NaiveDateTime,
    ) -> impl Iterator<Item = NaiveDateTime> {
        let (from, to) = (from.max(self.start), self.last.map_or(to, |last| last.min(to)));
        (0..=self.period_of(to.date()))
            .rev()
            .map_while(move |index| self.period(index).filter(|(_, last)| *last >= from.date()))
            .flat_map(move |period| self.within(period, (from.date(), to.date())).rev())
            .skip_while(move |local| *local > to)
            .take_while(move |local| *local >= from)
            .filter(|local| self.is_in_time(*local))
    }

    fn is_in_time(&self, local: NaiveDateTime) -> bool {
        match self.rule.until {
            None => true,
            Some(Until::Local(until)) => local <= until,
            Some(Until::Utc(until)) => {
                zone::instant(self.zone, local).is_some_and(|at| at <= until)
            }
        }
    }

    /// The first and last day of a period that counts, from 0.
    fn period(&self, index: i64) -> Option<(NaiveDate, NaiveDate)> {
        let steps = index.checked_mul(self.rule.interval)?;
        let start = self.start.date();
        match self.rule.frequency {
            Frequency::Daily => {
                let day = start.checked_add_signed(TimeDelta::try_days(steps)?)?;
                Some((day, day))
            }
            Frequency::Weekly => {
                let week = TimeDelta::try_weeks(steps)?;
                let first = self.week_of(start)?.checked_add_signed(week)?;
                Some((first, first.checked_add_days(Days::new(6))?))
            }
            Frequency::Monthly => months(start.with_day(1)?, steps, 1),
            Frequency::Yearly => months(start.with_ordinal(1)?, steps.checked_mul(12)?, 12),
        }
    }

    /// The number of the period that counts a day is in, or of the last one before.
    fn period_of(&self, day: NaiveDate) -> i64 {
        let start = self.start.date();
        let years = i64::from(day.year()) - i64::from(start.year());
        let steps = match self.rule.frequency {
            Frequency::Daily => (day - start).num_days(),
            Frequency::Weekly => match (self.week_of(day), self.week_of(start)) {
                (Some(week), Some(first)) => (week - first).num_days() / 7,
                _ => 0,
            },
            Frequency::Monthly => years * 12 + i64::from(day.month()) - i64::from(start.month()),
            Frequency::Yearly => years,
        };
        steps.div_euclid(self.rule.interval).max(0)
    }

    fn week_of(&self, day: NaiveDate) -> Option<NaiveDate> {
        let days = day.weekday().days_since(self.rule.week_start);
        day.checked_sub_days(Days::new(days.into()))
    }

    /// All of a period, in order. Where no position counts, days outside of `of_interest` are left out.
    fn within(
        &self,
        (first, last): (NaiveDate, NaiveDate),
        of_interest: (NaiveDate, NaiveDate),
    ) -> Box<dyn DoubleEndedIterator<Item = NaiveDateTime> + '_> {
        if self.rule.positions.is_empty() {
            let days = self.days(first.max(of_interest.0), last.min(of_interest.1));
            return Box::new(
                days.flat_map(|day| self.times.iter().map(move |at| day.and_time(*at))),
            );
        }
        let days: Vec<_> = self.days(first, last).collect();
        Box::new(self.picked(&days).into_iter())
    }

    fn days(
        &self,
        first: NaiveDate,
        last: NaiveDate,
    ) -> impl DoubleEndedIterator<Item = NaiveDate> {
        (0..=(last - first).num_days())
            .filter_map(move |days| first.checked_add_signed(TimeDelta::days(days)))
            .filter(|day| self.is_named(*day))
    }

    /// What `BYSETPOS` leaves of what these days have.
    fn picked(&self, days: &[NaiveDate]) -> Vec<NaiveDateTime> {
        let all = || days.iter().flat_map(|day| self.times.iter().map(|at| day.and_time(*at)));
        let of = all().count().try_into().unwrap_or(i64::MAX);
        let numbered = (1..).zip(all());
        numbered
            .filter(|(nth, _)| Place { nth: *nth, of }.is_in(&self.rule.positions))
            .map(|(_, local)| local)
            .collect()
    }

    /// Whether all parts that tell days allow it.
    fn is_named(&self, day: NaiveDate) -> bool {
        let rule = &self.rule;
        let in_month = Place { nth: day.day().into(), of: day.num_days_in_month().into() };
        let in_year =
            Place { nth: day.ordinal().into(), of: if day.leap_year() { 366 } else { 365 } };
        (rule.months.is_empty() || rule.months.contains(&day.month().into()))
            && in_month.is_in(&rule.month_days)
            && in_year.is_in(&rule.year_days)
            && (rule.weeks.is_empty() || self.week_number(day).is_in(&rule.weeks))
            && (rule.days.is_empty() || self.is_weekday(day, in_month, in_year))
    }

    fn is_weekday(&self, day: NaiveDate, in_month: Place, in_year: Place) -> bool {
        let rule = &self.rule;
        let of_year = rule.frequency == Frequency::Yearly && rule.months.is_empty();
        let Place { nth, of } = if of_year { in_year } else { in_month };
        let nth = (nth - 1) / 7 + 1;
        let place =
            Place { nth, of: nth + (of - if of_year { in_year.nth } else { in_month.nth }) / 7 };
        let weekday = day.weekday().number_from_monday();
        let mut same = rule.days.iter().filter(|by| by.number_from_monday == weekday);
        same.any(|by| by.nth.is_none_or(|n| place.is(n)))
    }

    /// The number of the week a day is in: it is of the year that has four days of it at least.
    fn week_number(&self, day: NaiveDate) -> Place {
        let fourth = self.week_of(day).and_then(|first| first.checked_add_days(Days::new(3)));
        let fourth = fourth.unwrap_or(day);
        let (ordinal, length) = (fourth.ordinal0(), if fourth.leap_year() { 366 } else { 365 });
        let nth = i64::from(ordinal / 7) + 1;
        Place { nth, of: nth + i64::from((length - 1 - ordinal) / 7) }
    }
}

/// From the first of a month, `after` months later, `length` months.
fn months(first: NaiveDate, after: i64, length: u32) -> Option<(NaiveDate, NaiveDate)> {
    let first = first.checked_add_months(Months::new(after.try_into().ok()?))?;
    Some((first, first.checked_add_months(Months::new(length))?.pred_opt()?))
}

/// Those of the rule, or what of them it leaves open, of the start.
fn times(rule: &Rule, start: NaiveDateTime) -> Vec<NaiveTime> {
    let or = |list: &[u32], own: u32| if list.is_empty() { vec![own] } else { list.to_vec() };
    let minutes = or(&rule.minutes, start.minute());
    let seconds = or(&rule.seconds, start.second());
    let mut times = Vec::new();
    for hour in or(&rule.hours, start.hour()) {
        for minute in &minutes {
            let at = |second: &u32| NaiveTime::from_hms_opt(hour, *minute, *second);
            times.extend(seconds.iter().filter_map(at));
        }
    }
    times
}
