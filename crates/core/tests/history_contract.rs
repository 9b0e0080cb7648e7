//! The contract of the history port, kept by PostgreSQL and by ClickHouse.

use pulse_core::testing::{HistoryIn, contracts::history, stores_with};

macro_rules! keeps {
    ($($contract:ident,)+) => {
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $contract() {
                    super::history::$contract(super::stores_with(super::HistoryIn::Postgres).await).await;
                }
            )+
        }

        mod clickhouse {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $contract() {
                    super::history::$contract(super::stores_with(super::HistoryIn::ClickHouse).await).await;
                }
            )+
        }
    };
}

keeps! {
    runs_come_back_as_they_were_newest_first,
    a_shipment_that_arrives_twice_counts_once,
    sums_agree_with_the_runs_in_every_width,
    an_empty_life_has_empty_sums,
    preparing_again_changes_nothing,
}
