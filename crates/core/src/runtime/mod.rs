//! What every process needs around its roles: settings, logs, loops that cannot go silent, an
//! orderly end, and the pages for operators.

pub mod config;
pub mod events;
pub mod healthcheck;
pub mod identity;
pub mod lifecycle;
pub mod loops;
pub mod lost_pings;
pub mod ops;
pub mod parts;
pub mod process;
pub mod sealing;
pub mod telemetry;

use std::net::SocketAddr;

use tokio::net::TcpListener;

/// # Errors
/// A sentence that names the address: taken, or not allowed.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, String> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| format!("cannot listen on {address}: {error}"))
}
