//! Waiting for pings on real stores: what this server, or one before it, may not have heard is no failure.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use pulse_core::metrics::Metrics;
use pulse_core::models::heartbeat::{Ping, Signal};
use pulse_core::models::ids::ProjectId;
use pulse_core::ports::clock::Clock;
use pulse_core::runtime::lost_pings::LostPings;
use pulse_core::testing::{Profile, TestStores, a_check, stores_on};
use pulse_server::heartbeats::Heartbeats;
use serde_json::json;

const SECOND: i64 = 1_000;

struct World {
    t: TestStores,
    metrics: Metrics,
    lost: LostPings,
}

impl World {
    /// With a server at work, and a job that has called: once a minute, ten seconds late at most.
    async fn new() -> (Self, Heartbeats) {
        let t = stores_on(Profile::Embedded).await;
        let world = Self { t, metrics: Metrics::new(), lost: LostPings::default() };
        let check = a_check().every(60).with("url", json!("heartbeat://"));
        let check = check.with("heartbeat", json!({"grace_seconds": 10})).build();
        let now = world.t.clock.now();
        world.t.stores.checks.create(check.clone(), None, now).await.unwrap();
        let server = world.a_server();
        server.round().await.unwrap();
        let found = world.t.stores.checks.get(ProjectId::DEFAULT, check.id).await.unwrap();
        let token = found.unwrap().waiting.unwrap().token;
        let ping = Ping::bare(Signal::Success);
        world.t.stores.heartbeats.ping(&token, &ping, now).await.unwrap();
        (world, server)
    }

    fn a_server(&self) -> Heartbeats {
        Heartbeats::new(&self.t.stores, self.metrics.clone(), self.lost.clone())
    }

    /// A round a second.
    async fn work(&self, server: &Heartbeats, seconds: i64) {
        for _ in 0..seconds {
            self.t.clock.advance(SECOND);
            server.round().await.unwrap();
        }
    }

    /// Deadlines told as failures, and as nothing.
    fn judged(&self) -> (u64, u64) {
        let of = |outcome| self.metrics.heartbeats_overdue.with_label_values(&[outcome]).get();
        (of("fail"), of("inconclusive"))
    }
}

#[tokio::test]
async fn a_silent_job_is_told_by_the_round_after_its_deadline() {
    let (world, server) = World::new().await;

    world.work(&server, 69).await;
    assert_eq!(world.judged(), (0, 0));
    world.work(&server, 1).await;

    assert_eq!(world.judged(), (1, 0));
    let opened = world.metrics.incidents.with_label_values(&["opened"]).get();
    assert_eq!((opened, world.metrics.slots_recorded.get()), (1, 1));
}

#[tokio::test]
async fn a_ping_that_could_not_be_recorded_may_have_been_the_one() {
    let (world, server) = World::new().await;
    world.work(&server, 58).await;

    world.lost.note();
    world.work(&server, 12).await;

    assert_eq!(world.judged(), (0, 1));
    world.work(&server, 60).await;
    assert_eq!(world.judged(), (1, 1), "one that is lost is lost once");
}

#[tokio::test]
async fn a_server_that_begins_after_a_silence_knows_of_nothing_before() {
    let (world, server) = World::new().await;
    world.work(&server, 55).await;
    world.t.clock.advance(3 * SECOND);

    world.work(&world.a_server(), 12).await;

    assert_eq!(world.judged(), (0, 1));
}

#[tokio::test]
async fn a_server_that_begins_beside_another_goes_on_with_it() {
    let (world, server) = World::new().await;
    world.work(&server, 57).await;

    world.work(&world.a_server(), 13).await;

    assert_eq!(world.judged(), (1, 0));
}
