//! A check's life on the command line.

use serde_json::json;

use crate::binary::{field, rows};
use crate::world::{World, some};

#[tokio::test]
async fn a_check_is_added_shown_changed_and_deleted() {
    let world = World::new().await;
    let added = world
        .pulse
        .good(&[
            "check",
            "add",
            "https://shop.example/health",
            "--name",
            "Shop",
            "--interval",
            "2m",
        ])
        .await;
    let id = field(&added, "id");
    assert_eq!(
        (field(&added, "url"), field(&added, "interval"), field(&added, "status")),
        ("https://shop.example/health", "2m", "pending")
    );

    let by_id = world.pulse.good(&["check", "show", id]).await;
    assert_eq!(by_id, added);
    assert_eq!(world.pulse.good(&["check", "show", "Shop"]).await, by_id);

    let edited = world.pulse.good(&["check", "edit", "Shop", "--interval", "30s"]).await;
    assert_eq!((field(&edited, "interval"), field(&edited, "version")), ("30s", "2"));

    let deleted = world.pulse.good(&["check", "delete", "Shop"]).await;
    assert_eq!(rows(&deleted)[0][..2], [id, "deleted"]);
    world.pulse.bad(4, &["check", "show", id]).await;
}

#[tokio::test]
async fn a_job_that_calls_is_told_where() {
    let world = World::new().await;
    let nightly = r#"heartbeat={"cron": "0 3 * * *", "timezone": "Europe/Berlin"}"#;

    let added = world
        .pulse
        .good(&["check", "add", "heartbeat://", "--name", "Backup", "--field", nightly])
        .await;

    assert_eq!((field(&added, "interval"), field(&added, "status")), ("cron", "pending"));
    let path = world.check(field(&added, "id")).await["ping_url"].as_str().unwrap().to_owned();
    let url = field(&added, "ping_url");
    assert!(url.starts_with("http://127.0.0.1:") && url.ends_with(&path), "{url}");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    assert_eq!(client.get(url).send().await.unwrap().status(), 200);
    assert_eq!(field(&world.pulse.good(&["check", "show", "Backup"]).await, "status"), "up");
}

#[tokio::test]
async fn every_flag_reaches_its_field() {
    let world = World::new().await;
    let secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

    let id = world
        .a_check(&[
            "--name=Shop",
            "--interval=90s",
            "--timeout=1500ms",
            "--expect=204",
            "--method=POST",
            "--http=auto",
            "--header=X-A: 1: 2",
            "--header",
            "X-B:",
            "--body=ping",
            "--threshold=5",
            "--window=9",
            "--recover=2",
            "--webhook=http://w.test/",
            "--webhook-secret",
            secret,
            "--region=eu",
            "--region=us",
            "--tag=web",
            "--tag=a, b",
            "--paused",
        ])
        .await;

    let check = world.check(&id).await;
    let names = [
        "name",
        "url",
        "interval_seconds",
        "timeout_ms",
        "expected_status",
        "method",
        "http_version",
        "headers",
        "body",
        "alert_threshold",
        "alert_window",
        "recovery_threshold",
        "webhook_url",
        "regions",
        "tags",
        "enabled",
    ];
    let expected = json!([
        "Shop", "http://shop.test/", 90, 1500, 204, "POST", "auto", {"X-A": "1: 2", "X-B": ""}, "ping", 5, 9, 2,
        "http://w.test/", ["eu", "us"], ["a, b", "web"], false,
    ]);
    assert_eq!(some(&check, &names), expected);
    let stored = world.get(&format!("/checks/{id}/webhook-secret")).await;
    assert_eq!(stored["webhook_secret"], secret);
}

#[tokio::test]
async fn a_check_without_a_name_gets_one_and_a_webhook_without_a_secret_too() {
    let world = World::new().await;

    let added = world
        .pulse
        .good(&["check", "add", "https://shop.example/health?k=v", "--webhook", "http://w.test/"])
        .await;

    assert_eq!(field(&added, "name"), "shop.example/health");
    assert!(field(&added, "webhook_secret").starts_with("whsec_"), "{added}");
    let shown = world.pulse.good(&["check", "show", "shop.example/health"]).await;
    assert!(!shown.contains("whsec_"), "the secret is shown once: {shown}");
}

#[tokio::test]
async fn what_is_secret_need_not_be_on_the_command_line() {
    let world = World::new().await;
    let secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (of_hook, headers) =
        (file("secret", &format!("{secret}\n")), file("h", "X-A: 1\n\nX-B: 2\n"));
    let stored = async |id: &str| {
        world.get(&format!("/checks/{id}/webhook-secret")).await["webhook_secret"].clone()
    };

    let from_files = world
        .a_check(&[
            "--webhook=http://w.test/",
            "--webhook-secret-file",
            &of_hook,
            "--header",
            &format!("@{headers}"),
        ])
        .await;
    let told = world.pulse.clone().reading(secret);
    let add = [
        "check",
        "add",
        "http://shop.test/",
        "--webhook=http://w.test/",
        "--webhook-secret-file=-",
    ];
    let from_input = told.json(&add).await;
    let body = world.pulse.clone().reading("a\nb\n");
    let with_body = body.json(&["check", "add", "http://shop.test/", "--body", "@-"]).await;

    assert_eq!(stored(&from_files).await, secret);
    assert_eq!(world.check(&from_files).await["headers"], json!({"X-A": "1", "X-B": "2"}));
    assert_eq!(stored(from_input["id"].as_str().unwrap()).await, secret);
    assert_eq!(with_body["body"], "a\nb\n");
}

#[tokio::test]
async fn a_name_that_fits_several_checks_is_told_with_their_ids() {
    let world = World::new().await;
    let a = world.a_check(&["--name", "Shop"]).await;
    let b = world.a_check(&["--name", "Shop"]).await;
    world.a_check(&["--name", "Shop 2"]).await;
    world.a_check(&["--name", "shop"]).await;

    for verb in ["show", "pause", "delete"] {
        let told = world.pulse.bad(2, &["check", verb, "Shop"]).await;

        assert!(told.starts_with("pulse: 2 checks are called Shop; say which"), "{told}");
        assert!(told.contains(&a) && told.contains(&b), "{told}");
    }
    world.pulse.good(&["check", "show", &a]).await;
    world.pulse.good(&["check", "show", "Shop 2"]).await;
    world.pulse.good(&["check", "show", "shop"]).await;
}

#[tokio::test]
async fn checks_are_paused_resumed_run_and_deleted_together() {
    let world = World::new().await;
    let a = world.a_check(&["--name", "a"]).await;
    let b = world.a_check(&["--name", "b"]).await;
    world.later(0, true).await;
    let act = async |verb: &str| {
        let out = world.pulse.good(&["check", verb, "a", &b, "a"]).await;
        let rows: Vec<_> =
            rows(&out).iter().map(|row| (row[0].to_owned(), row[1].to_owned())).collect();
        rows
    };
    let both = |status: &str| [(a.clone(), status.to_owned()), (b.clone(), status.to_owned())];

    assert_eq!(act("pause").await, both("paused"));
    assert_eq!(world.check(&a).await["enabled"], false);
    assert_eq!(act("resume").await, both("pending"));
    world.later(1_000, true).await;
    assert_eq!(world.later(1_000, true).await, 0);
    assert_eq!(act("run").await, both("up"));
    assert_eq!(world.later(0, true).await, 2, "both are due now");
    assert_eq!(act("delete").await, both("deleted"));
    assert_eq!(world.pulse.good(&["check", "list"]).await, "");
}

#[tokio::test]
async fn nothing_is_done_to_any_when_one_is_not_there() {
    let world = World::new().await;
    let a = world.a_check(&["--name", "a"]).await;

    let told = world.pulse.bad(4, &["check", "delete", "a", "nobody"]).await;

    assert_eq!(told, "pulse: there is no check called nobody\n");
    assert_eq!(world.check(&a).await["name"], "a");
}

#[tokio::test]
async fn one_that_cannot_be_run_keeps_no_other_from_it() {
    let world = World::new().await;
    let paused = world.a_check(&["--name", "asleep", "--paused"]).await;
    world.a_check(&["--name", "awake", "--interval", "1h"]).await;
    world.later(0, true).await;
    world.later(1_000, true).await;

    let done = world.pulse.run(&["check", "run", "asleep", "awake"]).await;

    assert_eq!(done.code, 2);
    let told = format!("pulse: asleep ({paused}): The check is paused; resume it to run it.\n");
    assert_eq!(done.err, told);
    assert_eq!(rows(&done.out)[0][4], "awake");
    assert_eq!(world.later(0, true).await, 1);
}
