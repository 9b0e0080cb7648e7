//! `ClickHouse` away in short: cut off, in a black hole, dead, deaf, refusing, forgotten.

mod support;

use std::time::Duration;

use pulse_lab::shows::{ClickHouseAway, Throng, clickhouse_away};

#[tokio::test(flavor = "multi_thread")]
async fn clickhouse_may_be_away() {
    support::build_programs();

    let played = clickhouse_away(&ClickHouseAway {
        throng: Throng { checks: 30, interval_s: 2, seed: 7 },
        calm: Duration::from_secs(5),
        away: Duration::from_secs(9),
        trouble: Duration::from_secs(5),
        grace_ms: 200,
        keep: false,
    })
    .await;

    support::show(played);
}
