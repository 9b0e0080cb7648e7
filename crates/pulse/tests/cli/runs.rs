//! `pulse runs`, and following them.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout};

use crate::binary::{Pulse, rows};
use crate::stub::{ID, Stub, a_check, good};
use crate::world::World;

const MINUTE: i64 = 60_000;

/// `pulse runs --follow`, under way.
struct Following {
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
    err: Lines<BufReader<ChildStderr>>,
}

impl Following {
    fn begin(pulse: &Pulse, args: &[&str]) -> Self {
        let mut child = pulse.command(&[args, &["--follow"]].concat()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        let err = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, out, err }
    }

    async fn line(&mut self) -> String {
        let line = tokio::time::timeout(Duration::from_mins(1), self.out.next_line()).await;
        line.expect("a line should come").unwrap().expect("it should go on")
    }

    async fn complaint(&mut self) -> String {
        let line = tokio::time::timeout(Duration::from_mins(1), self.err.next_line()).await;
        line.expect("a complaint should come").unwrap().expect("it should go on")
    }

    /// Ends it as Ctrl-C does; what it still printed, and its exit code.
    async fn interrupt(self) -> (Vec<String>, i32) {
        let pid = self.child.id().unwrap().to_string();
        let killed = tokio::process::Command::new("kill").args(["-INT", &pid]).status().await;
        assert!(killed.unwrap().success());
        self.end().await
    }

    async fn end(mut self) -> (Vec<String>, i32) {
        let ended = tokio::time::timeout(Duration::from_mins(1), self.child.wait()).await;
        let code = ended.expect("it should end").unwrap().code().expect("no signal should end it");
        let mut rest = Vec::new();
        while let Some(line) = self.out.next_line().await.unwrap() {
            rest.push(line);
        }
        (rest, code)
    }
}

fn outcome(line: &str) -> &str {
    line.split('\t').nth(1).unwrap()
}

#[tokio::test]
async fn runs_are_listed_newest_first() {
    let world = World::new().await;
    let id = world.a_check(&["--name", "shop", "--region", "eu"]).await;
    world.later(0, true).await;
    world.later(90_000, false).await;

    let listed = world.pulse.good(&["runs", "shop"]).await;

    let told: Vec<_> = rows(&listed).iter().map(|row| row[1..].join(" ")).collect();
    assert_eq!(
        told,
        ["fail status 500 1.2 eu 1 status 500, expected any 2xx", "ok - 200 1.2 eu 1 -"]
    );
    assert_eq!(rows(&listed)[1][0], "2026-09-21T14:13:20.000Z");
    assert_eq!(rows(&world.pulse.good(&["runs", &id, "--limit", "1"]).await).len(), 1);
    let json = world.pulse.json(&["runs", "shop"]).await;
    assert_eq!(json, world.get(&format!("/checks/{id}/runs")).await["items"]);
    world.pulse.bad(4, &["runs", "nobody"]).await;
}

#[tokio::test]
async fn following_shows_each_run_once_as_it_comes() {
    let world = World::new().await;
    world.a_check(&["--name", "shop"]).await;
    world.later(0, true).await;
    world.later(90_000, false).await;
    world.later(MINUTE, true).await;

    let mut following = Following::begin(&world.pulse, &["runs", "shop", "--limit", "2"]);
    let begun = [following.line().await, following.line().await];
    assert_eq!(begun.each_ref().map(|line| outcome(line)), ["fail", "ok"], "newest last");

    world.later(MINUTE, false).await;
    assert_eq!(outcome(&following.line().await), "fail");
    world.later(MINUTE, true).await;
    assert_eq!(outcome(&following.line().await), "ok");
    let (rest, code) = following.interrupt().await;

    assert_eq!((rest, code), (Vec::new(), 0));
}

/// The runs of a check, newest first, by the seconds of their slots.
fn runs_at(seconds: &[u32]) -> Value {
    let run = |second: &u32| {
        json!({
            "id": uuid::Uuid::from_u128((*second).into()), "slot": format!("2026-11-21T07:28:{second:02}.000Z"),
            "slots": 1, "outcome": "ok", "region": "eu", "latency_ms": 1.0,
        })
    };
    let items: Vec<_> = seconds.iter().map(run).collect();
    json!({"items": items, "next_cursor": null})
}

#[tokio::test]
async fn following_finds_the_run_that_came_late() {
    let looks: [&[u32]; 3] = [&[20, 10], &[30, 20, 10], &[30, 25, 20, 10]];
    let stub = Stub::new(move |n, asked| {
        if asked.line.contains("/runs") {
            return good(&runs_at(looks[(n - 1).min(2)]));
        }
        good(&a_check())
    })
    .await;
    let mut following = Following::begin(&stub.pulse, &["runs", ID]);

    let mut seconds = Vec::new();
    for _ in 0..4 {
        seconds.push(following.line().await[17..19].to_owned());
    }

    assert_eq!(seconds, ["10", "20", "30", "25"]);
    assert_eq!(following.interrupt().await, (Vec::new(), 0));
}

#[tokio::test]
async fn following_reads_back_as_far_as_it_has_not_read_and_no_further() {
    // Pages of ten. The first look sees 10 to 19, the second finds 20 to 44 before them.
    let stub = Stub::new(move |n, asked| {
        if !asked.line.contains("/runs") {
            return good(&a_check());
        }
        let cursor = asked.line.split("cursor=").nth(1).and_then(|at| at.parse().ok());
        let newest: u32 = cursor.unwrap_or(if n == 1 { 19 } else { 44 });
        let oldest = newest.saturating_sub(9);
        let mut page = runs_at(&(oldest..=newest).rev().collect::<Vec<_>>());
        if oldest > 0 {
            page["next_cursor"] = json!((oldest - 1).to_string());
        }
        good(&page)
    })
    .await;
    let mut following = Following::begin(&stub.pulse, &["runs", ID, "--limit", "1"]);

    let mut seconds = Vec::new();
    for _ in 0..26 {
        seconds.push(following.line().await[17..19].parse::<u32>().unwrap());
    }

    assert_eq!(seconds, (19..=44).collect::<Vec<_>>());
    assert_eq!(following.interrupt().await, (Vec::new(), 0));
}

#[tokio::test]
async fn following_outlives_the_absence_of_the_server() {
    let mut world = World::new().await;
    world.a_check(&["--name", "shop"]).await;
    world.later(0, true).await;
    let mut following = Following::begin(&world.pulse, &["runs", "shop"]);
    assert_eq!(outcome(&following.line().await), "ok");

    world.stop().await;
    let away = following.complaint().await;
    assert!(away.contains("does not answer") && away.ends_with("; still trying"), "{away}");
    world.later(90_000, false).await;
    world.later(MINUTE, true).await;
    world.start_again().await;

    assert!(following.complaint().await.ends_with(" answers again"));
    assert_eq!(outcome(&following.line().await), "fail");
    assert_eq!(outcome(&following.line().await), "ok");
    assert_eq!(following.interrupt().await, (Vec::new(), 0));
}

#[tokio::test]
async fn following_as_json_is_an_object_a_line() {
    let world = World::new().await;
    let id = world.a_check(&["--name", "shop"]).await;
    world.later(0, true).await;
    let mut following = Following::begin(&world.pulse, &["--json", "runs", "shop"]);
    let first: Value = serde_json::from_str(&following.line().await).unwrap();

    world.later(90_000, false).await;
    let second: Value = serde_json::from_str(&following.line().await).unwrap();

    let told = world.get(&format!("/checks/{id}/runs")).await;
    assert_eq!(told["items"], json!([second, first]));
}

#[tokio::test]
async fn following_ends_with_the_check() {
    let world = World::new().await;
    let id = world.a_check(&["--name", "shop"]).await;
    world.later(0, true).await;
    let mut following = Following::begin(&world.pulse, &["runs", "shop"]);
    following.line().await;

    world.pulse.good(&["check", "delete", "shop"]).await;

    let told = following.complaint().await;
    assert_eq!(told, format!("pulse: There is no check with the id {id}."));
    assert_eq!(following.end().await.1, 4);
}
