//! Looks at a port by a datagram: by what comes back if something is expected, else by whether the port
//! is told to be closed.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::target::Target;
use tokio::sync::Notify;
use tokio::time::sleep;
use url::Host;

use super::talk::{LEAST_PIECE, MOST_REPLY, Talk, unmet};
use super::trace::Trace;
use super::turns::{Conversation, Heard, ask};
use super::{PrepareError, Probe, ProbeFailure, reach};
use crate::egress::Egress;

/// How long a host has to say that the port is closed. Silence is no answer, and the most that can be had
/// of a port that is well and was not asked anything it knows.
const QUIET: Duration = Duration::from_millis(500);

/// What to say, and where.
#[derive(Debug)]
pub(super) struct Udp {
    host: Host<String>,
    port: u16,
    talk: Talk,
}

impl Udp {
    pub(super) fn new(target: Target, spec: &ProbeSpec) -> Result<Self, PrepareError> {
        let host = target.host.ok_or(PrepareError::Address)?;
        Ok(Self { host, port: target.port, talk: Talk::new(spec)? })
    }
}

#[async_trait]
impl Probe for Udp {
    async fn walk(&self, egress: &Egress, trace: &mut Trace) -> Result<(), ProbeFailure> {
        let places = reach::places(egress, &self.host, self.port, trace).await?;
        let said = Notify::new();
        let mut saying = Saying { talk: &self.talk, room: MOST_REPLY, said: &said };
        if self.talk.expects_reply() {
            let (met, _line) = ask(&mut saying, egress, &places, trace).await?;
            return met;
        }
        // Also where the deadline is shorter still.
        trace.when_late(Ok(()));
        // The silence of whoever was not spoken to yet says nothing.
        let silence = async {
            said.notified().await;
            sleep(QUIET).await;
        };
        tokio::select! {
            ended = ask(&mut saying, egress, &places, trace) => ended.map(|_anything| ()),
            () = silence => Ok(()),
        }
    }
}

struct Saying<'a> {
    talk: &'a Talk,
    /// How much more of what comes is read.
    room: usize,
    /// Told of everything that is said.
    said: &'a Notify,
}

impl Conversation for Saying<'_> {
    type Answer = Result<(), ProbeFailure>;

    // What the text does at the other end nobody here knows; so it is sent once to a place.
    const AGAIN: Option<Duration> = None;

    fn say(&mut self, _line: usize) -> Vec<u8> {
        self.said.notify_one();
        self.talk.send().unwrap_or_default().to_vec()
    }

    fn hear(&mut self, _line: usize, message: &[u8], trace: &mut Trace) -> Heard<Self::Answer> {
        trace.read(Bytes::copy_from_slice(message));
        if self.talk.is_met_by(message) {
            return Heard::Answer(Ok(()));
        }
        trace.when_late(Err(unmet("what came back is not what was expected")));
        self.room = self.room.saturating_sub(message.len().max(LEAST_PIECE));
        match self.room {
            0 => {
                Heard::Answer(Err(unmet("what was expected is not in the first 64 KiB that came")))
            }
            _ => Heard::Nothing,
        }
    }
}
