//! `pulse doctor` on stores that are well, away, and not what they should be.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::process::{Command, Output};

use pulse_core::models::ids::ProjectId;
use pulse_core::models::schedule::Slot;
use pulse_core::models::secret::SecretName;
use pulse_core::ports::secrets::SealedSecret;
use pulse_core::runtime::config::{Config, Shape};
use pulse_core::runtime::sealing::SecretKeys;
use pulse_core::stores::Stores;
use pulse_core::testing::{Profile, scaled};
use serde_json::Value;
use tempfile::TempDir;

/// In a folder without a `.env`, with these settings alone, and no server at hand.
fn doctor(folder: &Path, settings: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pulse"))
        .args(["doctor", "--json", "--url", "http://127.0.0.1:9"])
        .current_dir(folder)
        .env_clear()
        .envs(settings.iter().copied())
        .output()
        .unwrap()
}

fn found(output: &Output) -> Vec<(String, String, String)> {
    let items: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let text = |item: &Value, field: &str| item[field].as_str().unwrap_or_default().to_owned();
    let each = |item: &Value| (text(item, "part"), text(item, "standing"), text(item, "found"));
    items.iter().map(each).collect()
}

fn says(output: &Output, part: &str, standing: &str, words: &str) -> bool {
    found(output).iter().any(|(p, s, f)| p == part && s == standing && f.contains(words))
}

#[test]
fn an_empty_folder_is_nothing_to_worry_about() {
    let folder = TempDir::new().unwrap();

    let told = doctor(folder.path(), &[]);

    assert_eq!(told.status.code(), Some(0), "{told:?}");
    assert!(says(&told, "state", "odd", "pulse.db is not there yet"), "{told:?}");
    assert!(says(&told, "queue", "well", "within the process"), "{told:?}");
    assert!(says(&told, "secrets", "well", "no secret is stored"), "{told:?}");
    assert!(says(&told, "server", "odd", "does not answer"), "{told:?}");
    assert!(!folder.path().join("data").exists(), "looking makes nothing");
}

#[test]
fn what_is_no_database_is_ill_and_left_as_it_is() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("pulse.db");
    std::fs::write(&file, "my notes, which are no database at all; and longer than a header")
        .unwrap();

    let told = doctor(folder.path(), &[("PULSE_DATA", ".")]);

    assert_eq!(told.status.code(), Some(1), "{told:?}");
    assert!(says(&told, "state", "ill", "not a database"), "{told:?}");
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("my notes"));
}

#[test]
fn servers_are_told_with_version_clock_and_schema() {
    let folder = TempDir::new().unwrap();
    let of = |name: &str| std::env::var(name).unwrap();
    let _named = scaled("doctor", Profile::ScaledFurther);

    let told = doctor(
        folder.path(),
        &[
            ("DATABASE_URL", &of("DATABASE_URL")),
            ("REDIS_URL", &of("REDIS_URL")),
            ("CLICKHOUSE_DSN", &of("CLICKHOUSE_DSN")),
        ],
    );

    assert_eq!(told.status.code(), Some(0), "{told:?}");
    for (part, name) in [("state", "PostgreSQL"), ("queue", "Redis"), ("history", "ClickHouse")] {
        assert!(says(&told, part, "well", &format!("{name} ")), "{part}: {told:?}");
        assert!(says(&told, part, "well", &format!("the clock of {name} is")), "{part}: {told:?}");
    }
}

#[test]
fn servers_that_are_away_are_ill_and_no_password_is_told() {
    let folder = TempDir::new().unwrap();

    let told = doctor(
        folder.path(),
        &[
            ("DATABASE_URL", "postgres://me:hunter2@127.0.0.1:9/pulse"),
            ("REDIS_URL", "redis://:hunter2@127.0.0.1:9"),
            ("CLICKHOUSE_DSN", "http://me:hunter2@127.0.0.1:9/pulse"),
        ],
    );

    assert_eq!(told.status.code(), Some(1), "{told:?}");
    for part in ["state", "queue", "history"] {
        assert!(says(&told, part, "ill", "cannot be used"), "{part}: {told:?}");
    }
    assert!(!String::from_utf8_lossy(&told.stdout).contains("hunter2"));
}

#[test]
fn every_wrong_setting_is_a_finding() {
    let folder = TempDir::new().unwrap();

    let told = doctor(folder.path(), &[("PORT", "many"), ("DATABASE_URL", "mysql://hunter2@h/d")]);

    assert_eq!(told.status.code(), Some(1), "{told:?}");
    assert!(says(&told, "settings", "ill", "PORT must be"), "{told:?}");
    assert!(says(&told, "settings", "ill", "DATABASE_URL must begin"), "{told:?}");
    assert!(!String::from_utf8_lossy(&told.stdout).contains("hunter2"));
}

/// A key of its own: 32 of the same bytes in base64.
fn key(letter: char) -> String {
    format!("{}=", letter.to_string().repeat(43))
}

#[tokio::test]
async fn secrets_are_tried_with_the_key_that_is_set() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().to_str().unwrap().to_owned();
    let config = Config::read(Shape::Whole, |name| (name == "PULSE_DATA").then(|| data.clone()));
    let stores = Stores::connect(&config.unwrap(), "doctor").await.unwrap();
    stores.upkeep.migrate().await.unwrap();
    let (project, name) = (ProjectId::DEFAULT, SecretName::parse("api-key").unwrap());
    let sealed = SecretKeys::parse(&key('A')).unwrap().seal(project, &name, "hush").unwrap();
    let secret = SealedSecret { project, name, sealed };
    stores.secrets.put(&secret, Slot(1)).await.unwrap();
    let look = |key: &str| doctor(folder.path(), &[("PULSE_DATA", "."), ("PULSE_SECRET_KEY", key)]);

    let right = look(&key('A'));
    let wrong = look(&key('Q'));
    let none = doctor(folder.path(), &[("PULSE_DATA", ".")]);
    let malformed = look("hunter2");

    assert_eq!(right.status.code(), Some(0), "{right:?}");
    assert!(says(&right, "secrets", "well", "opens every stored secret (1)"), "{right:?}");
    assert_eq!(wrong.status.code(), Some(1), "{wrong:?}");
    assert!(says(&wrong, "secrets", "ill", "1 of 1 secrets do not open: api-key is"), "{wrong:?}");
    assert_eq!(none.status.code(), Some(1), "{none:?}");
    assert!(says(&none, "secrets", "ill", "PULSE_SECRET_KEY is not set"), "{none:?}");
    assert_eq!(malformed.status.code(), Some(1), "{malformed:?}");
    assert!(
        says(&malformed, "settings", "ill", "PULSE_SECRET_KEY must be 32 bytes"),
        "{malformed:?}"
    );
    for told in [right, wrong, none, malformed] {
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        assert!(!told.contains("hush") && !told.contains("hunter2") && !told.contains(&key('A')));
    }
}
