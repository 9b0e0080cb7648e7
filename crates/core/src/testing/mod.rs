//! For tests: real stores of one's own, a clock that moves when told, fixtures that speak, and the
//! contract every adapter of a port must keep.

pub mod contracts;
mod clock;
mod fixtures;
mod servers;

pub use clock::ManualClock;
pub use fixtures::{CheckBuilder, a_check, a_result};
pub use servers::{HistoryIn, TestStores, config, stores, stores_with};
