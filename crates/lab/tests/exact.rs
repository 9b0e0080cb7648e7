//! The second account of what Pulse must do: its own tests, and the state machine against it in short.

mod support;

use std::path::Path;
use std::process::Command;

use pulse_lab::shows::{Exact, exact};

#[tokio::test(flavor = "multi_thread")]
async fn the_state_machine_is_that_of_the_model() {
    support::build_programs();

    let played = exact(&Exact { trees: 4, rules: 4, seed: 20_261_121 }).await;

    support::show(played);
}

#[test]
fn the_model_passes_its_own_tests() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("model");

    let tested = Command::new("python3")
        .args(["-m", "unittest", "--quiet"])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(model)
        .output()
        .expect("python3 runs");

    assert!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stderr));
}
