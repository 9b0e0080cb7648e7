//! Results on their way back to the queue.

use std::time::Duration;

use pulse_core::crash::{Point, crash_point};
use pulse_core::models::job::RunResult;
use pulse_core::runtime::telemetry::chain;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tracing::warn;

use super::{BATCH, Finished, Prober};

/// How long results wait for company on their way back.
const GATHER: Duration = Duration::from_millis(20);
/// How long to wait before handing results in again.
const RETRY: Duration = Duration::from_millis(200);

impl Prober {
    /// Hands results in until every sender is gone. A result is kept until the queue has taken it.
    pub(super) async fn hand_in(self, mut results: mpsc::Receiver<Finished>) {
        let mut batch: Vec<Finished> = Vec::with_capacity(BATCH);
        while results.recv_many(&mut batch, BATCH).await > 0 {
            if batch.len() < BATCH {
                tokio::time::sleep(GATHER).await;
                while batch.len() < BATCH
                    && let Ok(more) = results.try_recv()
                {
                    batch.push(more);
                }
            }
            let (ready, permits): (Vec<RunResult>, Vec<OwnedSemaphorePermit>) =
                batch.drain(..).unzip();
            self.complete(&ready).await;
            crash_point(Point::ProberCompleted);
            drop(permits);
        }
    }

    async fn complete(&self, results: &[RunResult]) {
        let mut told = false;
        loop {
            match self.0.work.complete(&self.0.region, results).await {
                Ok(stale) => return self.0.metrics.completions_stale.inc_by(stale as u64),
                Err(error) if !told => {
                    warn!(
                        error = chain(&error),
                        results = results.len(),
                        "results cannot be handed in; trying on"
                    );
                    told = true;
                }
                Err(_told) => {}
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}
