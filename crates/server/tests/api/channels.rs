//! Channels and routes over the API: made, shown without their secrets, changed, tested, removed.

use pulse_core::models::check::merge_patch;
use serde_json::{Value, json};

use super::world::{World, each};

const KEY: &str = "pl4nted-s3cret";

fn ntfy() -> Value {
    json!({"name": "Operations", "type": "ntfy", "config": {"topic": "ops", "token": KEY}})
}

impl World {
    async fn tell(&self, line: &str, body: &Value, status: u16) -> Value {
        self.client.tell(line, body).await.good(status)
    }

    async fn refused(&self, line: &str, body: &Value) -> (String, String) {
        let answer = self.client.tell(line, body).await;
        assert_eq!(answer.problem(422).0, "validation");
        let problem = answer.json();
        let fault = &problem["errors"][0];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&fault["pointer"]), text(&fault["detail"]))
    }
}

#[tokio::test]
async fn a_channel_is_made_shown_changed_and_removed_and_its_secret_is_never_told() {
    let world = World::new().await;

    let made = world.tell("POST /channels", &ntfy(), 201).await;
    let place = format!("/channels/{}", made["id"].as_str().unwrap());
    assert_eq!(
        (&made["type"], &made["config"]["token"], &made["version"]),
        (&json!("ntfy"), &json!("***"), &json!(1))
    );
    assert_eq!(world.get(&place).await, made);
    world.stores.clock.advance(1_000);
    let patch = format!("PATCH {place}");
    let changed =
        world.tell(&patch, &json!({"config": {"topic": "night"}, "enabled": false}), 200).await;
    assert_eq!(
        (&changed["config"]["topic"], &changed["enabled"]),
        (&json!("night"), &json!(false))
    );
    assert_eq!((&changed["version"], &changed["config"]["token"]), (&json!(2), &json!("***")));
    let list = world.get("/channels").await;
    assert_eq!(each(&list, "id"), [made["id"].clone()]);
    assert!(![made, changed, list].iter().any(|shown| shown.to_string().contains(KEY)));

    assert_eq!(world.client.ask(&format!("DELETE {place}")).await.status, 204);
    assert_eq!(world.client.ask(&format!("DELETE {place}")).await.problem(404).0, "not-found");
    assert_eq!(world.client.ask(&format!("GET {place}")).await.problem(404).0, "not-found");
}

#[tokio::test]
async fn what_is_no_channel_is_refused_by_its_field() {
    let world = World::new().await;
    let with = |patch: Value| {
        let mut body = ntfy();
        merge_patch(&mut body, patch);
        body
    };
    for (body, pointer, told) in [
        (json!([]), "", "JSON object"),
        (with(json!({"name": null})), "/name", "is required"),
        (with(json!({"type": null})), "/type", "is required"),
        (with(json!({"type": "pigeon"})), "/type", "webhook, slack, email"),
        (with(json!({"feathers": 2})), "/feathers", "is not a field"),
        (with(json!({"enabled": "yes"})), "/enabled", "true or false"),
        (with(json!({"config": null})), "/config", "missing field `config`"),
        (with(json!({"config": {"topic": null}})), "/config", "missing field `topic`"),
        (with(json!({"config": {"feathers": 2}})), "/config", "feathers"),
        (with(json!({"config": {"topic": "a/b"}})), "/config/topic", "letters"),
        (with(json!({"config": {"token": "***"}})), "/config", "themselves"),
        (with(json!({"config": {"server": "ftp://h"}})), "/config/server", "http://"),
    ] {
        let (at, why) = world.refused("POST /channels", &body).await;
        assert!(at == pointer && why.contains(told), "{body}: {at} {why}");
    }
    let made = world.tell("POST /channels", &ntfy(), 201).await;
    let patch = format!("PATCH /channels/{}", made["id"].as_str().unwrap());
    assert_eq!(world.refused(&patch, &json!({"config": {"topic": ""}})).await.0, "/config/topic");
    assert_eq!(world.refused(&patch, &json!(["a"])).await.0, "");
}

#[tokio::test]
async fn a_route_leads_to_channels_that_are_there() {
    let world = World::new().await;
    let channel = world.tell("POST /channels", &ntfy(), 201).await["id"].clone();
    let nobody = json!("00000000-0000-7000-8000-000000000000");

    let route = json!({"name": "Shop", "tags": ["shop"], "channels": [channel]});
    let made = world.tell("POST /routes", &route, 201).await;
    let place = format!("/routes/{}", made["id"].as_str().unwrap());
    let patch = format!("PATCH {place}");
    assert_eq!(world.get(&place).await, made);
    assert_eq!(world.tell(&patch, &json!({"tags": []}), 200).await["tags"], json!([]));
    assert_eq!(each(&world.get("/routes").await, "name"), ["Shop"]);
    for (line, body, pointer, told) in [
        ("POST /routes", json!({"name": "a", "channels": [nobody]}), "/channels", "not there"),
        ("POST /routes", json!({"name": "a", "channels": []}), "/channels", "1 to 20"),
        ("POST /routes", json!({"channels": [channel]}), "", "missing field `name`"),
        (patch.as_str(), json!({"channels": [nobody]}), "/channels", "not there"),
        (patch.as_str(), json!({"stations": 1}), "", "stations"),
    ] {
        let (at, why) = world.refused(line, &body).await;
        assert!(at == pointer && why.contains(told), "{body}: {at} {why}");
    }
    assert_eq!(world.client.ask(&format!("DELETE {place}")).await.status, 204);
    assert_eq!(world.client.ask(&format!("GET {place}")).await.problem(404).0, "not-found");
}

#[tokio::test]
async fn a_test_of_a_channel_is_a_delivery_like_any_other() {
    let world = World::new().await;
    let channel = world.tell("POST /channels", &ntfy(), 201).await["id"].clone();
    let test = format!("/channels/{}/test", channel.as_str().unwrap());

    let sent = world.post(&test, 202).await;

    let due = world.deliveries().await;
    assert_eq!((due.len(), json!(due[0].id)), (1, sent["delivery_id"].clone()));
    let shown = world.get("/deliveries").await;
    let shown = &shown["items"][0];
    assert_eq!((&shown["kind"], &shown["channel_id"]), (&json!("test"), &channel));
    assert_eq!(shown["url"], Value::Null);
    assert_eq!(world.get("/incidents").await["items"], json!([]));
    let nobody = "POST /channels/00000000-0000-7000-8000-000000000000/test";
    assert_eq!(world.client.ask(nobody).await.problem(404).0, "not-found");
}
