//! Redis taken away in short: killed, emptied, in a black hole, forgotten.

mod support;

use std::time::Duration;

use pulse_lab::shows::{RedisDies, Throng, redis_dies};

#[tokio::test(flavor = "multi_thread")]
async fn redis_may_die_and_be_emptied() {
    support::build_programs();

    let played = redis_dies(&RedisDies {
        throng: Throng { checks: 30, interval_s: 2, seed: 7 },
        kills: 1,
        flushes: 1,
        away: Duration::from_secs(8),
        keep: false,
    })
    .await;

    support::show(played);
}
