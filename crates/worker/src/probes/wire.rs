//! A stream that gives out after so many bytes.
//!
//! Limits on heads and bodies still let a server send interim answers or chunk framing for ever;
//! this one does not care what the bytes mean.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pulse_core::models::probe_spec::USUAL_BODY_BYTES;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What reading fails with once the allowance is used up. No socket says this of itself.
pub(super) const USED_UP: io::ErrorKind = io::ErrorKind::FileTooLarge;

/// Head and body, and as much again for what frames them.
pub(super) const MOST_WIRE: usize = 512 * 1024;

/// The same where so much of a body is read.
pub(super) const fn allowance(most_body: usize) -> usize {
    MOST_WIRE + 2 * most_body.saturating_sub(USUAL_BODY_BYTES as usize)
}

/// At most `allowance` more bytes can be read from `stream`.
#[derive(Debug)]
pub(super) struct Metered<S> {
    stream: S,
    allowance: usize,
    /// So many bytes are read at a stretch, and so many of them are left.
    turn: usize,
    left: usize,
}

impl<S> Metered<S> {
    pub(super) const fn new(stream: S, allowance: usize) -> Self {
        Self::in_turns(stream, allowance, usize::MAX)
    }

    /// Lets others of the same task have their turn after every `turn` bytes, so that who reads
    /// ahead cannot heap up much before anybody looks at it.
    pub(super) const fn in_turns(stream: S, allowance: usize, turn: usize) -> Self {
        Self { stream, allowance, turn, left: turn }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.allowance == 0 {
            return Poll::Ready(Err(USED_UP.into()));
        }
        if self.left == 0 {
            self.left = self.turn;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        match ready!(Pin::new(&mut self.stream).poll_read(cx, buf)) {
            // TLS without a farewell. Whether that was too early, HTTP's own framing knows.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(error)),
            Ok(()) => {
                let read = buf.filled().len() - before;
                self.allowance = self.allowance.saturating_sub(read);
                self.left = self.left.saturating_sub(read);
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
