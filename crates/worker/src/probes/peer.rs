//! Whom a look goes to when it may turn to TLS on its way.

use pulse_core::models::target::Target;
use rustls::pki_types::ServerName;
use tokio_rustls::client::TlsStream;
use url::Host;

use super::trace::Trace;
use super::{PrepareError, ProbeFailure, failures, reach};
use crate::egress::{Connection, Egress};

/// A host, a port, and what a certificate there must be for.
#[derive(Debug)]
pub(super) struct Peer {
    host: Host<String>,
    port: u16,
    name: ServerName<'static>,
}

impl Peer {
    pub(super) fn of(target: &Target) -> Result<Self, PrepareError> {
        let host = target.host.clone().ok_or(PrepareError::Address)?;
        Ok(Self { name: reach::server_name(&host)?, host, port: target.port })
    }

    /// See [`reach::connect`].
    pub(super) async fn connect(
        &self,
        egress: &Egress,
        trace: &mut Trace,
    ) -> Result<Connection, ProbeFailure> {
        reach::connect(egress, &self.host, self.port, trace).await
    }

    /// See [`reach::secure`].
    pub(super) async fn secure(
        &self,
        egress: &Egress,
        stream: Connection,
        trace: &mut Trace,
    ) -> Result<Box<TlsStream<Connection>>, ProbeFailure> {
        reach::secure(egress, self.name.clone(), stream, trace).await
    }

    /// See [`reach::encrypt`].
    pub(super) async fn encrypt(
        &self,
        egress: &Egress,
        stream: Connection,
        trace: &mut Trace,
    ) -> Result<Box<TlsStream<Connection>>, ProbeFailure> {
        reach::encrypt(egress, self.name.clone(), stream, trace).await
    }

    /// The same, whoever the certificate is for and from; that nobody looked is told.
    pub(super) async fn encrypt_unverified(
        &self,
        egress: &Egress,
        stream: Connection,
        trace: &mut Trace,
    ) -> Result<Box<TlsStream<Connection>>, ProbeFailure> {
        trace.securing();
        let tls = egress.secure_unverified(self.name.clone(), stream, trace.presented()).await;
        let tls = Box::new(tls.map_err(|error| failures::tls(&error, trace.presented()))?);
        trace.secured(tls.get_ref().1);
        trace.tell("certificate", "not verified");
        Ok(tls)
    }
}
