//! Recording; its rules are shared.

use async_trait::async_trait;

use super::Sqlite;
use crate::models::job::RunResult;
use crate::models::schedule::Slot;
use crate::ports::StoreResult;
use crate::ports::recording::{RecordStore, Recorded};
use crate::stores::sql::recording;

#[async_trait]
impl RecordStore for Sqlite {
    async fn record(&self, results: &[RunResult], now: Slot) -> StoreResult<Recorded> {
        if results.is_empty() {
            return Ok(Recorded::default());
        }
        recording::record(self.begin().await?, results, now).await
    }
}
