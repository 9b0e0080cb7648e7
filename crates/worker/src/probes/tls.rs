//! Looks at a target by a TLS handshake: the chain, the name and the time of its certificate.

use pulse_core::models::target::Target;
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use url::Host;

use super::trace::Trace;
use super::{ProbeFailure, reach};
use crate::egress::Egress;

/// Whom to shake hands with.
#[derive(Debug)]
pub struct PreparedTls {
    host: Host<String>,
    port: u16,
    name: ServerName<'static>,
}

impl PreparedTls {
    pub(super) fn new(target: Target) -> Result<Self, InvalidDnsNameError> {
        let name = reach::server_name(&target.host)?;
        Ok(Self { host: target.host, port: target.port, name })
    }

    pub(super) async fn walk(
        &self,
        egress: &Egress,
        trace: &mut Trace,
    ) -> Result<(), ProbeFailure> {
        let stream = reach::connect(egress, &self.host, self.port, trace).await?;
        reach::secure(egress, self.name.clone(), stream, trace).await.map(drop)
    }
}
