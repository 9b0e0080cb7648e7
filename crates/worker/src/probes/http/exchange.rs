//! One request and its answer over a connection that is already there.

use std::pin::pin;
use std::task::Context;

use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use pulse_core::models::http_version::HttpVersion;
use tokio::io::{AsyncRead, AsyncWrite};

use super::failures;
use super::hop::{Hop, Pointer};
use crate::probes::ProbeFailure;
use crate::probes::drive::drive;
use crate::probes::trace::Trace;
use crate::probes::wire::{Metered, allowance};

/// A chunk counts for no less than this, because each costs a turn of the task however small it is.
pub(super) const LEAST_CHUNK: usize = 64;
/// Real answers with more headers than hyper's hundred exist, and are not down.
pub(super) const MOST_HEADERS: usize = 500;
pub(super) const MOST_HEAD: usize = 256 * 1024;

/// How HTTP/1.1 is spoken.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    /// Takes hyper's hundred headers, for which there is room on the stack.
    usual: http1::Builder,
    /// Takes [`MOST_HEADERS`]; room for so many is allocated and cleared for each answer.
    roomy: http1::Builder,
}

/// What is particular to a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    pub(super) version: HttpVersion,
    /// Whether there is room for more than a hundred headers.
    pub(super) many_headers: bool,
    /// Whether a redirect is followed.
    pub(super) follow: bool,
    /// Whether all of the body is kept, as far as it is read.
    pub(super) keep_body: bool,
    /// Of a body so many bytes are read.
    pub(super) most_body: u32,
}

impl Default for Exchange {
    fn default() -> Self {
        let mut http = http1::Builder::new();
        // Names in the usual case: some servers and filters know no other.
        http.title_case_headers(true).max_header_size(MOST_HEAD);
        let mut roomy = http.clone();
        roomy.max_headers(MOST_HEADERS);
        Self { usual: http, roomy }
    }
}

impl Exchange {
    /// Sends the request and reads the answer, up to the limits; without `many_headers`, up to a
    /// hundred of them. Where it points comes back if that is to be followed; its body is not read.
    pub(super) async fn over<S>(
        &self,
        stream: S,
        hop: &Hop,
        Manner { many_headers, follow, keep_body, most_body, .. }: Manner,
        trace: &mut Trace,
    ) -> Result<Option<Pointer>, ProbeFailure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let io = TokioIo::new(Metered::new(stream, allowance(most_body as usize)));
        let http = if many_headers { &self.roomy } else { &self.usual };
        let (mut sender, connection) =
            http.handshake(io).await.map_err(|error| failures::before_head(&error))?;
        trace.asked();
        // Handed over before the conversation begins, which would carry it along otherwise.
        let answer = sender.send_request(hop.request(trace.run()));
        let talk = pin!(async {
            let answer = answer.await.map_err(|error| failures::before_head(&error))?;
            let pointer = follow.then(|| Pointer::of(&answer)).flatten();
            let (head, body) = answer.into_parts();
            trace.answered(head);
            match pointer {
                None => read_some(body, most_body, keep_body, trace).await.map(|()| None),
                pointer => Ok(pointer),
            }
        });
        let mut connection = Some(connection);
        let step = |cx: &mut Context<'_>| {
            let running = connection.as_mut();
            // Without shutdown, because the end of a run is a reset; see `Egress::connect`.
            if running.is_some_and(|running| running.poll_without_shutdown(cx).is_ready()) {
                connection = None;
            }
        };
        drive(step, talk).await
    }
}

/// Of the body the first piece is kept, for people; all of them, if `keep_all`.
async fn read_some(
    mut body: Incoming,
    most: u32,
    keep_all: bool,
    trace: &mut Trace,
) -> Result<(), ProbeFailure> {
    let (mut room, mut is_first) = (most as usize, true);
    while room > 0 {
        let Some(frame) = body.frame().await else {
            return Ok(());
        };
        match frame {
            Ok(frame) => {
                let mut piece = frame.into_data().unwrap_or_default();
                if piece.len() > room {
                    trace.cut_off();
                }
                piece.truncate(room);
                room = room.saturating_sub(piece.len().max(LEAST_CHUNK));
                if is_first || keep_all {
                    trace.read(piece);
                }
                is_first = false;
            }
            Err(error) if failures::is_used_up(&error) => break,
            Err(error) => return Err(failures::in_body(&error)),
        }
    }
    if !body.is_end_stream() {
        trace.cut_off();
    }
    Ok(())
}
