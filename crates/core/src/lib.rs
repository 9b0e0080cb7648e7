//! What Pulse's server and worker share.
//!
//! `models` decides, `ports` names what is needed, `stores` provides it, `runtime` runs it. Imports
//! go one way: runtime -> stores -> ports -> models.

pub mod metrics;
pub mod models;
pub mod ports;
pub mod runtime;
pub mod stores;
#[cfg(any(test, feature = "testing"))]
#[expect(clippy::missing_panics_doc, reason = "tests panic, and say why")]
pub mod testing;
