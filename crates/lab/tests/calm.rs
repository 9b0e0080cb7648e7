//! Calm weather in short, with lenient lines: machines that run tests are slow and shared.

mod support;

use std::time::Duration;

use pulse_lab::lab::Players;
use pulse_lab::shows::{Calm, calm};

#[tokio::test(flavor = "multi_thread")]
async fn in_calm_weather_every_slot_is_looked_at_once_and_on_time() {
    support::build_programs();

    let played = calm(&Calm {
        checks: 100,
        interval_s: 2,
        watched: Duration::from_secs(20),
        players: Players::Fleet { servers: 2, workers: 2 },
        p99_ms: 1000,
        max_ms: 2000,
        keep: false,
    })
    .await;

    support::show(played);
}
