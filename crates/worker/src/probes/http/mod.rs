//! Looks at a target over HTTP/1.1: one fresh connection, one request, one answer.
//!
//! The run's own task drives the connection, so a run costs no second task and leaves nothing behind
//! when it is dropped. One deadline holds over everything. Of an answer 64 KiB of body are read at
//! most, and of its head 256 KiB: a hostile server costs the deadline and half a megabyte.

mod exchange;
mod failures;
mod prepared;
mod trace;
mod wire;

use std::time::Duration;

use http::HeaderValue;

pub use prepared::{PrepareError, PreparedHttp};

use super::{ProbeFailure, Sight};
use crate::egress::Egress;
use exchange::Exchange;
use trace::Trace;

/// The HTTP probe; one serves all runs.
#[derive(Clone, Debug, Default)]
pub struct HttpProbe {
    exchange: Exchange,
}

impl HttpProbe {
    /// Looks once, for `timeout` at most over everything from the name to the end of the body.
    ///
    /// `run` is sent as `Pulse-Run`, so that targets can tell one run from another.
    pub async fn look(
        &self,
        egress: &Egress,
        target: &PreparedHttp,
        run: Option<HeaderValue>,
        timeout: Duration,
    ) -> Sight {
        let mut trace = Trace::begin();
        let look = self.walk(egress, target, run, &mut trace);
        let ended = match tokio::time::timeout(timeout, look).await {
            Ok(ended) => ended,
            Err(_elapsed) => Err(failures::timed_out(timeout, trace.step())),
        };
        Sight { observation: trace.end(), ended }
    }

    async fn walk(
        &self,
        egress: &Egress,
        target: &PreparedHttp,
        run: Option<HeaderValue>,
        trace: &mut Trace,
    ) -> Result<(), ProbeFailure> {
        let addresses =
            egress.resolve(target.host()).await.map_err(|error| failures::resolve(&error))?;
        trace.resolved(target.has_name());
        let (tcp, address) = egress
            .connect(&addresses, target.port())
            .await
            .map_err(|error| failures::connect(&error))?;
        trace.connected(address);
        let request = target.request(run);
        let Some(name) = target.server_name() else {
            return self.exchange.over(tcp, request, trace).await;
        };
        // Boxed, so that plain runs do not carry the size of encrypted ones.
        let tls = Box::pin(egress.secure(name.clone(), tcp)).await;
        let tls = Box::new(tls.map_err(|error| failures::tls(&error))?);
        trace.secured();
        Box::pin(self.exchange.over(tls, request, trace)).await
    }
}
