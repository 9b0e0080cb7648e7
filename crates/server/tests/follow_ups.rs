//! Following incidents up on real stores, as a server does: beside another, and after one that has died.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use pulse_core::metrics::Metrics;
use pulse_core::models::alert::Settlement;
use pulse_core::models::channel::Channel;
use pulse_core::models::ids::{ProjectId, SettingId};
use pulse_core::models::setting::{Setting, SettingKind};
use pulse_core::ports::clock::Clock;
use pulse_core::testing::{Profile, TestStores, a_check, a_result, stores_on};
use pulse_server::follow_ups::FollowUps;
use serde_json::{Value, json};

const MINUTE: i64 = 60_000;

struct World {
    t: TestStores,
    metrics: Metrics,
}

impl World {
    /// With a check that is down, and a route that tells one channel at once, reminds it after five minutes, and
    /// tells another after ten.
    async fn new() -> Self {
        let world = Self { t: stores_on(Profile::Embedded).await, metrics: Metrics::new() };
        let (ops, lead) = (world.a_channel("ops").await, world.a_channel("lead").await);
        let route = json!({
            "name": "r", "channels": [ops], "steps": [{"after_minutes": 10, "channels": [lead]}],
            "reminders": {"every_minutes": 5, "at_most": 1},
        });
        world.configure(SettingKind::Route, route).await;
        let now = world.t.clock.now();
        let stores = &world.t.stores;
        stores.checks.create(a_check().every(3_600).build(), None, now).await.unwrap();
        let claim = stores.schedule.claim_due(now.into(), 1).await.unwrap();
        let result = a_result(&claim.jobs()[0]).failed().build();
        claim.commit().await.unwrap();
        stores.records.record(&[result], now).await.unwrap();
        world
    }

    async fn configure(&self, kind: SettingKind, config: Value) -> SettingId {
        let now = self.t.clock.now().time();
        let id = SettingId::generate();
        let project_id = ProjectId::DEFAULT;
        let setting =
            Setting { id, project_id, kind, config, version: 1, created_at: now, updated_at: now };
        assert!(self.t.stores.settings.create(&setting).await.unwrap());
        id
    }

    async fn a_channel(&self, topic: &str) -> SettingId {
        let body = json!({"name": topic, "type": "ntfy", "config": {"topic": topic}});
        self.configure(SettingKind::Channel, Channel::read(body).unwrap().config()).await
    }

    fn a_server(&self) -> FollowUps {
        FollowUps::new(&self.t.stores, self.metrics.clone())
    }

    /// What was told since the last time.
    async fn told(&self) -> Vec<&'static str> {
        let now = self.t.clock.now();
        let due = self.t.stores.deliveries.claim(now, 10, 30_000).await.unwrap();
        for lease in &due {
            let report = pulse_core::models::alert::AttemptReport::default();
            let settled = Settlement::Delivered;
            assert!(self.t.stores.deliveries.settle(lease, &report, settled, now).await.unwrap());
        }
        due.iter().map(|lease| lease.kind.as_str()).collect()
    }
}

#[tokio::test]
async fn a_round_tells_what_is_due_and_another_server_tells_it_no_second_time() {
    let world = World::new().await;
    let servers = [world.a_server(), world.a_server()];
    assert_eq!(world.told().await, ["opened"]);

    let mut told = Vec::new();
    for minute in 1..=30 {
        world.t.clock.advance(MINUTE);
        for server in &servers {
            server.round().await.unwrap();
        }
        told.extend(world.told().await.into_iter().map(|kind| (minute, kind)));
    }

    assert_eq!(told, [(5, "reminder"), (10, "opened")]);
    assert_eq!(world.metrics.follow_up_alerts.get(), 2);
}

#[tokio::test]
async fn what_fell_due_while_no_server_was_there_is_told_by_the_first_that_is() {
    let world = World::new().await;
    world.told().await;
    world.t.clock.advance(120 * MINUTE);

    world.a_server().round().await.unwrap();

    let mut told = world.told().await;
    told.sort_unstable();
    assert_eq!(told, ["opened", "reminder"]);
}
