//! `pulse-worker`: a worker: prober, recorder, alerter and shipper.

use std::process::ExitCode;

use pulse_core::runtime::process;

#[tokio::main]
async fn main() -> ExitCode {
    process::run("pulse-worker", |config| config.worker_port, pulse_worker::run).await
}
