//! Secrets over the API: put, told by name alone, referred to, not removed while in use.

use pulse_core::models::ids::CheckId;
use pulse_core::models::job::VersionedSpec;
use pulse_core::models::secret::SecretName;
use serde_json::{Value, json};

use super::client::Client;
use super::fake::Fake;
use super::world::{World, each};

const VALUE: &str = "pl4nted-s3cret";

impl World {
    async fn put_secret(&self, name: &str, value: &str) -> u16 {
        let (line, body) = (format!("PUT /secrets/{name}"), json!({ "value": value }));
        let answer = self.client.tell(&line, &body).await;
        assert!(answer.body.is_empty(), "{answer:?}");
        answer.status.as_u16()
    }
}

fn sending(secret: &str) -> Value {
    json!({"name": "Shop", "url": "http://shop.test/", "headers": {"x-key": format!("{{{{secret.{secret}}}}}")}})
}

#[tokio::test]
async fn a_secret_is_put_told_by_name_and_removed() {
    let world = World::new().await;

    assert_eq!(world.put_secret("b", "1").await, 201);
    assert_eq!(world.put_secret("API_KEY", VALUE).await, 201);
    world.stores.clock.advance(1_000);
    assert_eq!(world.put_secret("b", VALUE).await, 204);

    let page = world.get("/secrets?limit=1").await;
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = world.get(&format!("/secrets?limit=1&cursor={cursor}")).await;
    assert_eq!(
        (each(&page, "name"), each(&rest, "name")),
        (vec![json!("API_KEY")], vec![json!("b")])
    );
    assert_ne!(rest["items"][0]["created_at"], rest["items"][0]["updated_at"]);
    assert!(!page.to_string().contains(VALUE) && !rest.to_string().contains(VALUE));

    let gone = world.client.ask("DELETE /secrets/b").await;
    assert_eq!(gone.status, 204);
    let gone = world.client.ask("DELETE /secrets/b").await;
    assert_eq!(gone.problem(404).0, "not-found");
}

#[tokio::test]
async fn what_is_no_secret_is_refused_and_not_repeated() {
    let world = World::new().await;

    for (path, body, pointer) in [
        ("/secrets/a%20b", json!({ "value": VALUE }), "name"),
        ("/secrets/a", json!({}), "/value"),
        ("/secrets/a", json!({ "value": "" }), "/value"),
        ("/secrets/a", json!({ "value": [VALUE] }), "/value"),
        ("/secrets/a", json!({ "value": format!("{VALUE}\u{0}") }), "/value"),
        ("/secrets/a", json!({ "value": VALUE.repeat(2_000) }), "/value"),
        ("/secrets/a", json!({ "value": VALUE, (VALUE): 1 }), ""),
        ("/secrets/a", json!(VALUE), ""),
    ] {
        let answer = world.client.tell(&format!("PUT {path}"), &body).await;
        assert_eq!(answer.problem(422), ("validation".into(), vec![pointer.into()]), "{body}");
        assert!(!String::from_utf8_lossy(&answer.body).contains(VALUE), "{body}");
    }
    assert_eq!(world.get("/secrets").await["items"], json!([]));
}

#[tokio::test]
async fn without_a_key_no_secret_is_put() {
    let client = Client::of(Fake::Empty.api());

    let answer = client.tell("PUT /secrets/a", &json!({ "value": VALUE })).await;

    assert_eq!(answer.problem(409).0, "no-secret-key");
    let told = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(told.contains("PULSE_SECRET_KEY") && !told.contains(VALUE), "{told}");
}

#[tokio::test]
async fn a_check_refers_only_to_secrets_that_are_there() {
    let world = World::new().await;
    world.put_secret("a", VALUE).await;
    world.client.tell("POST /checks", &sending("a")).await.good(201);
    let check = world.a_check(&json!({})).await;

    for (line, body) in [
        ("POST /checks".to_owned(), sending("b")),
        ("POST /checks/test".to_owned(), sending("b")),
        (format!("PUT {check}"), sending("b")),
        (format!("PATCH {check}"), json!({"headers": {"x": "{{secret.b}}"}})),
    ] {
        let answer = world.client.tell(&line, &body).await;
        assert_eq!(answer.problem(422), ("validation".into(), vec!["/headers".into()]), "{line}");
        assert!(answer.json()["detail"].as_str().unwrap().contains("the secret b"), "{line}");
    }
    let url = json!({"url": "http://shop.test/{{secret.a}}"});
    let answer = world.client.tell(&format!("PATCH {check}"), &url).await;
    assert_eq!(answer.problem(422).1, ["/url"]);
}

#[tokio::test]
async fn a_secret_in_use_is_not_removed_and_its_checks_are_named() {
    let world = World::new().await;
    world.put_secret("a", VALUE).await;
    let mut ids = Vec::new();
    for _ in 0..11 {
        let made = world.client.tell("POST /checks", &sending("a")).await.good(201);
        ids.push(made["id"].as_str().unwrap().to_owned());
    }

    let answer = world.client.ask("DELETE /secrets/a").await;

    assert_eq!(answer.problem(409).0, "secret-in-use");
    let told = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(ids[..10].iter().all(|id| told.contains(id)), "{told}");
    assert!(!told.contains(&ids[10]) && told.ends_with("and others."), "{told}");
    for id in ids {
        world.client.ask(&format!("DELETE /checks/{id}")).await;
    }
    assert_eq!(world.client.ask("DELETE /secrets/a").await.status, 204);
}

#[tokio::test]
async fn another_value_is_another_version_and_leaves_with_the_next_job() {
    let world = World::new().await;
    world.put_secret("a", "old").await;
    let made = world.client.tell("POST /checks", &sending("a")).await.good(201);
    let path = format!("/checks/{}", made["id"].as_str().unwrap());

    world.put_secret("a", VALUE).await;

    let check = world.get(&path).await;
    assert_eq!((&check["version"], &check["updated_at"]), (&json!(2), &made["updated_at"]));
    let spec = definition(&world, &made).await;
    let name = SecretName::parse("a").unwrap();
    assert_eq!(spec.version, 2);
    let sealed = spec.spec.sealed.as_ref().unwrap();
    let keys = super::world::a_key();
    let opened = keys.open(sealed.project, &name, &sealed.get(&name).unwrap());
    assert_eq!(opened.as_deref(), Ok(VALUE));
    assert!(!serde_json::to_string(&*spec.spec).unwrap().contains(VALUE));
}

async fn definition(world: &World, check: &Value) -> VersionedSpec {
    let id = CheckId(check["id"].as_str().unwrap().parse().unwrap());
    let now = world.stores.clock.advance(120_000);
    let mut claim = world.stores.stores.schedule.claim_due(now.into(), 10).await.unwrap();
    claim.specs(&[id]).await.unwrap().remove(0)
}

#[tokio::test]
async fn a_reference_is_shown_where_a_secret_is_not() {
    let world = World::new().await;
    world.put_secret("a", VALUE).await;

    for (token, shown) in [("{{secret.a}}", "{{secret.a}}"), ("k {{secret.a}}", "***")] {
        let path = world.a_check(&json!({"auth": {"type": "bearer", "token": token}})).await;
        assert_eq!(world.get(&path).await["auth"]["token"], shown);
    }
}
