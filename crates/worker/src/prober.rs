//! Looks at what is due: leases jobs, looks, judges, hands the results in.
//!
//! It needs Redis alone. Definitions are kept in memory by version and fetched when missing; secrets
//! in them come sealed, are opened here, and leave in no result. Results
//! go back in bulk behind the fence of their lease; while they cannot, no more jobs are taken.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::Utc;
use http::HeaderValue;
use moka::sync::Cache;
use prometheus::IntCounter;
use pulse_core::crash::{Point, crash_point};
use pulse_core::metrics::Metrics;
use pulse_core::models::evidence::Evidence;
use pulse_core::models::ids::{CheckId, Region};
use pulse_core::models::job::{Job, LeasedJob, RunResult, VersionedSpec};
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::retry::Retry;
use pulse_core::models::run::{InconclusiveReason, Observation, Outcome, Phases};
use pulse_core::models::schedule::Slot;
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
use crate::judge::judge;
use crate::lanes::{self, Lanes};
use crate::probes::{Prepared, Probes};
use crate::scrub::Scrub;
use crate::secrets::{self, Opened};

/// Between two looks for jobs.
const LEASING: Duration = Duration::from_millis(20);
/// Jobs taken, and results handed in, at a time.
const BATCH: usize = 250;
/// Runs handed to a lane at a time.
const SHARE: usize = 125;
/// Runs begin together at the ticks of this grid: a worker that wakes up for each pays more for
/// waking than for looking.
const TICK_MS: u64 = 5;
/// Bytes of definitions kept in memory.
const SPEC_BYTES: u64 = 256 << 20;
/// What a definition takes besides its own texts.
const SPEC_OVERHEAD: usize = 1_024;
/// How long results wait for company on their way back.
const GATHER: Duration = Duration::from_millis(20);
/// How long to wait before handing results in again.
const RETRY: Duration = Duration::from_millis(200);

/// A definition made ready, or why it cannot be.
struct Known {
    target: Result<Prepared, String>,
    retry: Option<Retry>,
    /// What must not leave with a result; `None` without secrets, and then it costs nothing.
    scrub: Option<Box<Scrub>>,
    bytes: u32,
}

impl Known {
    fn new(spec: &ProbeSpec, keys: &SecretKeys) -> Self {
        match secrets::open(spec, keys) {
            Ok(None) => Self::of(spec, None),
            Ok(Some(Opened { spec, scrub, headers })) => {
                let mut known = Self::of(&spec, Some(scrub));
                if let Ok(target) = &mut known.target {
                    target.keep_at_origin(&headers);
                }
                known
            }
            Err(reason) => Self { target: Err(reason), ..Self::of(spec, None) },
        }
    }

    fn of(spec: &ProbeSpec, scrub: Option<Scrub>) -> Self {
        let scrubbed = scrub.as_ref().map_or(0, Scrub::bytes);
        Self {
            retry: spec.retry.clone(),
            target: Prepared::new(spec).map_err(|error| error.to_string()),
            scrub: scrub.map(Box::new),
            bytes: u32::try_from(SPEC_OVERHEAD + spec.text_bytes() + scrubbed).unwrap_or(u32::MAX),
        }
    }
}

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
    specs: Cache<(CheckId, i32), Arc<Known>>,
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

    async fn look_once(
        &self,
        target: &Prepared,
        run: Option<HeaderValue>,
        timeout: Duration,
    ) -> (Outcome, Observation) {
        let sight = self.probes.look(&self.egress, target, run, timeout).await;
        judge(sight, target.expectations())
    }

    /// Looks for somebody who waits for it, and wants to see everything.
    async fn look_dry(
        &self,
        target: &Prepared,
        run: Option<HeaderValue>,
        timeout: Duration,
    ) -> (Outcome, Observation) {
        let sight = self.probes.look(&self.egress, target, run, timeout).await;
        let all = sight.notes.evidence();
        let (outcome, mut seen) = judge(sight, target.expectations());
        let judged = seen.evidence.take().unwrap_or_default();
        let Evidence { detail, assertions, .. } = *judged;
        seen.evidence = Some(Box::new(Evidence { detail, assertions, ..all }));
        (outcome, seen)
    }

    /// Looks until it is not a failure to look at again, or for the last time. The `limit` of the run
    /// holds the waits and an equal share for each look.
    async fn look_again(
        &self,
        target: &Prepared,
        run: Option<HeaderValue>,
        limit: Duration,
        retry: &Retry,
    ) -> (Outcome, Observation) {
        let timeout = limit.saturating_sub(Duration::from_millis(retry.delays())) / retry.attempts;
        let mut attempt = 1;
        loop {
            let (outcome, mut seen) = self.look_once(target, run.clone(), timeout).await;
            let again = matches!(outcome, Outcome::Fail(class) if retry.is_after(class));
            if !again || attempt == retry.attempts {
                if attempt > 1 {
                    let facts = &mut seen.evidence.get_or_insert_default().facts;
                    facts.push(("looks".to_owned(), attempt.to_string()));
                }
                return (outcome, seen);
            }
            attempt += 1;
            tokio::time::sleep(Duration::from_millis(retry.delay_before(attempt))).await;
        }
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
            specs: Cache::builder()
                .max_capacity(SPEC_BYTES)
                .weigher(|_, prepared: &Arc<Known>| prepared.bytes)
                .build(),
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

    /// What each job asks to be done, in their order; `None` where the queue does not know either.
    async fn prepare(&self, jobs: &[LeasedJob]) -> StoreResult<Vec<Option<Arc<Known>>>> {
        let key = |leased: &LeasedJob| (leased.job.check_id, leased.job.version);
        let mut prepared: Vec<_> =
            jobs.iter().map(|leased| self.0.specs.get(&key(leased))).collect();
        let lacking = || jobs.iter().zip(&prepared).filter(|(_, it)| it.is_none());
        let missing: HashSet<_> = lacking().map(|(leased, _)| key(leased)).collect();
        if missing.is_empty() {
            return Ok(prepared);
        }
        let mut found = HashMap::new();
        for spec in self.0.work.specs(&self.0.region, &Vec::from_iter(missing)).await? {
            let VersionedSpec { check_id, version, spec } = spec;
            let made = Arc::new(Known::new(&spec, &self.0.keys));
            self.0.specs.insert((check_id, version), Arc::clone(&made));
            found.insert((check_id, version), made);
        }
        for (leased, it) in jobs.iter().zip(&mut prepared).filter(|(_, it)| it.is_none()) {
            *it = found.get(&key(leased)).cloned();
        }
        Ok(prepared)
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

    async fn look(&self, leased: &LeasedJob, prepared: Option<&Known>) -> RunResult {
        let (inner, job) = (&self.0, &leased.job);
        let (outcome, mut observation) = match prepared {
            Some(Known { target: Ok(target), retry, .. }) => {
                let run = inner.run_header.then(|| run_header(job, leased.token)).flatten();
                let limit = Duration::from_millis(job.timeout_ms.into());
                match retry {
                    _ if job.check_id.is_of_dry_run() => inner.look_dry(target, run, limit).await,
                    None => inner.look_once(target, run, limit).await,
                    Some(retry) => inner.look_again(target, run, limit, retry).await,
                }
            }
            Some(Known { target: Err(reason), .. }) => unseen(reason),
            None => unseen("the check's definition was not in the queue"),
        };
        if let Some(scrub) = prepared.and_then(|known| known.scrub.as_ref()) {
            scrub.clean(&mut observation);
        }
        RunResult {
            check_id: job.check_id,
            region: job.region.clone(),
            slot: job.slot,
            attempt: leased.token,
            outcome,
            observation: Some(observation),
        }
    }

    fn count(&self, result: &RunResult) {
        // No ledger knows of those: the counters tell the same story as it.
        if result.check_id.is_of_dry_run() {
            return;
        }
        let metrics = &self.0.metrics;
        match result.outcome {
            Outcome::Ok => self.0.runs_ok.inc(),
            other => metrics.runs.with_label_values(&[other.as_str(), other.reason()]).inc(),
        }
        let Some(seen) = &result.observation else {
            return;
        };
        if let Some(us) = seen.phases.total_us {
            metrics.check_seconds.observe(f64::from(us) / 1e6);
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "a delay in milliseconds stays far below 2^52"
        )]
        let delay_ms = (Slot::from(seen.started_at).0 - result.slot.0).max(0) as f64;
        metrics.start_delay_seconds.observe(delay_ms / 1000.0);
    }

    /// Hands results in until every sender is gone. A result is kept until the queue has taken it.
    async fn hand_in(self, mut results: mpsc::Receiver<Finished>) {
        let mut batch: Vec<Finished> = Vec::with_capacity(BATCH);
        while results.recv_many(&mut batch, BATCH).await > 0 {
            if batch.len() < BATCH {
                tokio::time::sleep(GATHER).await;
                while batch.len() < BATCH
                    && let Ok(more) = results.try_recv()
                {
                    batch.push(more);
                }
            }
            let (ready, permits): (Vec<RunResult>, Vec<OwnedSemaphorePermit>) =
                batch.drain(..).unzip();
            self.complete(&ready).await;
            crash_point(Point::ProberCompleted);
            drop(permits);
        }
    }

    async fn complete(&self, results: &[RunResult]) {
        let mut told = false;
        loop {
            match self.0.work.complete(&self.0.region, results).await {
                Ok(stale) => return self.0.metrics.completions_stale.inc_by(stale as u64),
                Err(error) if !told => {
                    warn!(
                        error = chain(&error),
                        results = results.len(),
                        "results cannot be handed in; trying on"
                    );
                    told = true;
                }
                Err(_told) => {}
            }
            tokio::time::sleep(RETRY).await;
        }
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

/// `check:slot:attempt`, so that a target can tell one run from another.
fn run_header(job: &Job, token: u32) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("{}:{}:{token}", job.check_id, job.slot)).ok()
}

fn unseen(reason: &str) -> (Outcome, Observation) {
    let observation = Observation {
        started_at: Utc::now(),
        status_code: None,
        phases: Phases::default(),
        address: None,
        error: Some(reason.to_owned()),
        evidence: None,
    };
    (Outcome::Inconclusive(InconclusiveReason::NoSpec), observation)
}
