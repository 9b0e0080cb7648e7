//! The in-process queue under many threads at once, and what it alone promises.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pulse_core::models::ids::Region;
use pulse_core::models::job::{Job, LeasedJob, RunResult, VersionedSpec};
use pulse_core::ports::queue::{Dispatch, Entry, ResultQueue, WorkQueue};
use pulse_core::stores::memory::Memory;
use pulse_core::stores::queue_rules::QueueOptions;
use pulse_core::testing::contracts::queue::a_job;
use pulse_core::testing::{a_check, a_result};

const JOBS: usize = 20_000;
const BATCH: usize = 50;
const PATIENCE: Duration = Duration::from_secs(30);

async fn put_spec(queue: &Memory, job: &Job) {
    let spec = a_check().build().config.probe.into();
    let spec = VersionedSpec { check_id: job.check_id, version: job.version, spec };
    queue.put_specs(&job.region, &[spec]).await.unwrap();
}

/// `a_job` of one check, for as many slots.
async fn many_jobs(queue: &Memory) -> Vec<Job> {
    let first = a_job(60_000);
    put_spec(queue, &first).await;
    let of_slot = |n| Job { slot: first.slot.plus(n), ..first.clone() };
    (0..).take(JOBS).map(of_slot).collect()
}

async fn push(queue: &Memory, jobs: &[Job]) {
    for jobs in jobs.chunks(BATCH) {
        let pushed = queue.push(jobs).await.unwrap();
        assert_eq!((pushed.lacking_spec.len(), pushed.dropped), (0, 0));
    }
}

fn results_of(leased: &[LeasedJob]) -> Vec<RunResult> {
    let result = |leased: &LeasedJob| a_result(&leased.job).under_token(leased.token).build();
    leased.iter().map(result).collect()
}

/// Takes jobs until all are recorded: hands some back, completes the others, and then once more.
/// Returns how many of its results counted.
async fn work(queue: &Memory, recorded: &AtomicUsize) -> usize {
    let (mut counted, deadline) = (0, Instant::now() + PATIENCE);
    while recorded.load(Ordering::Relaxed) < JOBS {
        assert!(Instant::now() < deadline, "{counted} completed here, and still not all recorded");
        let region = &a_job(1).region;
        let leased = queue.lease(region, BATCH).await.unwrap();
        let (unwanted, looked_at) = leased.split_at(leased.len() / 4);
        queue.release(region, unwanted).await.unwrap();
        let results = results_of(looked_at);
        let stale = queue.complete(region, &results).await.unwrap();
        let repeated = queue.complete(region, &results).await.unwrap();
        assert_eq!((stale, repeated), (0, results.len()));
        counted += results.len();
    }
    counted
}

/// Reads until all are recorded, and returns the results in the order they came.
async fn record(queue: &Memory, recorded: &AtomicUsize) -> Vec<RunResult> {
    let (mut results, deadline) = (Vec::new(), Instant::now() + PATIENCE);
    while results.len() < JOBS {
        assert!(Instant::now() < deadline, "only {} of {JOBS} recorded", results.len());
        let entries = queue.read(BATCH).await.unwrap();
        queue.ack(&entries).await.unwrap();
        results.extend(entries.into_iter().filter_map(|entry| entry.result));
        recorded.store(results.len(), Ordering::Relaxed);
    }
    results
}

/// A thread of its own for a role. The queue's calls wait for nothing, so they need no more.
fn block_on<T>(role: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(role)
}

#[test]
fn many_threads_complete_each_job_exactly_once() {
    let queue = &Memory::new(QueueOptions::default());
    let recorded = &AtomicUsize::default();
    let jobs = &block_on(many_jobs(queue));
    let (at_first, meanwhile) = jobs.split_at(JOBS / 2);
    // Rival schedulers that push the same jobs.
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| block_on(push(queue, at_first)));
        }
    });
    assert_eq!(block_on(queue.depth(&jobs[0].region)).unwrap(), at_first.len() as u64);

    let (counted, results) = thread::scope(|scope| {
        let workers: Vec<_> =
            (0..4).map(|_| scope.spawn(|| block_on(work(queue, recorded)))).collect();
        let recording = scope.spawn(|| block_on(record(queue, recorded)));
        for jobs in meanwhile.chunks(JOBS / 4) {
            scope.spawn(move || block_on(push(queue, jobs)));
        }
        let results = recording.join().unwrap();
        (workers.into_iter().map(|worker| worker.join().unwrap()).sum::<usize>(), results)
    });

    assert_eq!(counted, JOBS);
    let slots: BTreeSet<_> = results.iter().map(|result| result.slot).collect();
    assert_eq!(slots.len(), JOBS, "each once");
    assert_eq!(block_on(queue.depth(&jobs[0].region)).unwrap(), 0);
    assert_eq!(block_on(queue.backlog()).unwrap(), 0);
}

/// A job that was completed, and its result, which a recorder has read.
async fn a_result_is_read(queue: &Memory) -> (Job, Vec<Entry>) {
    let job = a_job(60_000);
    put_spec(queue, &job).await;
    push(queue, std::slice::from_ref(&job)).await;
    let leased = queue.lease(&job.region, 1).await.unwrap();
    queue.complete(&job.region, &results_of(&leased)).await.unwrap();
    assert_eq!(pushed_again(queue, &job).await, 0, "nobody has read its result");
    let entries = queue.read(BATCH).await.unwrap();
    assert_eq!(entries.len(), 1);
    (job, entries)
}

/// Pushes `job` once more; returns how many are ready then.
async fn pushed_again(queue: &Memory, job: &Job) -> u64 {
    push(queue, std::slice::from_ref(job)).await;
    queue.depth(&job.region).await.unwrap()
}

// Of this queue alone: with it a disk that is full stops the scheduler's commit and the recorder, and
// not the queue between them, so the same slot would be pushed and looked at for as long as that lasts.
#[tokio::test]
async fn a_job_whose_result_waits_is_not_handed_out_again() {
    let queue = Memory::new(QueueOptions::default());
    let (job, entries) = a_result_is_read(&queue).await;

    let while_it_waits = pushed_again(&queue, &job).await;
    let elsewhere = Job { region: Region::parse("east").unwrap(), ..job.clone() };
    let in_another_region = pushed_again(&queue, &elsewhere).await;
    let next_slot = Job { slot: job.slot.plus(1), ..job.clone() };
    let with_the_next_slot = pushed_again(&queue, &next_slot).await;
    queue.ack(&entries).await.unwrap();
    let when_acknowledged = pushed_again(&queue, &job).await;

    assert_eq!(while_it_waits, 0);
    assert_eq!(in_another_region, 1, "there it is another job");
    assert_eq!(with_the_next_slot, 1);
    assert_eq!(when_acknowledged, 2, "now the ledger decides");
}

#[tokio::test]
async fn a_job_whose_result_was_set_aside_can_be_pushed_again() {
    let queue = Memory::new(QueueOptions::default());
    let (job, entries) = a_result_is_read(&queue).await;

    queue.bury(&entries).await.unwrap();

    assert_eq!(pushed_again(&queue, &job).await, 1);
}
