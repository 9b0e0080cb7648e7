//! Windows and quiet hours where clocks change, compared with what somebody finds who looks at the clock
//! on the wall every minute.
//!
//! What is compared with knows nothing of how the calendar does it: it goes from instants to what clocks
//! show, never the other way, and marks each minute.

use std::collections::HashMap;
use std::sync::LazyLock;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::*;

/// On either side of a change of clocks.
const DAYS: i64 = 6;
/// What is asked about lies so near to the change that all that matters to it lies in those days.
const NEAR: i64 = 3;
const DAY_MINUTES: i64 = 24 * 60;

/// The clock on a wall, minute by minute.
struct Wall {
    zone: &'static str,
    begin: DateTime<Utc>,
    shown: Vec<NaiveDateTime>,
    /// When each time was shown first.
    first: HashMap<NaiveDateTime, usize>,
    /// The latest time that had been shown by then.
    latest: Vec<NaiveDateTime>,
}

/// A zone, when its clock changes, and by how many minutes.
const CHANGES: [(&str, &str, i64); 10] = [
    ("Europe/Berlin", "2026-03-29T01:00:00Z", 60),
    ("Europe/Berlin", "2026-10-25T01:00:00Z", -60),
    ("America/New_York", "2026-03-08T07:00:00Z", 60),
    ("America/New_York", "2026-11-01T06:00:00Z", -60),
    ("Australia/Lord_Howe", "2026-04-04T15:00:00Z", -30),
    ("Australia/Lord_Howe", "2026-10-03T15:30:00Z", 30),
    // At midnight: a day that begins at one, and a day whose last hour comes twice.
    ("Africa/Cairo", "2026-04-23T22:00:00Z", 60),
    ("Africa/Cairo", "2026-10-29T21:00:00Z", -60),
    // A day that never was.
    ("Pacific/Apia", "2011-12-30T10:00:00Z", 24 * 60),
    ("Asia/Kolkata", "2026-03-29T01:00:00Z", 0),
];

static WALLS: LazyLock<Vec<Wall>> =
    LazyLock::new(|| CHANGES.map(|(zone, at, by)| Wall::new(zone, at, by)).into());

impl Wall {
    fn new(zone: &'static str, change: &str, by: i64) -> Self {
        let tz: chrono_tz::Tz = zone.parse().unwrap();
        let change = DateTime::parse_from_rfc3339(change).unwrap().to_utc();
        let show = |at: DateTime<Utc>| at.with_timezone(&tz).naive_local();
        let jump = show(change) - show(change - TimeDelta::minutes(1));
        assert_eq!(jump.num_minutes(), by + 1, "{zone} changes at {change}");

        let begin = change - TimeDelta::days(DAYS);
        let minutes = 0..2 * DAYS * DAY_MINUTES;
        let shown: Vec<_> = minutes.map(|n| show(begin + TimeDelta::minutes(n))).collect();
        let mut first = HashMap::new();
        let mut latest = Vec::new();
        for (minute, time) in shown.iter().enumerate() {
            first.entry(*time).or_insert(minute);
            latest.push(latest.last().map_or(*time, |latest: &NaiveDateTime| *latest.max(time)));
        }
        Self { zone, begin, shown, first, latest }
    }

    fn instant(&self, minute: usize) -> DateTime<Utc> {
        self.begin + TimeDelta::minutes(minute.try_into().unwrap())
    }

    /// The first minute in which the clock shows that time or a later one.
    fn reached(&self, time: NaiveDateTime) -> usize {
        self.latest.partition_point(|latest| *latest < time)
    }

    /// The minute that a start means. In a gap it is so much after the last minute before it.
    fn start(&self, time: NaiveDateTime) -> Option<usize> {
        self.first.get(&time).copied().or_else(|| {
            let before = self.reached(time).checked_sub(1)?;
            let late = (time - self.shown[before]).num_minutes();
            (self.reached(time) < self.shown.len()).then(|| before + usize::try_from(late).unwrap())
        })
    }

    /// Every date that the clock could show, or skips.
    fn dates(&self) -> impl Iterator<Item = NaiveDate> {
        let (first, last) = (self.shown[0].date(), self.latest[self.latest.len() - 1].date());
        first.iter_days().take_while(move |date| *date <= last)
    }

    /// The minutes worth asking about: wherever something begins or ends, and some besides.
    fn worth_asking(marks: &[bool], besides: &[usize]) -> Vec<usize> {
        let near = |days| usize::try_from(days * DAY_MINUTES).unwrap();
        let (from, to) = (near(DAYS - NEAR), near(DAYS + NEAR));
        let edges = (from..to).filter(|n| marks[*n] != marks[*n - 1]).flat_map(|n| [n - 1, n]);
        edges.chain(besides.iter().map(|n| from + n % (to - from))).collect()
    }

    /// The end of what is marked at a minute; `Err` when it ends after what was looked at.
    fn end(&self, marks: &[bool], minute: usize) -> Result<Option<DateTime<Utc>>, DateTime<Utc>> {
        if !marks[minute] {
            return Ok(None);
        }
        let end = (minute..marks.len()).find(|n| !marks[*n]);
        end.map(|n| Some(self.instant(n))).ok_or_else(|| self.instant(marks.len()))
    }
}

/// A drawn window: a way of telling days, and times of the day.
#[derive(Clone, Debug)]
struct Plan {
    wall: usize,
    by: By,
    hours: Vec<u32>,
    minutes: Vec<u32>,
    duration: u32,
    /// The date of the start, in days after the first.
    start: i64,
}

#[derive(Clone, Debug)]
enum By {
    Days { interval: i64 },
    Weeks { interval: i64, days: Vec<usize> },
    Cron { days: Vec<usize> },
}

const NAMES: [&str; 7] = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];

fn numbers(numbers: &[u32]) -> String {
    numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

impl Plan {
    fn wall(&self) -> &'static Wall {
        &WALLS[self.wall]
    }

    fn first_date(&self) -> NaiveDate {
        self.wall().shown[0].date() + TimeDelta::days(self.start)
    }

    fn window(&self) -> Window {
        let (hours, minutes) = (numbers(&self.hours), numbers(&self.minutes));
        let times = format!("BYHOUR={hours};BYMINUTE={minutes}");
        let names =
            |days: &[usize]| days.iter().map(|day| NAMES[*day]).collect::<Vec<_>>().join(",");
        let rule = match &self.by {
            By::Days { interval } => format!("FREQ=DAILY;INTERVAL={interval};{times}"),
            By::Weeks { interval, days } => {
                format!("FREQ=WEEKLY;INTERVAL={interval};BYDAY={};{times}", names(days))
            }
            By::Cron { days } => {
                let days: Vec<_> = days.iter().map(|day| ((day + 1) % 7).to_string()).collect();
                format!("{minutes} {hours} * * {}", days.join(","))
            }
        };
        let mut of = json!({"duration_seconds": self.duration * 60, "timezone": self.wall().zone});
        if matches!(self.by, By::Cron { .. }) {
            of["cron"] = rule.into();
        } else {
            of["start"] = format!("{}T00:00:00", self.first_date()).into();
            of["rrule"] = rule.into();
        }
        read(of)
    }

    fn is_on(&self, date: NaiveDate) -> bool {
        let weekday =
            |date: NaiveDate| usize::try_from(date.weekday().num_days_from_monday()).unwrap();
        let monday = |date: NaiveDate| date - TimeDelta::days(weekday(date).try_into().unwrap());
        let start = self.first_date();
        match &self.by {
            By::Days { interval } => date >= start && (date - start).num_days() % interval == 0,
            By::Weeks { interval, days } => {
                let weeks = (monday(date) - monday(start)).num_days() / 7;
                date >= start && weeks % interval == 0 && days.contains(&weekday(date))
            }
            By::Cron { days } => days.contains(&weekday(date)),
        }
    }

    /// The minutes in which an occurrence starts.
    fn starts(&self) -> Vec<usize> {
        let wall = self.wall();
        let mut starts = Vec::new();
        for date in wall.dates().filter(|date| self.is_on(*date)) {
            for hour in &self.hours {
                let time = |minute: &u32| date.and_hms_opt(*hour, *minute, 0).unwrap();
                starts.extend(self.minutes.iter().filter_map(|minute| wall.start(time(minute))));
            }
        }
        starts.sort_unstable();
        starts
    }
}

fn read(of: Value) -> Window {
    serde_json::from_value::<Window>(of).unwrap().checked().unwrap()
}

fn days() -> impl Strategy<Value = Vec<usize>> {
    subsequence((0..7).collect::<Vec<_>>(), 1..=7)
}

/// Hours in which clocks change come often.
fn hours() -> impl Strategy<Value = u32> {
    prop_oneof![3 => select(vec![0, 1, 2, 3, 23]), 1 => 0_u32..24]
}

fn plans() -> impl Strategy<Value = Plan> {
    let by = prop_oneof![
        (1_i64..4).prop_map(|interval| By::Days { interval }),
        (1_i64..3, days()).prop_map(|(interval, days)| By::Weeks { interval, days }),
        days().prop_map(|days| By::Cron { days }),
    ];
    let duration =
        prop_oneof![1_u32..90, 1_u32..600, select(vec![60, 1_380, 1_440, 1_500]), 1_u32..2_900];
    let times = (
        proptest::collection::btree_set(hours(), 1..3),
        proptest::collection::btree_set(prop_oneof![select(vec![0, 15, 30, 45]), 0_u32..60], 1..3),
    );
    (0..CHANGES.len(), by, times, duration, 0_i64..DAYS).prop_map(
        |(wall, by, (hours, minutes), duration, start)| {
            let (hours, minutes) = (hours.into_iter().collect(), minutes.into_iter().collect());
            Plan { wall, by, hours, minutes, duration, start }
        },
    )
}

/// Minutes, and seconds of them, about which is asked besides.
fn moments() -> impl Strategy<Value = (Vec<usize>, i64)> {
    (proptest::collection::vec(0_usize..100_000, 12), 0_i64..60)
}

type Ends = Result<Option<DateTime<Utc>>, DateTime<Utc>>;

/// What ends after all that was looked at need only end there or later.
fn agree(told: Option<DateTime<Utc>>, seen: Ends) -> bool {
    match seen {
        Ok(end) => told == end,
        Err(at_least) => told.is_some_and(|told| told >= at_least),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_500))]

    #[test]
    fn windows_are_as_the_clock_on_the_wall_has_them(plan in plans(), (besides, second) in moments()) {
        let (wall, window, starts) = (plan.wall(), plan.window(), plan.starts());
        let mut marks = vec![false; wall.shown.len()];
        for start in &starts {
            let end = (start + usize::try_from(plan.duration).unwrap()).min(marks.len());
            marks[(*start).min(end)..end].fill(true);
        }

        for minute in Wall::worth_asking(&marks, &besides) {
            let at = wall.instant(minute) + TimeDelta::seconds(second);
            let told = window.until(at);
            prop_assert!(agree(told, wall.end(&marks, minute)), "{plan:?} at {at}: {told:?}");
            if let Some(next) = starts.iter().find(|start| **start > minute) {
                prop_assert_eq!(window.next(at), Some(wall.instant(*next)), "{:?} at {}", plan, at);
            }
        }
    }

    #[test]
    fn quiet_hours_are_as_the_clock_on_the_wall_has_them(
        wall in 0..CHANGES.len(), days in days(), from in (hours(), 0_u32..60), to in (hours(), 0_u32..60),
        (besides, second) in moments(),
    ) {
        let wall = &WALLS[wall];
        let time = |(hour, minute)| NaiveTime::from_hms_opt(hour, minute, 0).unwrap();
        let (from, to) = (time(from), time(to));
        let quiet = QuietHours {
            days: days.iter().map(|day| Day::ALL[*day]).collect(),
            from: from.format("%H:%M").to_string().try_into().unwrap(),
            to: to.format("%H:%M").to_string().try_into().unwrap(),
            timezone: Some(wall.zone.to_owned()),
        };
        prop_assume!(quiet.clone().checked().is_ok());
        let mut marks = vec![false; wall.shown.len()];
        for date in wall.dates() {
            let weekday = usize::try_from(date.weekday().num_days_from_monday()).unwrap();
            if days.contains(&weekday) {
                let last = if to > from { date } else { date + TimeDelta::days(1) };
                let end = wall.reached(last.and_time(to));
                marks[wall.reached(date.and_time(from)).min(end)..end].fill(true);
            }
        }

        for minute in Wall::worth_asking(&marks, &besides) {
            let at = wall.instant(minute) + TimeDelta::seconds(second);
            let told = quiet.until(at);
            prop_assert!(agree(told, wall.end(&marks, minute)), "{quiet:?} at {at}: {told:?}");
        }
    }
}
