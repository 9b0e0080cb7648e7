//! The contract of the queue's ports, kept by Redis and by the in-process queue.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use futures_util::{FutureExt, StreamExt, stream};
use pulse_core::models::job::VersionedSpec;
use pulse_core::ports::queue::{Dispatch, WorkQueue};
use pulse_core::stores::memory::Memory;
use pulse_core::stores::redis::{Redis, RedisOptions};
use pulse_core::testing::contracts::queue::{self, LIMITS, Queue, a_job};
use pulse_core::testing::{Profile, RedisCluster, ScriptWatch, a_check, scaled};
use uuid::Uuid;

/// More would keep each other waiting, for longer than a lease lasts.
const AT_ONCE: usize = 6;

fn in_redis() -> (Redis, Redis) {
    in_redis_at(&scaled("queue", Profile::Scaled).redis_url.unwrap(), false)
}

/// A queue of the test's own, as two processes see it.
fn in_redis_at(url: &str, cluster: bool) -> (Redis, Redis) {
    let prefix = format!("pulse_test_{}", Uuid::now_v7().simple());
    let options = RedisOptions { prefix, queue: LIMITS, cluster };
    let of_process = |identity| Redis::new(url, identity, options.clone()).unwrap();
    (of_process("one process"), of_process("another process"))
}

/// A queue of the test's own, as two tasks of a process see it.
fn in_memory() -> (Memory, Memory) {
    let queue = Memory::new(LIMITS);
    (queue.clone(), queue)
}

macro_rules! keeps {
    ($($contract:ident,)+) => {
        mod redis {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $contract() {
                    let (queue, other) = super::in_redis();
                    super::queue::$contract(super::Queue::new(&queue, &other)).await;
                }
            )+
        }

        /// The whole contract, much of it at once: its queues have nothing in common but the server.
        async fn is_kept_at(url: &str, cluster: bool) {
            stream::iter([$(
                async {
                    let (queue, other) = in_redis_at(url, cluster);
                    queue::$contract(Queue::new(&queue, &other)).await;
                }
                .boxed_local(),
            )+])
            .buffer_unordered(AT_ONCE)
            .collect::<()>()
            .await;
        }

        mod memory {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $contract() {
                    let (queue, other) = super::in_memory();
                    super::queue::$contract(super::Queue::new(&queue, &other)).await;
                }
            )+
        }
    };
}

keeps! {
    a_job_pushed_twice_is_handed_out_once,
    a_job_without_its_spec_is_sent_back_for_it,
    jobs_come_out_oldest_first_and_to_one_worker_each,
    a_completion_ends_the_lease_and_appends_one_result,
    a_zombie_whose_lease_ran_out_changes_nothing,
    a_zombie_hands_nothing_back,
    a_job_that_kills_three_workers_ends_as_missed,
    a_released_job_is_there_at_once_for_another,
    a_job_past_its_window_is_dropped,
    a_job_says_how_long_it_is_until_its_slot,
    results_not_acknowledged_come_again_to_another_recorder,
    what_cannot_be_recorded_is_set_aside,
    each_region_has_its_own_queue,
    a_region_nobody_pushed_to_is_empty,
    a_full_queue_drops_what_is_new_and_says_how_many,
    jobs_nobody_came_for_in_time_make_room,
    jobs_handed_back_come_out_again_before_others_in_their_order,
    a_job_that_was_handed_back_cannot_be_completed,
    a_lease_that_ran_out_is_handed_back_once,
    a_late_result_counts_while_nobody_else_has_its_job,
    leases_of_many_lengths_run_out_together,
    a_stale_result_among_others_changes_nothing_for_them,
    when_too_many_results_wait_more_are_refused_and_their_leases_stay,
    results_come_oldest_first_and_no_more_than_asked_for,
    results_of_all_regions_reach_the_recorder,
    workers_are_listed_until_they_leave,
    the_result_of_a_dry_run_is_taken_once_by_who_asked,
}

#[tokio::test]
async fn the_contract_is_kept_on_a_server_that_refuses_what_spans_hash_slots() {
    let cluster = RedisCluster::start(1).await;
    let url = &cluster.urls()[0];
    let watch = ScriptWatch::begin(url).await.unwrap();

    is_kept_at(url, false).await;

    let watched = watch.end().await.unwrap();
    assert_eq!(watched.scripts.len(), 4, "{watched:?}");
    assert!(watched.undeclared.is_empty(), "{:?}", watched.undeclared);
}

#[tokio::test]
async fn the_contract_is_kept_on_a_cluster_of_three() {
    let cluster = RedisCluster::start(3).await;

    is_kept_at(&cluster.urls().join(","), true).await;
}

/// Who knew the old node of a hash slot is sent on, and finds what lay there.
#[tokio::test]
async fn a_queue_that_moves_to_another_node_is_followed() {
    let cluster = RedisCluster::start(3).await;
    // One address is enough to find the others.
    let (queue, _) = in_redis_at(&cluster.urls()[0], true);
    let job = a_job(60_000);
    let spec = a_check().build().config.probe;
    let spec = VersionedSpec { check_id: job.check_id, version: job.version, spec: spec.into() };
    queue.put_specs(&job.region, &[spec]).await.unwrap();
    queue.push(std::slice::from_ref(&job)).await.unwrap();

    let (from, to) = cluster.move_slot_of(&format!("{{{}}}", job.region)).await.unwrap();
    let leased = queue.lease(&job.region, 1).await.unwrap();

    assert_ne!(from, to);
    assert_eq!(leased[0].job, job);
}
