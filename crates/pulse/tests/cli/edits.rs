//! `pulse check edit`: what is named changes, and nothing else.

use serde_json::json;

use crate::world::{World, some};

#[tokio::test]
async fn only_what_is_named_changes() {
    let world = World::new().await;
    let id = world
        .a_check(&[
            "--name=Shop",
            "--tag=web",
            "--header=X-A: 1",
            "--webhook=http://w.test/",
            "--expect=204",
        ])
        .await;
    let before = world.check(&id).await;
    let secret = world.get(&format!("/checks/{id}/webhook-secret")).await;

    let after = world
        .pulse
        .json(&[
            "check",
            "edit",
            &id,
            "--threshold",
            "7",
            "--target",
            "http://new.test/",
            "--header",
            "X-B: 2",
        ])
        .await;

    let mut expected = before.clone();
    expected["alert_threshold"] = json!(7);
    expected["url"] = json!("http://new.test/");
    expected["headers"] = json!({"X-A": "1", "X-B": "2"});
    for moved in ["version", "updated_at", "next_run_at"] {
        expected[moved] = after[moved].clone();
    }
    assert_eq!(after, expected);
    assert_eq!(after["version"], 2);
    assert_eq!(world.get(&format!("/checks/{id}/webhook-secret")).await, secret);
}

#[tokio::test]
async fn what_was_set_can_be_taken_back() {
    let world = World::new().await;
    let id = world
        .a_check(&[
            "--interval=10s",
            "--timeout=1s",
            "--expect=204",
            "--method=POST",
            "--header=X-A: 1",
            "--body=b",
            "--threshold=9",
            "--window=9",
            "--recover=2",
            "--webhook=http://w.test/",
            "--region=eu",
            "--tag=web",
        ])
        .await;

    world
        .pulse
        .good(&[
            "check",
            "edit",
            &id,
            "--reset=interval,timeout,method,header,body,threshold,window,recover",
            "--reset=webhook",
            "--reset=region",
            "--reset=tag",
            "--expect=any",
        ])
        .await;

    let names = [
        "interval_seconds",
        "timeout_ms",
        "expected_status",
        "method",
        "headers",
        "body",
        "alert_threshold",
        "alert_window",
        "recovery_threshold",
        "webhook_url",
        "regions",
        "tags",
    ];
    let defaults = json!([60, 10_000, null, "GET", {}, null, 3, null, 1, null, ["default"], []]);
    assert_eq!(some(&world.check(&id).await, &names), defaults);
}

#[tokio::test]
async fn headers_are_replaced_and_removed_whatever_their_case() {
    let world = World::new().await;
    let id = world.a_check(&["--header=X-A: 1", "--header=X-B: 2", "--header=X-C: 3"]).await;

    world.pulse.good(&["check", "edit", &id, "--header=x-a: 9", "--remove-header=x-b"]).await;

    assert_eq!(world.check(&id).await["headers"], json!({"x-a": "9", "X-C": "3"}));
    let told = world.pulse.bad(2, &["check", "edit", &id, "--remove-header=X-B"]).await;
    assert_eq!(told, "pulse: the check sends no header called X-B\n");
}

#[tokio::test]
async fn a_change_that_says_nothing_or_two_things_is_wrong_usage() {
    let world = World::new().await;
    let id = world.a_check(&[]).await;

    let nothing = world.pulse.bad(2, &["check", "edit", &id]).await;
    let two = world.pulse.bad(2, &["check", "edit", &id, "--tag=a", "--reset=tag"]).await;

    assert_eq!(nothing, "pulse: say what to change, --interval 30s for example\n");
    assert_eq!(two, "pulse: tags cannot be set and reset at once\n");
    assert_eq!(world.check(&id).await["version"], 1);
}

#[tokio::test]
async fn a_check_can_be_renamed_and_paused_by_an_edit() {
    let world = World::new().await;
    let id = world.a_check(&["--name=a"]).await;

    world.pulse.good(&["check", "edit", "a", "--name=b", "--paused"]).await;

    assert_eq!(some(&world.check(&id).await, &["name", "status"]), json!(["b", "paused"]));
}

#[tokio::test]
async fn fields_without_an_option_of_their_own_are_set_shown_and_set_back() {
    let world = World::new().await;
    let id = world
        .a_check(&[
            "--name=Shop",
            "--field=upside_down=true",
            r#"--field=tls={"verify": false}"#,
            r#"--field=retry={"attempts": 2}"#,
        ])
        .await;

    let shown = world.pulse.good(&["check", "show", &id]).await;
    world.pulse.json(&["check", "edit", &id, "--field", "tls=null"]).await;
    let after = world.check(&id).await;

    assert!(shown.contains("(certificate not verified)"), "{shown}");
    assert!(shown.contains("upside_down\ttrue"), "{shown}");
    assert_eq!((&after["tls"], &after["upside_down"]), (&json!(null), &json!(true)));
}
