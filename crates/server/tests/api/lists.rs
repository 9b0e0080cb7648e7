//! Lists of checks on the real store: pages and filters.

use pulse_core::testing::ResultBuilder;
use serde_json::{Value, json};

use super::world::{World, each, walk};

async fn names(world: &World, query: &str) -> Vec<Value> {
    each(&world.get(&format!("/checks?{query}")).await, "name")
}

#[tokio::test]
async fn pages_hold_every_check_once_newest_first() {
    let world = World::new().await;
    for n in 0..7 {
        world.a_check(&json!({"name": format!("c{n}")})).await;
    }

    let all = world.get("/checks").await;
    let names: Vec<_> = (0..7).rev().map(|n| json!(format!("c{n}"))).collect();
    assert_eq!((each(&all, "name"), &all["next_cursor"]), (names, &json!(null)));
    assert_eq!(walk(&world, "/checks?limit=3").await, (each(&all, "id"), 3));
    assert_eq!(walk(&world, "/checks?limit=7").await, (each(&all, "id"), 1));
    assert_eq!(walk(&world, "/checks?limit=1000").await, (each(&all, "id"), 1));
}

#[tokio::test]
async fn a_page_holds_its_place_when_checks_come_and_go() {
    let world = World::new().await;
    for n in 0..4 {
        world.a_check(&json!({"name": format!("c{n}")})).await;
    }
    let first = world.get("/checks?limit=2").await;
    let last = first["items"][1]["id"].as_str().unwrap();

    world.client.ask(&format!("DELETE /checks/{last}")).await;
    world.a_check(&json!({"name": "new"})).await;

    let next = format!("limit=2&cursor={}", first["next_cursor"].as_str().unwrap());
    assert_eq!(names(&world, &next).await, ["c1", "c0"]);
}

#[tokio::test]
async fn an_offset_leaves_out_the_newest() {
    let world = World::new().await;
    for n in 0..4 {
        world.a_check(&json!({"name": format!("c{n}")})).await;
    }

    assert_eq!(names(&world, "limit=2&offset=1").await, ["c2", "c1"]);
    assert!(names(&world, "offset=4").await.is_empty());
    assert!(names(&world, "offset=1000000").await.is_empty());
}

#[tokio::test]
async fn filters_must_all_hold() {
    let world = World::new().await;
    world.a_check(&json!({"name": "Shop", "tags": ["eu", "web"]})).await;
    world.a_check(&json!({"name": "API", "url": "http://shop-api.test/", "tags": ["eu"]})).await;
    let paused =
        world.a_check(&json!({"name": "100% old_", "url": "http://h", "enabled": false})).await;
    assert_eq!(world.get(&paused).await["status"], "paused");

    let table: [(&str, &[&str]); 14] = [
        ("tag=eu", &["API", "Shop"]),
        ("tag=eu&tag=web", &["Shop"]),
        ("tag=eu,web", &["Shop"]),
        ("tag=none", &[]),
        ("enabled=true", &["API", "Shop"]),
        ("enabled=false", &["100% old_"]),
        ("status=pending", &["API", "Shop"]),
        ("status=paused", &["100% old_"]),
        ("status=down", &[]),
        ("q=SHOP", &["API", "Shop"]),
        ("q=shop-api", &["API"]),
        ("q=100%25", &["100% old_"]),
        ("q=%25", &["100% old_"]),
        ("q=shop&tag=web&enabled=true&status=pending&limit=5", &["Shop"]),
    ];
    for (query, expected) in table {
        assert_eq!(names(&world, query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn the_pages_of_a_filtered_list_are_filtered() {
    let world = World::new().await;
    for n in 0..6 {
        world.a_check(&json!({"name": format!("c{n}"), "tags": [if n % 2 == 0 { "even" } else { "odd" }]})).await;
    }

    let (ids, pages) = walk(&world, "/checks?limit=1&tag=even").await;

    assert_eq!((ids.len(), pages), (3, 3));
}

#[tokio::test]
async fn a_check_that_fails_is_listed_as_down() {
    let world = World::new().await;
    world.a_check(&json!({"name": "ill", "alert_threshold": 1})).await;
    world.later(0, false).await;

    assert_eq!(names(&world, "status=down").await, ["ill"]);
    assert!(names(&world, "status=up").await.is_empty());
}

#[tokio::test]
async fn a_check_that_is_alive_and_less_than_well_is_listed_as_degraded() {
    let world = World::new().await;
    let check = world.a_check(&json!({"name": "slow", "alert_threshold": 1})).await;

    world.later_as(0, ResultBuilder::degraded).await;

    assert_eq!(names(&world, "status=degraded").await, ["slow"]);
    assert!(names(&world, "status=down").await.is_empty());
    assert_eq!(world.get(&check).await["status"], "degraded");
    let run = &world.get(&format!("{check}/runs")).await["items"][0];
    let told = ["outcome", "class", "reason"].map(|field| run[field].clone());
    assert_eq!(told, [json!("ok"), json!(null), json!("degraded")]);
    let figures = world.get(&format!("{check}/metrics")).await;
    assert_eq!((&figures["failures"], &figures["uptime"]), (&json!(0), &json!(1.0)), "{figures}");
    let incidents = &world.get(&format!("{check}/incidents")).await["items"];
    assert_eq!(incidents[0]["severity"], "degraded");
}
