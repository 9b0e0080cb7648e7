//! What Pulse's server and worker share.
//!
//! `models` decides, `ports` names what is needed, `stores` provides it, `runtime` runs it. Imports
//! go one way: runtime -> stores -> ports -> models.

pub mod models;
pub mod ports;
