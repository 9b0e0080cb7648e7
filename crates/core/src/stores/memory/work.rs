//! The prober's end: jobs come out under a lease, results go in behind a fence.

use std::time::Instant;

use async_trait::async_trait;

use super::{Held, Memory, STORE};
use crate::models::ids::{CheckId, Region};
use crate::models::job::{LeasedJob, RunResult, VersionedSpec};
use crate::ports::StoreResult;
use crate::ports::queue::WorkQueue;
use crate::stores::queue_rules::results_are_full;

#[async_trait]
impl WorkQueue for Memory {
    async fn lease(&self, region: &Region, limit: usize) -> StoreResult<Vec<LeasedJob>> {
        let mut held = self.lock();
        let now = Instant::now();
        let Held { regions, results, .. } = &mut *held;
        let Some(queue) = regions.get_mut(region) else {
            return Ok(Vec::new());
        };
        for given_up in queue.hand_back(now) {
            results.append(given_up);
        }
        Ok(queue.lease(now, limit))
    }

    async fn complete(&self, region: &Region, results: &[RunResult]) -> StoreResult<usize> {
        if results.is_empty() {
            return Ok(0);
        }
        let mut held = self.lock();
        if held.results.waiting_in(region) >= self.options.results_limit {
            return Err(results_are_full(STORE));
        }
        Ok(held.complete(region, results))
    }

    async fn release(&self, region: &Region, jobs: &[LeasedJob]) -> StoreResult<()> {
        if let Some(queue) = self.lock().regions.get_mut(region) {
            for leased in jobs {
                queue.release(leased);
            }
        }
        Ok(())
    }

    async fn specs(
        &self,
        _region: &Region,
        wanted: &[(CheckId, i32)],
    ) -> StoreResult<Vec<VersionedSpec>> {
        let held = self.lock();
        let now = Instant::now();
        Ok(wanted.iter().filter_map(|key| held.specs.get(now, *key)).collect())
    }

    async fn depth(&self, region: &Region) -> StoreResult<u64> {
        Ok(self.lock().regions.get(region).map_or(0, super::jobs::Jobs::depth))
    }
}

impl Held {
    /// Takes the results whose tokens hold; returns how many did not.
    fn complete(&mut self, region: &Region, results: &[RunResult]) -> usize {
        let Some(queue) = self.regions.get_mut(region) else {
            return results.len();
        };
        let mut stale = 0;
        for result in results {
            if queue.end(result.check_id, result.slot, result.attempt) {
                self.results.append(result.clone());
            } else {
                stale += 1;
            }
        }
        stale
    }
}
