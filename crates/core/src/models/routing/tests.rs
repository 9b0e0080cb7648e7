use serde_json::{Value, json};

use super::*;

fn route(body: Value) -> Result<Route, (&'static str, String)> {
    let mut whole = json!({"name": "r", "channels": [SettingId::generate()]});
    let Value::Object(body) = body else { panic!("an object") };
    whole.as_object_mut().unwrap().extend(body);
    serde_json::from_value::<Route>(whole).unwrap().checked()
}

#[test]
fn a_route_concerns_what_has_all_its_tags_and_is_among_its_checks() {
    let (shop, till) = (CheckId::generate(), CheckId::generate());
    let tags = ["prod".to_owned(), "web".to_owned()];
    let concerns = |body, check| route(body).unwrap().concerns(check, &tags, Severity::Down);

    assert!(concerns(json!({}), shop));
    assert!(concerns(json!({"tags": ["web", "prod"]}), shop));
    assert!(!concerns(json!({"tags": ["web", "night"]}), shop));
    assert!(concerns(json!({"checks": [shop]}), shop));
    assert!(!concerns(json!({"checks": [shop]}), till));
}

#[test]
fn a_route_is_about_outages_unless_it_says_otherwise() {
    let concerns =
        |body, severity| route(body).unwrap().concerns(CheckId::generate(), &[], severity);

    assert!(!concerns(json!({}), Severity::Degraded));
    assert!(concerns(json!({"severities": ["degraded"]}), Severity::Degraded));
    assert!(!concerns(json!({"severities": ["degraded"]}), Severity::Down));
    assert!(concerns(json!({"severities": ["degraded", "down"]}), Severity::Down));
}

#[test]
fn steps_come_in_the_order_of_time_whatever_order_they_were_written_in() {
    let (first, second) = (SettingId::generate(), SettingId::generate());
    let steps = json!([
        {"after_minutes": 30, "channels": [second]}, {"after_minutes": 10, "channels": [first]},
    ]);

    let route = route(json!({ "steps": steps })).unwrap();

    assert_eq!(route.step(0), Some((0, &route.channels)));
    assert_eq!(route.step(1), Some((600_000, &[first].into())));
    assert_eq!(route.step(2), Some((1_800_000, &[second].into())));
    assert_eq!(route.step(3), None);
    assert_eq!(route.told_by(2).collect::<BTreeSet<_>>(), &route.channels | &[first].into());
}

#[test]
fn reminders_come_twice_as_late_each_time_up_to_a_longest_wait_and_a_last_one() {
    let reminders = json!({"every_minutes": 10, "longest_minutes": 60, "at_most": 5});
    let reminders = route(json!({ "reminders": reminders })).unwrap().reminders.unwrap();

    let waits: Vec<_> = (0..7).map(|n| reminders.wait(n).map(|ms| ms / 60_000)).collect();

    assert_eq!(waits, [Some(10), Some(20), Some(40), Some(60), Some(60), None, None]);
    let forever = Reminders { every_minutes: 1, longest_minutes: 10_080, at_most: 100 };
    assert_eq!(forever.wait(99), Some(10_080 * 60_000));
}

#[test]
fn what_cannot_be_used_is_refused_by_its_field() {
    let id = SettingId::generate();
    for (body, field) in [
        (json!({"channels": []}), "channels"),
        (json!({"tags": [""]}), "tags"),
        (json!({"steps": [{"after_minutes": 0, "channels": [id]}]}), "steps"),
        (json!({"steps": [{"after_minutes": 5, "channels": []}]}), "steps"),
        (json!({"steps": vec![json!({"after_minutes": 5, "channels": [id]}); 11]}), "steps"),
        (json!({"reminders": {"every_minutes": 0}}), "reminders"),
        (json!({"reminders": {"every_minutes": 10, "longest_minutes": 9}}), "reminders"),
        (json!({"reminders": {"every_minutes": 10, "at_most": 101}}), "reminders"),
    ] {
        assert_eq!(route(body.clone()).unwrap_err().0, field, "{body}");
    }
}
