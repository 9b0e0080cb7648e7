//! A server that stops sends its clients to another, and none of them can hold it up.

use std::time::{Duration, Instant};

use pulse_core::models::check::Status;
use pulse_core::testing::a_check;
use serde_json::json;
use tokio::time::timeout;

use super::sockets::Socket;
use super::streams::Stream;
use super::world::{World, an_event};

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_told_to_come_again() {
    let mut world = World::alone().await;
    let (mut stream, _) = Stream::open(world.address(), "/events", &[]).await;
    let mut socket = Socket::hearing(world.address(), &json!({})).await;
    let server = world.servers.remove(0);
    let began = Instant::now();

    server.stop.cancel();

    assert_eq!(stream.next().await.unwrap().retry, "500");
    assert_eq!(stream.next().await, None);
    assert_eq!(socket.end().await, Some(1012));
    server.served.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_nothing_does_not_hold_it_up() {
    let mut world = World::alone().await;
    let check = world.a_check(a_check().with("name", json!("x".repeat(200)))).await;
    let (_deaf, _) = Stream::open(world.address(), "/events", &[]).await;
    let _deaf_too = Socket::hearing(world.address(), &json!({})).await;
    let (mut quick, _) = Stream::open(world.address(), "/events", &[]).await;
    for _ in 0..10 {
        world.happen(vec![an_event(check.id, Status::Up); 200]);
        for _ in 0..200 {
            quick.event().await;
        }
    }
    let server = world.servers.remove(0);

    server.stop.cancel();

    timeout(Duration::from_secs(5), server.served).await.expect("it stops").unwrap();
}
