use chrono::DateTime;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::models::check::CheckDraft;

const SECOND: i64 = 1_000;
const HOUR: i64 = 3_600 * SECOND;
/// Since long before, and still.
const LISTENING: Listening = Listening { since: Slot(0), until: Slot(i64::MAX) };

fn config(more: &Value) -> CheckConfig {
    let mut body = json!({"name": "Backup", "url": "heartbeat://"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    CheckDraft::read(body).unwrap().config
}

fn every(seconds: u32, grace: u32) -> Rhythm {
    let options = json!({"grace_seconds": grace});
    Rhythm::of(&config(&json!({"interval_seconds": seconds, "heartbeat": options})))
}

fn cron(expression: &str, zone: &str, grace: u32) -> Rhythm {
    let options = json!({"cron": expression, "timezone": zone, "grace_seconds": grace});
    Rhythm::of(&config(&json!({ "heartbeat": options })))
}

fn slot(time: &str) -> Slot {
    Slot::from(DateTime::parse_from_rfc3339(time).unwrap().to_utc())
}

impl Heartbeat {
    fn take(&mut self, word: &str, rhythm: &Rhythm, at: i64) -> Option<Arrival> {
        let signal = Signal::parse(word).unwrap_or(Signal::Success);
        self.receive(&Ping::bare(signal), rhythm, Slot(at))
    }

    fn judge(&mut self, rhythm: &Rhythm, now: i64) -> Option<(i64, String)> {
        let arrival = self.overdue(rhythm, LISTENING, Slot(now))?;
        Some((arrival.at.0, arrival.outcome.reason().to_owned()))
    }

    fn dates(&self) -> (Option<i64>, Option<i64>) {
        (self.expected.map(|slot| slot.0), self.deadline.map(|slot| slot.0))
    }
}

#[test]
fn nothing_is_expected_before_the_first_ping() {
    let mut heartbeat = Heartbeat::default();

    assert_eq!(heartbeat.judge(&every(60, 10), i64::MAX), None);
    let arrival = heartbeat.take("", &every(60, 10), 1_000).unwrap();

    assert_eq!((arrival.at, arrival.outcome), (Slot(1_000), Outcome::Ok));
    assert_eq!(arrival.observation, seen(Slot(1_000), None, None));
    assert_eq!(heartbeat.dates(), (Some(61_000), Some(71_000)));
}

#[test]
fn a_period_without_a_ping_counts_once_and_the_next_follows_on_the_schedule() {
    let (mut heartbeat, rhythm) = (Heartbeat::default(), every(60, 10));
    heartbeat.take("", &rhythm, 0);

    assert_eq!(heartbeat.judge(&rhythm, 69_999), None);
    assert_eq!(heartbeat.judge(&rhythm, 70_000), Some((70_000, "heartbeat".into())));
    assert_eq!(heartbeat.judge(&rhythm, 70_000), None);
    assert_eq!(heartbeat.judge(&rhythm, 130_500), Some((130_000, "heartbeat".into())));
    assert_eq!(heartbeat.dates(), (Some(180_000), Some(190_000)));
}

#[test]
fn after_a_long_time_one_period_is_told_and_the_next_is_one_to_come() {
    for rhythm in [every(60, 10), every(60, 300), cron("* * * * *", "UTC", 10)] {
        let mut heartbeat = Heartbeat::default();
        heartbeat.take("", &rhythm, 0);
        let judged = heartbeat.judge(&rhythm, 1_000 * HOUR + 5_000);

        assert!(judged.is_some());
        let deadline = heartbeat.deadline.unwrap().0;
        assert!((1_000 * HOUR + 5_000..=1_000 * HOUR + 65_000).contains(&deadline), "{deadline}");
        assert_eq!(deadline % (60 * SECOND), rhythm.grace_ms() % (60 * SECOND));
    }
}

#[test]
fn silence_is_told_in_a_sentence() {
    let (mut heartbeat, rhythm) = (Heartbeat::default(), every(60, 10));
    heartbeat.take("", &rhythm, slot("2026-11-21T18:00:00Z").0);

    let late = heartbeat.overdue(&rhythm, LISTENING, slot("2026-11-21T18:02:00Z")).unwrap();

    let told = "no ping since 2026-11-21T18:00:00Z, expected by 2026-11-21T18:01:10Z";
    assert_eq!(late.observation.error.as_deref(), Some(told));
    assert_eq!(late.observation.evidence.unwrap().detail, Some(Detail::Late));
}

#[test]
fn a_failure_is_an_end_and_says_how_the_job_ended() {
    let rhythm = every(60, 10);
    for (word, told, code) in [
        ("fail", "the job reported a failure", None),
        ("3", "the job ended with exit code 3", Some("3")),
        ("255", "the job ended with exit code 255", Some("255")),
    ] {
        let mut heartbeat = Heartbeat::default();

        let arrival = heartbeat.take(word, &rhythm, 5_000).unwrap();

        assert_eq!(arrival.outcome, Outcome::Fail(FailClass::Heartbeat));
        assert_eq!(arrival.observation.error.as_deref(), Some(told));
        let evidence = arrival.observation.evidence.unwrap();
        assert_eq!(evidence.detail, Some(Detail::Reported));
        let facts: Vec<_> = evidence.facts.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(facts, Vec::from_iter(code));
        assert_eq!(heartbeat.dates(), (Some(65_000), Some(75_000)));
    }
}

#[test]
fn a_signal_is_a_word_or_an_exit_code() {
    for (word, signal) in [
        ("start", Some(Signal::Start)),
        ("fail", Some(Signal::Fail)),
        ("0", Some(Signal::Exit(0))),
        ("255", Some(Signal::Exit(255))),
        ("256", None),
        ("-1", None),
        ("+1", None),
        ("1.5", None),
        ("", None),
        ("stop", None),
    ] {
        assert_eq!(Signal::parse(word), signal, "{word:?}");
    }
    assert_eq!(Ping::bare(Signal::Exit(0)).outcome(), Outcome::Ok);
}

#[test]
fn from_a_start_to_an_end_is_how_long_it_took() {
    let (mut heartbeat, rhythm) = (Heartbeat::default(), every(60, 10));
    assert_eq!(heartbeat.take("start", &rhythm, 1_000), None);
    let short = heartbeat.take("", &rhythm, 4_500).unwrap().observation;

    assert_eq!((short.started_at, short.phases.total_us), (Slot(1_000).time(), Some(3_500_000)));
    heartbeat.take("start", &rhythm, 5_000);
    let long = heartbeat.take("1", &rhythm, 5_000 + 2 * HOUR).unwrap().observation;
    let fact = ("lasted_ms".to_owned(), "7200000".to_owned());
    assert!(long.evidence.unwrap().facts.contains(&fact));
    assert_eq!(long.phases.total_us, None, "more than the phase has room for");
}

#[test]
fn a_run_that_began_has_the_grace_to_end() {
    let rhythm = every(60, 10);
    let mut heartbeat = Heartbeat::default();
    heartbeat.take("", &rhythm, 0);
    heartbeat.take("start", &rhythm, 65_000);

    assert_eq!(heartbeat.dates(), (Some(60_000), Some(75_000)));
    let overrun = heartbeat.overdue(&rhythm, LISTENING, Slot(75_000)).unwrap();
    assert_eq!((overrun.at, overrun.outcome), (Slot(75_000), Outcome::Fail(FailClass::Heartbeat)));
    assert_eq!(overrun.observation.evidence.unwrap().detail, Some(Detail::Overrun));
    let told = "started at 1970-01-01T00:01:05Z, no end by 1970-01-01T00:01:15Z";
    assert_eq!(overrun.observation.error.as_deref(), Some(told));
    assert_eq!(heartbeat.dates(), (Some(120_000), Some(130_000)));
}

#[test]
fn a_start_before_its_time_takes_nothing_from_the_time_that_was_promised() {
    let (mut heartbeat, rhythm) = (Heartbeat::default(), every(60, 10));
    heartbeat.take("", &rhythm, 0);

    heartbeat.take("start", &rhythm, 20_000);

    assert_eq!(heartbeat.dates(), (Some(60_000), Some(70_000)));
}

#[test]
fn a_job_that_begins_again_and_again_and_never_ends_is_overdue() {
    let (mut heartbeat, rhythm) = (Heartbeat::default(), every(60, 10));
    heartbeat.take("start", &rhythm, 0);

    heartbeat.take("start", &rhythm, 5_000);
    heartbeat.take("start", &rhythm, 9_000);

    assert_eq!(heartbeat.judge(&rhythm, 10_000), Some((10_000, "heartbeat".into())));
}

#[test]
fn a_cron_expression_is_read_in_its_zone_with_its_summer_time() {
    for (expression, zone, after, next) in [
        ("0 3 * * *", "Europe/Berlin", "2026-11-21T02:00:05Z", "2026-11-22T02:00:00Z"),
        ("0 3 * * *", "Europe/Berlin", "2026-07-01T01:00:05Z", "2026-07-02T01:00:00Z"),
        ("0 3 * * *", "UTC", "2026-11-21T02:59:59.999Z", "2026-11-21T03:00:00Z"),
        ("30 9 * * MON-FRI", "America/New_York", "2026-11-20T15:00:00Z", "2026-11-23T14:30:00Z"),
        // The hour from two to three is left out: what falls into it comes when it is over, once.
        ("30 2 * * *", "Europe/Berlin", "2027-03-27T02:00:00Z", "2027-03-28T01:00:00Z"),
        ("30 2 * * *", "Europe/Berlin", "2027-03-28T01:00:01Z", "2027-03-29T00:30:00Z"),
        // The hour from two to three comes twice: what falls into it comes the first time alone.
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T01:00:00Z", "2026-10-25T00:30:00Z"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:01Z", "2026-10-26T01:30:00Z"),
        // What comes every half an hour comes in both.
        ("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:30:01Z", "2026-10-25T01:00:00Z"),
        ("*/30 * * * *", "Europe/Berlin", "2027-03-28T00:30:01Z", "2027-03-28T01:00:00Z"),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
    ] {
        let found = cron(expression, zone, 60).after(slot(after));
        assert_eq!(found, Some(slot(next)), "{expression} {zone} after {after}");
    }
}

#[test]
fn a_ping_from_a_host_whose_clock_is_ahead_is_the_one_that_was_expected() {
    let rhythm = cron("0 3 * * *", "UTC", 300);
    let mut heartbeat = Heartbeat::default();

    heartbeat.take("", &rhythm, slot("2026-11-21T02:59:58Z").0);
    assert_eq!(heartbeat.expected, Some(slot("2026-11-22T03:00:00Z")));

    heartbeat.take("", &rhythm, slot("2026-11-21T02:59:54Z").0);
    assert_eq!(heartbeat.expected, Some(slot("2026-11-21T03:00:00Z")));
}

#[test]
fn what_pulse_could_not_hear_is_no_failure() {
    let rhythm = every(60, 10);
    let since = |since: i64| Listening { since: Slot(since), until: Slot(i64::MAX) };
    for (heard_since, reason) in [
        (0, "heartbeat"),
        (50_000, "heartbeat"),
        (50_001, "not_listening"),
        (69_000, "not_listening"),
    ] {
        let mut heartbeat = Heartbeat::default();
        heartbeat.take("", &rhythm, 0);

        let judged = heartbeat.overdue(&rhythm, since(heard_since), Slot(70_000)).unwrap();

        assert_eq!((judged.at, judged.outcome.reason()), (Slot(70_000), reason), "{heard_since}");
    }
}

#[test]
fn after_an_absence_of_pulse_the_next_deadline_has_its_whole_grace() {
    let (mut heartbeat, rhythm) = (Heartbeat::default(), every(60, 30));
    heartbeat.take("", &rhythm, 0);
    let back = Listening { since: Slot(600_100), until: Slot(600_100) };

    let judged = heartbeat.overdue(&rhythm, back, Slot(600_100)).unwrap();

    assert_eq!(judged.outcome, Outcome::Inconclusive(InconclusiveReason::NotListening));
    assert_eq!(heartbeat.dates(), (Some(660_000), Some(690_000)));
    assert!(
        heartbeat.overdue(&rhythm, back, Slot(690_000)).unwrap().outcome.reason() == "heartbeat"
    );
}

#[test]
fn a_first_ping_before_the_first_round_was_heard() {
    let (mut heartbeat, rhythm) = (Heartbeat::default(), every(1, 1));
    heartbeat.take("", &rhythm, 10_000);
    let begun = Listening { since: Slot(10_900), until: Slot(12_000) };

    let judged = heartbeat.overdue(&rhythm, begun, Slot(12_000)).unwrap();

    assert_eq!(judged.outcome, Outcome::Fail(FailClass::Heartbeat));
}

#[test]
fn a_stretch_lasts_as_long_as_somebody_says_so() {
    let listening = Listening { since: Slot(0), until: Slot(100_000) };

    for (now, lasts) in [(99_000, true), (110_000, true), (110_001, false), (80_000, false)] {
        assert_eq!(listening.lasts(Slot(now)), lasts, "{now}");
    }
}

#[test]
fn an_edit_of_the_rhythm_and_a_resumption_wait_from_now_on() {
    let hourly = config(&json!({"interval_seconds": 3_600}));
    let paused = CheckConfig { enabled: false, ..hourly.clone() };
    let daily = config(&json!({"interval_seconds": 86_400}));
    let renamed = CheckConfig { name: "Other".into(), ..hourly.clone() };
    let mut heartbeat = Heartbeat::default();
    heartbeat.reconfigure(&hourly, &daily, Slot(0));
    assert_eq!(heartbeat, Heartbeat::default(), "still nothing is expected");
    heartbeat.take("", &Rhythm::of(&hourly), 0);
    heartbeat.take("start", &Rhythm::of(&hourly), 1_000);

    let mut same = heartbeat;
    same.reconfigure(&hourly, &renamed, Slot(50_000));
    assert_eq!(same, heartbeat);

    heartbeat.reconfigure(&hourly, &paused, Slot(50_000));
    let waits = Heartbeat { last_ping: Some(Slot(1_000)), ..Heartbeat::default() };
    assert_eq!(heartbeat, waits);
    heartbeat.reconfigure(&paused, &hourly, Slot(90_000));
    assert_eq!(heartbeat.dates(), (Some(90_000 + HOUR), Some(390_000 + HOUR)));
    heartbeat.reconfigure(&hourly, &daily, Slot(95_000));
    assert_eq!(heartbeat.expected, Some(Slot(95_000 + 24 * HOUR)));
}

#[test]
fn output_is_tamed_and_cut_and_need_not_be_text() {
    let long = "ä".repeat(MOST_OUTPUT_BYTES);
    let kept = |bytes: &[u8]| {
        let ping = Ping::new(Signal::Success, bytes, bytes.len() as u64);
        ping.observation(None, Slot(0)).evidence.and_then(|evidence| evidence.reply)
    };

    assert_eq!(kept(b""), None);
    assert_eq!(kept(b"done\x1b[2J\0\n").as_deref(), Some("done [2J \n"));
    assert_eq!(kept(b"a\xff\xfeb").as_deref(), Some("a\u{fffd}\u{fffd}b"));
    assert_eq!(kept(long.as_bytes()).map(|text| text.len()), Some(MOST_OUTPUT_BYTES));
    let evidence = Ping::new(Signal::Exit(1), b"no space", 12).observation(None, Slot(0)).evidence;
    assert_eq!(evidence.unwrap().reply_bytes, Some(12));
}

#[test]
fn a_token_is_32_digits_and_is_not_shown_to_logs() {
    let token = PingToken::of(0x0123_4567_89ab_cdef);

    assert_eq!(token.as_str(), "00000000000000000123456789abcdef");
    assert_eq!(PingToken::parse(token.as_str()), Some(token.clone()));
    assert_eq!(format!("{token:?}"), "PingToken(..)");
    for wrong in ["", "abc", &"A".repeat(32), &"0".repeat(33), &"ü".repeat(16)] {
        assert_eq!(PingToken::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn what_cannot_be_waited_for_is_refused_in_words() {
    let refusal = |options: Value| {
        let options: HeartbeatOptions = serde_json::from_value(options).unwrap();
        options.checked().unwrap_err()
    };

    for (options, told) in [
        (json!({"cron": "0 3 * *"}), "five fields"),
        (json!({"cron": "0 0 3 * * *"}), "five fields"),
        (json!({"cron": "@daily"}), "five fields"),
        (json!({"cron": ""}), "five fields"),
        (json!({"cron": "0 3 * * \u{fc}"}), "five fields"),
        (json!({"cron": format!("{}0 3 * * *", "0,".repeat(50))}), "100 characters"),
        (json!({"cron": "61 3 * * *"}), "can be read"),
        (json!({"cron": "a b c d e"}), "can be read"),
        (json!({"cron": "0 3 30 2 *"}), "comes some day"),
        (json!({"cron": "0 3 * * *", "timezone": "Mars"}), "IANA"),
        (json!({"timezone": "UTC"}), "only with a cron"),
        (json!({"grace_seconds": 0}), "from 1 to 604800"),
        (json!({"grace_seconds": 604_801}), "from 1 to 604800"),
    ] {
        let refused = refusal(options.clone());
        assert!(refused.contains(told), "{options}: {refused}");
    }
}

proptest! {
    /// Whatever comes in whatever order, slots of outcomes go forward and a deadline is one to come.
    #[test]
    fn a_deadline_lies_ahead_of_what_was_judged(
        seconds in 1_u32..5_000, grace in 1_u32..5_000, by_cron: bool,
        steps in prop::collection::vec((0_u8..5, 0_i64..20_000_000), 1..60),
    ) {
        let rhythm = if by_cron { cron("*/7 * * * *", "Europe/Berlin", grace) } else { every(seconds, grace) };
        let (mut heartbeat, mut now, mut last) = (Heartbeat::default(), 0_i64, -1_i64);
        for (what, ms) in steps {
            now += ms;
            let arrival = match what {
                0 => heartbeat.take("start", &rhythm, now),
                1 => heartbeat.take("2", &rhythm, now),
                2 => heartbeat.take("", &rhythm, now),
                _ => heartbeat.overdue(&rhythm, LISTENING, Slot(now)),
            };
            if let Some(arrival) = arrival {
                prop_assert!(arrival.at.0 <= now && arrival.at.0 >= last, "{:?} after {last}", arrival.at);
                last = arrival.at.0;
                prop_assert!(heartbeat.deadline.unwrap().0 > now);
            }
            prop_assert_eq!(heartbeat.expected.is_some(), heartbeat.deadline.is_some());
        }
    }

    #[test]
    fn no_cron_expression_is_too_odd_to_be_read_or_refused(text in "[-0-9A-Z*/,#?+@LW ]{0,30}") {
        let _either = HeartbeatOptions { cron: Some(text), ..HeartbeatOptions::default() }.checked();
    }
}
