//! Pings that came, and could not be recorded: as good as not heard.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many of them there were in this process. Clones share the count.
#[derive(Clone, Debug, Default)]
pub struct LostPings(Arc<AtomicU64>);

impl LostPings {
    /// One more.
    pub fn note(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// So far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}
