//! The schedule: claims in one transaction that stays open while the jobs are pushed.

use async_trait::async_trait;

use super::{StateTx, outbox, secrets};
use crate::crash::{Point, crash_point};
use crate::models::check_region::CheckRegion;
use crate::models::ids::CheckId;
use crate::models::job::{Job, VersionedSpec};
use crate::models::run::Run;
use crate::models::schedule::Reach;
use crate::ports::StoreResult;
use crate::ports::schedule::Claim;

/// Due slots, held by `tx`.
pub struct SqlClaim<T> {
    tx: T,
    rows: Vec<CheckRegion>,
    jobs: Vec<Job>,
    missed: Vec<Run>,
    full: bool,
}

impl<T: StateTx + Sync + 'static> SqlClaim<T> {
    /// Claims what is within reach, at most `limit`.
    pub async fn of(mut tx: T, reach: Reach, limit: u32) -> StoreResult<Box<dyn Claim>> {
        let mut rows = tx.lock_due(reach, limit).await?;
        if rows.is_empty() {
            return Ok(tx.unchanged(Box::new(NothingDue)).await);
        }
        let full = rows.len() >= limit as usize;
        let (mut jobs, mut missed) = (Vec::with_capacity(rows.len()), Vec::new());
        for (job, runs) in rows.iter_mut().filter_map(|row| row.claim(reach)) {
            jobs.push(job);
            missed.extend(runs);
        }
        Ok(Box::new(Self { tx, rows, jobs, missed, full }))
    }
}

#[async_trait]
impl<T: StateTx + Sync> Claim for SqlClaim<T> {
    fn jobs(&self) -> &[Job] {
        &self.jobs
    }

    fn missed(&self) -> u64 {
        self.missed.iter().map(|run| u64::from(run.slots)).sum()
    }

    fn full(&self) -> bool {
        self.full
    }

    async fn specs(&mut self, checks: &[CheckId]) -> StoreResult<Vec<VersionedSpec>> {
        secrets::specs(&mut self.tx, checks).await
    }

    async fn commit(mut self: Box<Self>) -> StoreResult<()> {
        self.tx.save_regions(&self.rows).await?;
        outbox::seal(&mut self.tx, &self.missed).await?;
        crash_point(Point::SchedulerSaved);
        self.tx.commit().await
    }
}

/// A claim of nothing, which holds no lock.
pub struct NothingDue;

#[async_trait]
impl Claim for NothingDue {
    fn jobs(&self) -> &[Job] {
        &[]
    }

    fn missed(&self) -> u64 {
        0
    }

    fn full(&self) -> bool {
        false
    }

    async fn specs(&mut self, _checks: &[CheckId]) -> StoreResult<Vec<VersionedSpec>> {
        Ok(Vec::new())
    }

    async fn commit(self: Box<Self>) -> StoreResult<()> {
        Ok(())
    }
}
