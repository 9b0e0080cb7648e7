//! One request and its answer over HTTP/2.

use bytes::Bytes;
use h2::RecvStream;
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite};

use super::exchange::{LEAST_CHUNK, Manner};
use super::hop::Pointer;
use crate::probes::trace::Trace;
use crate::probes::{ProbeFailure, http2};

/// Sends the request and reads the answer, up to the limits of HTTP/1.1. Where it points comes back
/// if that is to be followed; its body is not read.
pub(super) async fn over<S>(
    stream: S,
    (request, body): (Request<()>, Bytes),
    Manner { follow, keep_body, most_body, .. }: Manner,
    trace: &mut Trace,
) -> Result<Option<Pointer>, ProbeFailure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let talk = |asking| async move {
        let answer = http2::ask(asking, request, body, trace).await?;
        let pointer = follow.then(|| Pointer::of(&answer)).flatten();
        let (head, body) = answer.into_parts();
        trace.answered(head);
        match pointer {
            None => read_some(body, most_body, keep_body, trace).await.map(|()| None),
            pointer => Ok(pointer),
        }
    };
    http2::open(stream, most_body).await?.converse(talk).await
}

/// As over HTTP/1.1. Room that was used is not given back, so the server cannot send much more than
/// is read.
async fn read_some(
    mut body: RecvStream,
    most: u32,
    keep_all: bool,
    trace: &mut Trace,
) -> Result<(), ProbeFailure> {
    let (mut room, mut is_first) = (most as usize, true);
    while room > 0 {
        match body.data().await {
            None => return Ok(()),
            Some(Ok(mut piece)) => {
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
            Some(Err(error)) if http2::is_used_up(&error) => break,
            Some(Err(error)) => return Err(http2::in_body(&error)),
        }
    }
    if !body.is_end_stream() {
        trace.cut_off();
    }
    Ok(())
}
