//! `pulse check list`.

use serde_json::Value;

use crate::binary::rows;
use crate::world::World;

async fn names(world: &World, args: &[&str]) -> Vec<String> {
    let listed = world.pulse.good(&[&["check", "list"], args].concat()).await;
    rows(&listed).iter().map(|row| row[4].to_owned()).collect()
}

#[tokio::test]
async fn filters_must_all_hold() {
    let world = World::new().await;
    world.a_check(&["--name=Shop", "--tag=eu", "--tag=web"]).await;
    world.a_check(&["--name=API", "--tag=eu"]).await;
    world.a_check(&["--name=Old", "--paused"]).await;

    assert_eq!(names(&world, &[]).await, ["Old", "API", "Shop"]);
    assert_eq!(names(&world, &["--status", "paused"]).await, ["Old"]);
    assert_eq!(names(&world, &["--tag", "eu"]).await, ["API", "Shop"]);
    assert_eq!(names(&world, &["--tag", "eu", "--tag", "web"]).await, ["Shop"]);
    assert_eq!(names(&world, &["--search", "sHOP", "--tag", "eu"]).await, ["API", "Shop"]);
    assert_eq!(names(&world, &["--search", "old"]).await, ["Old"]);
    assert_eq!(names(&world, &["--limit", "2"]).await, ["Old", "API"]);
    assert_eq!(names(&world, &["--status", "down"]).await, [""; 0]);
}

#[tokio::test]
async fn every_check_is_listed_once_however_many_pages_they_are() {
    let world = World::new().await;
    let id = world.a_check(&["--name=c0"]).await;
    for n in 1..205 {
        world.a_copy(&id, &format!("c{n}")).await;
    }
    let expected: Vec<_> = (0..205).rev().map(|n| format!("c{n}")).collect();

    assert_eq!(names(&world, &[]).await, expected);
    assert_eq!(names(&world, &["--limit", "101"]).await, expected[..101]);
    assert_eq!(names(&world, &["--limit", "100"]).await, expected[..100]);
    let json = world.pulse.json(&["check", "list", "--limit", "150"]).await;
    assert_eq!(json.as_array().map(Vec::len), Some(150));
    // A name that many others contain is found all the same.
    let shown = world.pulse.json(&["check", "show", "c1"]).await;
    assert_eq!(shown["name"], "c1");
}

#[tokio::test]
async fn json_is_what_the_api_says() {
    let world = World::new().await;
    let a = world.a_check(&["--name=a", "--header=X-A: 1"]).await;
    world.a_check(&["--name=b"]).await;

    let listed = world.pulse.json(&["check", "list"]).await;
    let shown = world.pulse.json(&["check", "show", "a"]).await;
    let run = world.pulse.json(&["check", "run", "a"]).await;

    assert_eq!(listed, world.get("/checks").await["items"]);
    assert_eq!(shown, listed[1]);
    assert_eq!((run[0]["id"].as_str(), run.as_array().map(Vec::len)), (Some(a.as_str()), Some(1)));
    assert_eq!(world.pulse.json(&["check", "list", "--tag=none"]).await, Value::Array(Vec::new()));
}
