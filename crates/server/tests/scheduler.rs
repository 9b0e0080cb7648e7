//! The scheduler on real stores, with a queue that comes and goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use pulse_core::metrics::Metrics;
use pulse_core::models::ids::Region;
use pulse_core::models::job::{Job, VersionedSpec};
use pulse_core::models::schedule::Slot;
use pulse_core::ports::clock::Clock;
use pulse_core::ports::queue::{Dispatch, Pushed};
use pulse_core::ports::{StoreError, StoreResult};
use pulse_core::testing::{a_check, eventually, stores};
use pulse_server::scheduler::Scheduler;

/// A queue that is away until told that it is back.
struct Away {
    queue: Arc<dyn Dispatch>,
    back: AtomicBool,
}

#[async_trait]
impl Dispatch for Away {
    async fn push(&self, jobs: &[Job]) -> StoreResult<Pushed> {
        if self.back.load(Ordering::SeqCst) {
            return self.queue.push(jobs).await;
        }
        Err(StoreError::Unavailable { store: "the queue", source: "it is away".into() })
    }

    async fn put_specs(&self, region: &Region, specs: &[VersionedSpec]) -> StoreResult<()> {
        self.queue.put_specs(region, specs).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_could_not_be_pushed_is_still_due() {
    let mut t = stores().await;
    // The queue goes by its server's clock; so does this test.
    t.clock.advance(Slot::from(chrono::Utc::now()).0 - t.clock.now().0);
    let check = a_check().build();
    t.stores.checks.create(check.clone(), None, t.clock.now()).await.unwrap();
    let queue = Arc::new(Away { queue: t.stores.dispatch.clone(), back: AtomicBool::new(false) });
    t.stores.dispatch = queue.clone();
    let scheduler = Scheduler::new(&t.stores, Metrics::new());

    let in_vain = scheduler.claim().await;
    queue.back.store(true, Ordering::SeqCst);
    let leased = eventually("the row is free again", async || {
        scheduler.claim().await.unwrap();
        t.stores.work.lease(&Region::default(), 1).await.unwrap().pop()
    })
    .await;

    assert!(in_vain.is_err());
    assert_eq!(leased.job.check_id, check.id);
    assert_eq!(leased.job.slot, t.clock.now(), "its first slot, not a later one");
}
