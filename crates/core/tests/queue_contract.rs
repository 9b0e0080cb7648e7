//! The contract of the queue's ports, kept by Redis.

use pulse_core::stores::Stores;
use pulse_core::testing::{TestStores, contracts::queue, stores};

fn queue_of(t: &TestStores) -> queue::Queue<'_> {
    queue::Queue {
        dispatch: &*t.stores.dispatch,
        work: &*t.stores.work,
        results: &*t.stores.results,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_not_acknowledged_come_again_to_another_recorder() {
    let t = stores().await;
    let other = Stores::connect(&t.config, "another process").unwrap();

    queue::results_not_acknowledged_come_again_to_another_recorder(queue_of(&t), &*other.results)
        .await;
}

macro_rules! keeps {
    ($($contract:ident,)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $contract() {
                let t = stores().await;
                queue::$contract(queue_of(&t)).await;
            }
        )+
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
    what_cannot_be_recorded_is_set_aside,
    each_region_has_its_own_queue,
}
