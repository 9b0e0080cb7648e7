//! Looks at a host by an echo over ICMP, sent again each second: a packet that is lost is no outage.

mod packet;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pulse_core::models::run::InconclusiveReason;
use pulse_core::models::target::Target;
use url::Host;

use super::reach::{self, Place};
use super::trace::Trace;
use super::turns::{Conversation, Heard, ask};
use super::{PrepareError, Probe, ProbeFailure, failures};
use crate::egress::{Admission, Datagrams, EchoError, Egress};
use packet::{Kind, Mark, TOKEN_BYTES};

/// Whom to call.
#[derive(Debug)]
pub(super) struct Icmp {
    host: Host<String>,
}

impl Icmp {
    pub(super) fn new(target: Target) -> Result<Self, PrepareError> {
        Ok(Self { host: target.host.ok_or(PrepareError::Address)? })
    }
}

#[async_trait]
impl Probe for Icmp {
    async fn walk(&self, egress: &Egress, trace: &mut Trace) -> Result<(), ProbeFailure> {
        let places = reach::places(egress, &self.host, 0, trace).await?;
        let mut calling = Calling { token: rand::random(), lines: Vec::new(), sent: Vec::new() };
        let (round_trip, _line) = ask(&mut calling, egress, &places, trace).await?;
        trace.replied_after(round_trip);
        Ok(())
    }
}

struct Calling {
    /// What nobody else's echo carries.
    token: [u8; TOKEN_BYTES],
    /// The kind and the identifier on each line; of one that could not be opened they mean nothing.
    lines: Vec<(Kind, u16)>,
    /// When each echo went out, by its sequence number.
    sent: Vec<Instant>,
}

impl Conversation for Calling {
    /// From the echo to its answer.
    type Answer = Duration;

    const AGAIN: Option<Duration> = Some(Duration::from_secs(1));

    fn open(
        &mut self,
        line: usize,
        egress: &Egress,
        (addresses, _port): &Place,
        admission: Admission,
    ) -> Result<(Datagrams, IpAddr), ProbeFailure> {
        let (echo, address) = egress.echo(addresses, admission).map_err(no_socket)?;
        self.lines.resize(line, (Kind::V4, 0));
        self.lines.push((Kind::of(address), echo.identifier));
        Ok((echo.socket, address))
    }

    fn say(&mut self, line: usize) -> Vec<u8> {
        let (kind, identifier) = self.lines[line];
        // A deadline of minutes leaves no time for so many.
        let sequence = u16::try_from(self.sent.len()).unwrap_or(u16::MAX);
        self.sent.push(Instant::now());
        packet::request(kind, &Mark { identifier, sequence, token: self.token })
    }

    fn hear(&mut self, line: usize, message: &[u8], _trace: &mut Trace) -> Heard<Duration> {
        let (kind, identifier) = self.lines[line];
        let ours = packet::reply(kind, message)
            .filter(|mark| mark.identifier == identifier && mark.token == self.token);
        let sent = ours.and_then(|mark| self.sent.get(usize::from(mark.sequence)));
        sent.map_or(Heard::Nothing, |sent| Heard::Answer(sent.elapsed()))
    }
}

fn no_socket(error: EchoError) -> ProbeFailure {
    match error {
        EchoError::Forbidden => ProbeFailure::inconclusive(
            InconclusiveReason::Unsupported,
            "this worker may not send echoes: it needs its group in net.ipv4.ping_group_range, or CAP_NET_RAW",
        ),
        EchoError::Socket(error) => failures::datagram(&error),
    }
}
