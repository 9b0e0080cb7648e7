//! Who is told, when, over the API: routes that lead on, silences, maintenance, checks that depend on others.

use serde_json::{Value, json};

use super::world::{World, each};

const MINUTE: i64 = 60_000;

impl World {
    async fn says(&self, line: &str, body: &Value, status: u16) -> Value {
        self.client.tell(line, body).await.good(status)
    }

    /// Where the first fault of a refused request is, and what it is.
    async fn fault(&self, line: &str, body: &Value) -> (String, String) {
        let answer = self.client.tell(line, body).await;
        assert_eq!(answer.problem(422).0, "validation", "{body}");
        let problem = answer.json();
        let text = |field: &str| problem["errors"][0][field].as_str().unwrap().to_owned();
        (text("pointer"), text("detail"))
    }

    async fn all_faults(&self, line: &str, cases: Vec<(Value, &str, &str)>) {
        for (body, pointer, told) in cases {
            let (at, why) = self.fault(line, &body).await;
            assert!(at == pointer && why.contains(told), "{body}: {at} {why}");
        }
    }

    async fn an_ntfy_channel(&self, topic: &str) -> Value {
        let body = json!({"name": topic, "type": "ntfy", "config": {"topic": topic}});
        self.says("POST /channels", &body, 201).await["id"].clone()
    }
}

#[tokio::test]
async fn a_route_leads_on_while_nobody_acknowledges() {
    let world = World::new().await;
    let (ops, lead) = (world.an_ntfy_channel("ops").await, world.an_ntfy_channel("lead").await);
    let nobody = json!("00000000-0000-7000-8000-000000000000");
    let with = |field: &str, value: Value| {
        let mut route = json!({"name": "r", "channels": [ops]});
        route[field] = value;
        route
    };
    let step =
        |minutes: u32, channel: &Value| json!({"after_minutes": minutes, "channels": [channel]});

    let mut whole = with("steps", json!([step(30, &ops), step(10, &lead)]));
    whole["reminders"] = json!({"every_minutes": 15});
    whole["severities"] = json!(["down", "degraded"]);
    whole["quiet"] = json!({"hours": {"from": "22:00", "to": "07:00"}, "except": "down"});
    let made = world.says("POST /routes", &whole, 201).await;

    assert_eq!(made["steps"], json!([step(10, &lead), step(30, &ops)]));
    let reminders = json!({"every_minutes": 15, "longest_minutes": 1440, "at_most": 10});
    assert_eq!(made["reminders"], reminders);
    assert_eq!(made["severities"], json!(["degraded", "down"]));
    assert_eq!(made["quiet"]["hours"]["timezone"], "UTC");
    let patch = format!("PATCH /routes/{}", made["id"].as_str().unwrap());
    let patched = json!({"reminders": null, "quiet": null, "severities": null});
    let changed = world.says(&patch, &patched, 200).await;
    assert_eq!((&changed["reminders"], &changed["quiet"]), (&Value::Null, &Value::Null));
    assert_eq!((&changed["severities"], &changed["steps"]), (&json!([]), &made["steps"]));
    let cases = vec![
        (with("steps", json!([step(0, &lead)])), "/steps", "from 1 to 10080"),
        (with("steps", json!([step(5, &nobody)])), "/steps", "not there"),
        (with("reminders", json!({"every_minutes": 0})), "/reminders", "every_minutes"),
        (with("severities", json!(["dire"])), "", "dire"),
        (with("quiet", json!({"hours": {"from": "22:00", "to": "25:00"}})), "", "25:00"),
        (with("quiet", json!({"hours": {"from": "22:00", "to": "22:00"}})), "/quiet", "to must"),
    ];
    world.all_faults("POST /routes", cases).await;
}

#[tokio::test]
async fn a_silence_is_made_shown_changed_and_removed() {
    let world = World::new().await;
    let now = world.stores.clock.advance(0).time();
    let silence = |more: Value| {
        let mut body = json!({
            "author": "Ada", "reason": "We know", "expires_at": now + chrono::TimeDelta::hours(1),
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };

    let made = world.says("POST /silences", &silence(json!({"tags": ["web"]})), 201).await;

    let place = format!("/silences/{}", made["id"].as_str().unwrap());
    assert_eq!(world.get(&place).await, made);
    assert_eq!((&made["tags"], &made["author"]), (&json!(["web"]), &json!("Ada")));
    let patch = format!("PATCH {place}");
    assert_eq!(world.says(&patch, &json!({"tags": []}), 200).await["tags"], json!([]));
    assert_eq!(each(&world.get("/silences").await, "id"), [made["id"].clone()]);
    let cases = vec![
        (silence(json!({"author": ""})), "/author", "1 to 200"),
        (silence(json!({"expires_at": now - chrono::TimeDelta::hours(1)})), "/expires_at", "later"),
        (silence(json!({"expires_at": null})), "", "missing field `expires_at`"),
        (silence(json!({"why": 1})), "", "why"),
    ];
    world.all_faults("POST /silences", cases).await;
    assert_eq!(world.client.ask(&format!("DELETE {place}")).await.status, 204);
    assert_eq!(world.client.ask(&format!("GET {place}")).await.problem(404).0, "not-found");
}

#[tokio::test]
async fn maintenance_is_made_shown_changed_and_removed() {
    let world = World::new().await;
    let window =
        json!({"cron": "0 2 * * 0", "duration_seconds": 7_200, "timezone": "Europe/Berlin"});
    let maintenance = |window: Value| json!({"name": "Patch night", "window": window});

    let made = world.says("POST /maintenance", &maintenance(window.clone()), 201).await;

    let place = format!("/maintenance/{}", made["id"].as_str().unwrap());
    assert_eq!(world.get(&place).await, made);
    assert_eq!((&made["window"], &made["tags"]), (&window, &json!([])));
    let patch = format!("PATCH {place}");
    let shorter = json!({"window": {"duration_seconds": 3_600}});
    let changed = world.says(&patch, &shorter, 200).await;
    assert_eq!(changed["window"]["duration_seconds"], 3_600);
    assert_eq!(changed["window"]["cron"], "0 2 * * 0");
    assert_eq!(each(&world.get("/maintenance").await, "name"), ["Patch night"]);
    let cases = vec![
        (maintenance(json!({})), "/window", ""),
        (maintenance(json!({"cron": "soon", "duration_seconds": 60})), "/window", "cron"),
        (json!({"name": "", "window": window}), "/name", "1 to 200"),
        (json!({"name": "n"}), "", "missing field `window`"),
    ];
    world.all_faults("POST /maintenance", cases).await;
    assert_eq!(world.client.ask(&format!("DELETE {place}")).await.status, 204);
    assert_eq!(world.client.ask(&format!("GET {place}")).await.problem(404).0, "not-found");
}

#[tokio::test]
async fn checks_depend_on_checks_that_are_there_and_never_on_themselves() {
    let world = World::new().await;
    let id = |path: &str| json!(path.trim_start_matches("/checks/"));
    let gateway = world.a_check(&json!({})).await;
    let shop = world.a_check(&json!({"depends_on": [id(&gateway)]})).await;
    let till = world.a_check(&json!({"depends_on": [id(&shop), id(&shop)]})).await;
    assert_eq!(world.get(&till).await["depends_on"], json!([id(&shop)]));

    let nobody = json!("00000000-0000-7000-8000-000000000000");
    for (check, parent, told) in [
        (&gateway, id(&gateway), "leads back"),
        (&gateway, id(&shop), "leads back"),
        (&gateway, id(&till), "leads back"),
        (&till, nobody, "not there"),
    ] {
        let patch = format!("PATCH {check}");
        let (at, why) = world.fault(&patch, &json!({"depends_on": [parent]})).await;
        assert!(at == "/depends_on" && why.contains(told), "{check} {parent}: {at} {why}");
    }

    assert_eq!(world.client.ask(&format!("DELETE {shop}")).await.status, 204);
    let patch = format!("PATCH {till}");
    let both = json!({"name": "Till", "depends_on": [id(&shop), id(&gateway)]});
    let changed = world.says(&patch, &both, 200).await;
    assert_eq!(changed["depends_on"], json!([id(&gateway)]), "what is gone drops out");
    let changed = world.says(&patch, &json!({"depends_on": null}), 200).await;
    assert_eq!(changed["depends_on"], json!([]));
}

#[tokio::test]
async fn an_incident_says_what_holds_it_back() {
    let world = World::new().await;
    let now = world.stores.clock.advance(0).time();
    let until = now + chrono::TimeDelta::minutes(30);
    let silence = json!({"author": "Ada", "reason": "We know", "expires_at": until});
    let silence = world.says("POST /silences", &silence, 201).await;
    let check = world.a_check(&json!({"alert_threshold": 1, "interval_seconds": 3600})).await;

    world.later(0, false).await;

    let shown = world.get("/incidents").await["items"][0].clone();
    let muted = &shown["muted"];
    assert_eq!((&muted["by"], &muted["id"]), (&json!("silence"), &silence["id"]));
    assert!(muted["until"].is_string());
    assert_eq!(shown["parent_id"], Value::Null);
    world.stores.clock.advance(30 * MINUTE);
    let now = world.stores.stores.clock.now();
    world.stores.stores.follow_ups.follow_up(now, 10).await.unwrap();
    assert_eq!(world.get("/incidents").await["items"][0]["muted"], Value::Null);
    let alerts = world.get(&format!("{check}/alerts")).await;
    assert_eq!(
        (each(&alerts, "kind"), each(&alerts, "number")),
        (vec![json!("opened")], vec![json!(1)])
    );
}

#[tokio::test]
async fn the_storm_breaker_is_shown_and_changed() {
    let world = World::new().await;
    let usual = json!({"limit": 5, "within_seconds": 60});
    assert_eq!(world.get("/storm-breaker").await, usual);

    let line = "PATCH /storm-breaker";
    let changed = world.says(line, &json!({"limit": 0}), 200).await;

    assert_eq!(changed, json!({"limit": 0, "within_seconds": 60}));
    assert_eq!(world.get("/storm-breaker").await, changed);
    assert_eq!(world.says(line, &json!({"limit": null}), 200).await, usual);
    let cases = vec![
        (json!({"limit": 10_001}), "/limit", "from 0 (none) to 10000"),
        (json!({"within_seconds": 9}), "/within_seconds", "from 10 to 3600"),
        (json!({"within": 60}), "", "within"),
        (json!([]), "", "must be a JSON object"),
    ];
    world.all_faults(line, cases).await;
}
