//! One process killed at random in short, with a lenient line: machines that run tests are slow.

mod support;

use std::time::Duration;

use pulse_lab::shows::{Crashes, crashes};

#[tokio::test(flavor = "multi_thread")]
async fn whenever_it_is_killed_its_files_are_whole_and_no_slot_and_no_alert_is_lost() {
    support::build_programs();

    let played = crashes(&Crashes {
        checks: 30,
        interval_s: 2,
        kills: 6,
        lasting: Duration::from_secs(12),
        seed: 20_261_121,
        p99_ms: 10_000,
        keep: false,
    })
    .await;

    support::show(played);
}
