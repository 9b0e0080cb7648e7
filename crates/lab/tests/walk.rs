//! From first check to first webhook, in about twenty seconds.

mod support;

use pulse_lab::shows::{Walk, walk};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_check_is_looked_at_and_its_outage_is_told_once() {
    support::build_programs();

    let played = walk(&Walk { interval_s: 2, crowd: None, on_time_ms: 1000, keep: false }).await;

    support::show(played);
}
