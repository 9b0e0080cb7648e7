//! A role whose store is away, or which is asked to stop, loses nothing: what it could not do waits for
//! it, or for another.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pulse_core::metrics::Metrics;
use pulse_core::models::address::AddressPolicy;
use pulse_core::models::ids::{CheckId, ProjectId, Region};
use pulse_core::models::job::{Job, LeasedJob, RunResult, VersionedSpec};
use pulse_core::models::run::{Outcome, Run};
use pulse_core::models::schedule::Slot;
use pulse_core::ports::clock::Clock;
use pulse_core::ports::history::{History, Metrics as Sums, MetricsOf, RunsOf, Shipment};
use pulse_core::ports::queue::{Dispatch, ResultQueue, WorkQueue};
use pulse_core::ports::recording::{RecordStore, Recorded};
use pulse_core::ports::{Page, StoreError, StoreResult};
use pulse_core::runtime::loops::Loops;
use pulse_core::runtime::sealing::SecretKeys;
use pulse_core::stores::memory::Memory;
use pulse_core::stores::queue_rules::QueueOptions;
use pulse_core::testing::contracts::queue::a_job;
use pulse_core::testing::{CheckBuilder, TestStores, a_check, a_result, stores};
use pulse_worker::egress::Egress;
use pulse_worker::prober::{Prober, ProberOptions, ReadyJobs};
use pulse_worker::recorder::Recorder;
use pulse_worker::shipper::Shipper;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

fn looking_from(region: &Region, concurrency: usize) -> ProberOptions {
    let (region, keys) = (region.clone(), SecretKeys::default());
    ProberOptions { region, concurrency, run_header: true, keys }
}

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
    let mut claim = t.stores.schedule.claim_due(t.clock.now().into(), 1).await.unwrap();
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
    let egress = Egress::new(AddressPolicy::open()).unwrap();
    let prober = Prober::new(work, egress, looking_from(&region, 1), Metrics::new()).unwrap();
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
    let (region, egress) = (Region::default(), Egress::new(AddressPolicy::open()).unwrap());
    let prober =
        Prober::new(work.clone(), egress, looking_from(&region, 1), Metrics::new()).unwrap();
    let stop = CancellationToken::new();
    let asked = stop.clone();
    let limit = Duration::from_millis(100);
    let working = tokio::spawn(async move {
        prober.work(&Loops::default(), &asked, limit, ReadyJobs::AreLeft).await;
    });

    work.has_taken.notified().await;
    stop.cancel();
    work.may_go_on.notify_one();
    timeout(Duration::from_secs(10), working).await.expect("it ends in time").unwrap();

    let again = t.stores.work.lease(&region, 1).await.unwrap();
    assert_eq!(again.len(), 1);
    assert_eq!((again[0].job.check_id, again[0].token), (job.check_id, 1));
}

/// Jobs in a queue that ends with its process.
const JOBS: usize = 7;
/// Fewer than there are jobs.
const CONCURRENCY: usize = 2;
const PATIENCE: Duration = Duration::from_secs(10);

/// A target that answers nobody before it is told to.
struct Target {
    url: String,
    /// A permit for each request that came.
    asked: Arc<Semaphore>,
    answers: CancellationToken,
}

impl Target {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (asked, answers) = (Arc::new(Semaphore::new(0)), CancellationToken::new());
        let (ask, may_answer) = (asked.clone(), answers.clone());
        let answer = || async move {
            ask.add_permits(1);
            may_answer.cancelled().await;
        };
        let router = axum::Router::new().fallback(answer);
        tokio::spawn(async { axum::serve(listener, router).await });
        Self { url, asked, answers }
    }

    /// An in-process queue whose jobs look at this target.
    async fn jobs_wait(&self) -> Memory {
        let queue = Memory::new(QueueOptions::default());
        let jobs: Vec<Job> = std::iter::repeat_with(|| a_job(50_000)).take(JOBS).collect();
        let spec = a_check().with("url", self.url.as_str().into()).build().config.probe;
        for job in &jobs {
            let (check_id, version) = (job.check_id, job.version);
            let spec = VersionedSpec { check_id, version, spec: spec.clone().into() };
            queue.put_specs(&job.region, &[spec]).await.unwrap();
        }
        let pushed = queue.push(&jobs).await.unwrap();
        assert_eq!((pushed.lacking_spec.len(), pushed.dropped), (0, 0));
        queue
    }

    /// Has a prober at work asked to stop while it has no room for more, then does `meanwhile`, and
    /// waits until the prober ends. Returns how long it took.
    async fn stop_a_prober(
        &self,
        queue: &Memory,
        limit: Duration,
        ready: ReadyJobs,
        meanwhile: impl FnOnce(),
    ) -> Duration {
        let (work, egress) = (Arc::new(queue.clone()), Egress::new(AddressPolicy::open()).unwrap());
        let prober = Prober::new(
            work,
            egress,
            looking_from(&Region::default(), CONCURRENCY),
            Metrics::new(),
        )
        .unwrap();
        let stop = CancellationToken::new();
        let asked = stop.clone();
        let working =
            tokio::spawn(async move { prober.work(&Loops::default(), &asked, limit, ready).await });
        let room = u32::try_from(CONCURRENCY).unwrap();
        let all = timeout(PATIENCE, self.asked.acquire_many(room)).await;
        all.expect("it has no room for more").unwrap().forget();

        let stopped = Instant::now();
        stop.cancel();
        meanwhile();
        timeout(PATIENCE, working).await.expect("it ends in time").unwrap();
        stopped.elapsed()
    }
}

/// How many results wait that found their target well.
async fn ok_results(queue: &Memory) -> usize {
    let entries = queue.read(2 * JOBS).await.unwrap();
    let outcomes = entries.into_iter().filter_map(|entry| entry.result).map(|it| it.outcome);
    outcomes.filter(|outcome| *outcome == Outcome::Ok).count()
}

// On one thread no round of the prober is half-way through when it is asked to stop.
#[tokio::test]
async fn jobs_that_end_with_the_process_are_run_before_it_ends() {
    let target = Target::start().await;
    let queue = target.jobs_wait().await;

    let answers = || target.answers.cancel();
    target.stop_a_prober(&queue, PATIENCE, ReadyJobs::AreRun, answers).await;

    assert_eq!(ok_results(&queue).await, JOBS);
    assert_eq!(queue.depth(&Region::default()).await.unwrap(), 0);
}

#[tokio::test]
async fn jobs_that_other_workers_can_take_are_left_to_them() {
    let target = Target::start().await;
    let queue = target.jobs_wait().await;

    let answers = || target.answers.cancel();
    target.stop_a_prober(&queue, PATIENCE, ReadyJobs::AreLeft, answers).await;

    assert_eq!(ok_results(&queue).await, CONCURRENCY, "those under way");
    assert_eq!(queue.depth(&Region::default()).await.unwrap(), (JOBS - CONCURRENCY) as u64);
}

#[tokio::test]
async fn jobs_that_end_with_the_process_do_not_hold_it_up_for_longer_than_it_has() {
    let target = Target::start().await;
    let queue = target.jobs_wait().await;
    let limit = Duration::from_millis(100);

    let took = target.stop_a_prober(&queue, limit, ReadyJobs::AreRun, || ()).await;

    assert!(took >= limit, "{took:?}");
    assert_eq!(queue.depth(&Region::default()).await.unwrap(), JOBS as u64, "all handed back");
}
