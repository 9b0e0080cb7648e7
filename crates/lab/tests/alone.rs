//! One process alone, from an empty folder over a restart, in about ten seconds.

mod support;

use pulse_lab::shows::{Alone, alone};

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_all_that_is_needed_and_keeps_everything_over_a_restart() {
    support::build_programs();

    let played = alone(&Alone { keep: false }).await;

    support::show(played);
}
