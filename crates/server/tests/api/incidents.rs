//! Incidents on the real store: listed, told in full, and what people do about them.

use pulse_core::models::alert::{AttemptReport, Settlement};
use pulse_core::testing::ResultBuilder;
use serde_json::{Value, json};

use super::world::{World, each};

const NOBODY: &str = "/incidents/01890a5d-ac96-774b-bcce-b302099a8057";

impl World {
    async fn down(&self, more: &Value) -> (String, String) {
        let mut about = json!({"alert_threshold": 1, "interval_seconds": 60});
        about.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let check = self.a_check(&about).await;
        self.later(0, false).await;
        let incident = self.get("/incidents?limit=1").await["items"][0]["id"].clone();
        (check, format!("/incidents/{}", incident.as_str().unwrap()))
    }

    async fn act(&self, line: &str, body: &Value, status: u16) -> Value {
        self.client.tell(line, body).await.good(status)
    }
}

fn events(story: &Value) -> Vec<&str> {
    let events = story["timeline"].as_array().unwrap().iter();
    events.map(|event| event["event"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_incident_tells_its_story_from_the_first_failing_run_to_its_end() {
    let world = World::new().await;
    let (_, incident) = world.down(&json!({"webhook_url": "http://w.test/hook"})).await;
    let opened = world.get(&incident).await;
    for lease in world.deliveries().await {
        let report = AttemptReport { status: Some(204), ..AttemptReport::default() };
        world.settle(&lease, report, Settlement::Delivered).await;
    }
    world.stores.clock.advance(12_500);
    let by_ada = json!({"by": "Ada", "note": "looking"});
    let seen_to = world.act(&format!("POST {incident}/ack"), &by_ada, 200).await;
    let words = json!({"text": "it is the disk", "by": "Bob"});
    let noted = world.act(&format!("POST {incident}/notes"), &words, 201).await;
    world.later(120_000, true).await;

    let story = world.get(&incident).await;

    assert_eq!(events(&opened), ["failed", "opened", "told"]);
    let run = &opened["timeline"][0]["run"];
    assert_eq!((&run["slot"], &run["status_code"]), (&opened["started_at"], &json!(500)));
    assert_eq!(opened["timeline"][1]["text"], opened["cause"]);
    assert_eq!((&opened["status"], &opened["region"]), (&json!("open"), &json!("default")));
    assert_eq!(opened["before"]["status"], "pending");
    assert_eq!(seen_to["status"], "acknowledged");
    assert_eq!(seen_to["time_to_acknowledge_seconds"], 12.5);
    assert_eq!(events(&noted), ["failed", "opened", "told", "acknowledged", "note"]);
    let acknowledged = &noted["timeline"][3];
    assert_eq!((&acknowledged["by"], &acknowledged["text"]), (&json!("Ada"), &json!("looking")));
    let steps = ["failed", "opened", "told", "acknowledged", "note", "resolved", "told"].to_vec();
    assert_eq!(events(&story), steps);
    let told = &story["timeline"][2]["alert"];
    let delivery = &told["deliveries"][0];
    assert_eq!((&told["kind"], &delivery["state"]), (&json!("opened"), &json!("delivered")));
    assert_eq!((&delivery["status"], &delivery["attempts"]), (&json!(204), &json!(1)));
    assert_eq!(story["timeline"][5]["text"], "recovered");
    assert_eq!(story["time_to_resolve_seconds"], 132.5);
    assert_eq!(story["acknowledged_by"], "Ada");
}

#[tokio::test]
async fn what_is_degraded_and_then_down_is_two_incidents_that_tell_of_each_other() {
    let world = World::new().await;
    let about = json!({"alert_threshold": 1, "interval_seconds": 60});
    let check = world.a_check(&about).await;
    world.later_as(0, ResultBuilder::degraded).await;
    world.later(120_000, false).await;

    let listed = world.get(&format!("{check}/incidents")).await;
    let slow = world.get("/incidents?severity=degraded").await;

    let of = |it: &Value| ["severity", "kind", "resolution"].map(|field| it[field].clone());
    let both = [&listed["items"][0], &listed["items"][1]].map(of);
    assert_eq!(both[0], [json!("down"), json!("outage"), Value::Null]);
    assert_eq!(both[1], ["degraded", "outage", "worsened"].map(|word| json!(word)));
    assert_eq!(listed["items"][0]["before"]["status"], "degraded");
    assert_eq!(slow["items"], json!([listed["items"][1]]));
    let id = slow["items"][0]["id"].as_str().unwrap();
    let story = world.get(&format!("/incidents/{id}")).await;
    assert_eq!(events(&story)[..2], ["degraded", "opened"]);
    let run = &story["timeline"][0]["run"];
    assert_eq!((&run["outcome"], &run["reason"]), (&json!("ok"), &json!("degraded")));
    assert_eq!(story["cause"], "took 900 ms, expected at most 500");
}

#[tokio::test]
async fn an_acknowledgement_is_repeated_taken_back_and_of_no_use_when_it_is_over() {
    let world = World::new().await;
    let (_, incident) = world.down(&json!({})).await;
    let ack = format!("POST {incident}/ack");

    let first = world.client.ask(&ack).await.good(200);
    let again = world.act(&ack, &json!({"by": "Bob"}), 200).await;
    assert_eq!(first, again);
    assert_eq!(
        (&first["status"], &first["acknowledged_by"]),
        (&json!("acknowledged"), &json!(null))
    );
    let back = world.client.ask(&format!("DELETE {incident}/ack")).await.good(200);
    assert_eq!((&back["status"], &back["acknowledged_at"]), (&json!("open"), &json!(null)));
    let twice = world.client.ask(&format!("DELETE {incident}/ack")).await.good(200);
    assert_eq!(twice, back);
    world.later(120_000, true).await;
    assert_eq!(world.client.ask(&ack).await.problem(409).0, "incident-over");
    let undo = format!("DELETE {incident}/ack");
    assert_eq!(world.client.ask(&undo).await.problem(409).0, "incident-over");
}

#[tokio::test]
async fn what_is_resolved_by_hand_is_over_and_goes_on_failing_as_another_incident() {
    let world = World::new().await;
    let (check, incident) = world.down(&json!({"alert_threshold": 1})).await;
    let resolve = format!("POST {incident}/resolve");

    let by_ada = json!({"by": "Ada", "note": "done"});
    let ended = world.act(&resolve, &by_ada, 200).await;

    let told = ["status", "resolution", "resolved_by"].map(|field| ended[field].clone());
    assert_eq!(told, [json!("resolved"), json!("resolved"), json!("Ada")]);
    assert_eq!(world.act(&resolve, &json!({"by": "Bob"}), 200).await, ended);
    let story = world.get(&incident).await;
    let last = &story["timeline"][3];
    assert_eq!(events(&story), ["failed", "opened", "told", "resolved", "told"]);
    assert_eq!((&last["by"], &last["text"]), (&json!("Ada"), &json!("done")));
    assert_eq!(world.get(&check).await["status"], "pending");
    world.later(60_000, false).await;
    let both = world.get(&format!("{check}/incidents")).await;
    assert_eq!(each(&both, "status"), ["open", "resolved"]);
}

#[tokio::test]
async fn an_incident_can_be_opened_by_hand_and_is_about_no_check() {
    let world = World::new().await;
    let report = json!({
        "title": "Payments are slow", "cause": "the bank says so", "severity": "degraded",
        "tags": ["shop", "payments", "shop"], "by": "Ada",
    });

    let made = world.act("POST /incidents", &report, 201).await;

    let place = format!("/incidents/{}", made["id"].as_str().unwrap());
    let told = ["kind", "status", "severity", "check_id", "title"].map(|it| made[it].clone());
    let expected = ["manual", "open", "degraded", "", "Payments are slow"]
        .map(|text| if text.is_empty() { Value::Null } else { json!(text) });
    assert_eq!(told, expected);
    assert_eq!(made["tags"], json!(["payments", "shop"]));
    let story = world.get(&place).await;
    assert_eq!(events(&story), ["reported", "opened", "told"]);
    assert_eq!(story["timeline"][0]["by"], "Ada");
    assert_eq!(each(&world.get("/incidents?kind=manual").await, "id"), [made["id"].clone()]);
    world.client.ask(&format!("POST {place}/resolve")).await.good(200);
    assert_eq!(world.get(&place).await["status"], "resolved");
}

#[tokio::test]
async fn an_incident_names_its_check_as_it_is_now_wherever_it_is_shown() {
    let world = World::new().await;
    let (check, incident) = world.down(&json!({"name": "Shop", "url": "http://s.test/a"})).await;
    world.down(&json!({"name": "Till", "url": "http://t.test/"})).await;
    let report = json!({"title": "Payments are slow", "cause": "the bank says so"});
    let manual = world.act("POST /incidents", &report, 201).await;
    let id = check.trim_start_matches("/checks/");
    let shop = json!({"id": id, "name": "Shop", "url": "http://s.test/a"});

    let all = world.get("/incidents").await;
    let names = each(&all, "check").iter().map(|it| it["name"].clone()).collect::<Vec<_>>();
    assert_eq!(names, [Value::Null, json!("Till"), json!("Shop")]);
    assert_eq!((&manual["check"], &all["items"][0]["check"]), (&json!(null), &json!(null)));
    assert_eq!(world.get(&incident).await["check"], shop);
    assert_eq!(world.get(&format!("{check}/incidents")).await["items"][0]["check"], shop);
    let acknowledged = world.act(&format!("POST {incident}/ack"), &json!({}), 200).await;
    assert_eq!(acknowledged["check"], shop);

    world.act(&format!("PATCH {check}"), &json!({"name": "The shop"}), 200).await;
    assert_eq!(world.get(&incident).await["check"]["name"], "The shop");
    assert_eq!(world.client.ask(&format!("DELETE {check}")).await.status, 204);
    assert_eq!(world.get(&incident).await["check"]["name"], "The shop", "and of a deleted one");
}

#[tokio::test]
async fn incidents_are_filtered_by_what_they_are() {
    let world = World::new().await;
    let (_, first) = world.down(&json!({"name": "a", "tags": ["eu", "web"]})).await;
    world.client.ask(&format!("POST {first}/ack")).await.good(200);
    let report = json!({"title": "b", "cause": "c", "severity": "degraded", "tags": ["eu"]});
    world.stores.clock.advance(60_000);
    let second = world.act("POST /incidents", &report, 201).await["id"].clone();
    let first = json!(first.strip_prefix("/incidents/").unwrap());
    let since = world.get("/incidents").await["items"][0]["started_at"].clone();
    let since = since.as_str().unwrap();

    for (query, expected) in [
        ("", vec![&second, &first]),
        ("status=open", vec![&second]),
        ("status=acknowledged", vec![&first]),
        ("status=resolved", vec![]),
        ("tag=eu", vec![&second, &first]),
        ("tag=eu,web", vec![&first]),
        ("severity=down", vec![&first]),
        ("severity=degraded&kind=manual", vec![&second]),
        ("kind=outage", vec![&first]),
        ("kind=test", vec![]),
        (&format!("from={since}"), vec![&second]),
        (&format!("to={since}"), vec![&first]),
    ] {
        let found = each(&world.get(&format!("/incidents?{query}")).await, "id");
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{query}");
    }
    for query in ["status=down", "severity=bad", "kind=x", "from=yesterday", "to=1", "tag="] {
        let answer = world.client.ask(&format!("GET /incidents?{query}")).await;
        assert_eq!(answer.problem(400).0, "bad-query", "{query}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_an_act_is_told_by_its_field() {
    let world = World::new().await;
    let (_, incident) = world.down(&json!({})).await;
    let long = "x".repeat(10_001);
    for (line, body, pointers) in [
        (format!("POST {incident}/ack"), json!([]), vec![""]),
        (format!("POST {incident}/ack"), json!({"by": 1, "text": "x"}), vec!["/by", "/text"]),
        (format!("POST {incident}/ack"), json!({"by": "a\nb"}), vec!["/by"]),
        (format!("POST {incident}/ack"), json!({"by": "x".repeat(201)}), vec!["/by"]),
        (format!("POST {incident}/ack"), json!({"note": long}), vec!["/note"]),
        (format!("POST {incident}/resolve"), json!({"note": "a\u{0}"}), vec!["/note"]),
        (format!("POST {incident}/notes"), json!({}), vec!["/text"]),
        (format!("POST {incident}/notes"), json!({"text": "  "}), vec!["/text"]),
        (format!("POST {incident}/notes"), json!({"text": long}), vec!["/text"]),
        ("POST /incidents".into(), json!({}), vec!["/title", "/cause"]),
        (
            "POST /incidents".into(),
            json!({"title": "a", "cause": "b", "severity": "bad", "tags": ["", "x"]}),
            vec!["/severity", "/tags/0"],
        ),
    ] {
        let (name, told) = world.client.tell(&line, &body).await.problem(422);
        assert_eq!(
            (name.as_str(), told),
            ("validation", pointers.iter().map(ToString::to_string).collect()),
            "{line} {body}"
        );
    }
    assert_eq!(world.get(&incident).await["status"], "open");
}

#[tokio::test]
async fn an_incident_that_is_not_there_is_not_found_whatever_is_done_to_it() {
    let world = World::new().await;

    for line in [
        format!("GET {NOBODY}"),
        format!("POST {NOBODY}/ack"),
        format!("DELETE {NOBODY}/ack"),
        format!("POST {NOBODY}/resolve"),
    ] {
        assert_eq!(world.client.ask(&line).await.problem(404).0, "not-found", "{line}");
    }
    let note = world.client.tell(&format!("POST {NOBODY}/notes"), &json!({"text": "a"})).await;
    assert_eq!(note.problem(404).0, "not-found");
    for id in ["x", "1", "%00"] {
        let answer = world.client.ask(&format!("GET /incidents/{id}")).await;
        assert_eq!(answer.problem(404).0, "not-found");
    }
}
