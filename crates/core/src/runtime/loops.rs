//! The loop every role runs in: work, look again soon, back off from trouble, never go silent.
//!
//! A loop that has not had a good round lately makes its process not ready, so that a role which
//! hangs or fails is seen from outside.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::telemetry::chain;
use crate::metrics::Metrics;
use crate::ports::StoreError;

/// How soon to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// There is more to do.
    Again,
    /// Nothing more for now.
    Rest,
}

const FIRST_BACK_OFF: Duration = Duration::from_millis(50);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(2);
/// A loop however quick is given three times this before it counts as stuck.
const LEAST_WATCHED: Duration = Duration::from_secs(4);

/// How one loop is doing.
#[derive(Clone, Debug)]
pub struct LoopState {
    /// The role, or the part of one.
    pub name: &'static str,
    /// Since its last good round, or since it began.
    pub last_good: Duration,
    /// Whether that is too long.
    pub stale: bool,
    /// Whether the process is of no use without it.
    pub vital: bool,
}

#[derive(Debug)]
struct Tick {
    name: &'static str,
    at: Instant,
    allowed: Duration,
    vital: bool,
}

/// All loops of a process. Cheap to clone.
#[derive(Clone, Default)]
pub struct Loops {
    ticks: Arc<Mutex<Vec<Tick>>>,
    aside: bool,
}

impl fmt::Debug for Loops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.states()).finish()
    }
}

impl Loops {
    /// For loops a process can do without for a while: one that is stuck makes it degraded, not unready.
    #[must_use]
    pub fn aside(&self) -> Self {
        Self { aside: true, ..self.clone() }
    }

    /// How all of them are doing.
    #[must_use]
    pub fn states(&self) -> Vec<LoopState> {
        let state = |tick: &Tick| {
            let last_good = tick.at.elapsed();
            let stale = last_good > tick.allowed;
            LoopState { name: tick.name, last_good, stale, vital: tick.vital }
        };
        self.ticks.lock().unwrap_or_else(PoisonError::into_inner).iter().map(state).collect()
    }

    fn add(&self, name: &'static str, pause: Duration) -> usize {
        let mut ticks = self.ticks.lock().unwrap_or_else(PoisonError::into_inner);
        ticks.push(Tick { name, at: Instant::now(), allowed: pause * 3, vital: !self.aside });
        ticks.len() - 1
    }

    fn good(&self, place: usize) {
        if let Some(tick) = self.ticks.lock().unwrap_or_else(PoisonError::into_inner).get_mut(place)
        {
            tick.at = Instant::now();
        }
    }

    fn end(&self, place: usize) {
        if let Some(tick) = self.ticks.lock().unwrap_or_else(PoisonError::into_inner).get_mut(place)
        {
            tick.allowed = Duration::MAX;
        }
    }

    /// Does `work` until it succeeds once, or until `stop`; `true` when it is done. The process is not
    /// ready before.
    pub async fn until_done<F>(
        &self,
        name: &'static str,
        stop: &CancellationToken,
        metrics: &Metrics,
        mut work: impl FnMut() -> F,
    ) -> bool
    where
        F: Future<Output = Result<(), StoreError>>,
    {
        let place = self.add(name, Duration::ZERO);
        let mut trouble = Trouble::new(name, metrics);
        while !stop.is_cancelled() {
            match work().await {
                Ok(()) => {
                    trouble.over();
                    self.end(place);
                    return true;
                }
                Err(error) => rest(trouble.pause(&error), stop).await,
            }
        }
        false
    }

    /// Runs `round` until `stop`, resting `pause` when there is nothing more to do. A failing round is
    /// told once, counted each time, and tried again with growing pauses.
    pub async fn run<F>(
        &self,
        name: &'static str,
        pause: Duration,
        stop: &CancellationToken,
        metrics: &Metrics,
        mut round: impl FnMut() -> F,
    ) where
        F: Future<Output = Result<Pace, StoreError>>,
    {
        let place = self.add(name, pause.max(LEAST_WATCHED));
        let mut trouble = Trouble::new(name, metrics);
        while !stop.is_cancelled() {
            match round().await {
                Ok(next) => {
                    self.good(place);
                    trouble.over();
                    match next {
                        Pace::Rest => rest(pause, stop).await,
                        // A loop with much to do lets others have their turn.
                        Pace::Again => tokio::task::yield_now().await,
                    }
                }
                Err(error) => rest(trouble.pause(&error), stop).await,
            }
        }
        self.end(place);
    }
}

async fn rest(pause: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = stop.cancelled() => {}
    }
}

/// A row of failing rounds: told when it begins and when it is over.
struct Trouble<'a> {
    name: &'static str,
    metrics: &'a Metrics,
    since: Option<Instant>,
    pause: Duration,
}

impl<'a> Trouble<'a> {
    const fn new(name: &'static str, metrics: &'a Metrics) -> Self {
        Self { name, metrics, since: None, pause: FIRST_BACK_OFF }
    }

    fn pause(&mut self, error: &StoreError) -> Duration {
        self.metrics.loop_errors.with_label_values(&[self.name]).inc();
        if self.since.is_none() {
            warn!(role = self.name, error = chain(error), "a round failed; trying again");
            self.since = Some(Instant::now());
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_BACK_OFF);
        pause.mul_f64(0.75 + 0.5 * rand::random::<f64>())
    }

    fn over(&mut self) {
        if let Some(since) = self.since.take() {
            info!(role = self.name, trouble_ms = since.elapsed().as_millis(), "working again");
            self.pause = FIRST_BACK_OFF;
        }
    }
}
