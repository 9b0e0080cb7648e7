//! Who is at work.

use async_trait::async_trait;

use super::{Redis, error};
use crate::ports::StoreResult;
use crate::ports::presence::{Presence, WorkerReport};
use crate::stores::queue_rules::ALIVE;

#[async_trait]
impl Presence for Redis {
    async fn report(&self, report: &WorkerReport) -> StoreResult<()> {
        let body = serde_json::to_string(report).unwrap_or_default();
        let mut connection = self.connection().await?;
        redis::pipe()
            .set_ex(self.worker_key(&report.worker), body, ALIVE.as_secs())
            .ignore()
            .sadd(self.presence_key("names"), &report.worker)
            .ignore()
            .query_async(&mut connection)
            .await
            .map_err(error)
    }

    async fn leave(&self, worker: &str) -> StoreResult<()> {
        let mut connection = self.connection().await?;
        redis::pipe()
            .del(self.worker_key(worker))
            .ignore()
            .srem(self.presence_key("names"), worker)
            .ignore()
            .query_async(&mut connection)
            .await
            .map_err(error)
    }

    async fn workers(&self) -> StoreResult<Vec<WorkerReport>> {
        let mut connection = self.connection().await?;
        let names: Vec<String> = redis::cmd("SMEMBERS")
            .arg(self.presence_key("names"))
            .query_async(&mut connection)
            .await
            .map_err(error)?;
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<String> = names.iter().map(|name| self.worker_key(name)).collect();
        let bodies: Vec<Option<String>> =
            redis::cmd("MGET").arg(keys).query_async(&mut connection).await.map_err(error)?;
        let gone: Vec<&String> = names
            .iter()
            .zip(&bodies)
            .filter_map(|(name, body)| body.is_none().then_some(name))
            .collect();
        if !gone.is_empty() {
            let () = redis::cmd("SREM")
                .arg(self.presence_key("names"))
                .arg(gone)
                .query_async(&mut connection)
                .await
                .map_err(error)?;
        }
        let reports =
            bodies.into_iter().flatten().filter_map(|body| serde_json::from_str(&body).ok());
        Ok(reports.collect())
    }
}

impl Redis {
    fn worker_key(&self, worker: &str) -> String {
        self.presence_key("report:") + worker
    }

    /// Under one hash tag: all reports are asked for at once.
    fn presence_key(&self, part: &str) -> String {
        format!("{}:{{workers}}:{part}", self.options.prefix)
    }
}
