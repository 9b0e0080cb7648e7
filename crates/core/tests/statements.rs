//! What people are to be told never makes recording dearer by the incident: a transaction takes as many
//! statements for many of them as for one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pulse_core::models::channel::Channel;
use pulse_core::models::ids::{CheckId, ProjectId, SettingId};
use pulse_core::models::job::RunResult;
use pulse_core::models::setting::{Setting, SettingKind};
use pulse_core::ports::clock::Clock;
use pulse_core::testing::{Profile, TestStores, a_check, a_result, stores_on};
use serde_json::{Value, json};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

const MANY: usize = 300;
const HOUR: i64 = 3_600_000;

/// Counts what the driver says that it has executed.
#[derive(Clone, Default)]
struct Statements(Arc<AtomicU64>);

impl<S: Subscriber> Layer<S> for Statements {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        if event.metadata().target() == "sqlx::query" {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Statements {
    /// How many it takes to do this.
    async fn of(&self, what: impl Future<Output = ()>) -> u64 {
        let before = self.0.load(Ordering::SeqCst);
        what.await;
        self.0.load(Ordering::SeqCst) - before
    }
}

async fn configure(t: &TestStores, kind: SettingKind, config: Value) -> SettingId {
    let (id, project_id) = (SettingId::generate(), ProjectId::DEFAULT);
    let now = t.clock.now().time();
    let setting =
        Setting { id, project_id, kind, config, version: 1, created_at: now, updated_at: now };
    assert!(t.stores.settings.create(&setting).await.unwrap());
    id
}

async fn add(t: &TestStores, parent: CheckId) -> CheckId {
    let check = a_check().every(3_600).telling("http://sink.test/");
    let check = check.with("depends_on", json!([parent])).build();
    let id = check.id;
    t.stores.checks.create(check, None, t.clock.now()).await.unwrap();
    id
}

/// What all checks that are due come to.
async fn results(t: &TestStores, ok: bool) -> Vec<RunResult> {
    let claim = t.stores.schedule.claim_due(t.clock.now().into(), 1_000).await.unwrap();
    let jobs = claim.jobs().to_vec();
    claim.commit().await.unwrap();
    let result = |job| if ok { a_result(job).build() } else { a_result(job).failed().build() };
    jobs.iter().map(result).collect()
}

/// Records in one transaction; as many incidents open or are over.
async fn record(t: &TestStores, results: &[RunResult]) {
    let recorded = t.stores.records.record(results, t.clock.now()).await.unwrap();
    assert_eq!(recorded.opened + recorded.resolved, results.len() as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_takes_as_many_statements_for_many_incidents_as_for_one() {
    let statements = Statements::default();
    let counting = tracing_subscriber::registry().with(statements.clone());
    tracing::subscriber::set_global_default(counting).unwrap();

    for profile in [Profile::Embedded, Profile::Scaled] {
        let t = stores_on(profile).await;
        let ops = json!({"name": "ops", "type": "ntfy", "config": {"topic": "ops"}});
        let ops = Channel::read(ops).unwrap().config();
        let ops = configure(&t, SettingKind::Channel, ops).await;
        let reminders = json!({"every_minutes": 30, "at_most": 5});
        let route = json!({"name": "r", "channels": [ops], "reminders": reminders});
        configure(&t, SettingKind::Route, route).await;
        let parent = add(&t, CheckId::generate()).await;
        let mut costs = Vec::new();

        // What is done once, as connecting, is done by the first.
        for more in [0, 0, MANY] {
            for _ in 0..more {
                add(&t, parent).await;
            }
            // The parent alone is told; what depends on it is held, and asked of with it.
            let failed = results(&t, false).await;
            let opened = statements.of(record(&t, &failed)).await;
            t.clock.advance(HOUR / 2);
            let followed = statements
                .of(async {
                    let now = t.clock.now();
                    let followed = t.stores.follow_ups.follow_up(now, 1_000).await.unwrap();
                    assert_eq!(followed.incidents, more as u64 + 1);
                })
                .await;
            t.clock.advance(HOUR);
            let well = results(&t, true).await;
            let resolved = statements.of(record(&t, &well)).await;
            t.clock.advance(HOUR);
            costs.push((opened, followed, resolved));
        }

        println!("{profile:?}: statements to open, follow up and resolve: {:?}", costs[1]);
        assert_eq!(costs[1], costs[2], "{profile:?}");
        assert!(costs[1].0 > 5, "they are counted");
    }
}
