//! Threads that do nothing but run probes, each on a runtime of its own.
//!
//! A run begins, waits and ends on one thread: nothing of it is stolen by another, and no thread is
//! woken to take it over. One lane a core; a lane without runs sleeps, and few runs wake but one.

use std::cell::Cell;
use std::io;
use std::num::NonZero;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Runs under way that make a lane busy: then the next one takes its share.
const BUSY: usize = 64;

/// Runs that a lane begins in one tick, 6,400 a second. Of many that are due at once and go to one
/// listener, more would fill its queue, 128 long as a rule, and who is turned away there comes back
/// after a second.
const MOST_A_TICK: u32 = 32;

thread_local! {
    /// The tick of this lane that runs began in last, and how many did.
    static BEGUN: Cell<(u64, u32)> = const { Cell::new((0, 0)) };
}

/// Takes a place among the runs that this thread's lane begins in `tick`; whether there was one.
pub fn begin_in(tick: u64) -> bool {
    let (last, begun) = BEGUN.get();
    let begun = if last == tick { begun } else { 0 };
    if begun < MOST_A_TICK {
        BEGUN.set((tick, begun + 1));
    }
    begun < MOST_A_TICK
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_has_so_many_places_and_the_next_as_many_again() {
        let places = |tick| (0..100).filter(|_| begin_in(tick)).count();

        assert_eq!((places(7), places(7), places(8)), (32, 0, 32));
    }
}
