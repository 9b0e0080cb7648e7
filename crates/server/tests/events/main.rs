//! Live events over real connections: who hears what, and what becomes of clients that misbehave.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod hearing;
mod misbehaving;
mod sockets;
mod stopping;
mod streams;
mod world;
