//! The contract of the history port, kept by PostgreSQL, by ClickHouse and by SQLite.

use pulse_core::ports::history::History;
use pulse_core::stores::sqlite::SqliteHistory;
use pulse_core::testing::contracts::history::{self, KEPT_DAYS};
use pulse_core::testing::{Profile, TestStores, stores_on};
use tempfile::TempDir;

macro_rules! keeps {
    ($($contract:ident,)+) => {
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $contract() {
                    let its = super::postgres().await;
                    super::history::$contract(&*its.stores.history).await;
                }
            )+
        }

        mod clickhouse {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $contract() {
                    let its = super::clickhouse().await;
                    super::history::$contract(&*its.stores.history).await;
                }
            )+
        }

        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $contract() {
                    let (_folder, history) = super::sqlite().await;
                    super::history::$contract(&history).await;
                }
            )+
        }
    };
}

keeps! {
    runs_come_back_as_they_were_newest_first,
    every_kind_of_run_comes_back_as_it_was,
    a_run_in_words_of_a_newer_version_hides_alone,
    runs_of_several_regions_come_in_one_list_a_page_at_a_time,
    a_shipment_that_arrives_twice_counts_once,
    a_large_shipment_of_many_days_arrives_whole,
    a_shipment_with_bytes_that_are_no_row_leaves_nothing_behind,
    sums_agree_with_the_runs_in_every_width,
    an_empty_life_has_empty_sums,
    preparing_again_changes_nothing,
}

// ClickHouse forgets by its tables' TTL, whenever it next merges.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_forgets_what_is_old_and_keeps_the_rest() {
    history::what_is_old_is_forgotten_and_the_rest_is_kept(&*postgres().await.stores.history).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_forgets_what_is_old_and_keeps_the_rest() {
    let (_folder, history) = sqlite().await;
    history::what_is_old_is_forgotten_and_the_rest_is_kept(&history).await;
}

async fn postgres() -> TestStores {
    stores_on(Profile::Scaled).await
}

async fn clickhouse() -> TestStores {
    stores_on(Profile::ScaledFurther).await
}

/// In a folder that is gone when dropped.
async fn sqlite() -> (TempDir, SqliteHistory) {
    let folder = tempfile::tempdir().expect("a folder");
    let history = SqliteHistory::open(&folder.path().join("history.db"), KEPT_DAYS)
        .await
        .expect("a file of our own");
    history.prepare().await.expect("the migrations should run");
    (folder, history)
}
