//! History on its way: sealed by the transaction that made it.

use super::StateTx;
use crate::models::ids::BatchId;
use crate::models::run::Run;
use crate::ports::StoreResult;
use crate::stores::history_row;

/// Batches in one shipment: up to some tens of thousands of rows, a few megabytes.
pub const BATCHES: i64 = 100;

/// Keeps `runs` until the shipper has taken them, in the caller's transaction.
pub async fn seal<T: StateTx>(tx: &mut T, runs: &[Run]) -> StoreResult<()> {
    if runs.is_empty() {
        return Ok(());
    }
    tx.noted().note_runs(runs);
    tx.insert_batch(BatchId::generate(), &history_row::seal(runs), runs.len()).await
}
