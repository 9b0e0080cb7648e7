//! What a queue must keep: jobs once, leases with a fence, results in one step, nothing lost that can
//! be kept.

use std::collections::BTreeSet;

use crate::models::ids::{CheckId, Region};
use crate::models::job::{Job, VersionedSpec};
use crate::models::run::{MissedReason, Outcome};
use crate::models::schedule::Slot;
use crate::ports::queue::{Dispatch, Entry, ResultQueue, WorkQueue};
use crate::testing::{a_check, a_result, eventually};

/// A queue of the test's own.
pub struct Queue<'a> {
    pub dispatch: &'a dyn Dispatch,
    pub work: &'a dyn WorkQueue,
    pub results: &'a dyn ResultQueue,
}

/// A job for a slot long ago, worth starting for an hour to come.
#[must_use]
pub fn a_job(timeout_ms: u32) -> Job {
    Job {
        check_id: CheckId::generate(),
        region: Region::default(),
        slot: Slot(1_790_000_000_000),
        version: 1,
        timeout_ms,
        start_within_ms: 3_600_000,
    }
}

fn spec_of(job: &Job) -> VersionedSpec {
    let spec = a_check().build().config.probe_spec();
    VersionedSpec { check_id: job.check_id, version: job.version, spec: spec.into() }
}

impl Queue<'_> {
    async fn push(&self, jobs: &[Job]) {
        for job in jobs {
            self.dispatch.put_specs(&job.region, &[spec_of(job)]).await.unwrap();
        }
        let pushed = self.dispatch.push(jobs).await.unwrap();
        assert_eq!((pushed.lacking_spec.len(), pushed.dropped), (0, 0));
    }

    async fn drain_results(&self) -> Vec<Entry> {
        let entries = self.results.read(1_000).await.unwrap();
        self.results.ack(&entries).await.unwrap();
        entries
    }
}

pub async fn a_job_pushed_twice_is_handed_out_once(queue: Queue<'_>) {
    let job = a_job(1_000);
    queue.push(std::slice::from_ref(&job)).await;
    queue.push(std::slice::from_ref(&job)).await;

    let first = queue.work.lease(&job.region, 10).await.unwrap();
    queue.push(std::slice::from_ref(&job)).await;
    let second = queue.work.lease(&job.region, 10).await.unwrap();

    assert_eq!((first.len(), second.len()), (1, 0));
    assert_eq!((&first[0].job, first[0].token), (&job, 1));
}

pub async fn a_job_without_its_spec_is_sent_back_for_it(queue: Queue<'_>) {
    let job = a_job(1_000);

    let lacking = queue.dispatch.push(std::slice::from_ref(&job)).await.unwrap();
    queue.push(std::slice::from_ref(&job)).await;
    let specs =
        queue.work.specs(&job.region, &[(job.check_id, 1), (job.check_id, 2)]).await.unwrap();

    assert_eq!(lacking.lacking_spec, vec![job.clone()]);
    assert_eq!(specs, vec![spec_of(&job)]);
    assert_eq!(queue.work.lease(&job.region, 10).await.unwrap().len(), 1);
}

pub async fn jobs_come_out_oldest_first_and_to_one_worker_each(queue: Queue<'_>) {
    let jobs: Vec<Job> = (0..100).map(|_| a_job(1_000)).collect();
    queue.push(&jobs).await;

    let region = Region::default();
    let (a, b, c) = tokio::join!(
        queue.work.lease(&region, 40),
        queue.work.lease(&region, 40),
        queue.work.lease(&region, 40)
    );

    let leased: Vec<_> =
        [a, b, c].into_iter().flat_map(Result::unwrap).map(|leased| leased.job.check_id).collect();
    assert_eq!(leased.len(), 100);
    assert_eq!(leased.iter().collect::<BTreeSet<_>>().len(), 100);
    assert_eq!(queue.work.depth(&region).await.unwrap(), 0);
}

pub async fn a_completion_ends_the_lease_and_appends_one_result(queue: Queue<'_>) {
    let job = a_job(1_000);
    queue.push(std::slice::from_ref(&job)).await;
    let leased = queue.work.lease(&job.region, 1).await.unwrap().remove(0);
    let result = a_result(&job).under_token(leased.token).build();

    let first = queue.work.complete(&job.region, std::slice::from_ref(&result)).await.unwrap();
    let repeated = queue.work.complete(&job.region, std::slice::from_ref(&result)).await.unwrap();

    assert_eq!((first, repeated), (0, 1), "the repetition is stale");
    let entries = queue.drain_results().await;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].result, Some(result));
    assert_eq!(queue.drain_results().await.len(), 0);
}

pub async fn a_zombie_whose_lease_ran_out_changes_nothing(queue: Queue<'_>) {
    let job = a_job(1);
    queue.push(std::slice::from_ref(&job)).await;
    let zombie = queue.work.lease(&job.region, 1).await.unwrap().remove(0);

    let heir = eventually("the lease runs out", async || {
        queue.work.lease(&job.region, 1).await.unwrap().pop()
    })
    .await;
    let from_zombie = a_result(&job).failed().under_token(zombie.token).build();
    let from_heir = a_result(&job).under_token(heir.token).build();
    let stale = queue.work.complete(&job.region, &[from_zombie]).await.unwrap();
    let fresh = queue.work.complete(&job.region, std::slice::from_ref(&from_heir)).await.unwrap();

    assert_eq!((zombie.token, heir.token), (1, 2));
    assert_eq!((stale, fresh), (1, 0));
    let results: Vec<_> =
        queue.drain_results().await.into_iter().map(|entry| entry.result).collect();
    assert_eq!(results, vec![Some(from_heir)]);
}

pub async fn a_zombie_hands_nothing_back(queue: Queue<'_>) {
    let job = a_job(1);
    queue.push(std::slice::from_ref(&job)).await;
    let zombie = queue.work.lease(&job.region, 1).await.unwrap();
    let heir = eventually("the lease runs out", async || {
        queue.work.lease(&job.region, 1).await.unwrap().pop()
    })
    .await;

    queue.work.release(&job.region, &zombie).await.unwrap();

    assert_eq!(queue.work.depth(&job.region).await.unwrap(), 0, "its heir looks already");
    let from_heir = a_result(&job).under_token(heir.token).build();
    assert_eq!(queue.work.complete(&job.region, &[from_heir]).await.unwrap(), 0);
}

pub async fn a_job_that_kills_three_workers_ends_as_missed(queue: Queue<'_>) {
    let job = a_job(1);
    queue.push(std::slice::from_ref(&job)).await;
    for token in 1..=3 {
        let leased = eventually("the job comes again", async || {
            queue.work.lease(&job.region, 1).await.unwrap().pop()
        });
        assert_eq!(leased.await.token, token);
    }

    let entry = eventually("it is given up", async || {
        assert!(queue.work.lease(&job.region, 1).await.unwrap().is_empty(), "never a fourth time");
        queue.drain_results().await.pop()
    });

    let result = entry.await.result.unwrap();
    assert_eq!((result.check_id, result.slot), (job.check_id, job.slot));
    assert_eq!(result.outcome, Outcome::Missed(MissedReason::WorkerCrash));
}

pub async fn a_released_job_is_there_at_once_for_another(queue: Queue<'_>) {
    let job = a_job(60_000);
    queue.push(std::slice::from_ref(&job)).await;
    let leased = queue.work.lease(&job.region, 1).await.unwrap();

    queue.work.release(&job.region, &leased).await.unwrap();
    let again = queue.work.lease(&job.region, 1).await.unwrap();

    assert_eq!(again.len(), 1);
    assert_eq!(again[0].token, 1, "a delivery that was handed back does not count");
}

pub async fn a_job_past_its_window_is_dropped(queue: Queue<'_>) {
    let late = Job { start_within_ms: -1, ..a_job(1_000) };
    let fresh = a_job(1_000);
    queue.push(&[late, fresh.clone()]).await;

    let leased = queue.work.lease(&fresh.region, 10).await.unwrap();

    assert_eq!(leased.into_iter().map(|leased| leased.job).collect::<Vec<_>>(), vec![fresh]);
}

pub async fn results_not_acknowledged_come_again_to_another_recorder(
    queue: Queue<'_>,
    other: &dyn ResultQueue,
) {
    let jobs: Vec<Job> = (0..3).map(|_| a_job(1_000)).collect();
    queue.push(&jobs).await;
    for leased in queue.work.lease(&Region::default(), 3).await.unwrap() {
        let result = a_result(&leased.job).under_token(leased.token).build();
        queue.work.complete(&Region::default(), &[result]).await.unwrap();
    }
    let held = queue.results.read(10).await.unwrap();
    assert_eq!(held.len(), 3);
    queue.results.ack(&held[..1]).await.unwrap();
    assert_eq!(other.read(10).await.unwrap().len(), 0, "they are not abandoned yet");

    let mut taken = Vec::new();
    eventually("they are abandoned", async || {
        taken.extend(other.read(10).await.unwrap());
        (taken.len() == 2).then_some(())
    })
    .await;

    let ids =
        |entries: &[Entry]| entries.iter().map(|entry| entry.id.clone()).collect::<BTreeSet<_>>();
    assert_eq!(ids(&taken), ids(&held[1..]));
    other.ack(&taken).await.unwrap();
    assert_eq!(other.backlog().await.unwrap(), 0);
}

pub async fn what_cannot_be_recorded_is_set_aside(queue: Queue<'_>) {
    let job = a_job(1_000);
    queue.push(std::slice::from_ref(&job)).await;
    let leased = queue.work.lease(&job.region, 1).await.unwrap().remove(0);
    let result = a_result(&job).under_token(leased.token).build();
    queue.work.complete(&job.region, &[result]).await.unwrap();
    let entries = queue.results.read(10).await.unwrap();

    queue.results.bury(&entries).await.unwrap();

    assert_eq!(queue.results.backlog().await.unwrap(), 0);
}

pub async fn each_region_has_its_own_queue(queue: Queue<'_>) {
    let east = Region::parse("east").unwrap();
    let here = a_job(1_000);
    let there = Job { region: east.clone(), ..a_job(1_000) };
    queue.push(&[here.clone(), there.clone()]).await;

    let leased = queue.work.lease(&east, 10).await.unwrap();

    assert_eq!(leased.into_iter().map(|leased| leased.job).collect::<Vec<_>>(), vec![there]);
    assert_eq!(queue.work.depth(&here.region).await.unwrap(), 1);
}
