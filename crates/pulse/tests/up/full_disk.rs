//! A disk that fills up while Pulse runs.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use sqlx::Connection;
use tempfile::TempDir;
use tokio::process::Command;

use super::process::Pulse;

/// Room for some forty of the checks below, until the write-ahead log has this size.
const KIB: u32 = 3_000;
const MOST_CHECKS: usize = 200;

/// Creates checks until one is refused, which must say why; the ids of the others.
async fn fill(pulse: &Pulse) -> Vec<String> {
    let bulk = "x".repeat(60_000);
    let mut made = Vec::new();
    for number in 0..MOST_CHECKS {
        let (status, body) = pulse.post(&format!("check {number}"), &bulk).await;
        if status != 201 {
            assert_eq!((status, body["type"].as_str()), (503, Some("/problems/store-unavailable")));
            return made;
        }
        made.push(body["id"].as_str().unwrap().to_owned());
    }
    panic!("the disk is never full");
}

/// It must say that it cannot work, and why not.
async fn until_it_says_so(pulse: &mut Pulse) -> Value {
    pulse.until("it to say so", async |pulse| pulse.page("/ready").await.0 == 503).await;
    pulse.page("/ready").await.1
}

#[tokio::test]
async fn a_full_disk_is_told_once_and_nothing_that_was_acknowledged_is_lost() {
    let data = TempDir::new().unwrap();
    let mut pulse = Pulse::bounded(data.path(), KIB).await;

    let mut made = fill(&pulse).await;
    let told = until_it_says_so(&mut pulse).await;
    let (health, _) = pulse.page("/health").await;

    assert!(made.len() > 10, "{} checks fit", made.len());
    assert!(told["reasons"].as_array().is_some_and(|reasons| !reasons.is_empty()), "{told}");
    assert!([200, 503].contains(&health));
    // What is there can still be read.
    made.reverse();
    assert_eq!(pulse.checks().await, made);
    assert_eq!(pulse.interrupt().await, Some(0));
    let log = pulse.log();
    assert!(!log.contains("panicked"), "{log}");
    assert!(log.contains("disk I/O error"), "{log}");
    assert_eq!(told_twice(&log), Vec::<&str>::new(), "{log}");

    for name in ["pulse.db", "pulse-history.db"] {
        assert_eq!(integrity(&data.path().join(name)).await, ["ok"], "{name}");
    }
    let pulse = Pulse::start(data.path()).await;
    assert_eq!(pulse.checks().await, made);
    pulse.create("once there is room").await;
}

#[tokio::test]
async fn once_there_is_room_again_it_goes_on_by_itself() {
    let data = TempDir::new().unwrap();
    let mut pulse = Pulse::bounded(data.path(), KIB).await;
    let made = fill(&pulse).await;
    until_it_says_so(&mut pulse).await;

    let bound = format!("prlimit --pid {} --fsize=unlimited", pulse.pid());
    assert!(Command::new("sh").args(["-c", &bound]).status().await.unwrap().success());

    pulse.until("it to work again", async |pulse| pulse.page("/ready").await.0 == 200).await;
    let added = pulse.create("once there is room").await;
    assert_eq!(pulse.checks().await[0], added);
    assert_eq!(pulse.checks().await.len(), made.len() + 1);
    let newest = format!("/checks/{}/runs", made.last().unwrap());
    let known = pulse.page(&newest).await.1["items"].as_array().unwrap().len();
    pulse
        .until("checks to run again", async |pulse| {
            pulse.page(&newest).await.1["items"].as_array().is_some_and(|runs| runs.len() > known)
        })
        .await;
}

/// Roles that told of the same trouble more than once. Requests are told one by one.
fn told_twice(log: &str) -> Vec<&str> {
    let mut known = BTreeSet::new();
    log.lines()
        .filter_map(|line| line.split_once("a round failed").map(|(_, it)| it))
        .filter_map(|it| it.split_whitespace().find(|word| word.starts_with("role=")))
        .filter(|role| !known.insert(*role))
        .collect()
}

async fn integrity(file: &Path) -> Vec<String> {
    let mut connection = super::open(file).await;
    let told = sqlx::query_scalar("PRAGMA integrity_check").fetch_all(&mut connection).await;
    connection.close().await.unwrap();
    told.unwrap()
}
