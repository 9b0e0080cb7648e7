//! Lists over all checks, on the real store: incidents, and who was told of them.

use pulse_core::models::alert::{AttemptReport, Settlement};
use serde_json::{Value, json};

use super::world::{World, each, walk};

/// Three checks that tell somebody, the second of them twice down, and all attempts made and lost.
async fn a_bad_day(world: &World) -> Vec<String> {
    let mut checks = Vec::new();
    for n in 0..3 {
        let about = json!({
            "name": format!("c{n}"), "alert_threshold": 1, "interval_seconds": 60,
            "webhook_url": format!("http://w{n}.test/"), "enabled": false,
        });
        checks.push(world.a_check(&about).await);
    }
    for n in [0, 1, 2, 1] {
        world.post(&format!("{}/resume", checks[n]), 200).await;
        world.later(0, false).await;
        for lease in world.deliveries().await {
            world.settle(&lease, AttemptReport::default(), Settlement::Dead).await;
        }
        world.post(&format!("{}/pause", checks[n]), 200).await;
        world.stores.clock.advance(60_000);
    }
    checks
}

fn id(check: &str) -> Value {
    json!(check.strip_prefix("/checks/").unwrap())
}

#[tokio::test]
async fn incidents_of_all_checks_are_listed_newest_first_and_page_by_page() {
    let world = World::new().await;
    let checks = a_bad_day(&world).await;

    let all = world.get("/incidents").await;

    let expected = [1, 2, 1, 0].map(|n| id(&checks[n]));
    assert_eq!((each(&all, "check_id"), &all["next_cursor"]), (expected.to_vec(), &json!(null)));
    assert_eq!(walk(&world, "/incidents?limit=3").await, (each(&all, "id"), 2));
    assert_eq!(walk(&world, "/incidents?limit=4").await, (each(&all, "id"), 1));
}

#[tokio::test]
async fn deliveries_for_all_checks_are_listed_newest_first_and_page_by_page() {
    let world = World::new().await;
    let checks = a_bad_day(&world).await;

    let all = world.get("/deliveries").await;

    let checks_told = each(&all, "check_id");
    assert_eq!(checks_told.len(), 8, "both edges of four incidents: {all}");
    assert_eq!(checks_told[0], id(&checks[1]));
    assert_eq!(each(&all, "attempts")[0], 0, "the last end has not been tried yet");
    for (check, url) in checks_told.iter().zip(each(&all, "url")) {
        let n = checks.iter().position(|path| id(path) == *check).unwrap();
        assert_eq!(url, format!("http://w{n}.test/"));
    }
    assert_eq!(walk(&world, "/deliveries?limit=3").await, (each(&all, "id"), 3));
}

#[tokio::test]
async fn a_list_over_all_checks_can_be_narrowed_to_one() {
    let world = World::new().await;
    let checks = a_bad_day(&world).await;

    for check in &checks {
        let id = id(check).as_str().unwrap().to_owned();
        let narrowed = world.get(&format!("/incidents?check_id={id}")).await;
        assert_eq!(narrowed, world.get(&format!("{check}/incidents")).await);
        assert!(!narrowed["items"].as_array().unwrap().is_empty());
        let told = each(&world.get(&format!("/deliveries?check_id={id}")).await, "check_id");
        assert!(!told.is_empty() && told.iter().all(|it| *it == id));
    }
    let (ids, pages) =
        walk(&world, &format!("/incidents?check_id={}&limit=1", id(&checks[1]).as_str().unwrap()))
            .await;
    assert_eq!((ids.len(), pages), (2, 2));
    let nobody = "check_id=01890a5d-ac96-774b-bcce-b302099a8057";
    assert_eq!(world.get(&format!("/incidents?{nobody}")).await["items"], json!([]));
    assert_eq!(world.get(&format!("/deliveries?{nobody}")).await["items"], json!([]));
}

#[tokio::test]
async fn what_befell_a_deleted_check_stays_in_the_lists_over_all() {
    let world = World::new().await;
    let checks = a_bad_day(&world).await;
    let before = world.get("/incidents").await;

    assert_eq!(world.client.ask(&format!("DELETE {}", checks[0])).await.status, 204);

    assert_eq!(world.get("/incidents").await, before);
    let narrowed = format!("/incidents?check_id={}", id(&checks[0]).as_str().unwrap());
    assert_eq!(each(&world.get(&narrowed).await, "check_id"), [id(&checks[0])]);
}

#[tokio::test]
async fn a_delivery_can_be_sent_again_without_naming_its_check() {
    let world = World::new().await;
    world.a_check(&json!({"alert_threshold": 1, "webhook_url": "http://w.test/hook"})).await;
    world.later(0, false).await;
    let first = world.deliveries().await.remove(0);
    world.settle(&first, AttemptReport::default(), Settlement::Dead).await;
    assert!(world.deliveries().await.is_empty());

    let replay = world.post(&format!("/deliveries/{}/replay", first.id), 202).await;

    assert_eq!(replay, json!({"delivery_id": first.id, "state": "pending"}));
    let again = world.deliveries().await.remove(0);
    assert_eq!((again.id, &again.body), (first.id, &first.body));
    let nothing = "POST /deliveries/01890a5d-ac96-774b-bcce-b302099a8057/replay";
    assert_eq!(world.client.ask(nothing).await.problem(404).0, "not-found");
}
