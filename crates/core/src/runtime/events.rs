//! Publishes what this process has committed, for all who look on.
//!
//! It empties the queue that committing fills, adds what people call the checks, and appends it all to
//! where every server reads. A batch that did not get there is tried again under the same number, so
//! that it is there once. What could not be told is told as a resync: read the lists again.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::loops::Pace;
use super::parts::Parts;
use super::process::Context;
use crate::metrics::Metrics;
use crate::models::event::{Event, Label, resync_text};
use crate::models::ids::CheckId;
use crate::ports::StoreResult;
use crate::ports::clock::Clock;
use crate::ports::events::{EventBatch, EventLabels, EventLog};
use crate::stores::Stores;
use crate::stores::events::{EventQueue, Waiting};

/// Between two looks at the queue.
const PUBLISHING: Duration = Duration::from_millis(25);
/// Between two times that it says it is there, and learns whether runs are wanted.
const ATTENDING: Duration = Duration::from_secs(1);
/// Events appended in one step.
const BATCH: usize = 500;
/// How long a label counts for runs; for all else it is asked each time.
const LABEL_GOOD_FOR: Duration = Duration::from_secs(30);
/// Most labels remembered, and most asked for at once.
const MOST_LABELS: usize = 50_000;
const LABELS_AT_ONCE: usize = 1_000;
/// How long what waits may take to be published when the process ends.
const LAST: Duration = Duration::from_secs(1);

/// Adds the publisher. It is to be the last part: what the others commit while they end is told as well.
pub fn start(context: &Context, parts: &mut Parts) {
    parts.add("events", |stop| publish(context.clone(), stop));
}

async fn publish(it: Context, stop: CancellationToken) {
    let publisher = Publisher::new(&it.stores, &it.identity, it.metrics.clone());
    // No run and no request waits for it: without it the process is as good as before.
    let loops = it.loops.aside();
    loops.run("events", PUBLISHING, &stop, &it.metrics, || publisher.round()).await;
    let _in_time = timeout(LAST, publisher.leave()).await;
}

/// See the module.
pub struct Publisher {
    queue: EventQueue,
    log: Arc<dyn EventLog>,
    labels: Arc<dyn EventLabels>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Taken from the queue and not appended yet, without labels.
    waiting: Waiting,
    /// The same with labels, to be appended until it is.
    batch: EventBatch,
    attended: Option<Instant>,
    known: HashMap<CheckId, (Instant, Arc<Label>)>,
}

impl Publisher {
    /// Of the process `identity`.
    #[must_use]
    pub fn new(stores: &Stores, identity: &str, metrics: Metrics) -> Self {
        let batch = EventBatch { publisher: identity.to_owned(), ..EventBatch::default() };
        Self {
            queue: stores.event_queue.clone(),
            log: stores.events.clone(),
            labels: stores.labels.clone(),
            clock: stores.clock.clone(),
            metrics,
            state: Mutex::new(State { batch, ..State::default() }),
        }
    }

    /// One round: a batch is published, if there is anything to tell.
    pub async fn round(&self) -> StoreResult<Pace> {
        let mut state = self.state.lock().await;
        self.metrics.events_dropped.inc_by(self.queue.take_dropped());
        self.attend(&mut state).await?;
        if state.batch.is_empty() {
            if state.waiting.is_empty() {
                state.waiting = self.queue.take();
            }
            if state.waiting.is_empty() {
                return Ok(Pace::Rest);
            }
            self.prepare(&mut state).await?;
        }
        self.log.append(&state.batch).await?;
        state.batch.clear();
        Ok(if state.waiting.is_empty() { Pace::Rest } else { Pace::Again })
    }

    /// Publishes what waits, and leaves.
    pub async fn leave(&self) {
        while matches!(self.round().await, Ok(Pace::Again)) {}
        let state = self.state.lock().await;
        // A publisher that could not tell all of it must be missed.
        if state.batch.is_empty() && state.waiting.is_empty() {
            let _missed = self.log.leave(&state.batch.publisher).await;
        }
    }

    async fn attend(&self, state: &mut State) -> StoreResult<()> {
        if state.attended.is_some_and(|at| at.elapsed() < ATTENDING) {
            return Ok(());
        }
        self.queue.want_runs(self.log.attend(&state.batch.publisher).await?);
        state.attended = Some(Instant::now());
        Ok(())
    }

    /// Makes a batch of the first of what waits.
    async fn prepare(&self, state: &mut State) -> StoreResult<()> {
        let State { waiting, batch, known, .. } = state;
        let some = waiting.events.len().min(BATCH);
        let of_events = waiting.events[..some].iter().map(|event| event.check).collect();
        self.learn(of_events, known).await?;
        let now = Instant::now();
        let fresh = |it: &(Instant, _)| now.saturating_duration_since(it.0) < LABEL_GOOD_FOR;
        let of_runs = waiting.runs.iter().map(|run| run.check);
        let of_runs = of_runs.filter(|check| !known.get(check).is_some_and(fresh)).collect();
        self.learn(of_runs, known).await?;

        let text = |event: Event| {
            self.metrics.events_published.with_label_values(&[event.kind().as_str()]).inc();
            event.text(known.get(&event.check).map(|(_, label)| &**label))
        };
        let resync = || resync_text(self.clock.now());
        batch.events.extend(waiting.lost.then(resync));
        batch.events.extend(waiting.events.drain(..some).map(text));
        batch.runs.extend(waiting.lost_runs.then(resync));
        batch.runs.extend(waiting.runs.drain(..).map(text));
        batch.number += 1;
        (waiting.lost, waiting.lost_runs) = (false, false);
        Ok(())
    }

    async fn learn(
        &self,
        checks: BTreeSet<CheckId>,
        known: &mut HashMap<CheckId, (Instant, Arc<Label>)>,
    ) -> StoreResult<()> {
        if known.len() + checks.len() > MOST_LABELS {
            known.clear();
        }
        for checks in Vec::from_iter(checks).chunks(LABELS_AT_ONCE) {
            for (check, label) in self.labels.labels(checks).await? {
                known.insert(check, (Instant::now(), Arc::new(label)));
            }
        }
        Ok(())
    }
}
