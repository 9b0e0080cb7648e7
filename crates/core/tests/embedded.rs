//! What the one process does after it was killed, with the stores it brings.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use pulse_core::models::ids::ProjectId;
use pulse_core::models::run::{MissedReason, Outcome};
use pulse_core::models::schedule::Slot;
use pulse_core::ports::Page;
use pulse_core::ports::history::RunsOf;
use pulse_core::runtime::config::{Config, Shape};
use pulse_core::stores::Stores;
use pulse_core::testing::a_check;
use tempfile::TempDir;

/// A process begins on `folder`; with a Redis, jobs outlive it.
async fn begin(folder: &TempDir, redis: Option<&str>) -> Stores {
    let data = folder.path().to_string_lossy().into_owned();
    let config = Config::read(Shape::Whole, |name| match name {
        "PULSE_DATA" => Some(data.clone()),
        "REDIS_URL" => redis.map(str::to_owned),
        _ => None,
    });
    let stores = Stores::connect(&config.unwrap(), "one").await.unwrap();
    stores.upkeep.migrate().await.unwrap();
    stores
}

/// As far as another process can tell, a killed one is one whose files were closed.
async fn kill(stores: Stores) {
    stores.history.close().await;
    stores.upkeep.close().await;
}

const NOW: Slot = Slot(1_790_000_000_000);
/// Long before a slot with this timeout would be given up.
const TIMEOUT_MS: i64 = 50_000;

/// Claims the first slot of a check, dies, and claims again when the next is due.
async fn slots_claimed_by_the_next(
    folder: &TempDir,
    redis: Option<&str>,
) -> (usize, Stores, RunsOf) {
    let stores = begin(folder, redis).await;
    let check = a_check().every(60).with("timeout_ms", TIMEOUT_MS.into()).build();
    stores.checks.create(check.clone(), None, NOW).await.unwrap();
    stores.schedule.claim_due(NOW.into(), 10).await.unwrap().commit().await.unwrap();
    let view = stores.checks.get(ProjectId::DEFAULT, check.id).await.unwrap().unwrap();
    let next = view.next_run_at.unwrap();
    kill(stores).await;

    let stores = begin(folder, redis).await;
    let soon = next.min(NOW.plus(TIMEOUT_MS));
    // A check whose next slot is later than that is asked to run.
    stores.checks.run_now(ProjectId::DEFAULT, check.id, soon).await.unwrap();
    let claim = stores.schedule.claim_due(soon.into(), 10).await.unwrap();
    let jobs = claim.jobs().len();
    claim.commit().await.unwrap();
    (jobs, stores, RunsOf { project: ProjectId::DEFAULT, check: check.id })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_under_way_when_the_process_died_is_lost_at_once() {
    let folder = TempDir::new().unwrap();
    let (jobs, stores, of) = slots_claimed_by_the_next(&folder, None).await;
    let shipment = stores.outbox.next(NOW, 1_000).await.unwrap().unwrap();
    stores.history.append(&shipment).await.unwrap();

    assert_eq!(jobs, 1, "nobody is waited for");
    let page = Page { limit: 10, offset: 0, after: None };
    let runs = stores.history.runs(of, page).await.unwrap();
    let told: Vec<_> = runs.iter().map(|run| (run.slot, run.outcome)).collect();
    assert_eq!(told, [(NOW, Outcome::Missed(MissedReason::Lost))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_another_process_may_still_bring_is_waited_for() {
    let folder = TempDir::new().unwrap();
    let (jobs, ..) = slots_claimed_by_the_next(&folder, Some("redis://127.0.0.1:9")).await;

    assert_eq!(jobs, 0, "its job lives in Redis");
}
