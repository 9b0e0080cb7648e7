//! `pulse-worker`: settings, logs, stores, then the roles.

use std::process::ExitCode;

use pulse_core::runtime::config::Config;
use pulse_core::runtime::healthcheck::is_healthy;
use pulse_core::runtime::identity::identity;
use pulse_core::runtime::lifecycle::Lifecycle;
use pulse_core::runtime::telemetry;
use pulse_core::stores::Stores;

#[tokio::main]
async fn main() -> ExitCode {
    match try_main().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("pulse-worker: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn try_main() -> anyhow::Result<ExitCode> {
    let config = Config::from_env()?;
    if std::env::args().any(|argument| argument == "--healthcheck") {
        let healthy = is_healthy(config.host, config.worker_port).await;
        return Ok(if healthy {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        });
    }
    telemetry::init(&config);
    let lifecycle = Lifecycle::install()?;
    let identity = identity();
    let stores = Stores::connect(&config, &identity)?;
    pulse_worker::run(&config, &stores, &identity, lifecycle).await
}
