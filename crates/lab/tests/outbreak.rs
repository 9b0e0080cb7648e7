//! An address that dies with all checks behind it, in short.

mod support;

use pulse_lab::shows::{Outbreak, outbreak};

#[tokio::test(flavor = "multi_thread")]
async fn many_checks_behind_a_dead_address_are_one_alert() {
    support::build_programs();

    let played =
        outbreak(&Outbreak { checks: 100, interval_s: 2, within_s: 10, keep: false }).await;

    support::show(played);
}
