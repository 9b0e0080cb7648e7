//! Threads that do nothing but run probes, each on a runtime of its own.
//!
//! A run begins, waits and ends on one thread: nothing of it is stolen by another, and no thread is
//! woken to take it over. One lane a core; a lane without runs sleeps.

use std::io;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The lanes of one prober. They end when it is dropped.
#[derive(Debug)]
pub struct Lanes {
    handles: Vec<Handle>,
    turn: AtomicUsize,
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
        Ok(Self { handles: handles?, turn: AtomicUsize::new(0), _open: open.drop_guard() })
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.handles.len()
    }

    /// The next in turn.
    pub fn next(&self) -> &Handle {
        &self.handles[self.turn.fetch_add(1, Ordering::Relaxed) % self.handles.len()]
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
