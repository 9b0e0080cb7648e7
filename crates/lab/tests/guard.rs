//! Every ninth case of the guard in a process, and ten thousand in the worker's library.

mod support;

use std::time::Duration;

use pulse_lab::shows::{Guard, guard};

#[tokio::test(flavor = "multi_thread")]
async fn no_request_reaches_a_forbidden_address() {
    support::build_programs();

    let played = guard(&Guard {
        cases: 10_000,
        every: 9,
        interval_s: 3,
        watched: Duration::from_secs(8),
        seed: 20_261_121,
        keep: false,
    })
    .await;

    support::show(played);
}
