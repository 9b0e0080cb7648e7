//! Looks at a target by connecting to it, and by what it says if it is asked.

use async_trait::async_trait;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::target::Target;
use url::Host;

use super::talk::Talk;
use super::trace::Trace;
use super::{PrepareError, Probe, ProbeFailure, reach};
use crate::egress::Egress;

/// Where to connect to.
#[derive(Debug)]
pub(super) struct Tcp {
    host: Host<String>,
    port: u16,
    talk: Talk,
}

impl Tcp {
    pub(super) fn new(target: Target, spec: &ProbeSpec) -> Result<Self, PrepareError> {
        let host = target.host.ok_or(PrepareError::Address)?;
        Ok(Self { host, port: target.port, talk: Talk::new(spec)? })
    }
}

#[async_trait]
impl Probe for Tcp {
    async fn walk(&self, egress: &Egress, trace: &mut Trace) -> Result<(), ProbeFailure> {
        let stream = reach::connect(egress, &self.host, self.port, trace).await?;
        self.talk.over(stream, trace).await
    }
}
