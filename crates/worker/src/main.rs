//! `pulse-worker`: a worker: prober, recorder, alerter and shipper.

use std::process::ExitCode;

use pulse_core::runtime::config::Shape;
use pulse_core::runtime::process;

#[tokio::main]
async fn main() -> ExitCode {
    process::run("pulse-worker", Shape::Half, |config| config.worker_port, pulse_worker::start)
        .await
}
