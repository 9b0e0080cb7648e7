//! Polite stops in short, and what the operators' pages say while a store is away.

mod support;

use pulse_lab::shows::{Stops, stops};

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_is_not_seen_and_what_was_in_hand_is_handed_over() {
    support::build_programs();

    let played = stops(&Stops { checks: 100, interval_s: 2, keep: false }).await;

    support::show(played);
}
