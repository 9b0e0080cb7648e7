//! One request and its answer over a connection that is already there.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::failures;
use super::hop::Pointer;
use super::wire::Metered;
use crate::probes::ProbeFailure;
use crate::probes::trace::Trace;

/// Of a body no more is read than this.
const MOST_BODY: usize = 64 * 1024;
/// A chunk counts for no less than this, because each costs a turn of the task however small it is.
const LEAST_CHUNK: usize = 64;
/// Real answers with more headers than hyper's hundred exist, and are not down.
pub(super) const MOST_HEADERS: usize = 500;
pub(super) const MOST_HEAD: usize = 256 * 1024;
/// Head and body, and as much again for what frames them.
const MOST_WIRE: usize = 512 * 1024;

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
    /// Whether there is room for more than a hundred headers.
    pub(super) many_headers: bool,
    /// Whether a redirect is followed.
    pub(super) follow: bool,
    /// Whether all of the body is kept, as far as it is read.
    pub(super) keep_body: bool,
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
        request: Request<Full<Bytes>>,
        Manner { many_headers, follow, keep_body }: Manner,
        trace: &mut Trace,
    ) -> Result<Option<Pointer>, ProbeFailure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let io = TokioIo::new(Metered::new(stream, MOST_WIRE));
        let http = if many_headers { &self.roomy } else { &self.usual };
        let (mut sender, connection) =
            http.handshake(io).await.map_err(|error| failures::before_head(&error))?;
        let talk = async {
            trace.asked();
            let answer = sender.send_request(request).await;
            let answer = answer.map_err(|error| failures::before_head(&error))?;
            let pointer = follow.then(|| Pointer::of(&answer)).flatten();
            let (head, body) = answer.into_parts();
            trace.answered(head);
            match pointer {
                None => read_some(body, keep_body, trace).await.map(|()| None),
                pointer => Ok(pointer),
            }
        };
        drive(connection, talk).await
    }
}

/// Of the body the first piece is kept, for people; all of them, if `keep_all`.
async fn read_some(
    mut body: Incoming,
    keep_all: bool,
    trace: &mut Trace,
) -> Result<(), ProbeFailure> {
    let (mut room, mut is_first) = (MOST_BODY, true);
    while room > 0 {
        let Some(frame) = body.frame().await else {
            break;
        };
        match frame {
            Ok(frame) => {
                let piece = frame.into_data().unwrap_or_default();
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
    Ok(())
}

/// Runs `talk` to its end, and the connection under it in the same task. How the connection ends is
/// of no interest: whatever goes wrong with it, `talk` is told.
async fn drive<S, T>(connection: http1::Connection<S, Full<Bytes>>, talk: T) -> T::Output
where
    S: Read + Write + Unpin,
    T: Future,
{
    let mut connection = Some(connection);
    let mut talk = pin!(talk);
    poll_fn(|cx| {
        // Twice, because each may wait for what the other has just done: the first round sends the
        // request or takes in the head, the second the body.
        for _ in 0..2 {
            // Without shutdown, because the end of a run is a reset; see `Egress::connect`.
            if connection
                .as_mut()
                .is_some_and(|running| running.poll_without_shutdown(cx).is_ready())
            {
                connection = None;
            }
            if let Poll::Ready(ended) = talk.as_mut().poll(cx) {
                return Poll::Ready(ended);
            }
        }
        Poll::Pending
    })
    .await
}
