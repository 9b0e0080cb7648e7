//! Deliveries over the API: found again, sent again, and what is said of the channels they are for.

use pulse_core::models::alert::{AttemptReport, LeasedDelivery, Settlement};
use serde_json::{Value, json};

use super::world::{World, each, walk};

const SOMEBODY: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn ntfy(name: &str) -> Value {
    json!({"name": name, "type": "ntfy", "config": {"topic": name}})
}

impl World {
    async fn a_channel(&self, body: &Value) -> String {
        let made = self.client.tell("POST /channels", body).await.good(201);
        made["id"].as_str().unwrap().to_owned()
    }

    /// A check that is down, and told to these channels.
    async fn an_outage_for(&self, channels: &[&str]) -> Vec<LeasedDelivery> {
        let route = json!({"name": "all", "channels": channels});
        self.client.tell("POST /routes", &route).await.good(201);
        self.a_check(&json!({"alert_threshold": 1})).await;
        self.later(0, false).await;
        self.deliveries().await
    }

    async fn end(&self, lease: &LeasedDelivery, status: u16, settlement: Settlement) {
        let report = AttemptReport { status: Some(status), ..AttemptReport::default() };
        self.settle(lease, report, settlement).await;
    }

    async fn ids(&self, query: &str) -> Vec<Value> {
        each(&self.get(&format!("/deliveries?{query}")).await, "id")
    }
}

fn of<'a>(due: &'a [LeasedDelivery], channel: &str) -> &'a LeasedDelivery {
    due.iter().find(|lease| lease.receiver == channel).unwrap()
}

#[tokio::test]
async fn a_delivery_is_found_by_where_it_stands_whom_it_tells_of_what_and_when() {
    let world = World::new().await;
    let [ops, lead] = [world.a_channel(&ntfy("ops")).await, world.a_channel(&ntfy("lead")).await];
    let due = world.an_outage_for(&[&ops, &lead]).await;
    world.end(of(&due, &ops), 503, Settlement::RetryIn(5_000)).await;
    world.stores.clock.advance(5_000);
    let again = world.deliveries().await;
    world.end(&again[0], 500, Settlement::Dead).await;

    let all = world.get("/deliveries").await;
    let dead = world.get("/deliveries?state=dead").await;

    let dead = &dead["items"][0];
    assert_eq!((&dead["id"], &dead["channel_id"]), (&json!(again[0].id), &json!(ops)));
    assert_eq!(
        (&dead["attempts"], &dead["last_attempt"]["status"], &dead["next_attempt_at"]),
        (&json!(2), &json!(500), &Value::Null)
    );
    let attempts = world.get(&format!("/deliveries/{}/attempts", again[0].id)).await;
    assert_eq!(each(&attempts, "attempt"), [2, 1]);
    let theirs = [json!(of(&due, &lead).id)];
    assert_eq!(world.ids("state=pending").await, theirs);
    assert_eq!(world.ids(&format!("channel_id={lead}")).await, theirs);
    let first = &all["items"][0];
    for (field, count) in [("incident_id", 2), ("check_id", 2)] {
        let found = world.ids(&format!("{field}={}", first[field].as_str().unwrap())).await;
        assert_eq!(found.len(), count, "{field}");
        assert!(world.ids(&format!("{field}={SOMEBODY}")).await.is_empty());
    }
    let raised = first["raised_at"].as_str().unwrap();
    assert_eq!(world.ids(&format!("from={raised}")).await.len(), 2);
    assert!(world.ids(&format!("to={raised}")).await.is_empty());
    assert_eq!(walk(&world, "/deliveries?limit=1").await, (each(&all, "id"), 2));
    for (query, name) in
        [("state=lost", "state"), ("from=now", "from"), ("channel_id=ops", "channel_id")]
    {
        let problem = world.client.ask(&format!("GET /deliveries?{query}")).await;
        assert_eq!(problem.problem(400), ("bad-query".to_owned(), vec![name.to_owned()]));
    }
}

#[tokio::test]
async fn dead_letters_of_a_channel_and_a_span_are_sent_again() {
    let world = World::new().await;
    let [ops, lead] = [world.a_channel(&ntfy("ops")).await, world.a_channel(&ntfy("lead")).await];
    let due = world.an_outage_for(&[&ops, &lead]).await;
    for lease in &due {
        world.end(lease, 500, Settlement::Dead).await;
    }
    let raised = world.get("/deliveries").await["items"][0]["raised_at"].clone();
    let replay = async |body: &Value| world.client.tell("POST /deliveries/replay", body).await;
    world.stores.clock.advance(1);

    let before = replay(&json!({"from": "2000-01-01T00:00:00Z", "to": raised})).await.good(202);
    let of_ops = replay(&json!({"from": raised, "channel_id": ops})).await.good(202);

    assert_eq!(before, json!({"replayed": 0, "more": false}));
    assert_eq!(of_ops, json!({"replayed": 1, "more": false}));
    let again = world.deliveries().await;
    assert_eq!(
        (again.len(), again[0].id, &again[0].body),
        (1, of(&due, &ops).id, &of(&due, &ops).body)
    );
    assert_eq!(replay(&json!({"from": raised})).await.good(202)["replayed"], 1, "the other one");
    for wrong in
        [json!({}), json!({"from": "now"}), json!({"from": raised, "state": "dead"}), json!([])]
    {
        assert_eq!(replay(&wrong).await.problem(422).0, "validation", "{wrong}");
    }
}

#[tokio::test]
async fn a_channel_says_how_its_receiver_answers_and_why_pulse_switched_it_off() {
    let world = World::new().await;
    let ops = world.a_channel(&ntfy("ops")).await;
    let place = format!("/channels/{ops}");
    let well = json!({
        "breaker": "closed", "failures": 0, "failing_since": null, "disabled_at": null, "disabled_reason": null,
    });
    assert_eq!(world.get(&place).await["health"], well);
    let due = world.an_outage_for(&[&ops]).await;

    world.end(&due[0], 500, Settlement::RetryIn(1)).await;
    let failing = world.get(&place).await["health"].clone();
    world.stores.clock.advance(1);
    world.end(&world.deliveries().await[0], 410, Settlement::Gone).await;

    assert_eq!((&failing["failures"], &failing["breaker"]), (&json!(1), &json!("closed")));
    let off = world.get("/channels").await["items"][0].clone();
    assert_eq!((&off["enabled"], &off["version"]), (&json!(false), &json!(2)));
    assert_eq!(off["health"]["disabled_reason"], "it answered 410 Gone");
    assert!(off["health"]["disabled_at"].is_string());
    let on =
        world.client.tell(&format!("PATCH {place}"), &json!({"enabled": true})).await.good(200);
    assert_eq!((&on["enabled"], &on["health"]), (&json!(true), &well));
}

#[tokio::test]
async fn a_fallback_is_another_channel_and_leads_in_no_circle() {
    let world = World::new().await;
    let ops = world.a_channel(&ntfy("ops")).await;
    let mut with_fallback = ntfy("lead");
    with_fallback["fallback"] = json!(ops);
    let lead = world.a_channel(&with_fallback).await;
    assert_eq!(world.get(&format!("/channels/{lead}")).await["fallback"], json!(ops));

    for (channel, fallback, told) in [
        (&ops, json!(ops), "lead back"),
        (&ops, json!(lead), "lead back"),
        (&ops, json!(SOMEBODY), "not there"),
        (&ops, json!("lead"), "the id of another channel"),
        (&lead, json!(7), "the id of another channel"),
    ] {
        let line = format!("PATCH /channels/{channel}");
        let answer = world.client.tell(&line, &json!({ "fallback": fallback })).await;
        assert_eq!(answer.problem(422).0, "validation");
        let fault = answer.json()["errors"][0].clone();
        assert_eq!(fault["pointer"], "/fallback");
        assert!(fault["detail"].as_str().unwrap().contains(told), "{fault}");
    }
    let none =
        world.client.tell(&format!("PATCH /channels/{lead}"), &json!({"fallback": null})).await;
    assert_eq!(none.good(200)["fallback"], Value::Null);
}
