//! Looks at a target over HTTP/1.1, or HTTP/2 if the check asks for it: one fresh connection, one request, one answer; and the same again
//! for each redirect, if the check follows them.
//!
//! The run's own task drives the connection, so a run costs no second task and leaves nothing behind
//! when it is dropped. One deadline holds over everything. Of an answer 64 KiB of body are read at
//! most unless the check asks for more, and of its head 256 KiB: a hostile server costs the deadline
//! and half a megabyte. What is kept of larger bodies is bounded over all looks together.

mod exchange;
mod failures;
mod hop;
mod mark;
mod prepared;
mod room;
mod second;

use pulse_core::models::http_version::HttpVersion;
use rustls::pki_types::ServerName;

pub(super) use mark::Mark;
pub(super) use prepared::PreparedHttp;
pub(super) use room::Taken;

use super::trace::Trace;
use super::{ProbeFailure, reach};
use crate::egress::{Connection, Egress, Offer};
use exchange::{Exchange, Manner};
use hop::{Hop, Pointer};
use room::Room;

/// The HTTP probe; one serves all runs.
#[derive(Clone, Debug, Default)]
pub struct HttpProbe {
    exchange: Exchange,
    room: Room,
}

impl HttpProbe {
    /// A target is looked at once more, with more room, the first time its head is too large for the
    /// usual parser: a limit of ours is no failure of its.
    pub(super) async fn walk(
        &self,
        egress: &Egress,
        target: &PreparedHttp,
        trace: &mut Trace,
    ) -> Result<(), ProbeFailure> {
        match self.walk_once(egress, target, trace).await {
            Err(failure) if failure.is_too_large() && target.expect_many_headers() => {
                trace.begin_again();
                Box::pin(self.walk_once(egress, target, trace)).await
            }
            ended => ended,
        }
    }

    async fn walk_once(
        &self,
        egress: &Egress,
        target: &PreparedHttp,
        trace: &mut Trace,
    ) -> Result<(), ProbeFailure> {
        if target.keeps_body() {
            trace.hold(self.room.take(target.most_body())?);
        }
        let most = target.most_redirects();
        let manner = Manner {
            version: target.version(),
            many_headers: target.has_many_headers(),
            follow: most > 0,
            keep_body: target.keeps_body(),
            most_body: target.most_body(),
        };
        let own = target.of_this_look(trace);
        let first = own.as_deref().unwrap_or(target.first());
        let mut pointer = self.ask(egress, first, manner, trace).await?;
        let (mut from, mut left): (Option<Hop>, u8) = (None, most);
        while let Some(pointed) = pointer {
            trace.redirected();
            left = left.checked_sub(1).ok_or_else(|| hop::too_many(most))?;
            let hop = from.as_ref().unwrap_or(first).follow(&pointed)?;
            // Who asks is shown to nobody else.
            let away = if hop.is_of_origin(first) { None } else { egress.anonymous() };
            let egress = away.as_ref().unwrap_or(egress);
            // Boxed, because most looks are not led on.
            pointer = Box::pin(self.ask(egress, &hop, manner, trace)).await?;
            from = Some(hop);
        }
        if let Some(last) = from.and_then(|hop| hop.leads_on) {
            trace.led_to(last.as_str());
        }
        Ok(())
    }

    /// One request, and where its answer points if that is followed.
    async fn ask(
        &self,
        egress: &Egress,
        hop: &Hop,
        manner: Manner,
        trace: &mut Trace,
    ) -> Result<Option<Pointer>, ProbeFailure> {
        let tcp = reach::connect(egress, &hop.host, hop.port, trace).await?;
        let Some(name) = &hop.server_name else {
            if manner.version == HttpVersion::Two {
                let request = hop.request_in_http2(trace.run()).ok_or_else(hop::no_host)?;
                return Box::pin(second::over(tcp, request, manner, trace)).await;
            }
            return self.exchange.over(tcp, hop, manner, trace).await;
        };
        let name = name.clone();
        if manner.version != HttpVersion::One {
            return Box::pin(self.ask_newer(egress, (hop, name, tcp), manner, trace)).await;
        }
        // Boxed, so that plain runs do not carry the size of encrypted ones.
        let tls = Box::pin(reach::secure(egress, name, tcp, trace)).await?;
        Box::pin(self.exchange.over(tls, hop, manner, trace)).await
    }

    /// The same where HTTP/2 is offered over TLS.
    async fn ask_newer(
        &self,
        egress: &Egress,
        (hop, name, tcp): (&Hop, ServerName<'static>, Connection),
        manner: Manner,
        trace: &mut Trace,
    ) -> Result<Option<Pointer>, ProbeFailure> {
        let offer = if manner.version == HttpVersion::Two { Offer::Http2 } else { Offer::Either };
        let tls = reach::secure_for(egress, name, tcp, offer, trace).await?;
        if !reach::speaks_http2(&tls) {
            return self.exchange.over(tls, hop, manner, trace).await;
        }
        let request = hop.request_in_http2(trace.run()).ok_or_else(hop::no_host)?;
        second::over(tls, request, manner, trace).await
    }
}
