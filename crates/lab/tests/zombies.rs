//! Processes that stand still past every lease, in short: one volley.

mod support;

use pulse_lab::shows::{Zombies, zombies};

#[tokio::test(flavor = "multi_thread")]
async fn who_stood_still_past_its_lease_changes_nothing_when_it_goes_on() {
    support::build_programs();

    let played =
        zombies(&Zombies { checks: 80, interval_s: 4, pauses: 4, alerters: false, keep: false })
            .await;

    support::show(played);
}
