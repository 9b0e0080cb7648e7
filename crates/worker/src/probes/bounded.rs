//! Reading replies piece by piece, and never more of them than was agreed.

use bytes::{Bytes, BytesMut};
use pulse_core::models::run::FailClass;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::trace::Trace;
use super::{ProbeFailure, failures};

const AT_ONCE: usize = 4 * 1024;

/// A connection of which so many bytes are read and no more.
#[derive(Debug)]
pub(super) struct Bounded<S> {
    stream: S,
    /// Read, and not yet asked for.
    read: BytesMut,
    /// How much may still be read.
    room: usize,
}

/// Why there is no more to be had.
#[derive(Debug)]
pub(super) enum Lack {
    /// The connection ended, or broke.
    Lost(ProbeFailure),
    /// The bound.
    Spent,
}

impl Lack {
    /// As a failure, where such a reply should not have been long.
    pub(super) fn of_long_reply(self) -> ProbeFailure {
        match self {
            Self::Lost(failure) => failure,
            Self::Spent => {
                ProbeFailure::of_target(FailClass::TooLarge, "the reply is larger than is read")
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Bounded<S> {
    pub(super) fn new(stream: S, room: usize) -> Self {
        Self { stream, read: BytesMut::new(), room }
    }

    /// From here on so many bytes more.
    pub(super) fn allow(&mut self, room: usize) {
        self.room = room;
    }

    pub(super) async fn say(&mut self, bytes: &[u8]) -> Result<(), ProbeFailure> {
        let said = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        said.await.map_err(|error| failures::talking(&error))
    }

    /// As many bytes as that, or as the bound allows: those are left to [`Self::rest`].
    pub(super) async fn exactly(&mut self, count: usize, trace: &mut Trace) -> Result<Bytes, Lack> {
        while self.read.len() < count {
            self.fill(trace).await?;
        }
        Ok(self.read.split_to(count).freeze())
    }

    /// Up to the end of a line, which is not part of it.
    pub(super) async fn line(&mut self, trace: &mut Trace) -> Result<Bytes, Lack> {
        let mut searched = 0;
        loop {
            if let Some(end) = self.read[searched..].iter().position(|byte| *byte == b'\n') {
                let mut line = self.read.split_to(searched + end + 1);
                line.truncate(searched + end);
                if line.last() == Some(&b'\r') {
                    line.truncate(line.len() - 1);
                }
                return Ok(line.freeze());
            }
            searched = self.read.len();
            self.fill(trace).await?;
        }
    }

    /// What was read already and nobody asked for.
    pub(super) fn rest(&mut self) -> Bytes {
        self.read.split().freeze()
    }

    /// The connection itself; `None` when more came than was asked for.
    pub(super) fn into_stream(self) -> Option<S> {
        self.read.is_empty().then_some(self.stream)
    }

    async fn fill(&mut self, trace: &mut Trace) -> Result<(), Lack> {
        if self.room == 0 {
            return Err(Lack::Spent);
        }
        let mut piece = [0; AT_ONCE];
        let piece = &mut piece[..self.room.min(AT_ONCE)];
        let read = self.stream.read(piece).await.map_err(|error| lost(&error))?;
        if read == 0 {
            return Err(lost(&std::io::ErrorKind::UnexpectedEof.into()));
        }
        trace.replied();
        self.room -= read;
        self.read.extend_from_slice(&piece[..read]);
        Ok(())
    }
}

fn lost(error: &std::io::Error) -> Lack {
    Lack::Lost(failures::talking(error))
}
