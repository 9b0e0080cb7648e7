//! Turns results into health, and health into something to tell.
//!
//! It reads a batch of results, has the state store commit what they mean in one transaction, and
//! only then acknowledges them. Losing a race is normal: what another recorder has applied is stale.
//! It never sends anything; see the alerter.

use std::sync::Arc;

use pulse_core::crash::{Point, crash_point};
use pulse_core::metrics::Metrics;
use pulse_core::models::job::RunResult;
use pulse_core::models::traits::TraitKind;
use pulse_core::ports::clock::Clock;
use pulse_core::ports::dry_runs::DryRuns;
use pulse_core::ports::queue::{Entry, ResultQueue};
use pulse_core::ports::recording::{RecordStore, Recorded};
use pulse_core::ports::{StoreError, StoreResult};
use pulse_core::runtime::loops::Pace;
use pulse_core::runtime::telemetry::chain;
use pulse_core::stores::Stores;
use tokio::sync::Mutex;
use tracing::{error, warn};

/// Results recorded in one transaction.
const BATCH: usize = 500;

/// See the module.
pub struct Recorder {
    results: Arc<dyn ResultQueue>,
    records: Arc<dyn RecordStore>,
    dry_runs: Arc<dyn DryRuns>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    /// Read and not recorded yet, because the state store was away.
    held: Mutex<Held>,
}

/// What was read together: an entry for each of `results`, and those that cannot be read.
#[derive(Default)]
struct Held {
    entries: Vec<Entry>,
    results: Vec<RunResult>,
    unreadable: Vec<Entry>,
    /// Of looks that no ledger knows of.
    dry: Vec<(Entry, RunResult)>,
    /// Whether there may be more where it came from.
    full: bool,
}

impl Held {
    fn of(read: Vec<Entry>) -> Self {
        let full = read.len() >= BATCH;
        let mut held = Self { full, ..Self::default() };
        for mut entry in read {
            match entry.result.take() {
                Some(result) if result.check_id.is_of_dry_run() => {
                    held.dry.push((entry, result));
                }
                Some(result) => {
                    held.results.push(result);
                    held.entries.push(entry);
                }
                None => held.unreadable.push(entry),
            }
        }
        held
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.unreadable.is_empty() && self.dry.is_empty()
    }
}

impl Recorder {
    /// A recorder on these stores.
    #[must_use]
    pub fn new(stores: &Stores, metrics: Metrics) -> Self {
        Self {
            results: stores.results.clone(),
            records: stores.records.clone(),
            dry_runs: stores.dry_runs.clone(),
            clock: stores.clock.clone(),
            metrics,
            held: Mutex::default(),
        }
    }

    /// One round: a batch of results gets recorded.
    pub async fn record(&self) -> StoreResult<Pace> {
        let mut held = self.held.lock().await;
        if held.is_empty() {
            *held = Held::of(self.results.read(BATCH).await?);
        }
        if held.is_empty() {
            return Ok(Pace::Rest);
        }
        crash_point(Point::RecorderRead);
        self.bury(&held.unreadable, "it cannot be read").await?;
        held.unreadable.clear();
        self.answer_dry_runs(&mut held.dry).await;
        if held.entries.is_empty() {
            return Ok(Pace::Rest);
        }
        self.apply(&held.entries, &held.results).await?;
        crash_point(Point::RecorderRecorded);
        self.results.ack(&held.entries).await?;
        crash_point(Point::RecorderAcked);
        let pace = if held.full { Pace::Again } else { Pace::Rest };
        *held = Held::default();
        Ok(pace)
    }

    /// Hands results of dry runs to who asked. One that cannot be handed over is let go: who asked has
    /// been told so by then, and no ledger waits for it.
    async fn answer_dry_runs(&self, dry: &mut Vec<(Entry, RunResult)>) {
        for (entry, result) in dry.drain(..) {
            let answered = self.dry_runs.answer(&result).await;
            if let Err(error) = answered.and(self.results.ack(&[entry]).await) {
                warn!(error = chain(&error), "the result of a dry run could not be handed over");
            }
        }
    }

    /// Records results; where the store refuses, halves them until the one at fault is found.
    async fn apply(&self, entries: &[Entry], results: &[RunResult]) -> StoreResult<()> {
        let mut parts = vec![(entries, results)];
        while let Some((entries, results)) = parts.pop() {
            match self.commit(results).await {
                Ok(()) => {}
                Err(refused @ StoreError::Refused { .. }) if results.len() == 1 => {
                    self.bury(entries, &chain(&refused)).await?;
                }
                Err(StoreError::Refused { .. }) => {
                    let middle = results.len() / 2;
                    let (first, second) = (results.split_at(middle), entries.split_at(middle));
                    parts.extend([(second.1, first.1), (second.0, first.0)]);
                }
                // Not the results' fault: they are kept.
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    async fn commit(&self, results: &[RunResult]) -> StoreResult<()> {
        let timer = self.metrics.record_seconds.start_timer();
        let recorded = self.records.record(results, self.clock.now()).await?;
        timer.observe_duration();
        self.count(recorded);
        Ok(())
    }

    fn count(&self, recorded: Recorded) {
        self.metrics.slots_recorded.inc_by(recorded.applied);
        self.metrics.results_stale.inc_by(recorded.stale);
        self.metrics.slots_missed.with_label_values(&["recorder"]).inc_by(recorded.missed);
        self.metrics.incidents.with_label_values(&["opened"]).inc_by(recorded.opened);
        self.metrics.incidents.with_label_values(&["resolved"]).inc_by(recorded.resolved);
        for (kind, told) in
            TraitKind::ALL.iter().zip(recorded.changes).filter(|(_, told)| *told > 0)
        {
            self.metrics.changes.with_label_values(&[kind.as_str()]).inc_by(told);
        }
    }

    async fn bury(&self, entries: &[Entry], reason: &str) -> StoreResult<()> {
        if entries.is_empty() {
            return Ok(());
        }
        error!(
            results = entries.len(),
            reason, "results are set aside; their slots will be told as missed"
        );
        self.metrics.results_buried.inc_by(entries.len() as u64);
        self.results.bury(entries).await
    }

    /// Records until nothing waits; for the end of a process.
    pub async fn drain(&self) {
        while matches!(self.record().await, Ok(Pace::Again)) {}
    }

    /// Measures how much waits.
    pub async fn measure(&self) -> StoreResult<()> {
        let backlog = self.results.backlog().await?;
        self.metrics.results_backlog.set(i64::try_from(backlog).unwrap_or(i64::MAX));
        Ok(())
    }
}
