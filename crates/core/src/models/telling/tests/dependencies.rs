//! A check that depends on another.

use serde_json::json;

use super::*;
use crate::models::ids::IncidentId;
use crate::testing::a_check;

const WELL_AFTER: i64 = 2 * MINUTE;

fn parent() -> IncidentId {
    IncidentId(uuid::Uuid::from_u128(77))
}

fn a_child() -> World {
    let mut world = World::new([json!({})]);
    world.family.well_after_ms = WELL_AFTER;
    world
}

#[test]
fn the_child_of_a_parent_that_is_down_is_told_under_it() {
    let mut child = a_child();
    child.family.parent = Some(parent());
    child.has_webhook = true;

    assert_eq!(child.ask(0), []);
    assert_eq!(child.follow_until(500), []);

    let muted = child.memory.muted.unwrap();
    assert_eq!((muted.by, muted.id, muted.until), (MutedBy::Parent, Some(parent().0), None));
    assert_eq!(child.memory.parent, Some(parent()));
}

#[test]
fn a_child_that_is_not_well_when_its_parent_is_has_a_moment_to_become_so() {
    let mut child = a_child();
    child.family.parent = Some(parent());
    child.ask(0);

    child.family.parent = None;

    assert_eq!(child.ask(10 * MINUTE), []);
    assert_eq!(child.follow_until(60), [(12, "opened", vec![1])]);
    assert_eq!((child.memory.muted, child.memory.parent), (None, Some(parent())));
}

#[test]
fn a_parent_that_goes_down_again_meanwhile_keeps_its_child() {
    let mut child = a_child();
    child.family.parent = Some(parent());
    child.ask(0);
    child.family.parent = None;
    child.ask(10 * MINUTE);

    child.family.parent = Some(IncidentId(uuid::Uuid::from_u128(78)));
    assert_eq!(child.follow_until(60), []);
    child.family.parent = None;

    assert_eq!(child.ask(61 * MINUTE), []);
    assert_eq!(child.follow_until(100), [(63, "opened", vec![1])]);
}

#[test]
fn a_child_waits_for_parents_that_may_turn_out_to_be_down() {
    let mut child = a_child();
    child.family.recognised_by = Some(Slot(3 * MINUTE));

    assert_eq!(child.ask(0), []);
    assert_eq!(child.memory.muted.map(|it| (it.by, it.id)), Some((MutedBy::Parent, None)));

    assert_eq!(child.follow_until(60), [(3, "opened", vec![1])]);
}

#[test]
fn what_people_have_heard_of_waits_for_no_parent_but_is_not_repeated_under_one() {
    let mut child = a_child();
    let reminders = json!({"every_minutes": 5, "longest_minutes": 5});
    child.rules.add_route(channel(1_000), a_route(json!({ "reminders": reminders })));
    child.ask(0);
    child.family.recognised_by = Some(Slot(100 * MINUTE));
    assert_eq!(child.ask(5 * MINUTE).len(), 1);

    child.family.parent = Some(parent());

    assert_eq!(child.ask(10 * MINUTE), []);
}

#[test]
fn the_grace_is_what_parents_take_to_be_recognised_and_has_a_bound() {
    let config = |interval: u32, threshold: u32| {
        let check = a_check().every(interval).alerting_after(threshold);
        check.with("timeout_ms", json!(500)).build().config
    };
    let child = config(60, 1);
    let grace = |parents: &[_]| {
        let family = Family::of(&child, parents.iter(), None, Slot(0), Slot(1_000));
        family.recognised_by.map(|slot| slot.0)
    };

    assert_eq!(grace(&[config(10, 3)]), Some(30_000 + 2_500));
    assert_eq!(grace(&[config(10, 3), config(20, 3)]), Some(60_000 + 2_500));
    assert_eq!(grace(&[config(3_600, 3)]), Some(301_000));
    assert_eq!(grace(&[]), None);
    let paused = a_check().with("enabled", json!(false)).build().config;
    assert_eq!(grace(&[paused]), None);
}
