//! Every hostile kind once beside some healthy checks, for seconds, with lenient lines.

mod support;

use std::time::Duration;

use pulse_lab::hostile::kinds;
use pulse_lab::shows::{Hostile, hostile};

#[tokio::test(flavor = "multi_thread")]
async fn hostile_targets_come_to_what_they_are_and_hurt_nobody() {
    support::build_programs();

    let played = hostile(&Hostile {
        hostile: kinds().count(),
        healthy: 10,
        interval_s: 5,
        timeout_ms: 3000,
        watched: Duration::from_secs(12),
        latest_ms: 2000,
        p99_ms: 1500,
        growth_mib: 64,
        keep: false,
    })
    .await;

    support::show(played);
}
