//! The time slots are measured by.

use crate::models::schedule::Slot;

/// The state store's time, which all servers share; never a host's own wall clock.
pub trait Clock: Send + Sync {
    /// Now, in milliseconds since the Unix epoch. Never goes back within one process.
    fn now(&self) -> Slot;
}
