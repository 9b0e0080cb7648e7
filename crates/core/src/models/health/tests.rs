use super::*;
use crate::models::run::{FailClass, InconclusiveReason, MissedReason};

const FAIL: Outcome = Outcome::Fail(FailClass::Status);
const MISSED: Outcome = Outcome::Missed(MissedReason::Lost);
const UNSURE: Outcome = Outcome::Inconclusive(InconclusiveReason::Local);

fn in_a_row(failing: u32) -> Thresholds {
    Thresholds { failing, window: None, recovering: 1 }
}

fn among(failing: u32, window: u32) -> Thresholds {
    Thresholds { window: Some(window), ..in_a_row(failing) }
}

fn recovering(recovering: u32, by: Thresholds) -> Thresholds {
    Thresholds { recovering, ..by }
}

/// The health after each slot, from slot 1 on, and the edges.
fn fold(outcomes: &[Outcome], by: Thresholds) -> (Vec<Health>, Vec<Transition>) {
    let (mut health, mut edges) = (Health::default(), Vec::new());
    let after = (1_i64..).zip(outcomes).map(|(slot, outcome)| {
        edges.extend(health.observe(Slot(slot), *outcome, by));
        health.clone()
    });
    (after.collect(), edges)
}

/// Whether it is down, and nothing else: degraded is as good as up here.
fn outages(outcomes: &[Outcome], by: Thresholds) -> Vec<Transition> {
    let mut is_down = false;
    let outage = |edge: Transition| {
        let was_down = std::mem::replace(&mut is_down, edge.to == State::Down);
        match (was_down, is_down) {
            (false, false) => None,
            (_, true) => Some(edge),
            (true, false) => Some(up(edge.at.0)),
        }
    };
    fold(outcomes, by).1.into_iter().filter_map(outage).collect()
}

/// `o`k, `d`egraded, `f`ail, `m`issed, and `i`nconclusive.
fn read(letters: &str) -> Vec<Outcome> {
    let outcome = |letter| match letter {
        'o' => Outcome::Ok,
        'd' => Outcome::Degraded,
        'f' => FAIL,
        'm' => MISSED,
        _ => UNSURE,
    };
    letters.chars().map(outcome).collect()
}

/// `p`ending, `u`p, `d`egraded, and `x` for down, after each slot.
fn states(letters: &str, by: Thresholds) -> String {
    let letter = |health: &Health| match health.state {
        State::Pending => 'p',
        State::Up => 'u',
        State::Degraded => 'd',
        State::Down => 'x',
    };
    fold(&read(letters), by).0.iter().map(letter).collect()
}

fn down(since: i64) -> Transition {
    Transition { to: State::Down, at: Slot(since) }
}

fn up(at: i64) -> Transition {
    Transition { to: State::Up, at: Slot(at) }
}

fn degraded(since: i64) -> Transition {
    Transition { to: State::Degraded, at: Slot(since) }
}

#[test]
fn three_failures_in_a_row_open_one_incident_from_the_first() {
    let (after, edges) = fold(&[Outcome::Ok, FAIL, FAIL, FAIL, FAIL, FAIL], in_a_row(3));

    assert_eq!(edges, [down(2)]);
    assert_eq!(after.last().unwrap().state, State::Down);
}

#[test]
fn the_first_good_run_resolves_it() {
    let (after, edges) = fold(&[FAIL, Outcome::Ok, FAIL], in_a_row(1));

    assert_eq!(edges, [down(1), up(2), down(3)]);
    assert_eq!(after.last().unwrap().failures, 1);
}

#[test]
fn slots_nobody_saw_neither_count_nor_reset() {
    let edges = outages(&[FAIL, MISSED, UNSURE, FAIL, MISSED, FAIL], in_a_row(3));

    assert_eq!(edges, [down(1)]);
}

#[test]
fn slots_nobody_saw_take_no_place_in_a_window_and_break_no_recovery() {
    let by = recovering(2, among(3, 5));

    assert_eq!(outages(&read("fmoimfmmiofooo"), by), [down(1), up(12)]);
    assert_eq!(outages(&read("fffomimo"), by), [down(1), up(4)]);
}

#[test]
fn a_window_opens_an_incident_as_of_its_oldest_failure() {
    assert_eq!(outages(&read("ofofof"), among(3, 5)), [down(2)]);
    assert_eq!(outages(&read("ofooofof"), among(3, 5)), [], "the first has left the window");
    assert_eq!(outages(&read("ofooofoff"), among(3, 5)), [down(6)]);
}

#[test]
fn what_was_part_of_an_outage_is_part_of_no_other() {
    let by = among(3, 5);

    assert_eq!(outages(&read("fffof"), by), [down(1), up(4)]);
    assert_eq!(outages(&read("fffofof"), by), [down(1), up(4)], "two since then");
    assert_eq!(outages(&read("fffofoff"), by), [down(1), up(4), down(5)]);
}

#[test]
fn a_recovery_is_so_many_good_slots_in_a_row_and_begins_with_the_first() {
    let by = recovering(3, in_a_row(2));

    assert_eq!(outages(&read("ffoofoo"), by), [down(1)]);
    assert_eq!(outages(&read("ffoofooo"), by), [down(1), up(6)]);
    assert_eq!(outages(&read("ffdod"), by), [down(1), up(3)], "degraded is good");
}

#[test]
fn a_state_follows_from_the_table() {
    for (by, outcomes, expected) in [
        (in_a_row(3), "ffoffdddddo", "ppuuudddddu"),
        (in_a_row(3), "dddo", "ppdu"),
        (in_a_row(3), "odfdo", "uuudu"),
        (in_a_row(3), "odfff", "uuudx"),
        (in_a_row(1), "dfdo", "dxdu"),
        (recovering(2, in_a_row(2)), "ddodoo", "pddddu"),
        (recovering(2, in_a_row(2)), "ffdood", "pxxduu"),
        (recovering(2, in_a_row(2)), "ffoodd", "pxxuud"),
        (recovering(3, in_a_row(1)), "fdoooo", "xxxduu"),
        (among(3, 5), "odofod", "uuuuud"),
        (among(3, 5), "odododo", "uuuuudu"),
        (among(3, 5), "odododododod", "uuuuuduuuuud"),
        (among(3, 5), "dfdoff", "ppduux"),
        (among(3, 10), "fdfododo", "ppduuuuu"),
        (among(3, 5), "odofofof", "uuuuudux"),
    ] {
        assert_eq!(states(outcomes, by), expected, "{by:?} {outcomes}");
    }
}

#[test]
fn it_is_degraded_as_of_the_first_slot_that_counts_and_well_as_of_the_first_that_is_ok() {
    let slow = recovering(2, in_a_row(2));
    for (by, outcomes, expected) in [
        (in_a_row(3), "oodfdo", vec![degraded(3), up(6)]),
        (in_a_row(3), "offddo", vec![degraded(2), up(6)]),
        (in_a_row(3), "ddoddd", vec![degraded(4)]),
        (in_a_row(3), "dddfff", vec![degraded(1), down(4)]),
        (in_a_row(3), "ddidmd", vec![degraded(1)]),
        (slow, "ddodoomo", vec![degraded(1), up(5)]),
        (slow, "ffdodoo", vec![down(1), degraded(3), up(6)]),
        (slow, "ffodoo", vec![down(1), degraded(3), up(5)]),
        (slow, "ffdoo", vec![down(1), degraded(3), up(4)]),
        (among(3, 5), "odofod", vec![degraded(2)]),
        (among(3, 5), "doooddd", vec![degraded(5)]),
        (among(3, 5), "odofofof", vec![degraded(2), up(7), down(4)]),
    ] {
        assert_eq!(fold(&read(outcomes), by).1, expected, "{by:?} {outcomes}");
    }
}

#[test]
fn what_is_looked_at_anew_is_counted_anew() {
    let mut health = fold(&read("ofdf"), recovering(2, among(3, 5))).0.pop().unwrap();
    assert_ne!((health.failures, &health.trail), (0, &Trail::default()));

    health.begin_anew();

    assert_eq!(health, Health { state: State::Degraded, ..Health::default() });
}

#[test]
fn a_trail_of_an_earlier_version_keeps_its_failures() {
    let kept = r#"{"window":["d",{"f":2},"o",{"f":4}]}"#;
    let trail: Trail = serde_json::from_str(kept).unwrap();

    let window = [Judged::Ok, Judged::Failed(Slot(2)), Judged::Ok, Judged::Failed(Slot(4))];
    assert_eq!(trail, Trail { window: window.into(), ..Trail::default() });
}

#[test]
fn a_window_that_is_taken_away_leaves_no_trail() {
    let mut health = fold(&read("fdfo"), among(3, 10)).0.pop().unwrap();
    assert!(health.trail.degraded_until.is_some());

    health.observe(Slot(5), Outcome::Ok, in_a_row(3));

    assert_eq!(health.trail, Trail::default());
}

#[test]
fn a_check_that_needs_no_trail_leaves_none() {
    let letters = ["offofffffoofffo", "ooooooooo", "fffffffff"];

    for outcomes in letters.map(read) {
        for health in fold(&outcomes, in_a_row(3)).0 {
            assert_eq!(health.trail, Trail::default());
        }
    }
    let well = fold(&read("fofoooooooo"), among(3, 5)).0.pop().unwrap();
    assert_eq!(well.trail, Trail::default(), "nor one with a window, as long as all is well");
}

#[test]
fn a_trail_is_never_longer_than_the_window() {
    let (after, _) = fold(&read("fdofdofdofdofdofdofdo"), among(4, 5));

    assert!(after.iter().all(|health| health.trail.window.len() <= 5));
}

/// Every sequence of these letters up to a length.
fn every(letters: &str, length: usize) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut longest = 0..1;
    for _ in 0..length {
        let begin = all.len();
        for at in longest {
            all.extend(
                letters.chars().map(|letter| format!("{}{letter}", all[at])).collect::<Vec<_>>(),
            );
        }
        longest = begin..all.len();
    }
    all
}

fn many_thresholds() -> Vec<Thresholds> {
    let rows = (1..=4).map(in_a_row);
    let windows = [(1, 1), (1, 3), (2, 3), (3, 3), (3, 5), (2, 6)].map(|(n, m)| among(n, m));
    rows.chain(windows).flat_map(|by| [1, 2, 3].map(|k| recovering(k, by))).collect()
}

/// A second implementation, written as a search over the whole past instead of a fold.
fn edges_by_looking_back(outcomes: &[Outcome], by: Thresholds) -> Vec<Transition> {
    let failed = |outcome: &Outcome| !outcome.is_alive();
    let slots: Vec<(i64, bool)> = (1..).zip(outcomes.iter().map(failed)).collect();
    let (mut edges, mut begin, mut is_down) = (Vec::new(), 0, false);
    for end in 1..=slots.len() {
        let past = &slots[begin..end];
        let row = |failing: bool| past.iter().rev().take_while(|it| it.1 == failing).count();
        if is_down {
            if row(false) >= by.recovering as usize {
                edges.push(up(past[past.len() - row(false)].0));
                (begin, is_down) = (end, false);
            }
            continue;
        }
        let reach = by.window.map_or_else(|| row(true), |window| window as usize);
        let seen = &past[past.len().saturating_sub(reach)..];
        if seen.iter().filter(|it| it.1).count() >= by.failing as usize {
            edges.push(down(seen.iter().find(|it| it.1).unwrap().0));
            is_down = true;
        }
    }
    edges
}

#[test]
fn the_fold_equals_a_second_implementation_on_every_sequence_up_to_length_10() {
    for letters in every("of", 10) {
        let outcomes = read(&letters);
        for by in many_thresholds() {
            let expected = edges_by_looking_back(&outcomes, by);
            assert_eq!(outages(&outcomes, by), expected, "{letters} {by:?}");
        }
    }
}

#[test]
fn whether_it_is_down_never_depends_on_what_is_degraded() {
    for letters in every("odf", 7) {
        let (seen, told) = (read(&letters), read(&letters.replace('d', "o")));
        for by in many_thresholds() {
            assert_eq!(outages(&seen, by), outages(&told, by), "{letters} {by:?}");
        }
    }
}

#[test]
fn a_window_of_n_is_n_in_a_row() {
    for letters in every("odf", 7) {
        for (n, k) in [(1, 1), (2, 1), (3, 1), (3, 2)] {
            let (row, window) = (recovering(k, in_a_row(n)), recovering(k, among(n, n)));

            assert_eq!(states(&letters, row), states(&letters, window), "{letters} {n} {k}");
        }
    }
}
