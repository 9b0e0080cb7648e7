//! What a queue must keep: jobs once, leases with a fence, results in one step, nothing lost that can
//! be kept.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::models::ids::{CheckId, Region};
use crate::models::job::{Job, LeasedJob, RunResult, VersionedSpec};
use crate::models::run::{MissedReason, Outcome};
use crate::models::schedule::Slot;
use crate::ports::StoreError;
use crate::ports::dry_runs::DryRuns;
use crate::ports::presence::{Presence, WorkerReport};
use crate::ports::queue::{Dispatch, Entry, ResultQueue, WorkQueue};
use crate::stores::queue_rules::{LEASE_MARGIN, QueueOptions};
use crate::testing::{a_check, a_result, eventually};

/// How much may wait in a queue that is put to the test.
pub const LIMITS: QueueOptions = QueueOptions { queue_limit: 100, results_limit: 10 };

/// A queue of the test's own, empty, with [`LIMITS`].
pub struct Queue<'a> {
    pub dispatch: &'a dyn Dispatch,
    pub work: &'a dyn WorkQueue,
    pub results: &'a dyn ResultQueue,
    pub presence: &'a dyn Presence,
    pub dry_runs: &'a dyn DryRuns,
    /// The same queue, as another recorder sees it.
    pub other: &'a dyn ResultQueue,
}

impl<'a> Queue<'a> {
    /// The queue of `adapter`; `other` is the same for another process.
    pub fn new<A: Dispatch + WorkQueue + ResultQueue + Presence + DryRuns>(
        adapter: &'a A,
        other: &'a A,
    ) -> Self {
        Self {
            dispatch: adapter,
            work: adapter,
            results: adapter,
            presence: adapter,
            dry_runs: adapter,
            other,
        }
    }
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
        due_in_ms: 0,
        start_within_ms: 3_600_000,
    }
}

fn spec_of(job: &Job) -> VersionedSpec {
    let spec = a_check().build().config.probe;
    VersionedSpec { check_id: job.check_id, version: job.version, spec: spec.into() }
}

impl Queue<'_> {
    async fn push(&self, jobs: &[Job]) {
        assert_eq!(self.push_what_fits(jobs).await, 0, "dropped");
    }

    /// Returns how many were dropped.
    async fn push_what_fits(&self, jobs: &[Job]) -> u64 {
        for jobs in jobs.chunk_by(|one, next| one.region == next.region) {
            let specs: Vec<VersionedSpec> = jobs.iter().map(spec_of).collect();
            self.dispatch.put_specs(&jobs[0].region, &specs).await.unwrap();
        }
        let pushed = self.dispatch.push(jobs).await.unwrap();
        assert_eq!(pushed.lacking_spec, []);
        pushed.dropped
    }

    /// Has a worker take `jobs` new jobs and die: their leases run out, and they are ready again.
    async fn hand_back_in_vain(&self, jobs: &[Job]) -> Vec<LeasedJob> {
        self.push(jobs).await;
        let zombies = self.work.lease(&jobs[0].region, jobs.len()).await.unwrap();
        assert_eq!(zombies.len(), jobs.len());
        eventually("the leases run out", async || {
            let taken = self.work.lease(&jobs[0].region, 0).await.unwrap();
            assert_eq!(taken, [], "there was no room for any");
            let depth = self.work.depth(&jobs[0].region).await.unwrap();
            (depth == jobs.len() as u64).then_some(())
        })
        .await;
        zombies
    }

    async fn drain_results(&self) -> Vec<Entry> {
        let entries = self.results.read(1_000).await.unwrap();
        self.results.ack(&entries).await.unwrap();
        entries
    }
}

fn some_jobs(count: usize) -> Vec<Job> {
    (0..count).map(|_| a_job(1_000)).collect()
}

fn result_of(leased: &LeasedJob) -> RunResult {
    a_result(&leased.job).under_token(leased.token).build()
}

fn jobs_of(leased: Vec<LeasedJob>) -> Vec<Job> {
    leased.into_iter().map(|leased| leased.job).collect()
}

fn results_of(entries: Vec<Entry>) -> Vec<RunResult> {
    entries.into_iter().filter_map(|entry| entry.result).collect()
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
    let jobs = some_jobs(100);
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

pub async fn a_job_says_how_long_it_is_until_its_slot(queue: Queue<'_>) {
    let ahead = Job { due_in_ms: 60_000, ..a_job(1) };
    queue.push(&[ahead.clone(), a_job(1_000)]).await;

    let leased = queue.work.lease(&ahead.region, 2).await.unwrap();

    let waits: Vec<_> = leased.iter().map(|leased| leased.due_in.as_secs()).collect();
    assert!(matches!(waits[..], [50..=60, 0]), "{waits:?}");
    assert!(leased[0].due_in <= Duration::from_mins(1), "{leased:?}");
    assert_eq!(
        queue.work.lease(&ahead.region, 2).await.unwrap(),
        [],
        "the wait is part of the lease"
    );
}

pub async fn a_job_past_its_window_is_dropped(queue: Queue<'_>) {
    let late = Job { start_within_ms: -1, ..a_job(1_000) };
    let fresh = a_job(1_000);
    queue.push(&[late, fresh.clone()]).await;

    let leased = queue.work.lease(&fresh.region, 10).await.unwrap();

    assert_eq!(jobs_of(leased), [fresh]);
}

pub async fn results_not_acknowledged_come_again_to_another_recorder(queue: Queue<'_>) {
    let other = queue.other;
    // What connecting takes must not count as time for which the results lie unacknowledged.
    other.backlog().await.unwrap();
    let jobs = some_jobs(3);
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

    assert_eq!(jobs_of(leased), [there]);
    assert_eq!(queue.work.depth(&here.region).await.unwrap(), 1);
}

pub async fn a_region_nobody_pushed_to_is_empty(queue: Queue<'_>) {
    let job = a_job(1_000);
    let never_leased = LeasedJob { job: job.clone(), token: 1, due_in: Duration::ZERO };

    assert_eq!(queue.work.lease(&job.region, 10).await.unwrap(), []);
    assert_eq!(queue.work.depth(&job.region).await.unwrap(), 0);
    assert_eq!(queue.work.specs(&job.region, &[(job.check_id, 1)]).await.unwrap(), []);
    queue.work.release(&job.region, std::slice::from_ref(&never_leased)).await.unwrap();
    let stale = queue.work.complete(&job.region, &[result_of(&never_leased)]).await.unwrap();

    assert_eq!(stale, 1);
    assert_eq!(queue.work.depth(&job.region).await.unwrap(), 0);
    assert_eq!(queue.drain_results().await.len(), 0);
}

pub async fn a_full_queue_drops_what_is_new_and_says_how_many(queue: Queue<'_>) {
    let fits = usize::try_from(LIMITS.queue_limit).unwrap();
    let jobs = some_jobs(fits + 3);
    let region = &jobs[0].region;

    let dropped = queue.push_what_fits(&jobs).await;
    let again = queue.push_what_fits(&jobs[..fits]).await;
    let elsewhere = Job { region: Region::parse("east").unwrap(), ..a_job(1_000) };
    let dropped_elsewhere = queue.push_what_fits(&[elsewhere]).await;
    let oldest = queue.work.lease(region, 1).await.unwrap();
    let after_a_lease = queue.push_what_fits(&jobs[fits..]).await;

    assert_eq!(dropped, 3);
    assert_eq!(again, 0, "those known already need no room");
    assert_eq!(dropped_elsewhere, 0, "each region has room of its own");
    assert_eq!(jobs_of(oldest), jobs[..1]);
    assert_eq!(after_a_lease, 2, "a leased job does not wait");
    assert_eq!(queue.work.depth(region).await.unwrap(), LIMITS.queue_limit);
}

pub async fn jobs_nobody_came_for_in_time_make_room(queue: Queue<'_>) {
    let late = || Job { start_within_ms: -1, ..a_job(1_000) };
    let full: Vec<Job> = (0..LIMITS.queue_limit).map(|_| late()).collect();
    queue.push(&full).await;
    let fresh = a_job(1_000);

    let dropped = queue.push_what_fits(std::slice::from_ref(&fresh)).await;

    assert_eq!(dropped, 0);
    assert_eq!(queue.work.depth(&fresh.region).await.unwrap(), 1);
    assert_eq!(jobs_of(queue.work.lease(&fresh.region, 1).await.unwrap()), [fresh]);
}

pub async fn jobs_handed_back_come_out_again_before_others_in_their_order(queue: Queue<'_>) {
    let jobs = some_jobs(5);
    let region = &jobs[0].region;
    queue.push(&jobs).await;
    let leased = queue.work.lease(region, 3).await.unwrap();

    queue.work.release(region, &leased).await.unwrap();

    assert_eq!(jobs_of(queue.work.lease(region, 10).await.unwrap()), jobs);
}

pub async fn a_job_that_was_handed_back_cannot_be_completed(queue: Queue<'_>) {
    let job = a_job(1_000);
    queue.push(std::slice::from_ref(&job)).await;
    let leased = queue.work.lease(&job.region, 1).await.unwrap();
    queue.work.release(&job.region, &leased).await.unwrap();

    let stale = queue.work.complete(&job.region, &[result_of(&leased[0])]).await.unwrap();

    assert_eq!(stale, 1);
    assert_eq!(queue.work.depth(&job.region).await.unwrap(), 1);
    assert_eq!(queue.drain_results().await.len(), 0);
}

pub async fn a_lease_that_ran_out_is_handed_back_once(queue: Queue<'_>) {
    let job = a_job(1);
    let zombie = queue.hand_back_in_vain(std::slice::from_ref(&job)).await;

    queue.work.release(&job.region, &zombie).await.unwrap();

    assert_eq!(queue.work.depth(&job.region).await.unwrap(), 1);
    let again = queue.work.lease(&job.region, 10).await.unwrap();
    assert_eq!(
        again,
        [LeasedJob { job, token: 2, due_in: Duration::ZERO }],
        "the delivery in vain counts"
    );
}

pub async fn leases_of_many_lengths_run_out_together(queue: Queue<'_>) {
    let jobs: Vec<Job> = (1..=50).map(a_job).collect();
    let region = &jobs[0].region;
    queue.push(&jobs).await;
    assert_eq!(queue.work.lease(region, jobs.len()).await.unwrap().len(), jobs.len());
    // Whoever asked meanwhile would be handed some of them: it is time alone that must have passed.
    tokio::time::sleep(LEASE_MARGIN + Duration::from_millis(200)).await;

    let again = queue.work.lease(region, jobs.len()).await.unwrap();

    let checks = |jobs: Vec<Job>| jobs.iter().map(|job| job.check_id).collect::<BTreeSet<_>>();
    assert_eq!(checks(jobs_of(again)), checks(jobs));
}

pub async fn a_late_result_counts_while_nobody_else_has_its_job(queue: Queue<'_>) {
    let job = a_job(1);
    let late = queue.hand_back_in_vain(std::slice::from_ref(&job)).await;

    let stale = queue.work.complete(&job.region, &[result_of(&late[0])]).await.unwrap();

    assert_eq!(stale, 0);
    assert_eq!(queue.work.lease(&job.region, 10).await.unwrap(), [], "it is done");
    assert_eq!(results_of(queue.drain_results().await), [result_of(&late[0])]);
}

pub async fn a_stale_result_among_others_changes_nothing_for_them(queue: Queue<'_>) {
    let jobs = some_jobs(3);
    let region = &jobs[0].region;
    queue.push(&jobs).await;
    let leased = queue.work.lease(region, 3).await.unwrap();
    let mut results: Vec<RunResult> = leased.iter().map(result_of).collect();
    results[1].attempt += 1;

    let stale = queue.work.complete(region, &results).await.unwrap();

    assert_eq!(stale, 1);
    let taken = results_of(queue.drain_results().await);
    assert_eq!(taken, [results[0].clone(), results[2].clone()]);
}

pub async fn when_too_many_results_wait_more_are_refused_and_their_leases_stay(queue: Queue<'_>) {
    let most = usize::try_from(LIMITS.results_limit).unwrap();
    let jobs = some_jobs(most + 1);
    let region = &jobs[0].region;
    queue.push(&jobs).await;
    let leased = queue.work.lease(region, jobs.len()).await.unwrap();
    let results: Vec<RunResult> = leased.iter().map(result_of).collect();
    let (fit, rest) = results.split_at(most);
    assert_eq!(queue.work.complete(region, fit).await.unwrap(), 0);

    let refused = queue.work.complete(region, rest).await;
    // Those read and not acknowledged still wait.
    let read = queue.results.read(most).await.unwrap();
    let still_refused = queue.work.complete(region, rest).await;
    queue.results.ack(&read).await.unwrap();
    let taken = queue.work.complete(region, rest).await;

    assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    assert!(matches!(still_refused, Err(StoreError::Unavailable { .. })), "{still_refused:?}");
    assert_eq!(taken.unwrap(), 0, "the lease was not lost");
    assert_eq!(results_of(queue.drain_results().await), rest);
}

pub async fn results_come_oldest_first_and_no_more_than_asked_for(queue: Queue<'_>) {
    let jobs = some_jobs(3);
    queue.push(&jobs).await;
    let leased = queue.work.lease(&jobs[0].region, 3).await.unwrap();
    let results: Vec<RunResult> = leased.iter().map(result_of).collect();
    queue.work.complete(&jobs[0].region, &results).await.unwrap();

    let first = queue.results.read(2).await.unwrap();
    let second = queue.results.read(2).await.unwrap();

    assert_eq!(queue.results.backlog().await.unwrap(), 3, "until they are acknowledged");
    queue.results.ack(&first).await.unwrap();
    assert_eq!(queue.results.backlog().await.unwrap(), 1);
    assert_eq!(results_of(first), results[..2]);
    assert_eq!(results_of(second), results[2..]);
}

pub async fn results_of_all_regions_reach_the_recorder(queue: Queue<'_>) {
    let jobs = ["east", "west"].map(|name| {
        let region = Region::parse(name).unwrap();
        Job { region, ..a_job(1_000) }
    });
    queue.push(&jobs).await;
    for job in &jobs {
        let leased = queue.work.lease(&job.region, 1).await.unwrap();
        queue.work.complete(&job.region, &[result_of(&leased[0])]).await.unwrap();
    }

    let entries = queue.drain_results().await;

    let regions = entries.iter().map(|entry| entry.region.as_str()).collect::<BTreeSet<_>>();
    assert_eq!(regions, BTreeSet::from(["east", "west"]));
    assert_eq!(queue.results.backlog().await.unwrap(), 0);
}

pub async fn workers_are_listed_until_they_leave(queue: Queue<'_>) {
    let report = |worker: &str, runs| WorkerReport {
        worker: worker.into(),
        checks_executed_total: runs,
        latency_ms_sum: 0.5,
        ..WorkerReport::default()
    };
    assert_eq!(queue.presence.workers().await.unwrap(), []);

    queue.presence.report(&report("staying", 1)).await.unwrap();
    queue.presence.report(&report("leaving", 1)).await.unwrap();
    queue.presence.report(&report("staying", 2)).await.unwrap();
    let both = queue.presence.workers().await.unwrap();
    queue.presence.leave("leaving").await.unwrap();
    queue.presence.leave("never seen").await.unwrap();

    assert_eq!(both.len(), 2);
    assert_eq!(queue.presence.workers().await.unwrap(), [report("staying", 2)]);
}

pub async fn the_result_of_a_dry_run_is_taken_once_by_who_asked(queue: Queue<'_>) {
    let job = Job { check_id: CheckId::of_dry_run(), ..a_job(1_000) };
    let result = a_result(&job).failed().build();

    queue.dry_runs.answer(&result).await.unwrap();
    queue.dry_runs.answer(&result).await.unwrap();

    assert_eq!(queue.dry_runs.take(CheckId::of_dry_run()).await.unwrap(), None, "another's");
    assert_eq!(queue.dry_runs.take(job.check_id).await.unwrap(), Some(result));
    assert_eq!(queue.dry_runs.take(job.check_id).await.unwrap(), None, "taken");
}
