//! The scheduler's end: jobs and their definitions go in.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use async_trait::async_trait;
use redis::Script;

use super::{MOST_AT_ONCE, Redis, error, job_id};
use crate::models::ids::Region;
use crate::models::job::{Job, VersionedSpec};
use crate::ports::StoreResult;
use crate::ports::queue::{Dispatch, Pushed};
use crate::stores::queue_rules::{CLEARED_AT_ONCE, KEEP_SPEC};

/// One push in so many begins anew the time that its specs are kept: a check looked at often keeps its
/// own, and one looked at rarely is sent back for it now and then.
const RENEWED: u32 = 16;

static PUSH: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/push.lua")));

#[async_trait]
impl Dispatch for Redis {
    async fn push(&self, jobs: &[Job]) -> StoreResult<Pushed> {
        let mut by_region: BTreeMap<&Region, Vec<&Job>> = BTreeMap::new();
        for job in jobs {
            by_region.entry(&job.region).or_default().push(job);
        }
        let mut pushed = Pushed::default();
        for (region, jobs) in by_region {
            for jobs in jobs.chunks(MOST_AT_ONCE) {
                self.push_region(region, jobs, &mut pushed).await?;
            }
        }
        Ok(pushed)
    }

    async fn put_specs(&self, region: &Region, specs: &[VersionedSpec]) -> StoreResult<()> {
        if specs.is_empty() {
            return Ok(());
        }
        let mut pipe = redis::pipe();
        for spec in specs {
            let key = self.spec_key(region, spec.check_id, spec.version);
            let body = serde_json::to_string(&*spec.spec).unwrap_or_default();
            pipe.set_ex(key, body, KEEP_SPEC.as_secs()).ignore();
        }
        let mut connection = self.connection().await?;
        pipe.query_async(&mut connection).await.map_err(error)
    }
}

impl Redis {
    async fn push_region(
        &self,
        region: &Region,
        jobs: &[&Job],
        pushed: &mut Pushed,
    ) -> StoreResult<()> {
        let mut connection = self.connection().await?;
        self.announce(&mut connection, region).await?;
        let mut call = PUSH.prepare_invoke();
        call.key(self.key(region, "ready"))
            .key(self.key(region, "jobs"))
            .arg(self.options.queue.queue_limit)
            .arg(CLEARED_AT_ONCE)
            .arg(KEEP_SPEC.as_secs())
            .arg(u8::from(rand::random_ratio(1, RENEWED)));
        for job in jobs {
            call.key(self.spec_key(region, job.check_id, job.version))
                .arg(job_id(job.check_id, job.slot))
                .arg(job.version)
                .arg(job.timeout_ms)
                .arg(job.due_in_ms)
                .arg(job.start_within_ms);
        }
        let answer: Vec<u64> = call.invoke_async(&mut connection).await.map_err(error)?;
        pushed.dropped += answer.first().copied().unwrap_or_default();
        let lacking =
            answer.iter().skip(1).filter_map(|place| jobs.get(usize::try_from(*place).ok()?));
        pushed.lacking_spec.extend(lacking.map(|job| (*job).clone()));
        Ok(())
    }
}
