//! Looks at a target over HTTP/1.1: one fresh connection, one request, one answer.
//!
//! The run's own task drives the connection, so a run costs no second task and leaves nothing behind
//! when it is dropped. One deadline holds over everything. Of an answer 64 KiB of body are read at
//! most, and of its head 256 KiB: a hostile server costs the deadline and half a megabyte.

mod evidence;
mod exchange;
mod failures;
mod prepared;
mod trace;
mod wire;

use std::time::Duration;

use http::HeaderValue;

pub use evidence::Evidence;
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
        let walk = self.walk(egress, target, run, &mut trace);
        let ended = tokio::time::timeout(timeout, walk).await;
        let ended = ended.unwrap_or_else(|_| Err(failures::timed_out(timeout, trace.step())));
        Sight { observation: trace.end(), ended }
    }

    /// Looks as [`Self::look`] does, and keeps what a run has no use for: see [`Evidence`].
    pub async fn look_closely(
        &self,
        egress: &Egress,
        target: &PreparedHttp,
        timeout: Duration,
    ) -> (Sight, Evidence) {
        let mut trace = Trace::begin_closely();
        let walk = self.walk(egress, target, None, &mut trace);
        let ended = tokio::time::timeout(timeout, walk).await;
        let ended = ended.unwrap_or_else(|_| Err(failures::timed_out(timeout, trace.step())));
        let (observation, evidence) = trace.end_closely();
        (Sight { observation, ended }, evidence)
    }

    /// A target is looked at once more, with more room, the first time its head is too large for the
    /// usual parser: a limit of ours is no failure of its.
    async fn walk(
        &self,
        egress: &Egress,
        target: &PreparedHttp,
        run: Option<HeaderValue>,
        trace: &mut Trace,
    ) -> Result<(), ProbeFailure> {
        match self.walk_once(egress, target, run.clone(), trace).await {
            Err(failure) if failure.is_too_large() && target.expect_many_headers() => {
                trace.begin_again();
                Box::pin(self.walk_once(egress, target, run, trace)).await
            }
            ended => ended,
        }
    }

    async fn walk_once(
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
        let (request, many) = (target.request(run), target.has_many_headers());
        let Some(name) = target.server_name() else {
            return self.exchange.over(tcp, request, many, trace).await;
        };
        // Boxed, so that plain runs do not carry the size of encrypted ones.
        let tls = Box::pin(egress.secure(name.clone(), tcp, trace.presented())).await;
        let tls = Box::new(tls.map_err(|error| failures::tls(&error))?);
        trace.secured(tls.get_ref().1);
        Box::pin(self.exchange.over(tls, request, many, trace)).await
    }
}
