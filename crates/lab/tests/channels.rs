//! Channels that are dead, slow and healthy, and one of every kind, in short.

mod support;

use pulse_lab::shows::{Channels, channels};

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_and_a_slow_channel_hold_up_nobody_and_every_kind_is_told() {
    support::build_programs();

    let played = channels(&Channels {
        checks: 20,
        outages_each: 2,
        p99_ms: 4000,
        seed: 20_261_121,
        keep: false,
    })
    .await;

    support::show(played);
}
