//! Looks at a target by a TLS handshake: the chain, the name and the time of its certificate; and by
//! what it says inside if it is asked. Before the handshake there may be the plain beginning of a
//! protocol that has one.

use async_trait::async_trait;
use pulse_core::models::particulars::Prelude;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::target::Target;

use super::peer::Peer;
use super::talk::Talk;
use super::trace::Trace;
use super::{PrepareError, Probe, ProbeFailure, starttls};
use crate::egress::Egress;

/// Whom to shake hands with.
#[derive(Debug)]
pub(super) struct Tls {
    peer: Peer,
    prelude: Option<Prelude>,
    talk: Talk,
}

impl Tls {
    pub(super) fn new(target: &Target, spec: &ProbeSpec) -> Result<Self, PrepareError> {
        let peer = Peer::of(target)?;
        let prelude = Prelude::of(&target.query).map_err(PrepareError::Target)?;
        Ok(Self { peer, prelude, talk: Talk::new(spec)? })
    }
}

#[async_trait]
impl Probe for Tls {
    async fn walk(&self, egress: &Egress, trace: &mut Trace) -> Result<(), ProbeFailure> {
        let stream = self.peer.connect(egress, trace).await?;
        let stream = match self.prelude {
            None => self.peer.secure(egress, stream, trace).await?,
            Some(prelude) => {
                let stream = starttls::begin(prelude, stream, trace).await?;
                self.peer.encrypt(egress, stream, trace).await?
            }
        };
        self.talk.over(stream, trace).await
    }
}
