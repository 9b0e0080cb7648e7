//! `pulse probe` as a person or a script meets it: the real binary against real servers on loopback.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod certificates;
mod echoes;
mod looks;
mod probing;
mod series;
mod servers;
mod usage;
