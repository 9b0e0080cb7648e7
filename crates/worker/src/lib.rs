//! Pulse's worker: prober, recorder, alerter and shipper, all or some of them.
//!
//! `probes` look, `judge` says what it means, `notifiers` tell; `egress` is the only way out for
//! both. Any number of workers may run. A prober alone needs Redis only.

pub mod alerter;
pub mod egress;
pub mod judge;
pub mod notifiers;
pub mod prober;
pub mod probes;
pub mod recorder;
mod roles;
pub mod shipper;

use std::net::SocketAddr;
use std::process::ExitCode;

use pulse_core::ports::BoxError;
use pulse_core::runtime::listen;
use pulse_core::runtime::process::Process;
use tokio::sync::Mutex;
use tracing::info;

use roles::Roles;

/// Works until asked to stop.
///
/// # Errors
/// When the address of the operators' pages is taken, or the way out cannot be set up.
pub async fn run(process: Process) -> Result<ExitCode, BoxError> {
    let Process { config, stores, identity, lifecycle } = process;
    let address = SocketAddr::new(config.host, config.worker_port);
    let listener = listen(address).await?;
    info!(
        address = %listener.local_addr()?, version = env!("CARGO_PKG_VERSION"), worker = %identity,
        region = %config.worker_region, roles = ?config.worker_roles, "worker is at work",
    );
    let roles = Mutex::new(Roles::start(&config, &stores, &identity, listener)?);
    let failure = async { roles.lock().await.failure().await };
    let drain = async { roles.lock().await.drain().await };
    Ok(lifecycle.run(failure, drain, config.shutdown_timeout).await)
}
