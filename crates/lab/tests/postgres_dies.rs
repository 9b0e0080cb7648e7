//! Postgres taken away in short: killed, in a black hole, slow, forgotten, and a storm of cancels.

mod support;

use std::time::Duration;

use pulse_lab::shows::{PostgresDies, Throng, postgres_dies};

#[tokio::test(flavor = "multi_thread")]
async fn postgres_may_die_and_vanish_and_cancel() {
    support::build_programs();

    let played = postgres_dies(&PostgresDies {
        throng: Throng { checks: 30, interval_s: 2, seed: 7 },
        kills: 1,
        away: Duration::from_secs(10),
        slow: Duration::from_secs(4),
        cancels: 100,
        // Nearly two seconds are the answer's own; the rest is for a busy machine.
        answer_ms: 4000,
        keep: false,
    })
    .await;

    support::show(played);
}
