//! `pulse store copy` at the command line; what is copied, and that nothing is lost on the way, is
//! tested where it is written.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::process::{Command, Output};

use pulse_core::models::schedule::Slot;
use pulse_core::runtime::config::{Config, Shape, StateAt};
use pulse_core::stores::Stores;
use pulse_core::testing::{TestStores, a_check, stores};
use serde_json::{Value, json};
use tempfile::TempDir;

fn copy(from: &str, to: &str, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pulse"))
        .args(["store", "copy", "--from", from])
        .args(more)
        .env_remove("CLICKHOUSE_DSN")
        .env("DATABASE_URL", to)
        .output()
        .unwrap()
}

fn target(t: &TestStores) -> String {
    let StateAt::Postgres(url) = t.config.state.clone() else { unreachable!() };
    url
}

async fn a_source(folder: &Path) -> String {
    let data = folder.to_string_lossy().into_owned();
    let source = |name: &str| (name == "PULSE_DATA").then(|| data.clone());
    let config = Config::read(Shape::Whole, source).unwrap();
    let stores = Stores::connect(&config, "source").await.unwrap();
    stores.upkeep.migrate().await.unwrap();
    stores.history.prepare().await.unwrap();
    for _ in 0..3 {
        let now = Slot::from(chrono::Utc::now());
        stores.checks.create(a_check().build(), None, now).await.unwrap();
    }
    stores.history.close().await;
    stores.upkeep.close().await;
    format!("sqlite://{}", folder.join("pulse.db").display())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_tells_what_has_arrived_and_can_be_repeated() {
    let folder = TempDir::new().unwrap();
    let from = a_source(folder.path()).await;
    let t = stores().await;
    t.stores.upkeep.close().await;

    let first = copy(&from, &target(&t), &[]);
    let again = copy(&from, &target(&t), &["--json"]);

    assert_eq!(first.status.code(), Some(0), "{first:?}");
    let told = String::from_utf8(first.stdout).unwrap();
    assert!(told.contains("3  checks"), "{told}");
    let counts: Value = serde_json::from_slice(&again.stdout).unwrap();
    let checks = json!({"what": "checks", "source": 3, "target": 3});
    assert!(counts["copied"].as_array().unwrap().contains(&checks), "{counts}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_copied_is_told_in_a_sentence() {
    let folder = TempDir::new().unwrap();
    let from = a_source(folder.path()).await;
    let t = stores().await;
    let to = target(&t);
    t.stores
        .checks
        .get(pulse_core::models::ids::ProjectId::DEFAULT, a_check().build().id)
        .await
        .unwrap();
    let cases = [
        (from.as_str(), to.as_str(), 3, "the target is in use"),
        ("sqlite:///nowhere/pulse.db", &to, 3, "there is no file /nowhere/pulse.db"),
        (&from, "postgres://me:hunter2@127.0.0.1:9/d", 3, "PostgreSQL cannot be reached"),
        (&from, "mysql://me:hunter2@h/d", 2, "must begin with sqlite:// or postgres://"),
        ("postgres://h/d", &to, 2, "must begin with sqlite://"),
    ];
    for (from, to, code, sentence) in cases {
        let told = copy(from, to, &[]);

        let stderr = String::from_utf8_lossy(&told.stderr).into_owned();
        assert_eq!(told.status.code(), Some(code), "{from}: {stderr}");
        assert!(stderr.contains(sentence), "{sentence}: {stderr}");
        assert!(!stderr.contains("hunter2"), "{stderr}");
    }
}
