//! Looks at what is due: leases jobs, looks, judges, hands the results in.
//!
//! It needs Redis alone. Definitions are kept in memory by version and fetched when missing; secrets
//! in them come sealed, are opened here, and leave in no result. Results
//! go back in bulk behind the fence of their lease; while they cannot, no more jobs are taken.

mod definitions;
mod handing_in;
mod looks;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus::IntCounter;
use pulse_core::crash::{Point, crash_point};
use pulse_core::metrics::Metrics;
use pulse_core::models::ids::Region;
use pulse_core::models::job::{LeasedJob, RunResult};
use pulse_core::ports::StoreResult;
use pulse_core::ports::queue::WorkQueue;
use pulse_core::runtime::loops::{Loops, Pace};
use pulse_core::runtime::sealing::SecretKeys;
use pulse_core::runtime::telemetry::chain;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::egress::Egress;
use crate::lanes::{self, Lanes};
use crate::probes::Probes;
use definitions::{Definitions, Known};

/// Between two looks for jobs.
const LEASING: Duration = Duration::from_millis(20);
/// Jobs taken, and results handed in, at a time.
const BATCH: usize = 250;
/// Runs handed to a lane at a time.
const SHARE: usize = 125;
/// Runs begin together at the ticks of this grid: a worker that wakes up for each pays more for
/// waking than for looking.
const TICK_MS: u64 = 5;

/// What becomes of jobs that are ready when a prober is asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadyJobs {
    /// Other workers take them.
    AreLeft,
    /// It runs them itself: their queue ends with its process, and nobody else could.
    AreRun,
}

/// How a prober looks.
#[derive(Clone, Debug)]
pub struct ProberOptions {
    /// Where from.
    pub region: Region,
    /// How many runs may be under way.
    pub concurrency: usize,
    /// Whether requests tell their targets the run they belong to.
    pub run_header: bool,
    /// What opens secrets.
    pub keys: SecretKeys,
}

/// See the module.
#[derive(Clone)]
pub struct Prober(Arc<Inner>);

struct Inner {
    work: Arc<dyn WorkQueue>,
    region: Region,
    egress: Egress,
    probes: Probes,
    specs: Definitions,
    permits: Arc<Semaphore>,
    lanes: Lanes,
    /// Where the grid of ticks begins.
    opened: Instant,
    tasks: TaskTracker,
    /// Cancelled when runs under way are to be handed to others.
    abandon: CancellationToken,
    abandoned: Mutex<Vec<LeasedJob>>,
    run_header: bool,
    keys: SecretKeys,
    metrics: Metrics,
    /// Of `metrics.runs`, the one that nearly every run counts in.
    runs_ok: IntCounter,
}

impl Inner {
    /// Waits until a run due at `due` may begin: for the first tick after it, and where many
    /// are due together, for one with room. Not once runs are to be handed to others.
    async fn turn(&self, due: Instant) {
        if due > Instant::now() {
            self.sleep_until(self.tick(self.ticks_until(due).saturating_add(1))).await;
        }
        while !self.abandon.is_cancelled() {
            let tick = self.ticks_until(Instant::now());
            if lanes::begin_in(tick) {
                return;
            }
            self.sleep_until(self.tick(tick.saturating_add(1))).await;
        }
    }

    async fn sleep_until(&self, tick: Instant) {
        tokio::select! {
            () = tokio::time::sleep_until(tick.into()) => {}
            () = self.abandon.cancelled() => {}
        }
    }

    /// When a tick is. All batches and lanes share the grid.
    fn tick(&self, number: u64) -> Instant {
        self.opened + Duration::from_millis(number.saturating_mul(TICK_MS))
    }

    /// How many ticks lie behind `at`.
    fn ticks_until(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.opened).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX) / TICK_MS
    }

    /// Keeps a job that was not run to its end for other workers.
    fn hand_on(&self, leased: LeasedJob) {
        self.abandoned.lock().unwrap_or_else(PoisonError::into_inner).push(leased);
    }
}

/// A run to be begun: its job, and what is to be done.
type Run = (LeasedJob, Option<Arc<Known>>);

/// What finishes a run: its result, and the permit it holds until the result is on its way.
type Finished = (RunResult, OwnedSemaphorePermit);

impl Prober {
    /// A prober that takes its work from this queue.
    ///
    /// # Errors
    /// When the system grants no thread.
    pub fn new(
        work: Arc<dyn WorkQueue>,
        egress: Egress,
        options: ProberOptions,
        metrics: Metrics,
    ) -> io::Result<Self> {
        let ProberOptions { region, concurrency, run_header, keys } = options;
        Ok(Self(Arc::new(Inner {
            work,
            region,
            egress,
            probes: Probes::default(),
            specs: definitions::none_yet(),
            permits: Arc::new(Semaphore::new(concurrency)),
            lanes: Lanes::open()?,
            opened: Instant::now(),
            tasks: TaskTracker::new(),
            abandon: CancellationToken::new(),
            abandoned: Mutex::default(),
            run_header,
            keys,
            runs_ok: metrics.runs.with_label_values(&["ok", ""]),
            metrics,
        })))
    }

    /// Takes jobs until `stop`, sees to those that are `ready` then, waits for the runs under way, and
    /// hands those left to other workers. From `stop` on it starts and waits for at most `limit`.
    pub async fn work(
        &self,
        loops: &Loops,
        stop: &CancellationToken,
        limit: Duration,
        ready: ReadyJobs,
    ) {
        let inner = &self.0;
        // Room for all runs under way: a finished run never waits for the queue to be free.
        let (results, finished) = mpsc::channel(inner.permits.available_permits());
        let handing_in = tokio::spawn(self.clone().hand_in(finished));
        loops.run("prober", LEASING, stop, &inner.metrics, || self.take(&results)).await;
        let end = Instant::now() + limit;
        if ready == ReadyJobs::AreRun
            && let Err(error) = self.run_ready(&results, end).await
        {
            warn!(error = chain(&error), "jobs that are ready end with this process");
        }
        // Not before: the round that was under way at `stop` may have begun runs of its own.
        self.drain(end.saturating_duration_since(Instant::now())).await;
        // The runs held senders of their own: handing in ends with the last of them.
        drop(results);
        let _panicked = handing_in.await;
    }

    /// Takes jobs until none is ready, or until `end`.
    async fn run_ready(&self, results: &mpsc::Sender<Finished>, end: Instant) -> StoreResult<()> {
        // A round that takes nothing may have had no room, or met only jobs that came too late.
        while self.queue_depth().await? > 0 && Instant::now() < end {
            if self.take(results).await? == Pace::Rest {
                tokio::time::sleep(LEASING).await;
            }
        }
        Ok(())
    }

    /// One round: as many jobs as there is room for begin to run.
    pub async fn take(&self, results: &mpsc::Sender<Finished>) -> StoreResult<Pace> {
        let inner = &self.0;
        let room = inner.permits.available_permits().min(BATCH);
        // With no room nothing is popped, but leases that ran out are still handed back.
        let jobs = inner.work.lease(&inner.region, room).await?;
        if jobs.is_empty() {
            return Ok(Pace::Rest);
        }
        crash_point(Point::ProberLeased);
        let pace = if jobs.len() == room { Pace::Again } else { Pace::Rest };
        let prepared = match self.prepare(&jobs).await {
            Ok(prepared) => prepared,
            Err(error) => {
                inner.work.release(&inner.region, &jobs).await?;
                return Err(error);
            }
        };
        crash_point(Point::ProberSpecsFetched);
        let mut runs: Vec<Run> = jobs.into_iter().zip(prepared).collect();
        runs.sort_by_key(|(leased, _)| leased.due_in);
        while !runs.is_empty() {
            let rest = runs.split_off(SHARE.min(runs.len()));
            let places = u32::try_from(runs.len()).unwrap_or(u32::MAX);
            // Nobody else takes places: there are as many as there were.
            let permits = Arc::clone(&inner.permits).acquire_many_owned(places).await;
            let Ok(permits) = permits else { break };
            let begin = self.clone().begin(runs, permits, results.clone());
            inner.tasks.spawn_on(begin, inner.lanes.best());
            runs = rest;
        }
        Ok(pace)
    }

    /// Begins each run in its turn: one timer for all that were leased together, not one each.
    async fn begin(
        self,
        runs: Vec<Run>,
        mut permits: OwnedSemaphorePermit,
        results: mpsc::Sender<Finished>,
    ) {
        let (inner, leased_at) = (&self.0, Instant::now());
        for (leased, prepared) in runs {
            inner.turn(leased_at + leased.due_in).await;
            let permit = permits.split(1);
            if inner.abandon.is_cancelled() {
                inner.hand_on(leased);
            } else if let Some(permit) = permit {
                inner.tasks.spawn(self.clone().run(leased, prepared, permit, results.clone()));
            }
        }
    }

    async fn run(
        self,
        leased: LeasedJob,
        prepared: Option<Arc<Known>>,
        permit: OwnedSemaphorePermit,
        results: mpsc::Sender<Finished>,
    ) {
        let inner = &self.0;
        inner.metrics.jobs_active.inc();
        tokio::select! {
            biased;
            result = self.look(&leased, prepared.as_deref()) => {
                self.count(&result);
                crash_point(Point::ProberLooked);
                let _receiver_ended = results.send((result, permit)).await;
            }
            () = inner.abandon.cancelled() => {
                inner.hand_on(leased);
            }
        }
        inner.metrics.jobs_active.dec();
    }

    /// Waits for the runs under way, at most `limit`; then hands those left to other workers.
    async fn drain(&self, limit: Duration) {
        self.0.tasks.close();
        if tokio::time::timeout(limit, self.0.tasks.wait()).await.is_ok() {
            return;
        }
        self.0.abandon.cancel();
        self.0.tasks.wait().await;
        let left =
            std::mem::take(&mut *self.0.abandoned.lock().unwrap_or_else(PoisonError::into_inner));
        warn!(runs = left.len(), "runs under way are handed to other workers");
        if let Err(error) = self.0.work.release(&self.0.region, &left).await {
            warn!(
                error = chain(&error),
                "they could not be handed over; their leases will run out"
            );
        }
    }

    /// Jobs waiting in this prober's region.
    pub async fn queue_depth(&self) -> StoreResult<u64> {
        self.0.work.depth(&self.0.region).await
    }
}
