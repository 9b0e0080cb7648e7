//! Room for what is kept of bodies that are larger than usual: a hundred checks may each ask for a
//! megabyte, and memory is bounded all the same.

use std::sync::Arc;

use pulse_core::models::probe_spec::USUAL_BODY_BYTES;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::probes::ProbeFailure;

/// Kept beyond the usual by all looks together; over sixty of the largest bodies.
const MOST_KIB: usize = 64 * 1024;

/// See the module. Cloning it shares the room.
#[derive(Clone, Debug)]
pub(super) struct Room(Arc<Semaphore>);

/// What a look takes of it, given back when dropped.
pub(in crate::probes) type Taken = Option<OwnedSemaphorePermit>;

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_KIB)))
    }
}

impl Room {
    /// Room for a body of so many bytes. Nobody waits for it: a look that did would blame its target
    /// for the time.
    pub(super) fn take(&self, bytes: u32) -> Result<Taken, ProbeFailure> {
        let beyond = bytes.saturating_sub(USUAL_BODY_BYTES).div_ceil(1024);
        if beyond == 0 {
            return Ok(None);
        }
        let taken = Arc::clone(&self.0).try_acquire_many_owned(beyond);
        taken.map(Some).map_err(|_none_left| {
            ProbeFailure::of_worker("this worker has no room for another large body just now")
        })
    }
}

#[cfg(test)]
mod tests {
    use pulse_core::models::run::{InconclusiveReason, Outcome};

    use super::*;

    #[test]
    fn large_bodies_share_a_room_and_usual_ones_need_none() {
        let room = Room::default();
        let taken: Vec<_> = (0..68).map(|_| room.take(1024 * 1024).unwrap()).collect();

        let refused = room.take(1024 * 1024).unwrap_err();
        assert_eq!(refused.outcome(), Outcome::Inconclusive(InconclusiveReason::Local));
        assert!(room.take(USUAL_BODY_BYTES).unwrap().is_none());

        drop(taken);
        assert!(room.take(1024 * 1024).unwrap().is_some());
    }
}
