//! The command line as people and scripts use it: the real binary, against a real API on real stores.
//!
//! `stub` stands in for servers that no real one may be: absent, slow, confused or hostile.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod binary;
mod checks;
mod edits;
mod history;
mod lists;
mod output;
mod runs;
mod secrets;
mod servers;
mod stub;
mod trouble;
mod world;
