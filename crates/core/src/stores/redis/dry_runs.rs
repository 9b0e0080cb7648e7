//! Results of dry runs, on their way back.

use async_trait::async_trait;
use redis::AsyncCommands;

use super::{Redis, error};
use crate::models::ids::CheckId;
use crate::models::job::RunResult;
use crate::ports::StoreResult;
use crate::ports::dry_runs::DryRuns;
use crate::stores::queue_rules::KEEP_DRY_RUN;

#[async_trait]
impl DryRuns for Redis {
    async fn answer(&self, result: &RunResult) -> StoreResult<()> {
        let body = serde_json::to_string(result).unwrap_or_default();
        let mut connection = self.connection().await?;
        let key = self.dry_run_key(result.check_id);
        connection.set_ex(key, body, KEEP_DRY_RUN.as_secs()).await.map_err(error)
    }

    async fn take(&self, id: CheckId) -> StoreResult<Option<RunResult>> {
        let mut connection = self.connection().await?;
        let body: Option<String> = connection.get_del(self.dry_run_key(id)).await.map_err(error)?;
        Ok(body.and_then(|body| serde_json::from_str(&body).ok()))
    }
}

impl Redis {
    fn dry_run_key(&self, id: CheckId) -> String {
        self.shared_key("dry-run:") + &id.0.simple().to_string()
    }
}
