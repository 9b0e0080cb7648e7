//! `pulse-server`: the server: API and scheduler.

use std::process::ExitCode;

use pulse_core::runtime::config::Shape;
use pulse_core::runtime::process;

#[tokio::main]
async fn main() -> ExitCode {
    process::run("pulse-server", Shape::Half, |config| config.port, pulse_server::start).await
}
