//! Many who look on, in short: fewer of them, with lenient lines.

mod support;

use std::time::Duration;

use pulse_lab::shows::{Live, live};

#[tokio::test(flavor = "multi_thread")]
async fn all_who_look_on_hear_the_same_and_go_on_after_a_cut() {
    support::build_programs();

    let played = live(&Live {
        streams: 40,
        sockets: 40,
        cuts: 10,
        rate: 30,
        lasting: Duration::from_secs(12),
        p99_ms: 2000,
        seed: 20_261_121,
        keep: false,
    })
    .await;

    support::show(played);
}
