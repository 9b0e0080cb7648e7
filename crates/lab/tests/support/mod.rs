//! What the integration tests of the lab share.

use std::process::Command;
use std::sync::Once;

use pulse_lab::report::Report;

/// Builds the programs, so that no test judges yesterday's. Costs a second when they are fresh.
///
/// Set `PULSE_BIN_DIR` to test programs that are built already.
pub fn build_programs() {
    static BUILT: Once = Once::new();
    BUILT.call_once(|| {
        if std::env::var_os("PULSE_BIN_DIR").is_some() {
            return;
        }
        let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--workspace", "--bins", "--profile", profile])
            .status();
        assert!(built.is_ok_and(|status| status.success()), "the programs must build");
    });
}

/// Prints the figures, and fails when one of them does.
pub fn show(played: anyhow::Result<Report>) {
    let report = played.unwrap_or_else(|error| panic!("{error:#}"));
    println!("{report}");
    assert!(report.passed(), "a figure is on the wrong side of its line");
}
