use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

fn window(of: Value) -> Window {
    serde_json::from_value::<Window>(of).unwrap().checked().unwrap()
}

fn rule(start: &str, rrule: &str, minutes: u32, zone: &str) -> Window {
    window(json!({
        "start": start, "rrule": rrule, "duration_seconds": minutes * 60, "timezone": zone,
    }))
}

fn quiet(days: &[&str], from: &str, to: &str, zone: &str) -> QuietHours {
    let hours = json!({"days": days, "from": from, "to": to, "timezone": zone});
    serde_json::from_value::<QuietHours>(hours).unwrap().checked().unwrap()
}

#[test]
fn a_window_that_comes_once_is_from_its_beginning_to_just_before_its_end() {
    let once = window(json!({"from": "2026-11-22T02:00:00Z", "to": "2026-11-22T05:00:00+01:00"}));

    assert_eq!(once.until(at("2026-11-22T01:59:59Z")), None);
    assert_eq!(once.until(at("2026-11-22T02:00:00Z")), Some(at("2026-11-22T04:00:00Z")));
    assert_eq!(once.until(at("2026-11-22T03:59:59.999Z")), Some(at("2026-11-22T04:00:00Z")));
    assert_eq!(once.until(at("2026-11-22T04:00:00Z")), None);
    assert_eq!(once.next(at("2026-11-22T01:59:59Z")), Some(at("2026-11-22T02:00:00Z")));
    assert_eq!(once.next(at("2026-11-22T02:00:00Z")), None);
}

#[test]
fn a_rule_goes_by_the_clock_of_its_zone_summer_and_winter() {
    let nightly = rule("2026-01-04T02:00:00", "FREQ=WEEKLY;BYDAY=SU", 90, "Europe/Berlin");

    assert_eq!(nightly.until(at("2026-01-04T01:30:00Z")), Some(at("2026-01-04T02:30:00Z")));
    assert_eq!(nightly.until(at("2026-07-05T00:30:00Z")), Some(at("2026-07-05T01:30:00Z")));
    assert_eq!(nightly.until(at("2026-07-05T01:30:00Z")), None);
    assert_eq!(nightly.until(at("2025-12-28T01:30:00Z")), None);
    assert_eq!(nightly.next(at("2025-06-01T00:00:00Z")), Some(at("2026-01-04T01:00:00Z")));
}

#[test]
fn cron_has_the_same_windows() {
    let zone = "Europe/Berlin";
    let cron = window(json!({"cron": "0 2 * * SUN", "duration_seconds": 5_400, "timezone": zone}));
    let rule = rule("2025-01-05T02:00:00", "FREQ=WEEKLY", 90, zone);

    for hours in 0..24 * 400 {
        let at = at("2026-01-01T00:15:00Z") + TimeDelta::hours(hours);

        assert_eq!((cron.until(at), cron.next(at)), (rule.until(at), rule.next(at)), "{at}");
    }
}

#[test]
fn occurrences_that_touch_or_overlap_are_one_stretch() {
    let days = rule("2026-03-02T00:00:00", "FREQ=DAILY;COUNT=3", 24 * 60, "UTC");
    let long = rule("2026-03-02T00:00:00", "FREQ=DAILY;INTERVAL=2;COUNT=3", 50 * 60, "UTC");
    let paused = rule("2026-03-02T00:00:00", "FREQ=DAILY;COUNT=3", 24 * 60 - 1, "UTC");

    assert_eq!(days.until(at("2026-03-02T12:00:00Z")), Some(at("2026-03-05T00:00:00Z")));
    assert_eq!(long.until(at("2026-03-02T12:00:00Z")), Some(at("2026-03-08T02:00:00Z")));
    assert_eq!(paused.until(at("2026-03-02T12:00:00Z")), Some(at("2026-03-02T23:59:00Z")));
    assert_eq!(days.until(at("2026-03-05T00:00:00Z")), None);
}

#[test]
fn what_never_pauses_is_followed_for_a_hundred_occurrences() {
    let always = rule("2026-03-01T00:00:00", "FREQ=DAILY", 24 * 60, "UTC");

    assert_eq!(always.until(at("2026-03-02T12:00:00Z")), Some(at("2026-06-10T00:00:00Z")));
}

#[test]
fn a_start_that_the_clock_skips_is_moved_and_of_two_the_first_is_meant() {
    let skipped = rule("2026-03-07T02:30:00", "FREQ=DAILY", 30, "America/New_York");
    let twice = rule("2026-10-31T01:30:00", "FREQ=DAILY", 120, "America/New_York");

    // 02:30 EST would be 03:30 EDT, which it is.
    assert_eq!(skipped.until(at("2026-03-08T07:29:00Z")), None);
    assert_eq!(skipped.until(at("2026-03-08T07:30:00Z")), Some(at("2026-03-08T08:00:00Z")));
    assert_eq!(skipped.until(at("2026-03-09T06:30:00Z")), Some(at("2026-03-09T07:00:00Z")));
    // Two hours are two hours: from 01:30 EDT to 02:30 EST.
    assert_eq!(twice.until(at("2026-11-01T05:29:00Z")), None);
    assert_eq!(twice.until(at("2026-11-01T05:30:00Z")), Some(at("2026-11-01T07:30:00Z")));
    assert_eq!(twice.next(at("2026-11-01T05:30:00Z")), Some(at("2026-11-02T06:30:00Z")));
}

#[test]
fn a_start_in_the_skipped_hour_may_come_behind_one_that_is_told_later() {
    let hours = "FREQ=DAILY;BYHOUR=2,3;BYMINUTE=45";
    let both = rule("2026-03-01T00:45:00", hours, 10, "Europe/Berlin");
    let odd =
        rule("2026-03-01T00:00:00", "FREQ=DAILY;BYHOUR=2,3;BYMINUTE=0,45", 10, "Europe/Berlin");

    // 02:45 is moved to 03:45, and 03:00 comes before.
    assert_eq!(both.next(at("2026-03-29T00:00:00Z")), Some(at("2026-03-29T01:45:00Z")));
    assert_eq!(both.next(at("2026-03-29T01:45:00Z")), Some(at("2026-03-30T00:45:00Z")));
    assert_eq!(odd.next(at("2026-03-29T00:30:00Z")), Some(at("2026-03-29T01:00:00Z")));
    assert_eq!(odd.until(at("2026-03-29T01:05:00Z")), Some(at("2026-03-29T01:10:00Z")));
}

#[test]
fn until_is_the_last_instant_at_which_an_occurrence_starts() {
    let ends = |until: &str| {
        let rule =
            rule("2026-03-01T22:00:00", &format!("FREQ=DAILY;UNTIL={until}"), 60, "Asia/Tokyo");
        let last = rule.until(at("2026-03-03T13:30:00Z")).is_some();
        (last, rule.until(at("2026-03-04T13:30:00Z")).is_some())
    };

    assert_eq!(ends("20260303"), (true, false));
    assert_eq!(ends("20260303T220000"), (true, false));
    assert_eq!(ends("20260303T215959"), (false, false));
    assert_eq!(ends("20260303T130000Z"), (true, false));
    assert_eq!(ends("20260303T125959Z"), (false, false));
    assert_eq!(ends("20260304T130000Z"), (true, true));
}

#[test]
fn a_window_that_means_nothing_is_refused_with_the_field_at_fault() {
    let (from, to) = ("2026-11-22T02:00:00Z", "2026-11-22T03:00:00Z");
    let start = "2026-11-22T02:00:00";
    for (of, field, why) in [
        (json!({}), "", "from and to, or start and rrule, or cron"),
        (json!({"from": from}), "to", "required"),
        (json!({"to": from}), "from", "required"),
        (json!({"from": from, "to": from}), "to", "later"),
        (json!({"from": from, "to": "2027-11-24T02:00:00Z"}), "to", "366 days"),
        (json!({"from": from, "to": to, "cron": "* * * * *"}), "cron", "beside from and to"),
        (json!({"from": from, "to": to, "timezone": "UTC"}), "timezone", "beside from and to"),
        (json!({"from": from, "to": to, "start": start}), "start", "beside from and to"),
        (json!({"start": start}), "rrule", "required"),
        (json!({"rrule": "FREQ=DAILY", "duration_seconds": 60}), "start", "required"),
        (json!({"start": start, "rrule": "FREQ=DAILY"}), "duration_seconds", "required"),
        (
            json!({"start": start, "rrule": "FREQ=DAILY", "duration_seconds": 59}),
            "duration_seconds",
            "60 to 2678400",
        ),
        (
            json!({"start": start, "rrule": "FREQ=DAILY", "duration_seconds": 2_678_401}),
            "duration_seconds",
            "60 to 2678400",
        ),
        (json!({"start": start, "rrule": "FREQ=SECONDLY"}), "rrule", "FREQ of DAILY"),
        (json!({"start": "1999-12-31T00:00:00", "rrule": "FREQ=DAILY"}), "start", "2000 to 2199"),
        (json!({"start": "2026-11-22T02:00:00.5", "rrule": "FREQ=DAILY"}), "start", "whole second"),
        (
            json!({"start": start, "rrule": "FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30", "duration_seconds": 60}),
            "rrule",
            "come some day",
        ),
        (
            json!({"start": start, "rrule": "FREQ=DAILY;UNTIL=20261121", "duration_seconds": 60}),
            "rrule",
            "come some day",
        ),
        (json!({"cron": "* * * *", "duration_seconds": 60}), "cron", "five fields"),
        (json!({"cron": "61 * * * *", "duration_seconds": 60}), "cron", "can be read"),
        (json!({"cron": "0 0 30 2 *", "duration_seconds": 60}), "cron", "come some day"),
        (json!({"cron": "0 0 * * *", "rrule": "FREQ=DAILY"}), "cron", "beside rrule"),
        (json!({"cron": "0 0 * * *", "start": start}), "start", "beside cron"),
        (
            json!({"cron": "0 0 * * *", "duration_seconds": 60, "timezone": "Mars/Olympus"}),
            "timezone",
            "IANA",
        ),
    ] {
        let read: Window = serde_json::from_value(of.clone()).unwrap();
        let (told, detail) = read.checked().unwrap_err();

        assert_eq!(told, field, "{of}: {detail}");
        assert!(detail.contains(why), "{of}: {detail}");
    }
    for (of, why) in [
        (json!({"from": "tomorrow"}), "from and to must be times as in"),
        (json!({"start": "2026-11-22T02:00:00Z"}), "start must be a local time as in"),
        (json!({"til": from}), "unknown field `til`"),
    ] {
        let told = serde_json::from_value::<Window>(of).unwrap_err().to_string();

        assert!(told.contains(why), "{told}");
    }
}

#[test]
fn a_window_is_written_as_it_was_read_with_its_zone() {
    let of = json!({"start": "2026-11-22T02:00:00", "rrule": "FREQ=DAILY", "duration_seconds": 60});
    let mut with_zone = of.clone();
    with_zone["timezone"] = "UTC".into();

    assert_eq!(json!(window(of)), with_zone);
    let once = json!({"from": "2026-11-22T02:00:00Z", "to": "2026-11-22T03:00:00Z"});
    assert_eq!(json!(window(once.clone())), once);
}

#[test]
fn quiet_hours_go_over_midnight_and_belong_to_the_day_on_which_they_begin() {
    let weekdays = quiet(&["mon", "tue", "wed", "thu", "fri"], "22:00", "07:00", "Europe/Berlin");

    // A Friday evening in winter.
    assert_eq!(weekdays.until(at("2026-01-09T20:59:59Z")), None);
    assert_eq!(weekdays.until(at("2026-01-09T21:00:00Z")), Some(at("2026-01-10T06:00:00Z")));
    assert_eq!(weekdays.until(at("2026-01-10T05:59:59Z")), Some(at("2026-01-10T06:00:00Z")));
    assert_eq!(weekdays.until(at("2026-01-10T06:00:00Z")), None);
    assert_eq!(weekdays.until(at("2026-01-10T21:00:00Z")), None);
    assert_eq!(weekdays.until(at("2026-07-10T20:00:00Z")), Some(at("2026-07-11T05:00:00Z")));
}

#[test]
fn quiet_hours_that_follow_each_other_are_one_stretch() {
    let weekend = quiet(&["sat", "sun"], "00:00", "00:00", "UTC");

    assert_eq!(weekend.until(at("2026-01-10T00:00:00Z")), Some(at("2026-01-12T00:00:00Z")));
    assert_eq!(weekend.until(at("2026-01-09T23:59:59Z")), None);
    let six = quiet(&["tue", "wed", "thu", "fri", "sat", "sun"], "09:00", "09:00", "UTC");
    assert_eq!(six.until(at("2026-01-06T09:00:00Z")), Some(at("2026-01-12T09:00:00Z")));
}

#[test]
fn a_night_of_quiet_hours_is_shorter_or_longer_where_clocks_change() {
    let nights = quiet(&[], "22:00", "02:30", "Europe/Berlin");

    // 02:30 is skipped: 03:00 is when it is over. Of two, the first is.
    assert_eq!(nights.until(at("2026-03-28T23:00:00Z")), Some(at("2026-03-29T01:00:00Z")));
    assert_eq!(nights.until(at("2026-10-24T23:00:00Z")), Some(at("2026-10-25T00:30:00Z")));
    assert_eq!(nights.until(at("2026-10-25T01:15:00Z")), None);
}

#[test]
fn quiet_hours_that_mean_nothing_are_refused_with_the_field_at_fault() {
    for (of, field) in [
        (json!({"from": "00:00", "to": "00:00"}), "to"),
        (json!({"days": Day::ALL, "from": "08:30", "to": "08:30"}), "to"),
        (json!({"from": "22:00", "to": "07:00", "timezone": "CE T"}), "timezone"),
    ] {
        let read: QuietHours = serde_json::from_value(of.clone()).unwrap();

        assert_eq!(read.checked().unwrap_err().0, field, "{of}");
    }
    for (of, why) in [
        (json!({"from": "24:00", "to": "07:00"}), "as in 22:00, not \"24:00\""),
        (json!({"from": "7:00", "to": "07:00"}), "as in 22:00"),
        (json!({"from": "07:00"}), "missing field `to`"),
        (json!({"from": "22:00", "to": "07:00", "days": ["monday"]}), "unknown variant `monday`"),
        (json!({"from": "22:00", "to": "07:00", "zone": "UTC"}), "unknown field `zone`"),
    ] {
        let told = serde_json::from_value::<QuietHours>(of).unwrap_err().to_string();

        assert!(told.contains(why), "{told}");
    }
    let days = json!({"days": ["sun", "mon", "sun"], "from": "22:00", "to": "07:00"});
    let read = serde_json::from_value::<QuietHours>(days).unwrap().checked().unwrap();
    let written =
        json!({"days": ["mon", "sun"], "from": "22:00", "to": "07:00", "timezone": "UTC"});
    assert_eq!(json!(read), written);
}

/// The dearest of each sort that was found. What they take is printed; the limit is for a debug build on
/// a busy machine.
#[test]
fn no_rule_takes_long_to_answer() {
    const LONGEST: Duration = Duration::from_millis(500);
    let half_hours = "FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYMINUTE=0,30;\
        BYHOUR=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23";
    let positions = format!("{half_hours};BYSETPOS=1,-1,366,-366");
    let counted = "FREQ=MONTHLY;BYMONTHDAY=13;BYDAY=FR;COUNT=1000";
    let start = "2000-01-01T00:00:00";
    let by = |rrule: &str, seconds: u32| json!({"start": start, "rrule": rrule, "duration_seconds": seconds, "timezone": "Africa/Cairo"});
    let cron = |text: &str, seconds: u32| json!({"cron": text, "duration_seconds": seconds, "timezone": "Africa/Cairo"});
    for of in [
        by(half_hours, 1_801),
        by(half_hours, 2_678_400),
        by(&positions, 2_678_400),
        by(counted, 60),
        by("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=TU;COUNT=1000", 60),
        by("FREQ=DAILY;COUNT=1", 60),
        by("FREQ=DAILY;UNTIL=20000102", 60),
        cron("* * * * *", 60),
        cron("* * * * *", 2_678_400),
        cron("0 0 29 2 1#5", 60),
        cron("59 23 31 12 *", 2_678_400),
    ] {
        let read: Window = serde_json::from_value(of.clone()).unwrap();
        let began = Instant::now();
        let window = read.checked().unwrap();
        let checked = began.elapsed();
        // By day, in the night in which clocks change, and long after.
        for at in ["2026-06-01T12:00:00Z", "2026-10-29T20:30:00Z", "2199-12-31T00:00:00Z"].map(at) {
            let began = Instant::now();
            let until = window.until(at);
            let asked = began.elapsed();
            let began = Instant::now();
            let next = window.next(at);
            let took = (checked, asked, began.elapsed());

            println!("{of} at {at}: checked, until, next in {took:?}: {until:?}, {next:?}");
            assert!(took.0.max(took.1).max(took.2) < LONGEST, "{of} at {at}: {took:?}");
        }
    }
}
