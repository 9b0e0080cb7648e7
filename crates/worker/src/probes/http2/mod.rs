//! HTTP/2 over a connection that is already there: one request, one answer.
//!
//! What a hostile server can cost is bounded here for whoever asks: so many bytes are read in all, a
//! head may unfold to so much, a body has room for twice what is read of it, and the server may push
//! nothing.

mod failures;

use std::pin::{Pin, pin};

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use h2::{Reason, RecvStream};
use http::header::{CONNECTION, HOST, HeaderMap};
use http::request;
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri, Version};
use pulse_core::models::probe_spec::USUAL_BODY_BYTES;
use tokio::io::{AsyncRead, AsyncWrite};

use super::ProbeFailure;
use super::drive::drive;
use super::trace::Trace;
use super::wire::{Metered, allowance};

pub(super) use failures::{before_head, in_body, is_used_up, not_spoken};

/// Of a head no more than this is taken, as over HTTP/1.1.
const MOST_HEAD: usize = 256 * 1024;
const MOST_HEADERS: usize = 500;
/// A head unfolds to no more than this before it is given up. Beyond [`MOST_HEAD`], so that one which
/// is merely too large is known for what it is.
const MOST_UNFOLDED: u32 = 1024 * 1024;
/// What a header counts for beyond its text (RFC 9113, section 6.5.2).
const HEADER_COUNTS: usize = 32;
/// The least room for a body, never given back. Twice what is read of one: a few bytes more than the
/// usual window would not be told to the server, and it would stall on the last of them.
const WINDOW: u32 = 2 * USUAL_BODY_BYTES;
/// A few thousand frames may wait to be read, however small they are.
const FRAMES_COUNT: usize = 1024 * 1024;
/// A few bytes on the wire can be a hundred times as many in memory until they are looked at.
const TURN: usize = 32 * 1024;

/// A connection over which one may ask.
pub(super) struct Opened<S: AsyncRead + AsyncWrite + Unpin> {
    asking: SendRequest<Bytes>,
    connection: Connection<Metered<S>, Bytes>,
}

/// Sends the preface. The server is not waited for. Of a body `most_body` bytes will be read.
pub(super) async fn open<S>(stream: S, most_body: u32) -> Result<Opened<S>, ProbeFailure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let metered = Metered::in_turns(stream, allowance(most_body as usize), TURN);
    let window = most_body.saturating_mul(2).max(WINDOW);
    let opening = Builder::new()
        .enable_push(false)
        .max_header_list_size(MOST_UNFOLDED)
        .initial_window_size(window)
        .initial_connection_window_size(window)
        .data_frame_budget(FRAMES_COUNT)
        .handshake(metered)
        .await;
    let (asking, connection) = opening.map_err(|error| before_head(&error))?;
    Ok(Opened { asking, connection })
}

impl<S: AsyncRead + AsyncWrite + Unpin> Opened<S> {
    /// Runs `talk`, which is given what one asks by, and the connection under it.
    pub(super) async fn converse<T: Future>(
        self,
        talk: impl FnOnce(SendRequest<Bytes>) -> T,
    ) -> T::Output {
        let mut connection = Some(self.connection);
        let step = |cx: &mut std::task::Context<'_>| {
            let running = connection.as_mut().map(Pin::new);
            if running.is_some_and(|running| running.poll(cx).is_ready()) {
                connection = None;
            }
        };
        drive(step, pin!(talk(self.asking))).await
    }
}

/// Sends the request, and waits for the head of its answer.
pub(super) async fn ask(
    asking: SendRequest<Bytes>,
    request: Request<()>,
    body: Bytes,
    trace: &mut Trace,
) -> Result<Response<RecvStream>, ProbeFailure> {
    trace.asked();
    let answer = async {
        let mut asking = asking.ready().await?;
        let (answer, mut sending) = asking.send_request(request, body.is_empty())?;
        if !body.is_empty() {
            sending.send_data(body, true)?;
        }
        answer.await
    };
    let answer = answer.await.map_err(|error| before_head(&error))?;
    if answer.headers().len() > MOST_HEADERS || size(answer.headers()) > MOST_HEAD {
        return Err(failures::too_large());
    }
    Ok(answer)
}

fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + HEADER_COUNTS).sum()
}

/// A request made for HTTP/1.1 in the words of HTTP/2 (RFC 9113, section 8.3.1); `None` when what it
/// calls the host is none.
pub(super) fn in_its_words(mut head: request::Parts, encrypted: bool) -> Option<Request<()>> {
    let host = head.headers.remove(HOST)?;
    head.headers.remove(CONNECTION);
    head.headers.remove("proxy-connection");
    let authority = Authority::try_from(host.as_bytes()).ok()?;
    let scheme = if encrypted { Scheme::HTTPS } else { Scheme::HTTP };
    let path = head.uri.path_and_query()?.as_str();
    let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(path);
    head.uri = uri.build().ok()?;
    head.version = Version::HTTP_2;
    Some(Request::from_parts(head, ()))
}

/// The word for a reason; a number when the standard has none.
fn word(reason: Option<Reason>) -> String {
    reason.map_or_else(|| "no reason".to_owned(), |reason| format!("{reason:?}"))
}
