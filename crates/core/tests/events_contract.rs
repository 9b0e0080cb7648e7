//! The contract of the way of events, kept by Redis and within a process; and what Redis alone must
//! keep.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use futures_util::{FutureExt, StreamExt, stream};
use pulse_core::ports::events::{EventBatch, EventLog};
use pulse_core::stores::memory::Memory;
use pulse_core::stores::queue_rules::QueueOptions;
use pulse_core::stores::redis::{Redis, RedisOptions};
use pulse_core::testing::contracts::events::{self, Events};
use pulse_core::testing::{Profile, RedisCluster, ScriptWatch, connect_to_redis, scaled};
use uuid::Uuid;

/// More would keep each other waiting.
const AT_ONCE: usize = 6;

fn prefix() -> String {
    format!("pulse_test_{}", Uuid::now_v7().simple())
}

fn url() -> String {
    scaled("events", Profile::Scaled).redis_url.unwrap()
}

fn in_redis() -> (Redis, Redis) {
    in_redis_at(&url(), false)
}

/// A way of the test's own, as two processes see it.
fn in_redis_at(url: &str, cluster: bool) -> (Redis, Redis) {
    let options = RedisOptions { prefix: prefix(), queue: QueueOptions::default(), cluster };
    let of_process = |identity| Redis::new(url, identity, options.clone()).unwrap();
    (of_process("one process"), of_process("another process"))
}

fn in_memory() -> (Memory, Memory) {
    let queue = Memory::new(QueueOptions::default());
    (queue.clone(), queue)
}

macro_rules! keeps {
    ($($contract:ident,)+) => {
        mod redis {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $contract() {
                    let (one, other) = super::in_redis();
                    super::events::$contract(super::Events { one: &one, other: &other }).await;
                }
            )+
        }

        /// The whole contract, much of it at once: its ways have nothing in common but the server.
        async fn is_kept_at(url: &str, cluster: bool) {
            stream::iter([$(
                async {
                    let (one, other) = in_redis_at(url, cluster);
                    events::$contract(Events { one: &one, other: &other }).await;
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
                    let (one, other) = super::in_memory();
                    super::events::$contract(super::Events { one: &one, other: &other }).await;
                }
            )+
        }
    };
}

keeps! {
    what_one_appends_all_read_in_one_order_under_the_same_ids,
    a_reader_goes_on_after_its_place,
    an_empty_way_has_no_place_and_misses_nothing,
    a_batch_that_is_appended_again_is_there_once,
    a_place_that_is_kept_no_more_or_never_was_is_told,
    runs_pass_in_batches_beside_the_events,
    publishers_learn_that_somebody_wants_runs,
    a_publisher_that_leaves_is_not_missed,
    the_bell_rings_for_what_another_appends,
}

/// All keys of a way lie on one node of a cluster, and none lives for ever without need.
#[tokio::test]
async fn all_keys_in_redis_share_a_hash_tag() {
    let prefix = prefix();
    let options =
        RedisOptions { prefix: prefix.clone(), queue: QueueOptions::default(), cluster: false };
    let way = Redis::new(&url(), "one", options).unwrap();
    let batch = EventBatch {
        publisher: "one".into(),
        number: 1,
        events: vec!["e".into()],
        runs: vec!["r".into()],
    };
    way.append(&batch).await.unwrap();
    way.want_runs().await.unwrap();
    way.attend("one").await.unwrap();

    let mut connection = connect_to_redis(&url()).await.unwrap();
    let keys: Vec<String> =
        ::redis::cmd("KEYS").arg(format!("{prefix}*")).query_async(&mut connection).await.unwrap();

    assert_eq!(keys.len(), 4, "{keys:?}");
    for key in &keys {
        assert!(key.contains(":{events}:"), "{key}");
        let lives: i64 = ::redis::cmd("TTL").arg(key).query_async(&mut connection).await.unwrap();
        let is_kept = key.ends_with(":kept") || key.ends_with(":publishers");
        assert_eq!(lives < 0, is_kept, "{key} lives {lives} s");
    }
}

/// Another publisher notices one whose process was killed, and tells everyone once.
#[tokio::test]
async fn a_publisher_that_died_is_told_in_redis() {
    let prefix = prefix();
    let options =
        RedisOptions { prefix: prefix.clone(), queue: QueueOptions::default(), cluster: false };
    let way = Redis::new(&url(), "one", options).unwrap();
    way.attend("dead").await.unwrap();
    let mut connection = connect_to_redis(&url()).await.unwrap();
    // As if it had been seen sixteen seconds ago.
    let now: (i64, i64) = ::redis::cmd("TIME").query_async(&mut connection).await.unwrap();
    let () = ::redis::cmd("HSET")
        .arg(format!("{prefix}:{{events}}:publishers"))
        .arg("dead")
        .arg(format!("4:{}", now.0 - 16))
        .query_async(&mut connection)
        .await
        .unwrap();

    way.attend("alive").await.unwrap();
    way.attend("alive").await.unwrap();

    let told = way.events_after(None, 10).await.unwrap();
    assert_eq!(told.found.len(), 1);
    assert!(told.found[0].1.contains("\"resync\""), "{}", told.found[0].1);
}

#[tokio::test]
async fn the_contract_is_kept_on_a_server_that_refuses_what_spans_hash_slots() {
    let cluster = RedisCluster::start(1).await;
    let url = &cluster.urls()[0];
    let watch = ScriptWatch::begin(url).await.unwrap();

    is_kept_at(url, false).await;

    let watched = watch.end().await.unwrap();
    assert_eq!(watched.scripts.len(), 2, "{watched:?}");
    assert!(watched.undeclared.is_empty(), "{:?}", watched.undeclared);
}

#[tokio::test]
async fn the_contract_is_kept_on_a_cluster_of_three() {
    let cluster = RedisCluster::start(3).await;

    is_kept_at(&cluster.urls().join(","), true).await;
}
