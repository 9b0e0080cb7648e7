//! Rough weather in short: one round of kills.

mod support;

use std::time::Duration;

use pulse_lab::shows::{Kills, kills};

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_killed_no_slot_and_no_alert_is_lost() {
    support::build_programs();

    let played = kills(&Kills {
        checks: 40,
        interval_s: 2,
        rounds_for: Duration::ZERO,
        dead_for: Duration::from_secs(3),
        keep: false,
    })
    .await;

    support::show(played);
}
