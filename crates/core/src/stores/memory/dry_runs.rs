//! Results of dry runs, on their way back.

use std::collections::BTreeMap;
use std::time::Instant;

use async_trait::async_trait;

use super::Memory;
use crate::models::ids::CheckId;
use crate::models::job::RunResult;
use crate::ports::StoreResult;
use crate::ports::dry_runs::DryRuns;
use crate::stores::queue_rules::KEEP_DRY_RUN;

/// Those that nobody has taken yet. They are few: the API lets few wait.
#[derive(Debug, Default)]
pub(super) struct DryResults(BTreeMap<CheckId, (Instant, RunResult)>);

impl DryResults {
    fn put(&mut self, now: Instant, result: RunResult) {
        self.0.retain(|_, (came, _)| now.saturating_duration_since(*came) < KEEP_DRY_RUN);
        self.0.insert(result.check_id, (now, result));
    }
}

#[async_trait]
impl DryRuns for Memory {
    async fn answer(&self, result: &RunResult) -> StoreResult<()> {
        self.lock().dry_results.put(Instant::now(), result.clone());
        Ok(())
    }

    async fn take(&self, id: CheckId) -> StoreResult<Option<RunResult>> {
        Ok(self.lock().dry_results.0.remove(&id).map(|(_, result)| result))
    }
}
