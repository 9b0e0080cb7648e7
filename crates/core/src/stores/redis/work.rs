//! The prober's end: jobs come out under a lease, results go in behind a fence.

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use redis::Script;

use super::{Redis, STORE, error, job_id, read_job, spec_suffix, unreadable};
use crate::models::ids::{CheckId, Region};
use crate::models::job::{LeasedJob, ProbeSpec, RunResult, VersionedSpec};
use crate::ports::queue::WorkQueue;
use crate::ports::{StoreError, StoreResult};
use crate::stores::queue_rules::{
    HANDED_BACK_AT_ONCE, LEASE_MARGIN, MOST_DELIVERIES, results_are_full,
};

static LEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/lease.lua")));
static COMPLETE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/complete.lua")));
static RELEASE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/release.lua")));

#[async_trait]
impl WorkQueue for Redis {
    async fn lease(&self, region: &Region, limit: usize) -> StoreResult<Vec<LeasedJob>> {
        let mut connection = self.connection().await?;
        let answer: Vec<redis::Value> = LEASE
            .key(self.key(region, "ready"))
            .key(self.key(region, "jobs"))
            .key(self.key(region, "leases"))
            .key(self.key(region, "results"))
            .arg(limit)
            .arg(LEASE_MARGIN.as_millis())
            .arg(MOST_DELIVERIES)
            .arg(HANDED_BACK_AT_ONCE)
            .arg(region.as_str())
            .invoke_async(&mut connection)
            .await
            .map_err(error)?;
        let words: Vec<String> = answer
            .into_iter()
            .skip(1)
            .map(redis::from_redis_value)
            .collect::<Result<_, _>>()
            .map_err(|e| error(e.into()))?;
        let (jobs, _) = words.as_chunks::<3>();
        let leased = |[id, token, body]: &[String; 3]| {
            Some(LeasedJob { job: read_job(region, id, body)?, token: token.parse().ok()? })
        };
        jobs.iter().map(leased).collect::<Option<Vec<_>>>().ok_or_else(|| unreadable("a job"))
    }

    async fn complete(&self, region: &Region, results: &[RunResult]) -> StoreResult<usize> {
        if results.is_empty() {
            return Ok(0);
        }
        let mut call = COMPLETE.prepare_invoke();
        call.key(self.key(region, "jobs"))
            .key(self.key(region, "leases"))
            .key(self.key(region, "results"))
            .arg(self.options.queue.results_limit);
        for result in results {
            let body = serde_json::to_string(result)
                .map_err(|source| StoreError::Refused { store: STORE, source: source.into() })?;
            call.arg(job_id(result.check_id, result.slot)).arg(result.attempt).arg(body);
        }
        let mut connection = self.connection().await?;
        let stale: i64 = call.invoke_async(&mut connection).await.map_err(error)?;
        usize::try_from(stale).map_err(|_negative| results_are_full(STORE))
    }

    async fn release(&self, region: &Region, jobs: &[LeasedJob]) -> StoreResult<()> {
        if jobs.is_empty() {
            return Ok(());
        }
        let mut call = RELEASE.prepare_invoke();
        call.key(self.key(region, "ready"))
            .key(self.key(region, "jobs"))
            .key(self.key(region, "leases"));
        for leased in jobs {
            call.arg(job_id(leased.job.check_id, leased.job.slot)).arg(leased.token);
        }
        let mut connection = self.connection().await?;
        call.invoke_async(&mut connection).await.map_err(error)
    }

    async fn specs(
        &self,
        region: &Region,
        wanted: &[(CheckId, i32)],
    ) -> StoreResult<Vec<VersionedSpec>> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<String> = wanted
            .iter()
            .map(|(check, version)| self.key(region, "spec:") + &spec_suffix(*check, *version))
            .collect();
        let mut connection = self.connection().await?;
        let bodies: Vec<Option<String>> =
            redis::cmd("MGET").arg(keys).query_async(&mut connection).await.map_err(error)?;
        let spec = |((check_id, version), body): (&(CheckId, i32), Option<String>)| {
            let spec: ProbeSpec = serde_json::from_str(&body?).ok()?;
            Some(VersionedSpec { check_id: *check_id, version: *version, spec: Arc::new(spec) })
        };
        Ok(wanted.iter().zip(bodies).filter_map(spec).collect())
    }

    async fn depth(&self, region: &Region) -> StoreResult<u64> {
        let mut connection = self.connection().await?;
        redis::cmd("LLEN")
            .arg(self.key(region, "ready"))
            .query_async(&mut connection)
            .await
            .map_err(error)
    }
}
