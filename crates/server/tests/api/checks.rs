//! Checks on the real store: made once, changed together, paused, run, removed.

use axum::http::HeaderValue;
use pulse_core::models::ids::Region;
use pulse_core::models::job::Job;
use pulse_core::stores::Stores;
use pulse_core::testing::{a_result, eventually};
use serde_json::{Value, json};

use super::client::{Answer, telling};
use super::world::World;

/// The body that the README shows.
fn the_readme_body() -> Value {
    json!({
        "name": "Google Homepage", "url": "https://www.google.com", "method": "GET", "expected_status": 200,
        "interval_seconds": 60, "alert_threshold": 3, "alert_window": 5, "recovery_threshold": 2,
        "timeout_ms": 10000,
        "webhook_url": "https://your-webhook-url.com/alerts",
    })
}

async fn with_key(world: &World, key: &str, body: &Value) -> Answer {
    let mut request = telling("POST /checks", body);
    request.headers_mut().insert("idempotency-key", HeaderValue::from_str(key).unwrap());
    world.client.send(request).await
}

#[tokio::test]
async fn a_new_check_comes_back_whole_with_its_place_and_its_secret() {
    let world = World::new().await;
    let body = the_readme_body();

    let answer = world.client.tell("POST /checks", &body).await;

    let check = answer.good(201);
    for (field, value) in body.as_object().unwrap() {
        assert_eq!(check[field], *value, "{field}");
    }
    let id = check["id"].as_str().unwrap();
    assert_eq!(uuid::Uuid::parse_str(id).unwrap().get_version_num(), 7);
    assert_eq!(answer.header("location"), format!("/checks/{id}"));
    assert_eq!(check["status"], "pending");
    assert_eq!((&check["enabled"], &check["version"]), (&json!(true), &json!(1)));
    assert_eq!((&check["tags"], &check["regions"]), (&json!([]), &json!(["default"])));
    let secret = check["webhook_secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_") && secret.len() == 6 + 44);
    let shown = world.get(&format!("/checks/{id}")).await;
    assert_eq!(shown.get("webhook_secret"), None);
    assert_eq!(world.get(&format!("/checks/{id}/webhook-secret")).await["webhook_secret"], secret);
}

#[tokio::test]
async fn the_first_run_is_due_at_once() {
    let world = World::new().await;

    let check =
        world.client.tell("POST /checks", &json!({"name": "a", "url": "http://h"})).await.good(201);

    assert_eq!(check["next_run_at"], check["created_at"]);
    assert_eq!(check["created_at"], "2026-09-21T14:13:20.000Z");
    assert_eq!(check["last_run_at"], json!(null));
    assert_eq!(check["expected_status"], json!(null));
    assert_eq!(check.get("webhook_secret"), None);
}

#[tokio::test]
async fn a_check_made_under_the_version_is_found_there() {
    let world = World::new().await;

    let answer = world.client.tell("POST /api/v1/checks", &the_readme_body()).await;

    let place = answer.header("location").to_owned();
    assert!(place.starts_with("/api/v1/checks/"), "{place}");
    assert_eq!(world.get(&place).await["id"], answer.good(201)["id"]);
}

#[tokio::test]
async fn a_repeated_creation_makes_one_check_and_tells_its_secret_again() {
    let world = World::new().await;
    let body = the_readme_body();

    let first = with_key(&world, "k-1", &body).await;
    let again = with_key(&world, "k-1", &body).await;

    assert_eq!(
        (first.header("idempotency-replayed"), again.header("idempotency-replayed")),
        ("", "true")
    );
    assert_eq!(first.header("location"), again.header("location"));
    assert_eq!(first.good(201), again.good(201));
    assert_eq!(world.get("/checks").await["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_key_serves_one_request_and_dies_with_its_check() {
    let world = World::new().await;
    let body = the_readme_body();
    let place = with_key(&world, "k-1", &body).await.header("location").to_owned();
    let mut other = body.clone();
    other["name"] = json!("Another");

    assert_eq!(with_key(&world, "k-1", &other).await.problem(422).0, "idempotency-key-reused");
    assert_eq!(world.client.ask(&format!("DELETE {place}")).await.status, 204);
    assert_eq!(with_key(&world, "k-1", &body).await.problem(410).0, "gone");
    assert_eq!(with_key(&world, "k-2", &body).await.status, 201);
}

#[tokio::test]
async fn rival_requests_with_one_key_make_one_check() {
    let world = World::new().await;
    let body = the_readme_body();

    let (a, b, c) = tokio::join!(
        with_key(&world, "k", &body),
        with_key(&world, "k", &body),
        with_key(&world, "k", &body),
    );

    let ids = [a.good(201)["id"].clone(), b.good(201)["id"].clone(), c.good(201)["id"].clone()];
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_a_put_everything() {
    let world = World::new().await;
    let check = world.a_check(&json!({"tags": ["a"], "webhook_url": "http://w.test/"})).await;
    let secret = world.get(&format!("{check}/webhook-secret")).await;

    let patched = world
        .client
        .tell(&format!("PATCH {check}"), &json!({"interval_seconds": 5}))
        .await
        .good(200);
    assert_eq!((&patched["interval_seconds"], &patched["timeout_ms"]), (&json!(5), &json!(4000)));
    assert_eq!((&patched["tags"], &patched["name"]), (&json!(["a"]), &json!("Shop")));
    assert_eq!(patched.get("webhook_secret"), None);

    let whole =
        json!({"name": "Shop 2", "url": "http://shop.test/", "webhook_url": "http://w.test/"});
    let put = world.client.tell(&format!("PUT {check}"), &whole).await.good(200);
    assert_eq!(
        (&put["name"], &put["tags"], &put["interval_seconds"]),
        (&json!("Shop 2"), &json!([]), &json!(60))
    );
    assert_eq!(world.get(&format!("{check}/webhook-secret")).await, secret);
    assert_eq!(world.get(&check).await, put);
}

#[tokio::test]
async fn a_webhook_added_later_gets_a_secret_and_one_taken_away_has_none() {
    let world = World::new().await;
    let check = world.a_check(&json!({})).await;
    let secret = format!("GET {check}/webhook-secret");
    let patch = format!("PATCH {check}");
    assert_eq!(world.client.ask(&secret).await.problem(404).0, "not-found");

    world.client.tell(&patch, &json!({"webhook_url": "http://w.test/"})).await.good(200);
    let made = world.client.ask(&secret).await.good(200)["webhook_secret"].clone();
    assert!(made.as_str().unwrap().starts_with("whsec_"));

    let own = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
    world.client.tell(&patch, &json!({"webhook_secret": own})).await.good(200);
    assert_eq!(world.client.ask(&secret).await.good(200)["webhook_secret"], own);

    world.client.tell(&patch, &json!({"webhook_url": null})).await.good(200);
    assert_eq!(world.client.ask(&secret).await.problem(404).0, "not-found");
}

#[tokio::test]
async fn changes_made_at_the_same_time_all_count() {
    let world = World::new().await;
    let check = world.a_check(&json!({})).await;
    let patch = format!("PATCH {check}");

    let (a, b, c) =
        (json!({"name": "Shop 2"}), json!({"tags": ["x"]}), json!({"alert_threshold": 7}));
    let (a, b, c) = tokio::join!(
        world.client.tell(&patch, &a),
        world.client.tell(&patch, &b),
        world.client.tell(&patch, &c),
    );

    for answer in [a, b, c] {
        answer.good(200);
    }
    let now = world.get(&check).await;
    assert_eq!(
        (&now["name"], &now["tags"], &now["alert_threshold"]),
        (&json!("Shop 2"), &json!(["x"]), &json!(7))
    );
}

#[tokio::test]
async fn a_refused_change_changes_nothing() {
    let world = World::new().await;
    let check = world.a_check(&json!({"interval_seconds": 30, "timeout_ms": 20_000})).await;
    let before = world.get(&check).await;

    let refused = world
        .client
        .tell(&format!("PATCH {check}"), &json!({"name": "b", "interval_seconds": 10}))
        .await;

    assert_eq!(refused.problem(422), ("validation".into(), vec!["/timeout_ms".into()]));
    assert_eq!(world.get(&check).await, before);
}

#[tokio::test]
async fn a_paused_check_is_not_due_until_it_is_resumed() {
    let world = World::new().await;
    let check = world.a_check(&json!({})).await;

    let paused = world.post(&format!("{check}/pause"), 200).await;
    assert_eq!((&paused["status"], &paused["next_run_at"]), (&json!("paused"), &json!(null)));
    assert_eq!(world.post(&format!("{check}/pause"), 200).await, paused);
    assert!(world.later(120_000, true).await.is_empty());
    let refused = world.client.ask(&format!("POST {check}/run")).await;
    assert_eq!(refused.problem(409).0, "paused");

    let resumed = world.post(&format!("{check}/resume"), 200).await;
    assert_eq!((&resumed["status"], &resumed["enabled"]), (&json!("pending"), &json!(true)));
    assert_eq!(world.post(&format!("{check}/resume"), 200).await, resumed);
    assert_eq!(world.later(0, true).await.len(), 1);
}

#[tokio::test]
async fn a_check_runs_when_asked_to() {
    let world = World::new().await;
    let check = world.a_check(&json!({"interval_seconds": 3600})).await;
    assert_eq!(world.later(0, true).await.len(), 1);
    assert_eq!(world.get(&check).await["status"], "up");
    assert!(world.later(1_000, true).await.is_empty());

    let due = world.post(&format!("{check}/run"), 202).await;

    assert_eq!(due["next_run_at"], "2026-09-21T14:13:21.000Z");
    assert_eq!(world.later(0, true).await.len(), 1);
}

#[tokio::test]
async fn a_deleted_check_is_found_no_more() {
    let world = World::new().await;
    let check = world.a_check(&json!({})).await;

    let deleted = world.client.ask(&format!("DELETE {check}")).await;

    assert_eq!((deleted.status.as_u16(), deleted.body.len()), (204, 0));
    for line in [
        format!("GET {check}"),
        format!("DELETE {check}"),
        format!("POST {check}/resume"),
        format!("GET {check}/runs"),
    ] {
        assert_eq!(world.client.ask(&line).await.problem(404).0, "not-found", "{line}");
    }
    assert_eq!(world.get("/checks").await["items"], json!([]));
}

#[tokio::test]
async fn any_text_that_is_let_in_comes_back_as_it_was() {
    let world = World::new().await;
    let odd = "Ünï — 检查 🦀 '\";-- \\ %_ {{x}} <b>";

    let check = world
        .a_check(&json!({"name": odd, "headers": {"x-a": "ü"}, "body": "\u{1}\u{7f}\r\n", "tags": ["ä b"]}))
        .await;

    let shown = world.get(&check).await;
    assert_eq!((&shown["name"], &shown["headers"]["x-a"]), (&json!(odd), &json!("ü")));
    assert_eq!((&shown["body"], &shown["tags"]), (&json!("\u{1}\u{7f}\r\n"), &json!(["ä b"])));
    let found = world.client.ask("GET /checks?q=%25_").await.good(200);
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
}

/// What a worker and a recorder would do about a dry run.
async fn look_and_answer(stores: &Stores, good: bool) -> Job {
    let leased = eventually("a job is there", async || {
        stores.work.lease(&Region::default(), 1).await.unwrap().pop()
    })
    .await;
    let result = a_result(&leased.job);
    let result = if good { result } else { result.failed() }.build();
    stores.dry_runs.answer(&result).await.unwrap();
    leased.job
}

#[tokio::test]
async fn a_check_is_tried_out_without_being_saved() {
    let world = World::new().await;
    let draft = json!({"name": "a", "url": "http://shop.test/", "timeout_ms": 60_000, "interval_seconds": 90});

    let asking = world.client.tell("POST /checks/test", &draft);
    let (answer, job) = tokio::join!(asking, look_and_answer(&world.stores.stores, false));

    let told = answer.good(200);
    assert_eq!((&told["outcome"], &told["class"]), (&json!("fail"), &json!("status")));
    assert_eq!(told["error"], "status 500, expected any 2xx");
    assert!(job.timeout_ms < 10_000, "a request can wait for it: {}", job.timeout_ms);
    assert_eq!(world.get("/checks").await["items"], json!([]));
}

#[tokio::test]
async fn where_nobody_looks_a_dry_run_says_so() {
    let world = World::new().await;
    let draft = json!({"name": "a", "url": "http://h", "timeout_ms": 1, "regions": ["nowhere"]});

    let answer = world.client.tell("POST /checks/test", &draft).await;

    assert_eq!(answer.problem(503), ("no-worker".to_owned(), vec![]));
    assert!(answer.json()["detail"].as_str().unwrap().contains("nowhere"));
}

#[tokio::test]
async fn an_assertion_that_cannot_be_read_is_named() {
    let world = World::new().await;
    let broken = json!([{"source": "status", "comparison": "equals", "target": 200}, {"any": [{"source": "x"}]}]);

    for path in ["/checks", "/checks/test"] {
        let body = json!({"name": "a", "url": "http://h", "assertions": broken});
        let answer = world.client.tell(&format!("POST {path}"), &body).await;
        let named = vec!["/assertions/1/any/0/comparison".to_owned()];
        assert_eq!(answer.problem(422), ("validation".to_owned(), named));
    }
}

#[tokio::test]
async fn what_belongs_to_a_probe_comes_back_as_it_was_given() {
    let world = World::new().await;
    let given = json!({
        "assertions": [{"any": [{"source": "latency", "comparison": "less_than", "target": 500}], "severity": "degraded"}],
        "retry": {"attempts": 3, "delay_ms": 100, "backoff": "exponential", "on": ["connect"]},
        "upside_down": true,
        "auth": {"type": "basic", "username": "me", "password": "hush"},
        "max_body_bytes": 1_048_576,
        "json": {"a": [1, null, {"b": "c"}]},
    });

    let path = world.a_check(&given).await;
    let shown = world.get(&path).await;

    for field in ["assertions", "retry", "upside_down", "max_body_bytes", "json"] {
        assert_eq!(shown[field], given[field]);
    }
    assert_eq!(shown["auth"], json!({"type": "basic", "username": "me", "password": "***"}));
}

#[tokio::test]
async fn the_secret_of_a_client_is_shown_to_nobody_and_stays_when_the_rest_changes() {
    let world = World::new().await;
    let client = json!({
        "type": "oauth2", "token_url": "https://id.example/token", "client_id": "me", "client_secret": "hush",
    });
    let mut shown = client.clone();
    shown["client_secret"] = json!("***");
    shown["credentials"] = json!("basic");

    let path = world.a_check(&json!({ "auth": client })).await;
    assert_eq!(world.get(&path).await["auth"], shown);

    let scoped = json!({"auth": {"scope": "read"}});
    let answer = world.client.tell(&format!("PATCH {path}"), &scoped).await.good(200);
    shown["scope"] = json!("read");
    assert_eq!(answer["auth"], shown);
    let masked = json!({"auth": {"client_secret": "***"}});
    let answer = world.client.tell(&format!("PATCH {path}"), &masked).await;
    assert_eq!(answer.problem(422), ("validation".into(), vec!["/auth".into()]));
}

#[tokio::test]
async fn the_password_for_a_proxy_is_shown_to_nobody_and_stays_when_the_rest_changes() {
    let world = World::new().await;
    let proxy = json!({"url": "http://proxy.example:3128", "username": "me", "password": "hush"});
    let mut shown = proxy.clone();
    shown["password"] = json!("***");

    let path = world.a_check(&json!({ "proxy": proxy })).await;
    assert_eq!(world.get(&path).await["proxy"], shown);

    let moved = json!({"proxy": {"url": "http://proxy.example:8080"}});
    let answer = world.client.tell(&format!("PATCH {path}"), &moved).await.good(200);
    shown["url"] = json!("http://proxy.example:8080");
    assert_eq!(answer["proxy"], shown);
    let plain = json!({"proxy": "http://proxy.example"});
    let answer = world.client.tell(&format!("PATCH {path}"), &plain).await.good(200);
    assert_eq!(answer["proxy"], json!({"url": "http://proxy.example"}));
}
