//! Asks the places of a target by datagrams, and hears them all.
//!
//! Nobody promises that a datagram arrives, and none says which of several addresses is the one that
//! answers. So the first place is asked at once, the next as soon as one turns out to be no good or has
//! been silent for a quarter of a second; and then all of them again, as the conversation has it. Who
//! calls holds the deadline.

use std::io::{self, ErrorKind};
use std::iter::Enumerate;
use std::net::IpAddr;
use std::slice;
use std::time::Duration;

use futures_util::future::select_all;
use pulse_core::models::run::{FailClass, Outcome};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::task::consume_budget;
use tokio::time::{Instant, timeout_at};

use super::reach::Place;
use super::trace::Trace;
use super::{ProbeFailure, failures};
use crate::egress::{Admission, Datagrams, Egress};

/// As between connections: RFC 8305, section 5.
const STAGGER: Duration = Duration::from_millis(250);
/// The longest datagram there is.
const MOST: usize = 64 * 1024;

/// What is said, and how an answer is known. A line is a socket to one place, and has its number: from 0,
/// in the order of the places.
pub(super) trait Conversation: Send {
    /// What an answer comes to.
    type Answer: Send;

    /// After how long all lines are spoken to again; `None` for never.
    const AGAIN: Option<Duration>;

    /// Opens a line to where it is admitted: over UDP, where nothing else is said.
    fn open(
        &mut self,
        _line: usize,
        egress: &Egress,
        (addresses, port): &Place,
        admission: Admission,
    ) -> Result<(Datagrams, IpAddr), ProbeFailure> {
        egress.datagram(addresses, *port, admission).map_err(|error| failures::datagram(&error))
    }

    /// What is said next on this line.
    fn say(&mut self, line: usize) -> Vec<u8>;

    /// Makes out what came on this line.
    fn hear(&mut self, line: usize, message: &[u8], trace: &mut Trace) -> Heard<Self::Answer>;
}

/// What came.
pub(super) enum Heard<A> {
    /// Nothing to us, or not all yet.
    Nothing,
    /// What was asked for.
    Answer(A),
    /// An answer, but no good one: another place may do better.
    Refusal(ProbeFailure),
    /// A wish to be spoken to once more.
    Again,
}

/// Asks until there is an answer, which comes with the number of its line, or nobody is left to ask.
pub(super) async fn ask<C: Conversation>(
    talk: &mut C,
    egress: &Egress,
    places: &[Place],
    trace: &mut Trace,
) -> Result<(C::Answer, usize), ProbeFailure> {
    trace.asked();
    let (waiting, lines, buffer) = (places.iter().enumerate(), Vec::new(), Vec::new());
    let mut round = Round { talk, egress, trace, waiting, lines, buffer, sent: 0, told: None };
    loop {
        let patience = round.speak().await?;
        if let Some(answer) = round.listen(patience).await {
            return Ok(answer);
        }
    }
}

struct Round<'a, C> {
    talk: &'a mut C,
    egress: &'a Egress,
    trace: &'a mut Trace,
    /// Places that nobody was asked at yet.
    waiting: Enumerate<slice::Iter<'a, Place>>,
    lines: Vec<Line>,
    /// Empty until something comes.
    buffer: Vec<u8>,
    sent: u32,
    told: Option<(u8, ProbeFailure)>,
}

struct Line {
    number: usize,
    socket: Datagrams,
    address: IpAddr,
}

impl<C: Conversation> Round<'_, C> {
    /// Speaks to the next place that can be spoken to, or to all again; for how long to wait for their
    /// answers then.
    async fn speak(&mut self) -> Result<Option<Duration>, ProbeFailure> {
        while let Some((number, place)) = self.waiting.next() {
            if self.open(number, place).await && self.say(self.lines.len() - 1).await {
                let is_last = self.waiting.len() == 0;
                return Ok(if is_last { C::AGAIN } else { Some(STAGGER) });
            }
        }
        if C::AGAIN.is_some() {
            for index in (0..self.lines.len()).rev() {
                self.say(index).await;
            }
        }
        match self.told.take_if(|_| self.lines.is_empty()) {
            Some((_, failure)) => Err(failure),
            None => Ok(C::AGAIN),
        }
    }

    async fn open(&mut self, number: usize, place: &Place) -> bool {
        let admission = self.egress.admit(&place.0, self.trace.waiting()).await;
        match self.talk.open(number, self.egress, place, admission) {
            Ok((socket, address)) => {
                self.trace.towards(address);
                self.lines.push(Line { number, socket, address });
                true
            }
            Err(failure) => {
                self.note(place.0.as_slice()[0], failure);
                false
            }
        }
    }

    async fn say(&mut self, index: usize) -> bool {
        let line = &self.lines[index];
        match line.socket.send(&self.talk.say(line.number)).await {
            Ok(_bytes) => {
                self.sent += 1;
                self.trace.retell("sent", self.sent.to_string());
                true
            }
            Err(error) => {
                self.give_up(index, failures::datagram(&error));
                false
            }
        }
    }

    /// Until there is an answer, or it is time to speak again.
    async fn listen(&mut self, patience: Option<Duration>) -> Option<(C::Answer, usize)> {
        let until = patience.map(|patience| Instant::now() + patience);
        while !self.lines.is_empty() && until.is_none_or(|until| Instant::now() < until) {
            // Whoever floods us holds up nobody else, and not the deadline either.
            consume_budget().await;
            let (index, came) = match until {
                Some(until) => timeout_at(until, first(&self.lines)).await.ok()?,
                None => first(&self.lines).await,
            };
            let heard = match came.and_then(|()| self.read(index)) {
                Ok(bytes) => self.hear(index, bytes),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Heard::Nothing,
                Err(error) => Heard::Refusal(failures::datagram(&error)),
            };
            match heard {
                Heard::Nothing => {}
                Heard::Again => drop(self.say(index).await),
                Heard::Answer(answer) => {
                    let Line { number, address, .. } = self.lines[index];
                    self.trace.towards(address);
                    return Some((answer, number));
                }
                Heard::Refusal(failure) => {
                    self.give_up(index, failure);
                    return None;
                }
            }
        }
        None
    }

    fn read(&mut self, index: usize) -> io::Result<usize> {
        self.buffer.resize(MOST, 0);
        self.lines[index].socket.try_recv(&mut self.buffer)
    }

    fn hear(&mut self, index: usize, bytes: usize) -> Heard<C::Answer> {
        self.talk.hear(self.lines[index].number, &self.buffer[..bytes], self.trace)
    }

    fn give_up(&mut self, index: usize, failure: ProbeFailure) {
        let line = self.lines.remove(index);
        self.note(line.address, failure);
    }

    /// Keeps the failure that tells most; the first of those that tell the same.
    fn note(&mut self, address: IpAddr, failure: ProbeFailure) {
        let weight = weight(address, &failure);
        if self.told.as_ref().is_none_or(|(most, _)| weight > *most) {
            self.told = Some((weight, failure));
        }
    }
}

/// What was answered tells more than that nobody did, and a lack of our own most of all, because the
/// place that we could not ask may be well. But for IPv6 it mostly means that there is no IPv6 here.
fn weight(address: IpAddr, failure: &ProbeFailure) -> u8 {
    match failure.outcome() {
        Outcome::Fail(FailClass::Connect) => 1,
        Outcome::Fail(_) => 2,
        _ if address.is_ipv6() => 0,
        _ => 3,
    }
}

/// The index of the first line on which there is something, or what is wrong with it.
async fn first(lines: &[Line]) -> (usize, io::Result<()>) {
    let (came, index, _others) =
        select_all(lines.iter().map(|line| Box::pin(something(&line.socket)))).await;
    (index, came)
}

async fn something(socket: &UdpSocket) -> io::Result<()> {
    let ready = socket.ready(Interest::READABLE | Interest::ERROR).await?;
    if !ready.is_error() {
        return Ok(());
    }
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    // It was told before. Nothing but an attempt that fails takes the mark away.
    let _cleared: io::Result<()> =
        socket.try_io(Interest::ERROR, || Err(ErrorKind::WouldBlock.into()));
    Ok(())
}
