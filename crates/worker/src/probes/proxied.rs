//! From a host to a connection by way of a proxy.
//!
//! What the proxy does wrong is told as its doing: nobody has seen the target then.

use std::net::{IpAddr, SocketAddr};

use pulse_core::models::run::FailClass;
use url::Host;

use super::trace::Trace;
use super::{ProbeFailure, failures};
use crate::egress::{Addresses, Connection, Egress, Proxy, TunnelError};

/// A tunnel to `host`, with the phases written down: that of the connection holds all that the proxy
/// took.
pub(super) async fn connect(
    egress: &Egress,
    proxy: &Proxy,
    (host, port): (&Host<String>, u16),
    trace: &mut Trace,
) -> Result<Connection, ProbeFailure> {
    let behind = egress.resolve_behind_proxy(host, trace.waiting()).await;
    let behind = behind.map_err(|error| failures::resolve(&error))?;
    trace.resolved(behind.as_ref().filter(|_| matches!(host, Host::Domain(_))));
    trace.tunnels_through(proxy);
    let at = egress.resolve_proxy(proxy, trace.waiting()).await;
    let at = at.map_err(|error| failures::resolve(&error).about_proxy())?;
    let mut refused = None;
    for (place, address) in places(behind.as_ref(), host, port) {
        match tunnel(egress, proxy, (&at, &place), trace).await {
            Ok(stream) => {
                trace.connected_through(address);
                return Ok(stream);
            }
            // It may get on with another address.
            Err(failure) if failure.is_refusal() => refused = Some(failure),
            Err(failure) => return Err(failure.about_proxy()),
        }
    }
    let none = || ProbeFailure::of_target(FailClass::Dns, "there is nowhere to go");
    Err(refused.unwrap_or_else(none).about_proxy())
}

/// What the proxy is asked for, one after the other.
fn places(
    behind: Option<&Addresses>,
    host: &Host<String>,
    port: u16,
) -> Vec<(String, Option<IpAddr>)> {
    let Some(addresses) = behind else {
        return vec![(format!("{host}:{port}"), None)];
    };
    let place = |address: &IpAddr| (SocketAddr::new(*address, port).to_string(), Some(*address));
    addresses.as_slice().iter().map(place).collect()
}

async fn tunnel(
    egress: &Egress,
    proxy: &Proxy,
    (at, place): (&Addresses, &str),
    trace: &Trace,
) -> Result<Connection, ProbeFailure> {
    let connected = egress.connect(at, proxy.port(), trace.waiting()).await;
    let (mut stream, _address) = connected.map_err(|error| failures::connect(&error))?;
    let tunnelled = proxy.tunnel(&mut stream, place).await;
    tunnelled.map(|()| stream).map_err(|error| untunnelled(&error))
}

fn untunnelled(error: &TunnelError) -> ProbeFailure {
    let class = match error {
        TunnelError::Broken(error) => return failures::talking(error),
        TunnelError::Refused(407) => {
            let sentence = "it wants to know who asks: status 407";
            return ProbeFailure::of_target(FailClass::Refused, sentence);
        }
        TunnelError::Refused(status) => {
            let sentence = format!("it lets nobody through: status {status}");
            return ProbeFailure::of_target(FailClass::Refused, sentence);
        }
        TunnelError::NoHttp => FailClass::Protocol,
        TunnelError::TooLarge => FailClass::TooLarge,
    };
    ProbeFailure::of_target(class, error.to_string())
}
