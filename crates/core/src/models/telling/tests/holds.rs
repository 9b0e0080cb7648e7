//! What holds an incident back: silences, maintenance, quiet hours.

use serde_json::{Value, json};

use super::*;
use crate::models::maintenance::Maintenance;
use crate::models::silence::Silence;

/// Of a silence that somebody made, minutes after the epoch.
fn silence(from: i64, to: i64, more: Value) -> Silence {
    let time = |minute: i64| Slot(minute * MINUTE).time();
    let mut whole = json!({
        "author": "Ada", "reason": "we know", "starts_at": time(from), "expires_at": time(to),
    });
    let Value::Object(more) = more else { panic!("an object") };
    whole.as_object_mut().unwrap().extend(more);
    serde_json::from_value::<Silence>(whole).unwrap().checked().unwrap()
}

/// A world whose rules are made anew for each instant, as they are read.
struct Held {
    world: World,
    silences: Vec<Silence>,
    maintenance: Vec<Maintenance>,
    routes: Vec<Value>,
}

impl Held {
    fn new(routes: Vec<Value>) -> Self {
        let (silences, maintenance) = (Vec::new(), Vec::new());
        Self { world: World::new([]), silences, maintenance, routes }
    }

    fn by(silence: Silence) -> Self {
        Self { silences: vec![silence], ..Self::new(vec![json!({})]) }
    }

    fn ask(&mut self, now: i64) -> Vec<Tell> {
        let World { rules, .. } = World::new(self.routes.clone());
        self.world.rules = rules;
        for (number, silence) in self.silences.iter().enumerate() {
            self.world.rules.add_silence(channel(500 + number as u128), silence.clone(), Slot(now));
        }
        for it in &self.maintenance {
            self.world.rules.add_maintenance(channel(600), it.clone(), Slot(now));
        }
        self.world.ask(now)
    }

    /// As [`World::follow_until`].
    fn follow_until(&mut self, minute: i64) -> Vec<(i64, &'static str)> {
        let mut told = Vec::new();
        while let Some(Slot(at)) = self.world.follow_up_at.filter(|at| at.0 <= minute * MINUTE) {
            told.extend(self.ask(at).iter().map(|tell| (at / MINUTE, tell.kind.as_str())));
            assert!(self.world.follow_up_at.is_none_or(|next| next.0 > at));
        }
        told
    }

    fn muted(&self) -> Option<(MutedBy, Option<i64>)> {
        self.world.memory.muted.map(|it| (it.by, it.until.map(|until| until.0 / MINUTE)))
    }
}

#[test]
fn what_a_silence_covers_is_told_when_it_ends() {
    let mut held = Held::by(silence(-10, 30, json!({})));
    held.world.has_webhook = true;

    assert_eq!(held.ask(0), []);
    assert_eq!(held.muted(), Some((MutedBy::Silence, Some(30))));
    assert!(!held.world.memory.was_told());
    let told = held.follow_until(1_000);

    assert_eq!(told, [(30, "opened")]);
    assert_eq!((held.muted(), held.world.memory.was_told()), (None, true));
}

#[test]
fn steps_count_from_when_people_were_first_told() {
    let mut held = Held::by(silence(0, 30, json!({})));
    held.routes = vec![json!({"steps": [{"after_minutes": 10, "channels": [channel(2)]}]})];

    assert_eq!(held.follow_until(1_000), [(30, "opened"), (40, "opened")]);
}

#[test]
fn a_silence_that_is_taken_away_tells_at_the_next_asking() {
    let mut held = Held::by(silence(0, 3_000, json!({})));
    held.ask(0);
    // Nobody is left waiting for longer than this without being asked of again.
    assert_eq!(held.world.follow_up_at, Some(Slot(10 * MINUTE)));

    held.silences.clear();

    assert_eq!(held.ask(5 * MINUTE).len(), 1);
}

#[test]
fn a_silence_is_about_what_it_matches() {
    let told = |more| Held::by(silence(0, 30, more)).ask(0).len();

    assert_eq!(told(json!({"severities": ["down"]})), 0);
    assert_eq!(told(json!({"severities": ["degraded"]})), 1);
    assert_eq!(told(json!({"tags": ["web"]})), 1);
    assert_eq!(told(json!({"checks": [CheckId::generate()]})), 1);
}

#[test]
fn of_two_that_overlap_the_later_end_counts() {
    let mut held = Held::by(silence(0, 30, json!({})));
    held.silences.push(silence(0, 40, json!({})));
    held.silences.push(silence(40, 60, json!({})));

    assert_eq!(held.follow_until(1_000), [(60, "opened")]);
}

#[test]
fn what_was_told_before_is_not_repeated_while_it_is_silent() {
    let mut held = Held::by(silence(7, 30, json!({})));
    let reminders = json!({"every_minutes": 5, "longest_minutes": 5, "at_most": 3});
    held.routes = vec![json!({ "reminders": reminders })];

    let told = held.follow_until(1_000);

    assert_eq!(told, [(0, "opened"), (5, "reminder"), (30, "reminder"), (35, "reminder")]);
}

#[test]
fn incidents_during_maintenance_are_held_until_it_is_over() {
    let mut held = Held::new(vec![json!({})]);
    let window = json!({"cron": "50 23 * * *", "duration_seconds": 1_800});
    let maintenance = json!({"name": "night", "window": window});
    let maintenance: Maintenance = serde_json::from_value(maintenance).unwrap();
    held.maintenance = vec![maintenance.checked().unwrap()];
    // Ten minutes past the epoch is the middle of it, once the calendar counts: go on from 2026.
    let midnight =
        Slot::from("2026-11-02T00:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap());

    assert_eq!(held.ask(midnight.0), []);

    let muted = held.world.memory.muted.unwrap();
    assert_eq!((muted.by, muted.until), (MutedBy::Maintenance, Some(midnight.plus(20 * MINUTE))));
    assert_eq!(held.ask(midnight.0 + 19 * MINUTE), []);
    assert_eq!(held.ask(midnight.0 + 20 * MINUTE).len(), 1);
}

/// An instant, in milliseconds.
fn at(time: &str) -> i64 {
    Slot::from(time.parse::<chrono::DateTime<chrono::Utc>>().unwrap()).0
}

/// A route of both severities that sleeps, but for this.
fn sleeping_but_for(except: &str) -> Value {
    json!({
        "quiet": {"hours": {"from": "22:00", "to": "07:00"}, "except": except},
        "severities": ["degraded", "down"],
    })
}

#[test]
fn quiet_hours_hold_back_what_their_route_tells_and_nothing_else() {
    let quiet = json!({"hours": {"from": "22:00", "to": "07:00"}});
    let sleeper = json!({"quiet": quiet, "channels": [channel(2)]});
    let mut alone = Held::new(vec![sleeper.clone()]);
    let mut both = Held::new(vec![json!({}), sleeper]);
    let (night, morning) = (at("2026-11-02T01:00:00Z"), at("2026-11-02T07:00:00Z"));

    assert_eq!(alone.ask(night), []);
    assert_eq!(both.ask(night)[0].channels, [channel(1)].into());

    let muted = alone.world.memory.muted.unwrap();
    assert_eq!((muted.by, muted.until), (MutedBy::QuietHours, Some(Slot(morning))));
    assert!(!alone.world.memory.was_told());
    assert_eq!(both.world.memory.muted, None, "somebody has heard of it");
    assert_eq!(alone.ask(morning - 1), []);
    assert_eq!(alone.ask(morning)[0].channels, [channel(2)].into());
    assert_eq!(both.ask(morning)[0].channels, [channel(2)].into());
}

#[test]
fn steps_are_counted_from_when_quiet_hours_let_the_first_be_told() {
    let mut held = Held::new(vec![json!({
        "quiet": {"hours": {"from": "22:00", "to": "07:00"}},
        "steps": [{"after_minutes": 10, "channels": [channel(2)]}],
    })]);
    let morning = at("2026-11-02T07:00:00Z");
    assert_eq!(held.ask(at("2026-11-02T01:00:00Z")), []);

    // Asked a little late: the step is counted from when it was due.
    assert_eq!(held.ask(morning + 2_000)[0].channels, [channel(1)].into());
    assert_eq!(held.world.follow_up_at, Some(Slot(morning + 10 * MINUTE)));
    assert_eq!(held.ask(morning + 10 * MINUTE - 1), []);
    assert_eq!(held.ask(morning + 10 * MINUTE)[0].channels, [channel(2)].into());
}

#[test]
fn quiet_hours_let_through_what_is_as_bad_as_they_say_and_what_is_worse() {
    let route = sleeping_but_for("degraded");
    for severity in [Severity::Degraded, Severity::Down] {
        let mut held = Held::new(vec![route.clone()]);
        held.world.severity = severity;
        assert_eq!(held.ask(at("2026-11-02T01:00:00Z")).len(), 1, "{severity:?}");
    }
}

#[test]
fn quiet_hours_may_let_outages_through() {
    let route = sleeping_but_for("down");
    let night = at("2026-11-02T01:00:00Z");
    let mut degraded = Held::new(vec![route.clone()]);
    degraded.world.severity = Severity::Degraded;

    assert_eq!(Held::new(vec![route]).ask(night).len(), 1);
    assert_eq!(degraded.ask(night), []);
}

#[test]
fn an_incident_of_a_storm_is_told_as_a_part_of_it_and_by_itself_if_it_lasts_longer() {
    let storm = IncidentId(uuid::Uuid::from_u128(9));
    let mut member = Held::new(vec![json!({})]);
    member.world.has_webhook = true;
    member.world.storm = Some(storm);

    let told = member.ask(0);
    assert_eq!((told.len(), told[0].webhook, told[0].channels.len()), (1, true, 0));
    assert_eq!(member.ask(MINUTE), []);
    assert_eq!(member.muted(), Some((MutedBy::Storm, None)));
    assert_eq!(member.world.memory.under(), Some(storm));
    member.world.storm = None;
    let told = member.ask(2 * MINUTE);

    assert_eq!((told.len(), told[0].webhook, told[0].number), (1, false, 2));
    assert_eq!(told[0].channels, [channel(1)].into());
}

#[test]
fn a_storm_takes_nothing_back_that_people_have_heard_of() {
    let mut member = Held::new(vec![json!({"reminders": {"every_minutes": 5}})]);
    member.ask(0);

    member.world.storm = Some(IncidentId(uuid::Uuid::from_u128(9)));

    assert_eq!(member.ask(5 * MINUTE).len(), 1);
}
