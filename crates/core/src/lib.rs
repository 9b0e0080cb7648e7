//! What Pulse's server and worker share.
//!
//! `models` decides, `ports` names what is needed, `stores` provides it, `runtime` runs it. Imports
//! go one way: runtime -> stores -> ports -> models.

pub mod crash;
pub mod metrics;
pub mod models;
pub mod ports;
pub mod runtime;
pub mod stores;
#[cfg(any(test, feature = "testing"))]
#[expect(
    missing_docs,
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "tests panic, and the name of a contract is its documentation"
)]
pub mod testing;
