//! What became of looks for checks that nobody has saved.

use async_trait::async_trait;

use super::StoreResult;
use crate::models::ids::CheckId;
use crate::models::job::RunResult;

/// Where results of dry runs wait, for a minute, for whoever asked.
#[async_trait]
pub trait DryRuns: Send + Sync {
    /// Keeps a result. The same one twice is as good as once.
    async fn answer(&self, result: &RunResult) -> StoreResult<()>;

    /// Takes the result of a dry run away; `None` while there is none.
    async fn take(&self, id: CheckId) -> StoreResult<Option<RunResult>>;
}
