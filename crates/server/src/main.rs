//! `pulse-server`: the server: API and scheduler.

use std::process::ExitCode;

use pulse_core::runtime::process;

#[tokio::main]
async fn main() -> ExitCode {
    process::run("pulse-server", |config| config.port, pulse_server::run).await
}
