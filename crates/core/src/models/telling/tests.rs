//! An incident walked through time: who hears what, and when.

mod dependencies;
mod holds;
mod properties;

use serde_json::{Value, json};

use super::*;
use crate::models::routing::Route;

const MINUTE: i64 = 60_000;

/// A channel for each number.
fn channel(number: u128) -> SettingId {
    SettingId(uuid::Uuid::from_u128(number))
}

fn a_route(body: Value) -> Route {
    let mut whole = json!({"name": "r", "channels": [channel(1)]});
    let Value::Object(body) = body else { panic!("an object") };
    whole.as_object_mut().unwrap().extend(body);
    serde_json::from_value::<Route>(whole).unwrap().checked().unwrap()
}

/// An incident, opened at 0, and what its project configured.
struct World {
    rules: Rules,
    severity: Severity,
    has_webhook: bool,
    acknowledged: bool,
    family: Family,
    storm: Option<IncidentId>,
    memory: Memory,
    heard: BTreeSet<SettingId>,
    follow_up_at: Option<Slot>,
}

impl World {
    fn new(routes: impl IntoIterator<Item = Value>) -> Self {
        let mut rules = Rules::default();
        for (number, route) in routes.into_iter().enumerate() {
            rules.add_route(channel(1_000 + number as u128), a_route(route));
        }
        Self {
            rules,
            severity: Severity::Down,
            has_webhook: false,
            acknowledged: false,
            family: Family::default(),
            storm: None,
            memory: Memory::default(),
            heard: BTreeSet::new(),
            follow_up_at: Some(Slot(0)),
        }
    }

    /// Asks at `now`, and does what is said.
    fn ask(&mut self, now: i64) -> Vec<Tell> {
        let facts = Facts {
            check: CheckId(uuid::Uuid::nil()),
            tags: &[],
            severity: self.severity,
            has_webhook: self.has_webhook,
            acknowledged: self.acknowledged,
            heard: &self.heard,
            family: self.family,
            storm: self.storm,
        };
        let decision = decide(self.memory.clone(), &facts, &self.rules, Slot(now));
        for tell in decision.tell.iter().filter(|tell| tell.kind == AlertKind::Opened) {
            self.heard.extend(&tell.channels);
        }
        self.memory = decision.memory;
        self.follow_up_at = decision.follow_up_at;
        decision.tell
    }

    /// Follows up until `minute`, whenever an answer said so: the minute, what was told, and to whom.
    fn follow_until(&mut self, minute: i64) -> Vec<(i64, &'static str, Vec<u128>)> {
        let mut told = Vec::new();
        while let Some(Slot(at)) = self.follow_up_at.filter(|at| at.0 <= minute * MINUTE) {
            for tell in self.ask(at) {
                let channels = tell.channels.iter().map(|id| id.0.as_u128()).collect();
                told.push((at / MINUTE, tell.kind.as_str(), channels));
            }
            assert!(
                self.follow_up_at.is_none_or(|next| next.0 > at),
                "it never asks twice at once"
            );
        }
        told
    }
}

#[test]
fn a_plain_route_tells_once_and_asks_no_more() {
    let mut world = World::new([json!({}), json!({"channels": [channel(1), channel(2)]})]);
    world.has_webhook = true;

    let told = world.ask(0);

    assert_eq!(told.len(), 1);
    assert_eq!((told[0].kind, told[0].number, told[0].webhook), (AlertKind::Opened, 1, true));
    assert_eq!(told[0].channels, [channel(1), channel(2)].into());
    assert_eq!(world.follow_up_at, None);
}

#[test]
fn an_incident_is_said_to_have_opened_even_where_nobody_hears_it() {
    let told = World::new([]).ask(0);

    assert_eq!((told.len(), told[0].channels.len()), (1, 0));
}

#[test]
fn steps_fetch_others_until_somebody_acknowledges() {
    let steps = json!([
        {"after_minutes": 10, "channels": [channel(2)]},
        {"after_minutes": 30, "channels": [channel(1), channel(3)]},
        {"after_minutes": 60, "channels": [channel(4)]},
    ]);
    let mut world = World::new([json!({ "steps": steps })]);

    let told = world.follow_until(59);
    world.acknowledged = true;
    let afterwards = world.follow_until(1_000);

    assert_eq!(
        told,
        [
            (0, "opened", vec![1]),
            (10, "opened", vec![2]),
            // Whom a later step names again hears again.
            (30, "opened", vec![3]),
            (30, "reminder", vec![1]),
        ]
    );
    assert_eq!((afterwards, world.follow_up_at), (vec![], None));
}

#[test]
fn what_was_acknowledged_goes_on_when_that_is_taken_back() {
    let steps = json!([{"after_minutes": 10, "channels": [channel(2)]}]);
    let mut world = World::new([json!({ "steps": steps })]);
    world.ask(0);
    world.acknowledged = true;
    assert_eq!(world.ask(10 * MINUTE), []);

    world.acknowledged = false;
    let told = world.ask(15 * MINUTE);

    assert_eq!(told[0].channels, [channel(2)].into());
}

#[test]
fn reminders_come_further_and_further_apart_and_end() {
    let reminders = json!({"every_minutes": 5, "longest_minutes": 15, "at_most": 4});
    let mut world = World::new([json!({ "reminders": reminders })]);

    let told = world.follow_until(10_000);

    let minutes: Vec<_> = told.iter().map(|(minute, kind, _)| (*minute, *kind)).collect();
    let reminded = [5, 15, 30, 45].map(|minute| (minute, "reminder"));
    assert_eq!(minutes, [&[(0, "opened")], &reminded[..]].concat());
}

#[test]
fn of_reminders_that_nobody_was_there_to_send_one_is_sent() {
    let reminders = json!({"every_minutes": 5, "longest_minutes": 5});
    let mut world = World::new([json!({ "reminders": reminders })]);
    world.ask(0);

    let told = world.ask(60 * MINUTE);

    assert_eq!(told.len(), 1);
    assert_eq!(world.follow_up_at, Some(Slot(65 * MINUTE)));
}

#[test]
fn whoever_joins_later_is_reminded_from_then_on() {
    let route = json!({
        "steps": [{"after_minutes": 7, "channels": [channel(2)]}],
        "reminders": {"every_minutes": 5, "longest_minutes": 5, "at_most": 2},
    });
    let mut world = World::new([route]);

    let told = world.follow_until(60);

    assert_eq!(
        told,
        [
            (0, "opened", vec![1]),
            (5, "reminder", vec![1]),
            (7, "opened", vec![2]),
            (10, "reminder", vec![1, 2]),
        ]
    );
}

#[test]
fn routes_that_are_made_or_removed_meanwhile_tell_nobody_of_it() {
    let steps = json!([{"after_minutes": 10, "channels": [channel(2)]}]);
    let mut world = World::new([json!({ "steps": steps })]);
    world.ask(0);

    world.rules = Rules::default();
    world.rules.add_route(channel(2_000), a_route(json!({"channels": [channel(9)]})));
    let told = world.follow_until(1_000);

    assert_eq!((told, world.follow_up_at), (vec![], None));
}

#[test]
fn a_degraded_check_is_told_of_by_routes_that_ask_for_it() {
    let routes = || [json!({}), json!({"severities": ["degraded"], "channels": [channel(2)]})];
    let mut degraded = World { severity: Severity::Degraded, ..World::new(routes()) };

    assert_eq!(degraded.ask(0)[0].channels, [channel(2)].into());
    assert_eq!(World::new(routes()).ask(0)[0].channels, [channel(1)].into());
}
