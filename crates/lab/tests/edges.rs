//! Alerts in calm weather in short, with a lenient line: machines that run tests are slow.

mod support;

use pulse_lab::shows::{Edges, edges};

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_told_in_order_and_soon_after_the_answer_that_decided_it() {
    support::build_programs();

    let played = edges(&Edges {
        checks: 20,
        interval_s: 1,
        outages_each: 2,
        p99_ms: 4000,
        seed: 20_261_121,
        keep: false,
    })
    .await;

    support::show(played);
}
