//! Who hears what: all servers the same, each client what it asked for, and what it missed.

use std::time::Duration;

use pulse_core::models::check::Status;
use pulse_core::models::event::Event;
use pulse_core::models::ids::Region;
use pulse_core::models::run::{Outcome, Run};
use pulse_core::models::schedule::Slot;
use pulse_core::testing::{a_check, eventually};
use serde_json::json;

use super::sockets::Socket;
use super::streams::Stream;
use super::world::{World, an_event};

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_heard_at_all_servers_on_both_ways_under_one_id() {
    let world = World::of_two().await;
    let check = world.a_check(a_check().with("name", json!("Shop"))).await;
    let (one, other) = (world.servers[0].address, world.servers[1].address);
    let (mut stream, _) = Stream::open(one, "/api/v1/events", &[]).await;
    let mut socket = Socket::hearing(other, &json!({})).await;

    world.happens(&check, Status::Down);

    let (said, heard) = (stream.event().await, socket.event().await);
    assert_eq!(said.event, "check.status_changed");
    assert_eq!(said.data, heard);
    assert_eq!((&said.data["id"], said.id.is_empty()), (&json!(said.id), false));
    assert_eq!((&heard["name"], &heard["to"]), (&json!("Shop"), &json!("down")));
    assert_eq!(heard["check_id"], json!(check.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_goes_on_at_another_server_where_it_was() {
    let world = World::of_two().await;
    let check = world.a_check(a_check()).await;
    let (one, other) = (world.servers[0].address, world.servers[1].address);
    let (mut stream, _) = Stream::open(one, "/events", &[]).await;
    world.happens(&check, Status::Up);
    let last = stream.event().await.id;
    drop(stream);
    world.happens(&check, Status::Degraded);
    world.happens(&check, Status::Down);
    // Also those that came while nobody listened have passed the other server by now.
    let (mut passed, _) = Stream::open(one, &format!("/events?last_event_id={last}"), &[]).await;
    assert_eq!(passed.event().await.data["to"], "degraded");

    let (mut stream, _) = Stream::open(other, "/events", &[("last-event-id", &last)]).await;
    let mut socket = Socket::hearing(other, &json!({"last_event_id": last})).await;
    let (first, second) = (stream.event().await, stream.event().await);
    world.happens(&check, Status::Up);

    assert_eq!((&first.data["to"], &second.data["to"]), (&json!("degraded"), &json!("down")));
    assert_eq!(stream.event().await.data["to"], "up", "and none of them twice");
    for to in ["degraded", "down", "up"] {
        assert_eq!(socket.event().await["to"], to);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_heard_nothing_yet_has_a_place_to_go_on_from() {
    let world = World::alone().await;
    let check = world.a_check(a_check()).await;
    let (mut stream, nothing) = Stream::open(world.address(), "/events", &[]).await;
    assert_eq!(nothing.id, "", "nothing has ever happened");
    world.happens(&check, Status::Up);
    let first = stream.event().await.id;

    let (_, greeting) = Stream::open(world.address(), "/events", &[]).await;

    assert_eq!(greeting.id, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_nobody_knows_begins_with_a_resync() {
    let world = World::alone().await;
    let check = world.a_check(a_check()).await;

    for strange in ["1-0", "99999999999999-0", "from the beginning"] {
        let headers = [("last-event-id", strange)];
        let (mut stream, _) = Stream::open(world.address(), "/events", &headers).await;
        let mut socket = Socket::hearing(world.address(), &json!({"last_event_id": strange})).await;
        world.happens(&check, Status::Up);

        let (resync, next) = (stream.event().await, stream.event().await);

        assert_eq!((resync.event.as_str(), &resync.data["reason"]), ("resync", &json!("unknown")));
        assert_eq!(next.event, "check.status_changed");
        assert_eq!(socket.event().await["type"], "resync");
        assert_eq!(socket.event().await["id"], json!(next.id));
    }
    assert!(world.servers[0].counted("pulse_event_resyncs_total{reason=\"unknown\"}") >= 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_client_hears_what_it_asked_for() {
    let world = World::alone().await;
    let shop = world.a_check(a_check().with("tags", json!(["shop", "eu"]))).await;
    let blog = world.a_check(a_check().with("tags", json!(["eu"]))).await;
    let address = world.address();
    let by_check = format!("/events?check_id={}", blog.id);
    let (mut by_check, _) = Stream::open(address, &by_check, &[]).await;
    let (mut by_tags, _) = Stream::open(address, "/events?tag=eu&tag=shop", &[]).await;
    let mut by_type = Socket::hearing(address, &json!({"types": ["incident.opened"]})).await;
    let mut all = Socket::hearing(address, &json!({})).await;

    world.happens(&shop, Status::Up);
    world.happens(&blog, Status::Up);
    assert_eq!(by_check.event().await.data["check_id"], json!(blog.id));
    assert_eq!(by_tags.event().await.data["check_id"], json!(shop.id));
    for check in [&shop, &blog] {
        assert_eq!(all.event().await["check_id"], json!(check.id));
    }
    by_type.subscribe(&json!({"checks": [shop.id]})).await;
    world.happens(&blog, Status::Down);
    world.happens(&shop, Status::Down);

    let heard = by_type.event().await;
    assert_eq!((&heard["to"], &heard["check_id"]), (&json!("down"), &json!(shop.id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_published_once_somebody_asks_for_them_and_only_then() {
    let world = World::alone().await;
    let check = world.a_check(a_check().with("name", json!("Shop"))).await;
    let queue = world.t.stores.event_queue.clone();
    let (mut others, _) = Stream::open(world.address(), "/events", &[]).await;
    assert!(!queue.wants_runs());

    let (mut stream, _) = Stream::open(world.address(), "/events?type=run.finished", &[]).await;
    eventually("the publisher learns of it", async || queue.wants_runs().then_some(())).await;
    // The reader has found its place by then, a look later at most.
    tokio::time::sleep(Duration::from_millis(600)).await;
    let run = Run {
        project_id: pulse_core::models::ids::ProjectId::DEFAULT,
        check_id: check.id,
        region: Region::default(),
        slot: Slot(1_790_000_000_000),
        slots: 1,
        outcome: Outcome::Ok,
        attempt: 1,
        observation: None,
    };
    queue.push(vec![an_event(check.id, Status::Up)], vec![Event::of_run(&run)]);

    let said = stream.event().await;
    assert_eq!((said.event.as_str(), said.id.as_str()), ("run.finished", ""));
    assert_eq!((&said.data["name"], &said.data["outcome"]), (&json!("Shop"), &json!("ok")));
    assert_eq!(others.event().await.event, "check.status_changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_lost_before_it_was_told_is_a_resync_for_all() {
    let world = World::alone().await;
    let check = world.a_check(a_check()).await;
    let (mut stream, _) = Stream::open(world.address(), "/events?type=incident.opened", &[]).await;

    world.t.stores.event_queue.lose();
    world.happens(&check, Status::Up);

    let resync = stream.event().await;
    assert_eq!((resync.event.as_str(), &resync.data["reason"]), ("resync", &json!("lost")));
}
