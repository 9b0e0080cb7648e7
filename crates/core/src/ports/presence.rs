//! Who is at work: workers say so, the server sums them up.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::StoreResult;

/// What a worker says of itself every few seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerReport {
    /// Host, process and a random part: never the same twice.
    pub worker: String,
    /// Where it stands.
    pub region: String,
    /// Its version.
    pub version: String,
    /// Since it started.
    pub uptime_seconds: u64,
    /// Runs finished since it started.
    pub checks_executed_total: u64,
    /// Of these, those that failed.
    pub checks_failed_total: u64,
    /// Alerts delivered since it started.
    pub alerts_sent_total: u64,
    /// Sum of the latencies of all runs, in milliseconds.
    pub latency_ms_sum: f64,
    /// Runs under way.
    pub active_jobs: u64,
    /// Jobs waiting in its region.
    pub queue_depth: u64,
}

/// The list of live workers.
#[async_trait]
pub trait Presence: Send + Sync {
    /// Says that a worker is alive; forgotten after 15 s without another word.
    async fn report(&self, report: &WorkerReport) -> StoreResult<()>;

    /// Takes a worker off the list: it is leaving.
    async fn leave(&self, worker: &str) -> StoreResult<()>;

    /// Those alive.
    async fn workers(&self) -> StoreResult<Vec<WorkerReport>>;
}
