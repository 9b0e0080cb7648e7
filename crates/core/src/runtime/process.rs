//! The beginning of every process: settings, logs, stores, then its part.

use std::process::ExitCode;

use super::config::Config;
use super::healthcheck::is_healthy;
use super::identity::identity;
use super::lifecycle::Lifecycle;
use super::telemetry;
use crate::ports::BoxError;
use crate::stores::Stores;

/// What a part of Pulse is started with.
#[derive(Debug)]
pub struct Process {
    /// Its settings.
    pub config: Config,
    /// Its stores.
    pub stores: Stores,
    /// Who it is; never the same twice.
    pub identity: String,
    /// How it ends.
    pub lifecycle: Lifecycle,
}

/// Runs `role` until it ends. With `--healthcheck`, asks a running one on `port` for its health instead.
///
/// What goes wrong before or in it is told on standard error, with its causes.
pub async fn run<F>(
    name: &str,
    port: fn(&Config) -> u16,
    role: impl FnOnce(Process) -> F,
) -> ExitCode
where
    F: Future<Output = Result<ExitCode, BoxError>>,
{
    let begun = async {
        let config = Config::from_env()?;
        if std::env::args().any(|argument| argument == "--healthcheck") {
            let healthy = is_healthy(config.host, port(&config)).await;
            return Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        telemetry::init(&config);
        let lifecycle = Lifecycle::install()?;
        let identity = identity();
        let stores = Stores::connect(&config, &identity)?;
        role(Process { config, stores, identity, lifecycle }).await
    };
    begun.await.unwrap_or_else(|error: BoxError| {
        eprintln!("{name}: {}", telemetry::chain(&*error));
        ExitCode::FAILURE
    })
}
