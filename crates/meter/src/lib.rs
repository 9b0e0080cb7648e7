//! What processes take from this machine, as `/proc` tells it, and percentiles of what was measured.
//!
//! Shared by the lab and the benchmark; it knows nothing of Pulse.

pub mod listener;
pub mod process;
pub mod spread;
