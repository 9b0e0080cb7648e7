//! The move to servers, in its short shape: a copy is killed, and the next one finishes it.

mod support;

use pulse_lab::shows::{Moves, moves};

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_killed_is_finished_by_the_next() {
    support::build_programs();

    let played = moves(&Moves { checks: 20, runs: 200_000, keep: false }).await;

    support::show(played);
}
