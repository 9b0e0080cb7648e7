//! Recurrence rules, without clocks: the examples of the specification, and rules drawn at random.

use chrono::{NaiveDateTime, TimeDelta};
use chrono_tz::Tz;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::rule::Rule;
use super::series::Series;

const TEN_YEARS: TimeDelta = TimeDelta::days(3_653);

fn local(text: &str) -> NaiveDateTime {
    text.parse().unwrap_or_else(|_| format!("{text}T09:00:00").parse().unwrap())
}

fn starts(start: NaiveDateTime, rule: &str, most: usize) -> Vec<NaiveDateTime> {
    let limit = start + TEN_YEARS;
    let series = Series::new(Rule::read(rule).unwrap(), start, Tz::UTC, limit);
    series.from(start, limit).take(most).collect()
}

/// Dates of a start at nine o'clock, as in `1997-09-02 12 22 10-02`: what is left out is as before.
fn dates(text: &str) -> Vec<NaiveDateTime> {
    let mut full = String::new();
    let mut all = Vec::new();
    for date in text.split(' ') {
        full.truncate(full.len() - date.len().min(full.len()));
        full.push_str(date);
        all.push(local(&full));
    }
    all
}

#[test]
fn the_examples_of_the_specification_come_when_it_says() {
    let weekdays = "MO,TU,WE,TH,FR";
    for (start, rule, come) in [
        ("1997-09-02", "FREQ=DAILY;COUNT=4", "1997-09-02 03 04 05"),
        ("1997-09-02", "FREQ=DAILY;INTERVAL=10;COUNT=5", "1997-09-02 12 22 10-02 12"),
        (
            "1997-09-01",
            "FREQ=WEEKLY;INTERVAL=2;UNTIL=19971224T000000Z;WKST=SU;BYDAY=MO,WE,FR",
            "1997-09-01 03 05 15 17 19 29 10-01 03 13 15 17 27 29 31 11-10 12 14 24 26 28 12-08 10 12 22",
        ),
        ("1997-08-05", "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO", "1997-08-05 10 19 24"),
        ("1997-08-05", "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU", "1997-08-05 17 19 31"),
        (
            "1997-09-05",
            "FREQ=MONTHLY;COUNT=10;BYDAY=1FR",
            "1997-09-05 10-03 11-07 12-05 1998-01-02 02-06 03-06 04-03 05-01 06-05",
        ),
        (
            "1997-09-07",
            "FREQ=MONTHLY;INTERVAL=2;COUNT=10;BYDAY=1SU,-1SU",
            "1997-09-07 28 11-02 30 1998-01-04 25 03-01 29 05-03 31",
        ),
        (
            "1997-09-22",
            "FREQ=MONTHLY;COUNT=6;BYDAY=-2MO",
            "1997-09-22 10-20 11-17 12-22 1998-01-19 02-16",
        ),
        (
            "1997-09-28",
            "FREQ=MONTHLY;BYMONTHDAY=-3;COUNT=6",
            "1997-09-28 10-29 11-28 12-29 1998-01-29 02-26",
        ),
        ("2007-01-15", "FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5", "2007-01-15 30 02-15 03-15 30"),
        (
            "1997-01-01",
            "FREQ=YEARLY;INTERVAL=3;COUNT=10;BYYEARDAY=1,100,200",
            "1997-01-01 04-10 07-19 2000-01-01 04-09 07-18 2003-01-01 04-10 07-19 2006-01-01",
        ),
        ("1997-05-19", "FREQ=YEARLY;BYDAY=20MO;COUNT=3", "1997-05-19 1998-05-18 1999-05-17"),
        (
            "1997-05-12",
            "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO;COUNT=3",
            "1997-05-12 1998-05-11 1999-05-17",
        ),
        (
            "1997-09-02",
            "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13;COUNT=5",
            "1998-02-13 03-13 11-13 1999-08-13 2000-10-13",
        ),
        (
            "1997-09-13",
            "FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13;COUNT=7",
            "1997-09-13 10-11 11-08 12-13 1998-01-10 02-07 03-07",
        ),
        (
            "1996-11-05",
            "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8;COUNT=3",
            "1996-11-05 2000-11-07 2004-11-02",
        ),
        ("1997-09-04", "FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3", "1997-09-04 10-07 11-06"),
        (
            "1997-09-29",
            &format!("RRULE:FREQ=MONTHLY;BYDAY={weekdays};BYSETPOS=-2;COUNT=7"),
            "1997-09-29 10-30 11-27 12-30 1998-01-29 02-26 03-30",
        ),
    ] {
        assert_eq!(starts(local(start), rule, 40), dates(come), "{rule}");
    }
}

#[test]
fn what_a_rule_leaves_open_is_that_of_its_start() {
    for (rule, come) in [
        ("freq=daily", "2026-01-31 02-01 02"),
        ("FREQ=WEEKLY", "2026-01-31 02-07 14"),
        ("FREQ=MONTHLY", "2026-01-31 03-31 05-31"),
        ("FREQ=YEARLY", "2026-01-31 2027-01-31 2028-01-31"),
        ("FREQ=YEARLY;BYMONTH=3,12", "2026-03-31 12-31 2027-03-31"),
    ] {
        assert_eq!(starts(local("2026-01-31"), rule, 3), dates(come), "{rule}");
    }
    let twice =
        starts(local("2026-01-31"), "FREQ=DAILY;BYHOUR=9,21;BYMINUTE=0,30;BYSETPOS=1,-1", 3);
    assert_eq!(
        twice,
        ["2026-01-31T09:00:00", "2026-01-31T21:30:00", "2026-02-01T09:00:00"].map(local)
    );
}

#[test]
fn a_rule_that_says_nothing_certain_is_refused_with_the_part_at_fault() {
    for (rule, why) in [
        ("", "parts as in FREQ=DAILY"),
        ("COUNT=3", "must have a FREQ"),
        ("FREQ=SECONDLY", "not \"SECONDLY\"; what comes several times a day has BYHOUR"),
        ("FREQ=HOURLY;INTERVAL=6", "BYHOUR"),
        ("FREQ=DAILY;FREQ=DAILY", "FREQ once"),
        ("FREQ=DAILY;COUNT=0", "COUNT of 1 to 1000, not \"0\""),
        ("FREQ=DAILY;COUNT=99999999999999999999", "COUNT of 1 to 1000"),
        ("FREQ=DAILY;INTERVAL=1001", "INTERVAL of 1 to 1000"),
        ("FREQ=DAILY;INTERVAL=-1", "INTERVAL of 1 to 1000"),
        ("FREQ=DAILY;COUNT=3;UNTIL=20270101", "both COUNT and UNTIL"),
        ("FREQ=DAILY;UNTIL=2027-01-01", "UNTIL as in"),
        ("FREQ=DAILY;UNTIL=20270230", "UNTIL as in"),
        ("FREQ=DAILY;BYHOUR=24", "BYHOUR of 0 to 23"),
        ("FREQ=DAILY;BYHOUR=", "BYHOUR of 0 to 23, not \"\""),
        ("FREQ=DAILY;BYMONTHDAY=0", "BYMONTHDAY of 1 to 31 or -31 to -1"),
        ("FREQ=DAILY;BYMONTH=-1", "BYMONTH of 1 to 12, not"),
        ("FREQ=DAILY;BYDAY=1MO", "numbers in BYDAY"),
        ("FREQ=MONTHLY;BYDAY=0MO", "BYDAY of 1 to 53"),
        ("FREQ=MONTHLY;BYDAY=1XX", "BYDAY of MO, TU"),
        ("FREQ=MONTHLY;BYDAY=M", "BYDAY of MO, TU"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "BYMONTHDAY where FREQ is WEEKLY"),
        ("FREQ=MONTHLY;BYYEARDAY=1", "BYYEARDAY unless"),
        ("FREQ=MONTHLY;BYWEEKNO=1;BYDAY=MO", "BYWEEKNO unless"),
        ("FREQ=YEARLY;BYWEEKNO=1", "which days of the weeks"),
        ("FREQ=YEARLY;BYWEEKNO=1;BYDAY=1MO", "which days of the weeks"),
        ("FREQ=DAILY;BYSETPOS=1", "BYSETPOS without"),
        (
            "FREQ=DAILY;BYHOUR=0,6,12,18;BYMINUTE=0,5,10,15,20,25,30,35,40,45,50,55;BYSECOND=0,1",
            "48",
        ),
        ("FREQ=DAILY;BYEASTER=1", "\"BYEASTER\", which is no part"),
        ("FREQ=DAILY;WKST=XX", "WKST of MO, TU"),
        ("FREQ=DAILY\nCOUNT=3", "one line"),
        ("FREQ=DAILY;X=ü", "ASCII"),
        (&format!("FREQ=DAILY;{}", "X".repeat(500)), "500"),
    ] {
        let told = Rule::read(rule).unwrap_err();

        assert!(told.contains(why), "{rule}: {told}");
    }
}

/// A part with some of these numbers or names, or none.
fn part<T: std::fmt::Display + Clone + std::fmt::Debug + 'static>(
    name: &'static str,
    values: Vec<T>,
    most: usize,
) -> BoxedStrategy<String> {
    let text = move |some: Vec<T>| {
        let some: Vec<_> = some.iter().map(T::to_string).collect();
        format!(";{name}={}", some.join(","))
    };
    prop_oneof![3 => Just(String::new()), 2 => subsequence(values, 1..=most).prop_map(text)].boxed()
}

fn either_end(numbers: &[i32]) -> Vec<i32> {
    numbers.iter().rev().map(|n| -n).chain(numbers.iter().copied()).collect()
}

/// Rules of all four kinds, with everything that one of the kind may have.
fn rules() -> impl Strategy<Value = String> {
    let days = || vec!["MO", "TU", "WE", "TH", "FR", "SA", "SU"];
    let numbered = || {
        let numbered = vec!["1MO", "2TU", "-1FR", "-2SU", "5WE", "1SA", "-5TH"];
        prop_oneof![part("BYDAY", days(), 4), part("BYDAY", numbered, 4)]
    };
    let months = || part("BYMONTH", (1..=12).collect(), 4);
    let month_days = || part("BYMONTHDAY", either_end(&[1, 2, 13, 28, 29, 30, 31]), 5);
    let daily = (months(), month_days(), part("BYDAY", days(), 4))
        .prop_map(|(a, b, c)| format!("FREQ=DAILY{a}{b}{c}"));
    let weekly =
        (months(), part("BYDAY", days(), 4)).prop_map(|(a, b)| format!("FREQ=WEEKLY{a}{b}"));
    let monthly =
        (months(), month_days(), numbered()).prop_map(|(a, b, c)| format!("FREQ=MONTHLY{a}{b}{c}"));
    let yearly =
        (months(), month_days(), numbered()).prop_map(|(a, b, c)| format!("FREQ=YEARLY{a}{b}{c}"));
    let year_days = part("BYYEARDAY", either_end(&[1, 60, 100, 200, 365, 366]), 5)
        .prop_map(|a| format!("FREQ=YEARLY{a}"));
    let weeks = (part("BYWEEKNO", vec![1, 2, 20, 52, 53], 3), select(days()))
        .prop_map(|(a, day)| format!("FREQ=YEARLY{a};BYDAY={day}"));
    let kind = prop_oneof![daily, weekly, monthly, yearly, year_days, weeks];
    let times = (part("BYHOUR", vec![0, 2, 9, 23], 3), part("BYMINUTE", vec![0, 30, 59], 2));
    let rest = (
        part("INTERVAL", vec![2, 3, 5], 1),
        part("COUNT", vec![1, 7, 30], 1),
        part("WKST", vec!["SU", "WE", "MO"], 1),
        part("BYSETPOS", either_end(&[1, 2, 5]), 3),
    );
    (kind, times, rest).prop_map(|(kind, (hours, minutes), (interval, count, week, positions))| {
        let is_of_some = kind.contains(";BY") || !hours.is_empty() || !minutes.is_empty();
        let positions = if is_of_some { positions } else { String::new() };
        format!("{kind}{hours}{minutes}{interval}{count}{week}{positions}")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn from_any_time_on_it_is_the_same_series_and_backwards_too(
        rule in rules(), days in 0_i64..4_000, from in 0_i64..1_500, length in 0_i64..400,
    ) {
        let start = local("2019-01-01T02:30:00") + TimeDelta::days(days);
        let limit = start + TEN_YEARS;
        let (from, to) = (start + TimeDelta::days(from), start + TimeDelta::days(from + length));
        let series = Series::new(Rule::read(&rule).unwrap(), start, Tz::UTC, limit);
        let all: Vec<_> = series.from(start, limit).collect();

        let part: Vec<_> = all.into_iter().filter(|at| (from..=to).contains(at)).collect();
        prop_assert_eq!(&series.from(from, to).collect::<Vec<_>>(), &part, "{}", rule);
        let mut back: Vec<_> = series.back(to, from).collect();
        back.reverse();
        prop_assert_eq!(back, part, "{}", rule);
    }
}
