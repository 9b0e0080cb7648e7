//! Kills, outages and a sink in a bad mood, all at once and in short.

mod support;

use std::time::Duration;

use pulse_lab::shows::{Storm, storm};

#[tokio::test(flavor = "multi_thread")]
async fn incidents_and_alerts_are_those_of_the_model_whatever_is_killed() {
    support::build_programs();

    let played = storm(&Storm {
        checks: 40,
        interval_s: 2,
        lasting: Duration::from_secs(24),
        kills: 6,
        outages: 40,
        down_for: Duration::ZERO,
        failures: 1,
        calm: Duration::from_secs(4),
        // On a machine that runs other tests too.
        run_per_mille: 700,
        seed: 20_261_121,
        keep: false,
    })
    .await;

    support::show(played);
}
