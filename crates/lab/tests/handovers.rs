//! A crash at every hand-over point in short: each once, of a fleet and of one that plays alone.

mod support;

use pulse_lab::report::Report;
use pulse_lab::shows::{Handovers, handovers};

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_two_steps_of_a_fleet_loses_nothing_and_repeats_nothing_visible() {
    support::show(once(false).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_two_steps_of_one_alone_loses_nothing_and_repeats_nothing_visible() {
    support::show(once(true).await);
}

async fn once(alone: bool) -> anyhow::Result<Report> {
    support::build_programs();
    let (checks, interval_s, each, seed) = (24, 5, 1, 20_261_121);
    handovers(&Handovers { alone, checks, interval_s, each, seed, keep: false }).await
}
