//! Looks at a target by a TLS handshake: the chain, the name and the time of its certificate; and by
//! what it says inside if it is asked. Before the handshake there may be the plain beginning of a
//! protocol that has one.

use async_trait::async_trait;
use pulse_core::models::particulars::Prelude;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::target::Target;
use rustls::pki_types::ServerName;
use url::Host;

use super::talk::Talk;
use super::trace::Trace;
use super::{PrepareError, Probe, ProbeFailure, reach, starttls};
use crate::egress::Egress;

/// Whom to shake hands with.
#[derive(Debug)]
pub(super) struct Tls {
    name: ServerName<'static>,
    host: Host<String>,
    port: u16,
    prelude: Option<Prelude>,
    talk: Talk,
}

impl Tls {
    pub(super) fn new(target: Target, spec: &ProbeSpec) -> Result<Self, PrepareError> {
        let host = target.host.ok_or(PrepareError::Address)?;
        let name = reach::server_name(&host)?;
        let prelude = Prelude::of(&target.query).map_err(PrepareError::Target)?;
        Ok(Self { name, host, port: target.port, prelude, talk: Talk::new(spec)? })
    }
}

#[async_trait]
impl Probe for Tls {
    async fn walk(&self, egress: &Egress, trace: &mut Trace) -> Result<(), ProbeFailure> {
        let stream = reach::connect(egress, &self.host, self.port, trace).await?;
        let stream = match self.prelude {
            None => reach::secure(egress, self.name.clone(), stream, trace).await?,
            Some(prelude) => {
                let stream = starttls::begin(prelude, stream, trace).await?;
                reach::encrypt(egress, self.name.clone(), stream, trace).await?
            }
        };
        self.talk.over(stream, trace).await
    }
}
