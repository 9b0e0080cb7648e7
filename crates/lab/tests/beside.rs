//! Pulse and prometheus-blackbox-exporter agree on thirty situations, or it is known why not.

mod support;

use pulse_lab::shows::{Beside, beside};

#[tokio::test(flavor = "multi_thread")]
async fn what_the_two_judge_differently_is_explained() {
    support::build_programs();

    let exporter = "prometheus-blackbox-exporter".into();

    support::show(beside(&Beside { exporter }).await);
}
