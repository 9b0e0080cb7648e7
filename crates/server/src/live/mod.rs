//! Live events on their way to clients: one reader a server, one ring for all its clients.
//!
//! The reader follows what publishers append and puts it into rings, ready to be sent. A client is a
//! place in the rings and nothing more, so one that is slow costs no memory: when the ring has gone on
//! without it, it is told to read again (`resync`), and goes on from then. `sse` and `socket` are the
//! two ways to a client; neither ever waits for another's.

mod follower;
mod item;
pub mod origin;
mod ring;
pub mod socket;
pub mod sse;
pub mod subscription;
pub mod upgrade;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use pulse_core::metrics::Metrics;
use pulse_core::models::event::EventId;
use pulse_core::models::ids::ProjectId;
use pulse_core::ports::StoreResult;
use pulse_core::ports::events::{EventLog, MOST_KEPT, MOST_PASSING, WANTED_FOR};
use pulse_core::runtime::loops::{Loops, Pace};
use tokio::sync::{Mutex, Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

pub use follower::Follower;
use item::{Item, Reason};
use ring::Ring;
use subscription::Subscription;

/// Between two looks, whatever the bell says: late by no more than this when nobody rings.
const LOOKING: Duration = Duration::from_millis(250);
/// After a look, so that a busy minute costs each client few, larger writes.
const PAUSE: Duration = Duration::from_millis(100);
/// Between two times that the bell is hung up.
const HANGING_UP: Duration = Duration::from_secs(1);
/// Events, or batches of runs, read at once.
const AT_ONCE: usize = 500;
/// How long a client waits for the first look of a server that has just begun.
const FIRST_LOOK: Duration = Duration::from_secs(2);

/// What is promised to clients, and what they are held to.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// Most clients at once, of both ways together.
    pub clients: usize,
    /// Origins besides the server's own whose pages may listen: `https://status.example`.
    pub origins: Vec<String>,
    /// Events that a client may be behind.
    pub behind: usize,
    /// After so much silence a client is sent something, to see whether it is still there.
    pub ping: Duration,
    /// A WebSocket client that said nothing for so long, not even a pong, is gone.
    pub silence: Duration,
    /// What is sent to a WebSocket client must be taken in this time.
    pub writing: Duration,
    /// What is sent on any connection must be taken in this time, or it is cut off.
    pub untaken: Duration,
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self {
            clients: 2_000,
            origins: Vec::new(),
            behind: MOST_KEPT,
            ping: Duration::from_secs(15),
            silence: Duration::from_secs(45),
            writing: Duration::from_secs(10),
            untaken: Duration::from_secs(30),
        }
    }
}

/// Descriptors are for more than clients: they may have half of what this process may open.
#[must_use]
pub fn most_clients(wanted: usize) -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    open_files(&limits).map_or(wanted, |most| wanted.min(most / 2))
}

/// The soft limit; `None` when there is none, or none to be read.
fn open_files(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Why a client is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There are as many as there may be.
    Full,
    /// This server has not read what is kept yet.
    NotReady,
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Live(Arc<Hub>);

struct Hub {
    log: Arc<dyn EventLog>,
    options: LiveOptions,
    metrics: Metrics,
    rings: RwLock<Rings>,
    /// Counts the looks that found something.
    changed: watch::Sender<u64>,
    has_looked: watch::Sender<bool>,
    tail: Mutex<Tail>,
    bell: Notify,
    places: Arc<Semaphore>,
    run_listeners: AtomicUsize,
    clients: TaskTracker,
    stop: CancellationToken,
}

struct Rings {
    events: Ring<Item>,
    runs: Ring<Vec<Arc<Item>>>,
}

/// Where the reader stands with runs; nowhere, before the first.
#[derive(Clone, Copy)]
struct Passing(Option<EventId>);

/// Where the reader stands.
#[derive(Default)]
struct Tail {
    events: Option<EventId>,
    /// `None` while nobody here wants runs.
    runs: Option<Passing>,
    wanted: Option<Instant>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("options", &self.0.options).finish_non_exhaustive()
    }
}

impl Live {
    /// Reads from `log`, once it is [run](Self::run).
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>, options: LiveOptions, metrics: Metrics) -> Self {
        let places = options.clients.min(Semaphore::MAX_PERMITS);
        let rings = Rings { events: Ring::of(options.behind), runs: Ring::of(MOST_PASSING) };
        Self(Arc::new(Hub {
            log,
            options,
            metrics,
            rings: RwLock::new(rings),
            changed: watch::Sender::new(0),
            has_looked: watch::Sender::new(false),
            tail: Mutex::default(),
            bell: Notify::new(),
            places: Arc::new(Semaphore::new(places)),
            run_listeners: AtomicUsize::new(0),
            clients: TaskTracker::new(),
            stop: CancellationToken::new(),
        }))
    }

    /// Follows what publishers append until `stop`.
    pub async fn run(&self, loops: &Loops, stop: &CancellationToken) {
        let ringing = async {
            loop {
                let began = Instant::now();
                // However the line ended: looks go on without it, and what ails it is told by them.
                let _ended = self.0.log.listen(&self.0.bell).await;
                tokio::time::sleep(HANGING_UP.saturating_sub(began.elapsed())).await;
            }
        };
        let loops = loops.aside();
        let looking = loops.run("live", PAUSE, stop, &self.0.metrics, || self.round());
        tokio::select! {
            () = looking => {}
            () = ringing => {}
        }
    }

    /// One look, as soon as the bell rings.
    pub async fn round(&self) -> StoreResult<Pace> {
        let _rung = timeout(LOOKING, self.0.bell.notified()).await;
        self.look().await?;
        Ok(Pace::Rest)
    }

    async fn look(&self) -> StoreResult<()> {
        let mut tail = self.0.tail.lock().await;
        let found = self.look_at_events(&mut tail).await? | self.look_at_runs(&mut tail).await?;
        if found {
            self.0.changed.send_modify(|looks| *looks += 1);
        }
        self.0.has_looked.send_if_modified(|looked| !std::mem::replace(looked, true));
        Ok(())
    }

    async fn look_at_events(&self, tail: &mut Tail) -> StoreResult<bool> {
        let mut found = false;
        loop {
            let reading = self.0.log.events_after(tail.events, AT_ONCE).await?;
            let more = reading.found.len() == AT_ONCE;
            tail.events = reading.place;
            found |= !reading.whole || !reading.found.is_empty();
            let items = reading.found.iter().filter_map(|(id, text)| Item::read(Some(*id), text));
            let items: Vec<Item> = items.collect();
            let mut rings = self.rings_mut();
            if !reading.whole {
                rings.events.push(Item::resync(Reason::Lost, reading.place));
            }
            for item in items {
                rings.events.push(item);
            }
            drop(rings);
            if !more {
                return Ok(found);
            }
        }
    }

    async fn look_at_runs(&self, tail: &mut Tail) -> StoreResult<bool> {
        if self.0.run_listeners.load(Ordering::SeqCst) == 0 {
            tail.runs = None;
            return Ok(false);
        }
        if tail.wanted.is_none_or(|at| at.elapsed() > WANTED_FOR / 4) {
            self.0.log.want_runs().await?;
            tail.wanted = Some(Instant::now());
        }
        let Some(Passing(place)) = tail.runs else {
            tail.runs = Some(Passing(self.0.log.newest_runs().await?));
            return Ok(false);
        };
        let reading = self.0.log.runs_after(place, AT_ONCE).await?;
        tail.runs = Some(Passing(reading.place));
        let batches: Vec<Vec<Arc<Item>>> =
            reading.found.iter().map(|(_, text)| runs(text)).collect();
        // Where nothing is left at all nothing has passed for minutes.
        let lost = !reading.whole && reading.place.is_some();
        let found = lost || !batches.is_empty();
        let mut rings = self.rings_mut();
        if lost {
            rings.runs.push(vec![Arc::new(Item::resync(Reason::Lost, None))]);
        }
        for batch in batches {
            rings.runs.push(batch);
        }
        Ok(found)
    }

    /// A place for one more client of that transport.
    ///
    /// # Errors
    /// When there is none.
    pub fn enter(&self, transport: &'static str) -> Result<Client, Refusal> {
        let Ok(place) = Arc::clone(&self.0.places).try_acquire_owned() else {
            self.count_refused("full");
            return Err(Refusal::Full);
        };
        self.0.metrics.event_clients.with_label_values(&[transport]).inc();
        Ok(Client {
            transport,
            metrics: self.0.metrics.clone(),
            _place: place,
            _tracked: self.0.clients.token(),
        })
    }

    /// Counts a client that was not let in.
    pub fn count_refused(&self, reason: &str) {
        self.0.metrics.event_clients_refused.with_label_values(&[reason]).inc();
    }

    /// What is promised to clients.
    #[must_use]
    pub fn options(&self) -> &LiveOptions {
        &self.0.options
    }

    /// Follows the events of `project` from after `last` on, or from now on. Where `last` is kept no
    /// more, a resync comes first.
    ///
    /// # Errors
    /// When this server has not looked once.
    pub async fn follow(
        &self,
        project: ProjectId,
        subscription: Subscription,
        last: Option<&str>,
    ) -> Result<Follower, Refusal> {
        let mut looked = self.0.has_looked.subscribe();
        let looked = timeout(FIRST_LOOK, looked.wait_for(|looked| *looked)).await;
        if !matches!(looked, Ok(Ok(_))) {
            return Err(Refusal::NotReady);
        }
        Ok(Follower::join(self.clone(), project, subscription, last))
    }

    /// Tells all clients to come again, and waits until they have gone, at most so long.
    pub async fn close(&self, at_most: Duration) {
        self.0.stop.cancel();
        self.0.clients.close();
        let _in_time = timeout(at_most, self.0.clients.wait()).await;
    }

    fn rings(&self) -> RwLockReadGuard<'_, Rings> {
        self.0.rings.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn rings_mut(&self) -> RwLockWriteGuard<'_, Rings> {
        self.0.rings.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn runs(text: &str) -> Vec<Arc<Item>> {
    text.lines().filter_map(|line| Item::read(None, line)).map(Arc::new).collect()
}

/// A client's place among all, given up when dropped.
#[derive(Debug)]
pub struct Client {
    transport: &'static str,
    metrics: Metrics,
    _place: OwnedSemaphorePermit,
    _tracked: TaskTrackerToken,
}

impl Client {
    fn count_sent(&self, events: usize) {
        self.metrics.events_sent.with_label_values(&[self.transport]).inc_by(events as u64);
    }

    fn count_ended(&self, reason: &str) {
        self.metrics.event_clients_ended.with_label_values(&[reason]).inc();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.metrics.event_clients.with_label_values(&[self.transport]).dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_descriptors_is_read_where_there_is_one() {
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 524288               files\n";

        assert_eq!(open_files(limits), Some(1024));
        assert_eq!(open_files("Max open files  unlimited unlimited files"), None);
        assert_eq!(open_files(""), None);
    }
}
