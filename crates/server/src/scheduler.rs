//! Hands due slots to the queue, and keeps the schedule fit.
//!
//! Claims in a transaction, pushes, then commits: a crash between the two means the same jobs are
//! pushed again and ignored. It never looks at a target and never judges; see the worker.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use pulse_core::crash::{Point, crash_point};
use pulse_core::metrics::Metrics;
use pulse_core::models::ids::{CheckId, Region};
use pulse_core::models::job::{Job, VersionedSpec};
use pulse_core::models::schedule::Reach;
use pulse_core::ports::StoreResult;
use pulse_core::ports::clock::Clock;
use pulse_core::ports::queue::Dispatch;
use pulse_core::ports::schedule::{Claim, ScheduleStore};
use pulse_core::ports::state::StateUpkeep;
use pulse_core::runtime::loops::Pace;
use pulse_core::stores::Stores;

/// How far ahead of its slot a job is handed out: time to claim it, to push it, and to lease it.
const AHEAD_MS: i64 = 100;
/// Slots claimed in one transaction.
const BATCH: u32 = 1_000;

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Scheduler {
    schedule: Arc<dyn ScheduleStore>,
    dispatch: Arc<dyn Dispatch>,
    upkeep: Arc<dyn StateUpkeep>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

impl Scheduler {
    /// A scheduler on these stores.
    #[must_use]
    pub fn new(stores: &Stores, metrics: Metrics) -> Self {
        Self {
            schedule: stores.schedule.clone(),
            dispatch: stores.dispatch.clone(),
            upkeep: stores.upkeep.clone(),
            clock: stores.clock.clone(),
            metrics,
        }
    }

    /// One round: whatever is due goes into the queue.
    pub async fn claim(&self) -> StoreResult<Pace> {
        let timer = self.metrics.claim_seconds.start_timer();
        let mut claim =
            self.schedule.claim_due(Reach::ahead(self.clock.now(), AHEAD_MS), BATCH).await?;
        if claim.jobs().is_empty() {
            timer.stop_and_discard();
            return Ok(Pace::Rest);
        }
        crash_point(Point::SchedulerClaimed);
        self.push(&mut *claim).await?;
        crash_point(Point::SchedulerPushed);
        let (jobs, missed) = (claim.jobs().len() as u64, claim.missed());
        let pace = if claim.full() { Pace::Again } else { Pace::Rest };
        claim.commit().await?;
        crash_point(Point::SchedulerCommitted);
        self.metrics.slots_claimed.inc_by(jobs);
        self.metrics.slots_missed.with_label_values(&["scheduler"]).inc_by(missed);
        timer.observe_duration();
        Ok(pace)
    }

    async fn push(&self, claim: &mut dyn Claim) -> StoreResult<()> {
        let pushed = self.dispatch.push(claim.jobs()).await?;
        self.metrics.jobs_dropped.inc_by(pushed.dropped);
        if pushed.lacking_spec.is_empty() {
            return Ok(());
        }
        let wanted: HashSet<CheckId> = pushed.lacking_spec.iter().map(|job| job.check_id).collect();
        let specs = claim.specs(&Vec::from_iter(wanted)).await?;
        for (region, specs) in by_region(&pushed.lacking_spec, &specs) {
            self.dispatch.put_specs(region, &specs).await?;
        }
        crash_point(Point::SchedulerSpecsPut);
        let again = self.dispatch.push(&pushed.lacking_spec).await?;
        self.metrics.jobs_dropped.inc_by(again.dropped + again.lacking_spec.len() as u64);
        Ok(())
    }

    /// Follows the store's clock, and measures how far behind the schedule is.
    pub async fn watch_the_time(&self) -> StoreResult<Pace> {
        self.upkeep.sync_clock().await?;
        let lag_ms = self.schedule.oldest_due_ms(self.clock.now()).await?;
        #[expect(
            clippy::cast_precision_loss,
            reason = "a delay in milliseconds stays far below 2^52"
        )]
        self.metrics.schedule_lag_seconds.set(lag_ms as f64 / 1000.0);
        Ok(Pace::Rest)
    }

    /// Forgets what nobody needs any more.
    pub async fn forget(&self) -> StoreResult<Pace> {
        let more = self.schedule.forget_old(self.clock.now()).await?;
        Ok(if more { Pace::Again } else { Pace::Rest })
    }
}

fn by_region<'a>(
    jobs: &'a [Job],
    specs: &[VersionedSpec],
) -> BTreeMap<&'a Region, Vec<VersionedSpec>> {
    let mut wanted: BTreeMap<&Region, HashSet<CheckId>> = BTreeMap::new();
    for job in jobs {
        wanted.entry(&job.region).or_default().insert(job.check_id);
    }
    let of_region = |checks: &HashSet<CheckId>| {
        specs.iter().filter(|it| checks.contains(&it.check_id)).cloned().collect()
    };
    wanted.iter().map(|(region, checks)| (*region, of_region(checks))).collect()
}
