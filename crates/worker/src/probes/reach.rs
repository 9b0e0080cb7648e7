//! From a host to a connection, and from there to TLS: the way every look begins.

use std::net::IpAddr;

use pulse_core::models::run::FailClass;
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::client::TlsStream;
use url::Host;

use super::bounded::Bounded;
use super::trace::Trace;
use super::{ProbeFailure, failures, http2, proxied};
use crate::egress::{Addresses, Connection, Egress, Offer};

/// One address, and a port.
pub(super) type Place = (Addresses, u16);

/// A connection, encrypted or not.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// A connection to a host, with its two phases written down.
pub(super) async fn connect(
    egress: &Egress,
    host: &Host<String>,
    port: u16,
    trace: &mut Trace,
) -> Result<Connection, ProbeFailure> {
    if let Some(proxy) = egress.proxy() {
        // Boxed, because most looks go straight.
        return Box::pin(proxied::connect(egress, proxy, (host, port), trace)).await;
    }
    let addresses =
        egress.resolve(host, trace.waiting()).await.map_err(|error| failures::resolve(&error))?;
    trace.resolved(named(host, &addresses));
    let connected = egress.connect(&addresses, port, trace.waiting()).await;
    let (stream, address) = connected.map_err(|error| failures::connect(&error))?;
    trace.connected(address);
    Ok(stream)
}

/// The addresses of a host one by one, each with the port, and the phase written down.
pub(super) async fn places(
    egress: &Egress,
    host: &Host<String>,
    port: u16,
    trace: &mut Trace,
) -> Result<Vec<Place>, ProbeFailure> {
    let addresses =
        egress.resolve(host, trace.waiting()).await.map_err(|error| failures::resolve(&error))?;
    trace.resolved(named(host, &addresses));
    Ok(addresses.one_by_one().map(|address| (address, port)).collect())
}

/// What a name resolved to; a literal had nothing to be resolved.
fn named<'a>(host: &Host<String>, addresses: &'a Addresses) -> Option<&'a Addresses> {
    matches!(host, Host::Domain(_)).then_some(addresses)
}

/// Encrypts a connection for HTTP, with the server verified as `name` and the phase written down.
pub(super) async fn secure(
    egress: &Egress,
    name: ServerName<'static>,
    stream: Connection,
    trace: &mut Trace,
) -> Result<Box<TlsStream<Connection>>, ProbeFailure> {
    secure_for(egress, name, stream, Offer::Http1, trace).await
}

/// The same, to speak one of the protocols in `offer`.
pub(super) async fn secure_for(
    egress: &Egress,
    name: ServerName<'static>,
    stream: Connection,
    offer: Offer,
    trace: &mut Trace,
) -> Result<Box<TlsStream<Connection>>, ProbeFailure> {
    let tls = egress.secure(name, stream, offer, trace.presented()).await;
    let tls = tls.map_err(|error| match offer {
        Offer::Http2 if failures::is_no_common_protocol(&error) => http2::not_spoken(),
        _ => failures::tls(&error, trace.presented()),
    })?;
    trace.secured(tls.get_ref().1);
    if offer == Offer::Http2 && !speaks_http2(&tls) {
        return Err(http2::not_spoken());
    }
    Ok(Box::new(tls))
}

/// Whether the server chose HTTP/2.
pub(super) fn speaks_http2(tls: &TlsStream<Connection>) -> bool {
    tls.get_ref().1.alpn_protocol() == Some(b"h2")
}

/// Encrypts a connection over which something else may have been said, and is.
pub(super) async fn encrypt(
    egress: &Egress,
    name: ServerName<'static>,
    stream: Connection,
    trace: &mut Trace,
) -> Result<Box<TlsStream<Connection>>, ProbeFailure> {
    trace.securing();
    secure_for(egress, name, stream, Offer::Nothing, trace).await
}

/// The connection on which TLS can begin: with what came before it in hand, somebody in between could
/// pass it off for what came inside.
pub(super) fn bare(server: Bounded<Connection>) -> Result<Connection, ProbeFailure> {
    let sentence = "the server said more than it was asked before TLS began";
    server.into_stream().ok_or_else(|| ProbeFailure::of_target(FailClass::Protocol, sentence))
}

pub(super) fn no_tls() -> ProbeFailure {
    ProbeFailure::of_target(FailClass::Tls, "the server offers no TLS")
}

/// What a certificate for `host` must be for.
pub(super) fn server_name(host: &Host<String>) -> Result<ServerName<'static>, InvalidDnsNameError> {
    match host {
        Host::Ipv4(address) => Ok(ServerName::from(IpAddr::from(*address))),
        Host::Ipv6(address) => Ok(ServerName::from(IpAddr::from(*address))),
        // The final dot of an absolute name is no part of it in TLS (RFC 6066, section 3).
        Host::Domain(name) => ServerName::try_from(name.trim_end_matches('.').to_owned()),
    }
}
