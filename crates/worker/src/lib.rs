//! Pulse's worker: prober, recorder, alerter and shipper, all or some of them.
//!
//! `probes` look, `judge` says what it means, `notifiers` tell; `egress` is the only way out for
//! both. Any number of workers may run. A prober alone needs Redis only.

pub mod alerter;
pub mod egress;
pub mod judge;
mod lanes;
pub mod notifiers;
pub mod prober;
pub mod probes;
pub mod recorder;
mod roles;
mod scrub;
mod secrets;
pub mod shipper;
mod sighting;

use std::net::SocketAddr;

use pulse_core::ports::BoxError;
use pulse_core::runtime::events;
use pulse_core::runtime::listen;
use pulse_core::runtime::parts::Parts;
use pulse_core::runtime::process::Context;
use tracing::info;

pub use roles::start as start_roles;

/// Starts a worker in a process of its own.
///
/// # Errors
/// When the address of the operators' pages is taken, or the way out cannot be set up.
pub async fn start(context: &Context) -> Result<Parts, BoxError> {
    let config = &context.config;
    let listener = listen(SocketAddr::new(config.host, config.worker_port)).await?;
    info!(
        address = %listener.local_addr()?, version = env!("CARGO_PKG_VERSION"), worker = %context.identity,
        region = %config.worker_region, roles = ?config.worker_roles, "worker is at work",
    );
    let mut parts = Parts::default();
    roles::start(context, &mut parts)?;
    roles::start_surroundings(context, listener, &mut parts);
    if roles::needs_state(&config.worker_roles) {
        events::start(context, &mut parts);
    }
    Ok(parts)
}
