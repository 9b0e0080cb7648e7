//! The benchmark: Pulse measured on the machine it stands on.
//!
//! Everything is on loopback, bounded and drawn from a seed. `floor` tells the least that a look can
//! cost here and now; everything else is told beside it, because machines differ and are shared.
//! CPU is what the kernel accounted to a process, never the time that went by.
//!
//! `bench` runs the `stages`; `target` and `looks` run in processes of their own, so that their CPU
//! is apart; `fleet` starts Pulse itself as users start it, and `stack` knows what it stands on. How
//! the report is shown is left to the caller.

mod bare;
pub mod bench;
mod child;
mod fleet;
mod hits;
pub mod looks;
mod machine;
mod meters;
pub mod options;
mod past;
mod progress;
pub mod report;
mod seeded;
pub mod servers;
pub mod shape;
pub mod stack;
pub mod stages;
pub mod target;

pub use bench::run;
