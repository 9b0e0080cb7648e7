//! Packets of MySQL over a connection.

use bytes::Bytes;
use pulse_core::models::run::FailClass;

use super::super::ProbeFailure;
use super::super::bounded::{Bounded, Lack};
use super::super::reach::Duplex;
use super::super::talk::MOST_REPLY;
use super::super::trace::Trace;
use super::packets::{self, HEAD_BYTES};

/// A connection on which packets are numbered.
#[derive(Debug)]
pub(super) struct Wire<S> {
    pub(super) server: Bounded<S>,
    /// The number that the next packet has, from whichever side it comes.
    pub(super) number: u8,
}

impl<S: Duplex> Wire<S> {
    /// The body of the next packet. One that announces more than is ever read is not waited for.
    pub(super) async fn next(&mut self, trace: &mut Trace) -> Result<Bytes, Lack> {
        let head = self.server.exactly(HEAD_BYTES, trace).await?;
        let length =
            head[..3].iter().rev().fold(0, |length, byte| length << 8 | usize::from(*byte));
        if head[3] != self.number {
            return Err(Lack::Lost(garbage()));
        }
        self.number = self.number.wrapping_add(1);
        if length > MOST_REPLY {
            return Err(Lack::Spent);
        }
        self.server.exactly(length, trace).await
    }

    /// The next packet of a log-in, in which none is long.
    pub(super) async fn short(&mut self, trace: &mut Trace) -> Result<Bytes, ProbeFailure> {
        self.next(trace).await.map_err(|lack| match lack {
            Lack::Lost(failure) => failure,
            Lack::Spent => garbage(),
        })
    }

    pub(super) async fn say(&mut self, body: &[u8]) -> Result<(), ProbeFailure> {
        let packet = packets::packet(self.number, body).ok_or_else(garbage)?;
        self.number = self.number.wrapping_add(1);
        self.server.say(&packet).await
    }

    /// A command begins anew.
    pub(super) async fn command(&mut self, kind: u8, text: &str) -> Result<(), ProbeFailure> {
        self.number = 0;
        self.say(&[&[kind], text.as_bytes()].concat()).await
    }
}

pub(super) fn garbage() -> ProbeFailure {
    ProbeFailure::of_target(FailClass::Protocol, "what came back is not MySQL")
}
