//! Each store taken away in short: a few kills, and a while behind a proxy.

mod support;

use std::time::Duration;

use pulse_lab::shows::{
    ClickHouseAway, PostgresDies, RedisDies, Throng, clickhouse_away, postgres_dies, redis_dies,
};

const THRONG: Throng = Throng { checks: 30, interval_s: 2, seed: 7 };

#[tokio::test(flavor = "multi_thread")]
async fn redis_may_die_and_be_emptied() {
    support::build_programs();

    let played = redis_dies(&RedisDies {
        throng: THRONG,
        kills: 1,
        flushes: 1,
        away: Duration::from_secs(8),
        keep: false,
    })
    .await;

    support::show(played);
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_may_die_and_vanish_and_cancel() {
    support::build_programs();

    let played = postgres_dies(&PostgresDies {
        throng: THRONG,
        kills: 1,
        away: Duration::from_secs(10),
        slow: Duration::from_secs(4),
        cancels: 100,
        keep: false,
    })
    .await;

    support::show(played);
}

#[tokio::test(flavor = "multi_thread")]
async fn clickhouse_may_be_away() {
    support::build_programs();

    let played = clickhouse_away(&ClickHouseAway {
        throng: THRONG,
        calm: Duration::from_secs(5),
        away: Duration::from_secs(9),
        trouble: Duration::from_secs(5),
        grace_ms: 200,
        keep: false,
    })
    .await;

    support::show(played);
}
