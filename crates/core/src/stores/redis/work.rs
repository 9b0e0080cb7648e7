//! The prober's end: jobs come out under a lease, results go in behind a fence.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use redis::Script;

use super::{Connection, MOST_AT_ONCE, Redis, STORE, error, job_id, unreadable};
use crate::models::ids::{CheckId, Region};
use crate::models::job::{Job, LeasedJob, RunResult, VersionedSpec};
use crate::models::probe_spec::ProbeSpec;
use crate::models::schedule::Slot;
use crate::ports::queue::WorkQueue;
use crate::ports::{StoreError, StoreResult};
use crate::stores::queue_rules::{LEASE_MARGIN, MOST_DELIVERIES, results_are_full};

static LEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/lease.lua")));
static COMPLETE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/complete.lua")));
static RELEASE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/release.lua")));

#[async_trait]
impl WorkQueue for Redis {
    async fn lease(&self, region: &Region, limit: usize) -> StoreResult<Vec<LeasedJob>> {
        let mut connection = self.connection().await?;
        let jobs: Vec<String> = LEASE
            .key(self.key(region, "ready"))
            .key(self.key(region, "jobs"))
            .key(self.key(region, "leases"))
            .key(self.key(region, "results"))
            .key(self.key(region, "last_lease"))
            .arg(limit.min(MOST_AT_ONCE))
            .arg(LEASE_MARGIN.as_millis())
            .arg(MOST_DELIVERIES)
            .arg(MOST_AT_ONCE)
            .arg(region.as_str())
            .invoke_async(&mut connection)
            .await
            .map_err(error)?;
        let read = |job: &String| read_job(region, job).ok_or_else(|| unreadable("a job"));
        jobs.iter().map(read).collect()
    }

    async fn complete(&self, region: &Region, results: &[RunResult]) -> StoreResult<usize> {
        if results.is_empty() {
            return Ok(0);
        }
        let mut connection = self.connection().await?;
        let mut stale = 0;
        for results in results.chunks(MOST_AT_ONCE) {
            stale += self.complete_some(&mut connection, region, results).await?;
        }
        Ok(stale)
    }

    async fn release(&self, region: &Region, jobs: &[LeasedJob]) -> StoreResult<()> {
        if jobs.is_empty() {
            return Ok(());
        }
        let mut call = RELEASE.prepare_invoke();
        call.key(self.key(region, "ready")).key(self.key(region, "jobs"));
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
        let keys: Vec<String> =
            wanted.iter().map(|(check, version)| self.spec_key(region, *check, *version)).collect();
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

impl Redis {
    /// Returns how many were stale.
    async fn complete_some(
        &self,
        connection: &mut Connection,
        region: &Region,
        results: &[RunResult],
    ) -> StoreResult<usize> {
        let mut call = COMPLETE.prepare_invoke();
        call.key(self.key(region, "jobs"))
            .key(self.key(region, "results"))
            .arg(self.options.queue.results_limit);
        for result in results {
            let body = serde_json::to_string(result)
                .map_err(|source| StoreError::Refused { store: STORE, source: source.into() })?;
            call.arg(job_id(result.check_id, result.slot)).arg(result.attempt).arg(body);
        }
        let stale: i64 = call.invoke_async(connection).await.map_err(error)?;
        usize::try_from(stale).map_err(|_negative| results_are_full(STORE))
    }
}

/// `check:slot`, then what `scripts/lease.lua` tells of it.
fn read_job(region: &Region, told: &str) -> Option<LeasedJob> {
    let mut parts = told.split(',');
    let (check, slot) = parts.next()?.split_once(':')?;
    let token = parts.next()?.parse().ok()?;
    let due_in = Duration::from_millis(parts.next()?.parse().ok()?);
    let timeout_ms = parts.next()?.parse().ok()?;
    let (_due_at, _start_by) = (parts.next()?, parts.next()?);
    let job = Job {
        check_id: CheckId(check.parse().ok()?),
        region: region.clone(),
        slot: Slot(slot.parse().ok()?),
        version: parts.next()?.parse().ok()?,
        timeout_ms,
        due_in_ms: parts.next()?.parse().ok()?,
        start_within_ms: parts.next()?.parse().ok()?,
    };
    Some(LeasedJob { job, token, due_in })
}
