//! Occurrences of one length, at the instants that the local times of a rule mean.
//!
//! The order of local times is that of instants but for where clocks change, and there it is off by no
//! more than the change: so far beyond a candidate others are looked at, too.

use std::iter::successors;

use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::Cron;

use super::YEARS;
use super::rule::Rule;
use super::series::Series;
use super::zone::{LARGEST_CHANGE, change_about, instant, local};

/// How far ahead the next occurrence is looked for.
const HORIZON: TimeDelta = TimeDelta::days(3_653);
/// Occurrences that overlap or touch are followed so far to where they end.
const MOST_CHAINED: i32 = 100;

/// When something comes, by the clock of a zone.
pub(super) enum Recurrence {
    Rule { rule: Box<Rule>, start: NaiveDateTime },
    Cron(Box<Cron>),
}

/// What comes again and again.
pub(super) struct Again {
    pub recurrence: Recurrence,
    pub duration: TimeDelta,
    pub zone: Tz,
}

/// The local starts of a recurrence, as far as somebody wants to know.
enum Locals<'a> {
    Rule(Box<Series>),
    Cron(&'a Cron),
}

impl Locals<'_> {
    fn from(
        &self,
        from: NaiveDateTime,
        to: NaiveDateTime,
    ) -> Box<dyn Iterator<Item = NaiveDateTime> + '_> {
        let cron = match self {
            Self::Rule(series) => return Box::new(series.from(from, to)),
            Self::Cron(cron) => cron,
        };
        let find = |at: &DateTime<Utc>, too| cron.find_next_occurrence(at, too).ok();
        let all = successors(find(&from.and_utc(), true), move |last| find(last, false));
        Box::new(all.map(|at| at.naive_utc()).take_while(move |local| *local <= to))
    }

    fn back(
        &self,
        to: NaiveDateTime,
        from: NaiveDateTime,
    ) -> Box<dyn Iterator<Item = NaiveDateTime> + '_> {
        let cron = match self {
            Self::Rule(series) => return Box::new(series.back(to, from)),
            Self::Cron(cron) => cron,
        };
        let find = |at: &DateTime<Utc>, too| cron.find_previous_occurrence(at, too).ok();
        let all = successors(find(&to.and_utc(), true), move |last| find(last, false));
        Box::new(all.map(|at| at.naive_utc()).take_while(move |local| *local >= from))
    }
}

impl Again {
    /// Whether it comes at all: by a rule within ten years of its start, by cron within an age of the
    /// calendar, which goes round every 400 years.
    pub fn comes(&self) -> bool {
        match &self.recurrence {
            Recurrence::Rule { start, .. } => {
                let limit = *start + HORIZON;
                self.locals(limit).from(*start, limit).next().is_some()
            }
            Recurrence::Cron(cron) => {
                cron.find_next_occurrence(&DateTime::<Utc>::UNIX_EPOCH, true).is_ok()
            }
        }
    }

    /// See [`super::Window::until`].
    pub fn until(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if !YEARS.contains(&at.year()) {
            return None;
        }
        let reach = self.duration * MOST_CHAINED + LARGEST_CHANGE;
        let locals = self.locals(local(self.zone, at) + reach);
        let end = |at| self.latest(&locals, at).map(|start| start + self.duration);

        let mut until = end(at).filter(|end| *end > at)?;
        for _ in 1..MOST_CHAINED {
            match end(until) {
                Some(later) if later > until => until = later,
                _ => break,
            }
        }
        Some(until)
    }

    /// See [`super::Window::next`].
    pub fn next(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if !YEARS.contains(&after.year()) {
            return None;
        }
        let shown = local(self.zone, after);
        let locals = self.locals(shown + HORIZON);
        let mut first: Option<(NaiveDateTime, DateTime<Utc>)> = None;
        for local in locals.from(shown - change_about(self.zone, after), shown + HORIZON) {
            if first.is_some_and(|(last_to_ask, _)| local > last_to_ask) {
                break;
            }
            let Some(start) = instant(self.zone, local) else { continue };
            if start > after && first.is_none_or(|(_, first)| start < first) {
                first = Some((local + change_about(self.zone, start), start));
            }
        }
        first.map(|(_, start)| start)
    }

    /// The latest start at or before `at`, unless what began then has ended long since.
    fn latest(&self, locals: &Locals<'_>, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let shown = local(self.zone, at);
        let oldest = shown - self.duration - LARGEST_CHANGE;
        let mut latest: Option<(NaiveDateTime, DateTime<Utc>)> = None;
        for local in locals.back(shown + change_about(self.zone, at), oldest) {
            if latest.is_some_and(|(last_to_ask, _)| local < last_to_ask) {
                break;
            }
            let Some(start) = instant(self.zone, local) else { continue };
            if start <= at && latest.is_none_or(|(_, latest)| start > latest) {
                latest = Some((local - change_about(self.zone, start), start));
            }
        }
        latest.map(|(_, start)| start)
    }

    fn locals(&self, limit: NaiveDateTime) -> Locals<'_> {
        match &self.recurrence {
            Recurrence::Rule { rule, start } => {
                let series = Series::new(Rule::clone(rule), *start, self.zone, limit);
                Locals::Rule(Box::new(series))
            }
            Recurrence::Cron(cron) => Locals::Cron(cron),
        }
    }
}
