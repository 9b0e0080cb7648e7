//! The scheduler's end: jobs and their definitions go in.

use std::collections::BTreeMap;
use std::time::Instant;

use async_trait::async_trait;

use super::jobs::{Jobs, key};
use super::{Held, Memory};
use crate::models::ids::Region;
use crate::models::job::{Job, VersionedSpec};
use crate::ports::StoreResult;
use crate::ports::queue::{Dispatch, Pushed};

#[async_trait]
impl Dispatch for Memory {
    async fn push(&self, jobs: &[Job]) -> StoreResult<Pushed> {
        let mut held = self.lock();
        let (now, mut pushed) = (Instant::now(), Pushed::default());
        for jobs in jobs.chunk_by(|one, next| one.region == next.region) {
            held.push_region(now, jobs, self.options.queue_limit, &mut pushed);
        }
        Ok(pushed)
    }

    async fn put_specs(&self, _region: &Region, specs: &[VersionedSpec]) -> StoreResult<()> {
        // All regions' probers are in this process and share one copy.
        let mut held = self.lock();
        let now = Instant::now();
        for spec in specs {
            held.specs.put(now, spec);
        }
        Ok(())
    }
}

impl Held {
    /// Adds jobs that are all of one region.
    fn push_region(&mut self, now: Instant, jobs: &[Job], most: u64, pushed: &mut Pushed) {
        let Some(first) = jobs.first() else {
            return;
        };
        let queue = queue_of(&mut self.regions, now, &first.region);
        queue.clear_late(now);
        for job in jobs {
            // One whose result waits was pushed by a claim that could not be kept. Looked at again, it
            // would be looked at for as long as the store takes nothing.
            if queue.knows(job) || self.results.has(&job.region, key(job)) {
                continue;
            }
            if !self.specs.renew(now, (job.check_id, job.version)) {
                pushed.lacking_spec.push(job.clone());
            } else if queue.depth() >= most {
                pushed.dropped += 1;
            } else {
                queue.push(now, job.clone());
            }
        }
    }
}

/// The region's queue. A new one takes the place of those that hold nothing any more, so that regions
/// which come and go leave nothing behind.
fn queue_of<'a>(
    regions: &'a mut BTreeMap<Region, Jobs>,
    now: Instant,
    region: &Region,
) -> &'a mut Jobs {
    if !regions.contains_key(region) {
        regions.retain(|_, queue| {
            queue.clear_late(now);
            !queue.is_empty()
        });
    }
    regions.entry(region.clone()).or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::contracts::queue::a_job;

    #[test]
    fn regions_that_come_and_go_leave_nothing_behind() {
        let now = Instant::now();
        let mut regions = BTreeMap::new();
        let waiting = ("waiting", a_job(1));
        let late = ("late", Job { start_within_ms: -1, ..a_job(1) });
        for (name, job) in [waiting, late] {
            queue_of(&mut regions, now, &Region::parse(name).unwrap()).push(now, job);
        }
        queue_of(&mut regions, now, &Region::parse("empty").unwrap());

        queue_of(&mut regions, now, &Region::parse("new").unwrap());

        let left: Vec<&str> = regions.keys().map(Region::as_str).collect();
        assert_eq!(left, ["new", "waiting"]);
    }
}
