//! Looks at a target by connecting to it.

use pulse_core::models::target::Target;
use url::Host;

use super::trace::Trace;
use super::{ProbeFailure, reach};
use crate::egress::Egress;

/// Where to connect to.
#[derive(Debug)]
pub struct PreparedTcp {
    host: Host<String>,
    port: u16,
}

impl PreparedTcp {
    pub(super) fn new(target: Target) -> Self {
        Self { host: target.host, port: target.port }
    }

    pub(super) async fn walk(
        &self,
        egress: &Egress,
        trace: &mut Trace,
    ) -> Result<(), ProbeFailure> {
        reach::connect(egress, &self.host, self.port, trace).await.map(drop)
    }
}
