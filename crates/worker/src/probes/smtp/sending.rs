//! Hands a letter to a mail server: what a look does up to the log-in, and the letter after it.

use std::time::{Duration, Instant};

use pulse_core::models::channel::{Letter, Security};
use pulse_core::models::run::FailClass;
use pulse_core::models::target::Target;
use tokio::time::timeout_at;

use super::super::bounded::Bounded;
use super::super::log_in::LogIn;
use super::super::peer::Peer;
use super::super::reach::Duplex;
use super::super::trace::Trace;
use super::super::{ProbeFailure, failures};
use super::dialogue::{MOST, Reply, garbage, heard};
use super::{begin_tls, greeted, introduce};
use crate::egress::Egress;

/// What a mail server said of a letter.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// Its last reply.
    pub(crate) reply: String,
    /// The receivers that it refused, each with why; not all of them.
    pub(crate) refused: Vec<(String, String)>,
    /// Those of them that it may take later.
    pub(crate) left: Vec<String>,
}

/// Why a letter was not taken.
#[derive(Debug)]
pub(crate) struct Untaken {
    pub(crate) failure: ProbeFailure,
    /// Whether the server will never take this one. What it says of the session, a log-in among it, is
    /// not final: somebody may mend that.
    pub(crate) is_final: bool,
}

impl From<ProbeFailure> for Untaken {
    fn from(failure: ProbeFailure) -> Self {
        Self { failure, is_final: false }
    }
}

/// Sends `message`, a whole letter with its head, to these of its receivers. The caller holds the deadline; those
/// who are put off at first are not waited for beyond `rest_by`.
pub(crate) async fn send(
    egress: &Egress,
    letter: &Letter,
    to: &[String],
    message: &[u8],
    rest_by: Instant,
) -> Result<Accepted, Untaken> {
    let trace = &mut Trace::begin(Duration::MAX);
    let (host, port) = (&letter.host, letter.port);
    let address = if host.contains(':') {
        format!("smtp://[{host}]:{port}")
    } else {
        format!("smtp://{host}:{port}")
    };
    let wrong = |_| ProbeFailure::of_worker("the mail server's address is not one");
    let target = Target::parse(&address).map_err(wrong)?;
    let peer = Peer::of(&target)
        .map_err(|_no_name| ProbeFailure::of_worker("the mail server's name is not one"))?;
    let stream = peer.connect(egress, trace).await?;
    let own = stream.local_addr().map_err(|error| failures::talking(&error))?;
    match letter.security {
        Security::None => {
            let mut server = Bounded::new(stream, MOST);
            let offers = greeted(&mut server, own, trace).await?;
            hand_over(server, &offers, letter, (to, rest_by), message, trace).await
        }
        Security::StartTls => {
            let stream = begin_tls(stream, trace).await?;
            let stream = peer.encrypt(egress, stream, trace).await?;
            let mut server = Bounded::new(stream, MOST);
            let offers = introduce(&mut server, own, trace).await?;
            hand_over(server, &offers, letter, (to, rest_by), message, trace).await
        }
        Security::Tls => {
            let stream = peer.encrypt(egress, stream, trace).await?;
            let mut server = Bounded::new(stream, MOST);
            let offers = greeted(&mut server, own, trace).await?;
            hand_over(server, &offers, letter, (to, rest_by), message, trace).await
        }
    }
}

/// RFC 5321, section 3.3.
async fn hand_over<S: Duplex>(
    mut server: Bounded<S>,
    offers: &Reply,
    letter: &Letter,
    (to, rest_by): (&[String], Instant),
    message: &[u8],
    trace: &mut Trace,
) -> Result<Accepted, Untaken> {
    if let Some((username, password)) = &letter.log_in {
        let who = LogIn { username: username.clone(), password: password.clone() };
        super::authenticate(&mut server, &who, offers, trace).await?;
    }
    let mut accepted = transact(&mut server, &letter.from, to, message, trace).await?;
    // A server may take only so many at once, and the others right after them (RFC 5321, section 4.5.3.1.10).
    if !accepted.left.is_empty() {
        let rest = std::mem::take(&mut accepted.left);
        let asked = transact(&mut server, &letter.from, &rest, message, trace);
        match timeout_at(rest_by.into(), asked).await {
            Ok(Ok(Accepted { refused, left, reply: _ })) => {
                accepted.refused.retain(|(receiver, _)| !rest.contains(receiver));
                accepted.refused.extend(refused);
                accepted.left = left;
            }
            Ok(Err(_)) | Err(_) => accepted.left = rest,
        }
    }
    // Whether the farewell arrives changes nothing.
    let _gone = server.say(b"QUIT\r\n").await;
    Ok(accepted)
}

/// One letter to those of these who may get it.
async fn transact<S: Duplex>(
    server: &mut Bounded<S>,
    from: &str,
    to: &[String],
    message: &[u8],
    trace: &mut Trace,
) -> Result<Accepted, Untaken> {
    server.say(format!("MAIL FROM:<{from}>\r\n").as_bytes()).await?;
    taken(server, "the sender", trace).await?;
    let (mut refused, mut left) = (Vec::new(), Vec::new());
    for receiver in to {
        server.say(format!("RCPT TO:<{receiver}>\r\n").as_bytes()).await?;
        match taken(server, receiver, trace).await {
            Ok(_reply) => {}
            Err(Untaken { failure, is_final }) if failure.is_refusal() => {
                if !is_final {
                    left.push(receiver.clone());
                }
                refused.push((receiver.clone(), failure.sentence));
            }
            Err(untaken) => return Err(untaken),
        }
    }
    if refused.len() == to.len() {
        let why: Vec<String> = refused.into_iter().map(|(_, why)| why).collect();
        let failure = ProbeFailure::of_target(FailClass::Refused, why.join("; "));
        return Err(Untaken { failure, is_final: left.is_empty() });
    }
    server.say(b"DATA\r\n").await?;
    invited(server, trace).await?;
    server.say(&stuffed(message)).await?;
    let reply = taken(server, "the letter", trace).await?;
    Ok(Accepted { reply: format!("{} {}", reply.code, reply.first()), refused, left })
}

/// A reply to something of this letter.
async fn taken<S: Duplex>(
    server: &mut Bounded<S>,
    what: &str,
    trace: &mut Trace,
) -> Result<Reply, Untaken> {
    let reply = heard(server, trace).await?;
    let is_final = reply.is_final();
    reply.unless_refused(what, "").map_err(|failure| Untaken { failure, is_final })
}

/// A reply that asks for the letter.
async fn invited<S: Duplex>(server: &mut Bounded<S>, trace: &mut Trace) -> Result<(), Untaken> {
    let reply = heard(server, trace).await?;
    if reply.asks() {
        return Ok(());
    }
    let is_final = reply.is_final();
    let failure = reply.unless_refused("DATA", "").err().unwrap_or_else(garbage);
    Err(Untaken { failure, is_final })
}

/// As it travels: lines that begin with a dot have one more, and a dot alone ends it (RFC 5321,
/// section 4.5.2).
fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut sent = Vec::with_capacity(message.len() + 64);
    let mut begins = true;
    for byte in message {
        if begins && *byte == b'.' {
            sent.push(b'.');
        }
        sent.push(*byte);
        begins = *byte == b'\n';
    }
    if !begins {
        sent.extend_from_slice(b"\r\n");
    }
    sent.extend_from_slice(b".\r\n");
    sent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_that_begin_a_line_are_doubled_and_one_ends_the_letter() {
        assert_eq!(stuffed(b".a\r\n..b\r\nc.\r\n"), b"..a\r\n...b\r\nc.\r\n.\r\n");
        assert_eq!(stuffed(b"a"), b"a\r\n.\r\n");
    }
}
