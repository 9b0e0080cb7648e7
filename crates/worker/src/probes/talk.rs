//! Saying something over a connection, and looking for what should come back.

use bytes::Bytes;
use pulse_core::models::pattern;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::run::FailClass;
use regex::bytes::Regex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::trace::Trace;
use super::{PrepareError, ProbeFailure, failures};

/// Of a reply no more is read than this.
pub(super) const MOST_REPLY: usize = 64 * 1024;
const NOT_IN_WHAT_IS_READ: &str = "what was expected is not in the first 64 KiB of the reply";
const AT_ONCE: usize = 4 * 1024;
/// A piece counts for no less than this: the reply is searched anew after each, however small it is.
pub(super) const LEAST_PIECE: usize = 64;

/// What is said, and what must come back; either may be nothing.
#[derive(Debug)]
pub(super) struct Talk {
    send: Option<Vec<u8>>,
    expect: Option<Regex>,
}

impl Talk {
    pub(super) fn new(spec: &ProbeSpec) -> Result<Self, PrepareError> {
        let expect = spec.expect.as_deref().map(pattern::compile).transpose();
        let expect = expect.map_err(|detail| PrepareError::Field { field: "expect", detail })?;
        Ok(Self { send: spec.send.clone().map(String::into_bytes), expect })
    }

    /// What is said.
    pub(super) fn send(&self) -> Option<&[u8]> {
        self.send.as_deref()
    }

    /// Whether a reply is waited for.
    pub(super) const fn expects_reply(&self) -> bool {
        self.expect.is_some()
    }

    /// Whether `reply` is what was expected; anything is when nothing was.
    pub(super) fn is_met_by(&self, reply: &[u8]) -> bool {
        self.expect.as_ref().is_none_or(|expect| expect.is_match(reply))
    }

    /// Whether `reply` will do; what of it was not read cannot tell.
    pub(super) fn verdict(&self, reply: &[u8], is_whole: bool) -> Result<(), ProbeFailure> {
        match (self.is_met_by(reply), is_whole) {
            (true, _) => Ok(()),
            (false, true) => Err(unmet("what was expected is not in the reply")),
            (false, false) => Err(unmet(NOT_IN_WHAT_IS_READ)),
        }
    }

    /// Says it over `stream`, and reads until what was expected has come.
    pub(super) async fn over<S>(&self, mut stream: S, trace: &mut Trace) -> Result<(), ProbeFailure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        trace.asked();
        if let Some(send) = &self.send {
            let sent = async {
                stream.write_all(send).await?;
                stream.flush().await
            };
            sent.await.map_err(|error| failures::talking(&error))?;
        }
        if self.expect.is_none() {
            return Ok(());
        }
        let (mut reply, mut piece, mut room) = (Vec::new(), [0; AT_ONCE], MOST_REPLY);
        while room > 0 {
            let read = stream.read(&mut piece).await.map_err(|error| failures::talking(&error))?;
            if read == 0 {
                return Err(unmet("the connection was closed before what was expected came"));
            }
            room = room.saturating_sub(read.max(LEAST_PIECE));
            reply.extend_from_slice(&piece[..read]);
            trace.read(Bytes::copy_from_slice(&piece[..read]));
            if self.is_met_by(&reply) {
                return Ok(());
            }
        }
        Err(unmet(NOT_IN_WHAT_IS_READ))
    }
}

/// The reply came, and is not what was expected.
pub(super) fn unmet(sentence: &'static str) -> ProbeFailure {
    ProbeFailure::of_target(FailClass::Assertion, sentence)
}
