//! Getting an answer: by datagrams, and over TCP where it does not fit into one.

use std::time::Duration;

use hickory_resolver::proto::op::{Message, ResponseCode};
use pulse_core::models::run::{Detail, FailClass};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::reach::Place;
use super::super::trace::Trace;
use super::super::turns::{Conversation, Heard};
use super::super::{ProbeFailure, failures};
use super::message::{Asked, Read};
use crate::egress::Egress;

/// So many datagrams of others are passed over.
const MOST_STRANGE: u32 = 1_000;

/// One look's question.
pub(super) struct Asking<'a> {
    asked: &'a Asked,
    /// Nobody who does not see the question can know it.
    id: u16,
    plain: bool,
    strange: u32,
}

impl<'a> Asking<'a> {
    pub(super) fn new(asked: &'a Asked) -> Self {
        Self { asked, id: rand::random(), plain: false, strange: 0 }
    }

    fn packet(&self) -> Vec<u8> {
        self.asked.packet(self.id, self.plain)
    }

    /// Whether it may be the form of the question that the server does not know.
    fn is_misunderstood(&self, code: ResponseCode) -> bool {
        let misunderstood = [ResponseCode::FormErr, ResponseCode::NotImp, ResponseCode::BADVERS];
        !self.plain && misunderstood.contains(&code)
    }

    fn strange(&mut self, trace: &mut Trace) -> Heard<Option<Message>> {
        let none = || protocol("what came back is no answer to what was asked");
        trace.when_late(Err(none()));
        self.strange += 1;
        if self.strange > MOST_STRANGE { Heard::Refusal(none()) } else { Heard::Nothing }
    }
}

impl Conversation for Asking<'_> {
    /// `None` for an answer that did not fit.
    type Answer = Option<Message>;

    const AGAIN: Option<Duration> = Some(Duration::from_secs(1));

    fn say(&mut self, _line: usize) -> Vec<u8> {
        self.packet()
    }

    fn hear(&mut self, _line: usize, message: &[u8], trace: &mut Trace) -> Heard<Self::Answer> {
        match self.asked.read(self.id, message) {
            Read::Strange => self.strange(trace),
            Read::CutShort => Heard::Answer(None),
            Read::Answer(answer) if self.is_misunderstood(answer.metadata.response_code) => {
                self.plain = true;
                Heard::Again
            }
            read => match settled(read, trace) {
                Ok(answer) => Heard::Answer(Some(answer)),
                Err(failure) => Heard::Refusal(failure),
            },
        }
    }
}

/// Asks for the whole answer where only its start came.
pub(super) async fn over_tcp(
    asking: &Asking<'_>,
    egress: &Egress,
    (addresses, port): &Place,
    trace: &mut Trace,
) -> Result<Message, ProbeFailure> {
    trace.tell("transport", "tcp");
    let whole = async {
        let connected = egress.connect(addresses, *port, trace.waiting()).await;
        let (mut stream, _address) = connected.map_err(|error| failures::connect(&error))?;
        let bytes = async {
            let packet = asking.packet();
            let length = u16::try_from(packet.len()).unwrap_or_default().to_be_bytes();
            stream.write_all(&[&length[..], &packet].concat()).await?;
            let mut bytes = vec![0; usize::from(stream.read_u16().await?)];
            stream.read_exact(&mut bytes).await?;
            Ok(bytes)
        };
        let bytes = bytes.await.map_err(|error| failures::talking(&error))?;
        settled(asking.asked.read(asking.id, &bytes), trace)
    };
    whole.await.map_err(|failure| ProbeFailure {
        sentence: format!(
            "the answer is too long for a datagram, and over TCP {}",
            failure.sentence
        ),
        ..failure
    })
}

/// What was read, if it is an answer that says something of the name.
fn settled(read: Read, trace: &mut Trace) -> Result<Message, ProbeFailure> {
    let answer = match read {
        Read::Answer(answer) => *answer,
        Read::Astray => return Err(protocol("what came back answers another question")),
        Read::Strange | Read::Garbage | Read::CutShort => {
            return Err(protocol("what came back is no answer of a name server"));
        }
    };
    let code = answer.metadata.response_code;
    trace.retell("code", word(code));
    let sentence = match code {
        ResponseCode::NoError | ResponseCode::NXDomain => return Ok(answer),
        ResponseCode::ServFail => "the name server failed to find an answer (SERVFAIL)".to_owned(),
        ResponseCode::Refused => "the name server refused to answer (REFUSED)".to_owned(),
        code => format!("the name server answered with an error ({})", word(code)),
    };
    Err(ProbeFailure::of_target(FailClass::Dns, sentence).with(Detail::ServFail))
}

fn protocol(sentence: &str) -> ProbeFailure {
    ProbeFailure::of_target(FailClass::Protocol, sentence)
}

/// As the registry of IANA has it; a number where it is a rare one.
fn word(code: ResponseCode) -> String {
    let word = match code {
        ResponseCode::NoError => "NOERROR",
        ResponseCode::NXDomain => "NXDOMAIN",
        ResponseCode::ServFail => "SERVFAIL",
        ResponseCode::Refused => "REFUSED",
        ResponseCode::FormErr => "FORMERR",
        ResponseCode::NotImp => "NOTIMP",
        other => return u16::from(other).to_string(),
    };
    word.to_owned()
}
