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

use anyhow::Context;
use pulse_core::runtime::config::Config;
use pulse_core::runtime::lifecycle::Lifecycle;
use pulse_core::stores::Stores;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tracing::info;

use roles::Roles;

/// Works until asked to stop, as `identity`.
///
/// # Errors
/// When the address of the operators' pages is taken, or the way out cannot be set up.
pub async fn run(
    config: &Config,
    stores: &Stores,
    identity: &str,
    lifecycle: Lifecycle,
) -> anyhow::Result<ExitCode> {
    let address = SocketAddr::new(config.host, config.worker_port);
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    info!(
        address = %listener.local_addr()?, version = env!("CARGO_PKG_VERSION"), worker = identity,
        region = %config.worker_region, roles = ?config.worker_roles, "worker is at work",
    );
    let roles = Mutex::new(Roles::start(config, stores, identity, listener)?);
    let failure = async { roles.lock().await.failure().await };
    let drain = async { roles.lock().await.drain(config.shutdown_timeout).await };
    Ok(lifecycle.run(failure, drain, config.shutdown_timeout).await)
}
