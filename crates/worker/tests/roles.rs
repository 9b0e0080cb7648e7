//! A role whose store is away loses nothing: what it could not do waits for it, or for another.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pulse_core::metrics::Metrics;
use pulse_core::models::ids::{CheckId, ProjectId, Region};
use pulse_core::models::job::{Job, LeasedJob, RunResult, VersionedSpec};
use pulse_core::models::run::Run;
use pulse_core::models::schedule::Slot;
use pulse_core::ports::clock::Clock;
use pulse_core::ports::history::{History, Metrics as Sums, MetricsOf, RunsOf, Shipment};
use pulse_core::ports::queue::WorkQueue;
use pulse_core::ports::recording::{RecordStore, Recorded};
use pulse_core::ports::{Page, StoreError, StoreResult};
use pulse_core::runtime::loops::Loops;
use pulse_core::testing::{CheckBuilder, TestStores, a_check, a_result, stores};
use pulse_worker::egress::Egress;
use pulse_worker::prober::Prober;
use pulse_worker::recorder::Recorder;
use pulse_worker::shipper::Shipper;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// A store that is away until told that it is back.
struct Away<T: ?Sized> {
    store: Arc<T>,
    back: AtomicBool,
}

impl<T: ?Sized> Away<T> {
    fn new(store: Arc<T>) -> Arc<Self> {
        Arc::new(Self { store, back: AtomicBool::new(false) })
    }

    fn come_back(&self) {
        self.back.store(true, Ordering::SeqCst);
    }

    fn reach(&self) -> StoreResult<&T> {
        if self.back.load(Ordering::SeqCst) {
            return Ok(&self.store);
        }
        Err(StoreError::Unavailable { store: "the store", source: "it is away".into() })
    }
}

#[async_trait]
impl RecordStore for Away<dyn RecordStore> {
    async fn record(&self, results: &[RunResult], now: Slot) -> StoreResult<Recorded> {
        self.reach()?.record(results, now).await
    }
}

#[async_trait]
impl History for Away<dyn History> {
    async fn prepare(&self) -> StoreResult<()> {
        self.store.prepare().await
    }

    async fn append(&self, shipment: &Shipment) -> StoreResult<()> {
        self.reach()?.append(shipment).await
    }

    async fn runs(&self, of: RunsOf, page: Page<(Slot, String)>) -> StoreResult<Vec<Run>> {
        self.store.runs(of, page).await
    }

    async fn metrics(&self, of: MetricsOf) -> StoreResult<Sums> {
        self.store.metrics(of).await
    }

    async fn retain(&self, now: Slot) -> StoreResult<()> {
        self.store.retain(now).await
    }
}

/// Hands out jobs, but cannot say what they are about.
#[async_trait]
impl WorkQueue for Away<dyn WorkQueue> {
    async fn lease(&self, region: &Region, limit: usize) -> StoreResult<Vec<LeasedJob>> {
        self.store.lease(region, limit).await
    }

    async fn complete(&self, region: &Region, results: &[RunResult]) -> StoreResult<usize> {
        self.store.complete(region, results).await
    }

    async fn release(&self, region: &Region, jobs: &[LeasedJob]) -> StoreResult<()> {
        self.store.release(region, jobs).await
    }

    async fn specs(
        &self,
        region: &Region,
        wanted: &[(CheckId, i32)],
    ) -> StoreResult<Vec<VersionedSpec>> {
        self.reach()?.specs(region, wanted).await
    }

    async fn depth(&self, region: &Region) -> StoreResult<u64> {
        self.store.depth(region).await
    }
}

/// Hands out jobs, and dawdles over it.
struct Dawdling {
    store: Arc<dyn WorkQueue>,
    has_taken: Notify,
    may_go_on: Notify,
}

#[async_trait]
impl WorkQueue for Dawdling {
    async fn lease(&self, region: &Region, limit: usize) -> StoreResult<Vec<LeasedJob>> {
        let jobs = self.store.lease(region, limit).await?;
        if !jobs.is_empty() {
            self.has_taken.notify_one();
            self.may_go_on.notified().await;
        }
        Ok(jobs)
    }

    async fn complete(&self, region: &Region, results: &[RunResult]) -> StoreResult<usize> {
        self.store.complete(region, results).await
    }

    async fn release(&self, region: &Region, jobs: &[LeasedJob]) -> StoreResult<()> {
        self.store.release(region, jobs).await
    }

    async fn specs(
        &self,
        region: &Region,
        wanted: &[(CheckId, i32)],
    ) -> StoreResult<Vec<VersionedSpec>> {
        self.store.specs(region, wanted).await
    }

    async fn depth(&self, region: &Region) -> StoreResult<u64> {
        self.store.depth(region).await
    }
}

/// A new check's first job, handed out and in the queue.
async fn a_job_waits(t: &TestStores, check: CheckBuilder) -> Job {
    let check = check.build();
    t.stores.checks.create(check, None, t.clock.now()).await.unwrap();
    let mut claim = t.stores.schedule.claim_due(t.clock.now(), 1).await.unwrap();
    let job = claim.jobs()[0].clone();
    let specs = claim.specs(&[job.check_id]).await.unwrap();
    claim.commit().await.unwrap();
    t.stores.dispatch.put_specs(&job.region, &specs).await.unwrap();
    t.stores.dispatch.push(std::slice::from_ref(&job)).await.unwrap();
    job
}

/// The same, with its result waiting to be recorded.
async fn a_result_waits(t: &TestStores) -> Job {
    let job = a_job_waits(t, a_check()).await;
    let leased = t.stores.work.lease(&job.region, 1).await.unwrap().remove(0);
    let result = a_result(&job).under_token(leased.token).build();
    assert_eq!(t.stores.work.complete(&job.region, &[result]).await.unwrap(), 0);
    job
}

async fn history(t: &TestStores, check: CheckId) -> Vec<Run> {
    let of = RunsOf { project: ProjectId::DEFAULT, check };
    let page = Page { limit: 10, offset: 0, after: None };
    t.stores.history.runs(of, page).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_is_not_acknowledged_before_it_is_recorded() {
    let mut t = stores().await;
    a_result_waits(&t).await;
    let records = Away::new(t.stores.records.clone());
    t.stores.records = records.clone();
    let metrics = Metrics::new();
    let recorder = Recorder::new(&t.stores, metrics.clone());

    let in_vain = recorder.record().await;
    let waiting = t.stores.results.backlog().await.unwrap();
    records.come_back();
    recorder.record().await.unwrap();

    assert!(in_vain.is_err());
    assert_eq!(waiting, 1, "a recorder that dies now leaves it to another");
    assert_eq!(metrics.slots_recorded.get(), 1);
    assert_eq!(metrics.results_buried.get(), 0);
    assert_eq!(t.stores.results.backlog().await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shipment_is_not_forgotten_before_it_has_arrived() {
    let mut t = stores().await;
    let job = a_result_waits(&t).await;
    Recorder::new(&t.stores, Metrics::new()).record().await.unwrap();
    let away = Away::new(t.stores.history.clone());
    t.stores.history = away.clone();
    let dies = Shipper::new(&t.stores, Metrics::new());
    let heir = Shipper::new(&t.stores, Metrics::new());

    let in_vain = dies.ship().await;
    drop(dies);
    away.come_back();
    heir.ship().await.unwrap();
    let too_early = history(&t, job.check_id).await.len();
    // Longer than a shipper keeps a shipment to itself.
    t.clock.advance(61_000);
    heir.ship().await.unwrap();

    assert!(in_vain.is_err());
    assert_eq!(too_early, 0, "the first one may be at it still");
    assert_eq!(history(&t, job.check_id).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_nobody_can_read_about_is_handed_back_at_once() {
    let t = stores().await;
    let job = a_job_waits(&t, a_check()).await;
    let work = Away::new(t.stores.work.clone());
    let region = Region::default();
    let egress = Egress::new().unwrap();
    let prober = Prober::new(work, region.clone(), egress, 1, true, Metrics::new());
    let (results, _finished) = mpsc::channel(1);

    let in_vain = prober.take(&results).await;

    assert!(in_vain.is_err());
    let again = t.stores.work.lease(&region, 1).await.unwrap();
    assert_eq!(again.iter().map(|leased| leased.job.check_id).collect::<Vec<_>>(), [job.check_id]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_taken_while_asked_to_stop_is_handed_back_in_time() {
    let t = stores().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let check = a_check().with("url", url.into()).with("timeout_ms", 50_000.into());
    let job = a_job_waits(&t, check).await;
    let work = Arc::new(Dawdling {
        store: t.stores.work.clone(),
        has_taken: Notify::new(),
        may_go_on: Notify::new(),
    });
    let (region, egress) = (Region::default(), Egress::new().unwrap());
    let prober = Prober::new(work.clone(), region.clone(), egress, 1, true, Metrics::new());
    let stop = CancellationToken::new();
    let asked = stop.clone();
    let limit = Duration::from_millis(100);
    let working = tokio::spawn(async move { prober.work(&Loops::default(), &asked, limit).await });

    work.has_taken.notified().await;
    stop.cancel();
    work.may_go_on.notify_one();
    timeout(Duration::from_secs(10), working).await.expect("it ends in time").unwrap();

    let again = t.stores.work.lease(&region, 1).await.unwrap();
    assert_eq!(again.len(), 1);
    assert_eq!((again[0].job.check_id, again[0].token), (job.check_id, 1));
}
