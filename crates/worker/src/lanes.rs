//! Threads that do nothing but run probes, each on a runtime of its own.
//!
//! A run begins, waits and ends on one thread: nothing of it is stolen by another, and no thread is
//! woken to take it over. One lane a core; a lane without runs sleeps, and few runs wake but one.

use std::io;
use std::num::NonZero;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Runs under way that make a lane busy: then the next one takes its share.
const BUSY: usize = 64;

/// The lanes of one prober. They end when it is dropped.
#[derive(Debug)]
pub struct Lanes {
    handles: Vec<Handle>,
    _open: DropGuard,
}

impl Lanes {
    /// One for each core.
    ///
    /// # Errors
    /// When the system grants no thread.
    pub fn open() -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let open = CancellationToken::new();
        let handles =
            (0..cores).map(|number| lane(number, open.clone())).collect::<io::Result<_>>();
        Ok(Self { handles: handles?, _open: open.drop_guard() })
    }

    /// Where runs are begun best: the first lane that is not busy, or the one with the fewest.
    ///
    /// Runs that go on together cost less: while one is awake for the first answer, it takes the next.
    pub fn best(&self) -> &Handle {
        let runs = |lane: &&Handle| lane.metrics().num_alive_tasks();
        let idle = self.handles.iter().find(|lane| runs(lane) < BUSY);
        let fewest = || self.handles.iter().min_by_key(runs);
        idle.or_else(fewest).expect("a lane for each core")
    }
}

fn lane(number: usize, open: CancellationToken) -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new()
        .name(format!("lane-{number}"))
        .spawn(move || runtime.block_on(open.cancelled_owned()))?;
    Ok(handle)
}
