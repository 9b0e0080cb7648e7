//! What the server needs of the state store for checks that wait.

use async_trait::async_trait;

use super::StoreResult;
use super::recording::Recorded;
use crate::models::heartbeat::{Ping, PingToken};
use crate::models::schedule::Slot;

/// What became of a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It counts; committed.
    Taken(Recorded),
    /// The check is paused: it changes nothing.
    Paused,
    /// No check waits for that token.
    Unknown,
}

/// What a round came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overdue {
    /// Deadlines told as failures.
    pub failed: u64,
    /// Deadlines that nothing can be said of, because Pulse itself was away.
    pub inconclusive: u64,
    /// What that changed.
    pub recorded: Recorded,
    /// Whether there was more than the limit let through.
    pub full: bool,
}

/// Pings and deadlines. Each call is one transaction with all that comes of it: health, incidents,
/// deliveries, history.
#[async_trait]
pub trait HeartbeatStore: Send + Sync {
    /// Takes a ping that came at `now`.
    async fn ping(&self, token: &PingToken, ping: &Ping, now: Slot) -> StoreResult<Received>;

    /// Says that this server is there to hear pings at `now`. When nobody has said so for longer than
    /// `quiet_ms`, another stretch begins.
    async fn listen(&self, now: Slot, quiet_ms: i64) -> StoreResult<()>;

    /// Judges up to `limit` deadlines that have passed at `now`, oldest first. Nothing is judged while
    /// no stretch of listening lasts.
    ///
    /// Any number of servers may do so at once: a deadline is judged by one of them.
    async fn judge_overdue(&self, now: Slot, limit: u32) -> StoreResult<Overdue>;
}
