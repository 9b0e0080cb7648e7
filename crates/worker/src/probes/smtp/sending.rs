//! Hands a letter to a mail server: what a look does up to the log-in, and the letter after it.

use std::time::Duration;

use pulse_core::models::channel::{Letter, Security};
use pulse_core::models::run::FailClass;
use pulse_core::models::target::Target;

use super::super::bounded::Bounded;
use super::super::log_in::LogIn;
use super::super::peer::Peer;
use super::super::reach::Duplex;
use super::super::trace::Trace;
use super::super::{ProbeFailure, failures};
use super::dialogue::{MOST, Reply, agreed, invited};
use super::{begin_tls, greeted, introduce};
use crate::egress::Egress;

/// What a mail server said of a letter.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// Its last reply.
    pub(crate) reply: String,
    /// The receivers that it refused, and why; not all of them.
    pub(crate) refused: Vec<String>,
}

/// Sends `message`, a whole letter with its head. The caller holds the deadline.
pub(crate) async fn send(
    egress: &Egress,
    letter: &Letter,
    message: &[u8],
) -> Result<Accepted, ProbeFailure> {
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
            hand_over(server, &offers, letter, message, trace).await
        }
        Security::StartTls => {
            let stream = begin_tls(stream, trace).await?;
            let stream = peer.encrypt(egress, stream, trace).await?;
            let mut server = Bounded::new(stream, MOST);
            let offers = introduce(&mut server, own, trace).await?;
            hand_over(server, &offers, letter, message, trace).await
        }
        Security::Tls => {
            let stream = peer.encrypt(egress, stream, trace).await?;
            let mut server = Bounded::new(stream, MOST);
            let offers = greeted(&mut server, own, trace).await?;
            hand_over(server, &offers, letter, message, trace).await
        }
    }
}

/// RFC 5321, section 3.3.
async fn hand_over<S: Duplex>(
    mut server: Bounded<S>,
    offers: &Reply,
    letter: &Letter,
    message: &[u8],
    trace: &mut Trace,
) -> Result<Accepted, ProbeFailure> {
    if let Some((username, password)) = &letter.log_in {
        let who = LogIn { username: username.clone(), password: password.clone() };
        super::authenticate(&mut server, &who, offers, trace).await?;
    }
    server.say(format!("MAIL FROM:<{}>\r\n", letter.from).as_bytes()).await?;
    agreed(&mut server, "the sender", trace).await?;
    let mut refused = Vec::new();
    for receiver in &letter.to {
        server.say(format!("RCPT TO:<{receiver}>\r\n").as_bytes()).await?;
        match agreed(&mut server, receiver, trace).await {
            Ok(_reply) => {}
            Err(failure) if failure.is_refusal() => refused.push(failure.sentence),
            Err(failure) => return Err(failure),
        }
    }
    if refused.len() == letter.to.len() {
        return Err(ProbeFailure::of_target(FailClass::Refused, refused.join("; ")));
    }
    server.say(b"DATA\r\n").await?;
    invited(&mut server, "DATA", trace).await?;
    server.say(&stuffed(message)).await?;
    let reply = agreed(&mut server, "the letter", trace).await?;
    // Whether the farewell arrives changes nothing.
    let _gone = server.say(b"QUIT\r\n").await;
    Ok(Accepted { reply: format!("{} {}", reply.code, reply.first()), refused })
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
