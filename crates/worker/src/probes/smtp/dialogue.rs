//! What is said to a mail server, and what it replies (RFC 5321, section 4.2).

use std::net::SocketAddr;

use bytes::Bytes;
use pulse_core::models::run::FailClass;
use pulse_core::models::text::tame_line;

use super::super::ProbeFailure;
use super::super::bounded::{Bounded, Lack};
use super::super::log_in::refused;
use super::super::reach::Duplex;
use super::super::trace::Trace;

/// Of a session so much is read.
pub(in super::super) const MOST: usize = 64 * 1024;
const MOST_LINES: usize = 100;
const CODE_DIGITS: usize = 3;
const LONGEST_LINE: usize = 200;

/// The code of a reply, and the text of its lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) code: u16,
    pub(super) lines: Vec<Bytes>,
}

impl Reply {
    /// The text of the first line.
    pub(super) fn first(&self) -> String {
        let first = self.lines.first().map_or(&[] as &[u8], |line| line);
        tame_line(&String::from_utf8_lossy(first), LONGEST_LINE)
    }

    /// Whether it says never to ask again (RFC 5321, section 4.2.1).
    pub(super) const fn is_final(&self) -> bool {
        self.code >= 500
    }

    /// Whether it waits for what was announced.
    pub(super) fn asks(&self) -> bool {
        (300..=399).contains(&self.code)
    }

    pub(super) fn unless_refused(self, what: &str, secret: &str) -> Result<Self, ProbeFailure> {
        let (code, first) = (self.code, self.first());
        let echoes = !secret.is_empty() && first.contains(secret);
        match code {
            200..=299 => Ok(self),
            400.. if echoes => Err(refused(what, &code.to_string())),
            400.. => Err(refused(what, &format!("{code} {first}"))),
            _ => Err(garbage()),
        }
    }

    /// What follows this word in the lines after the first, if it has one to itself; in capitals.
    pub(super) fn offer(&self, word: &str) -> Option<String> {
        self.lines.iter().skip(1).find_map(|line| {
            let line = String::from_utf8_lossy(line).to_ascii_uppercase();
            let rest = line.strip_prefix(word)?;
            (rest.is_empty() || rest.starts_with([' ', '='])).then(|| rest.trim().to_owned())
        })
    }
}

/// A reply, which must be that to `what`, and no refusal.
pub(super) async fn agreed<S: Duplex>(
    server: &mut Bounded<S>,
    what: &str,
    trace: &mut Trace,
) -> Result<Reply, ProbeFailure> {
    heard(server, trace).await?.unless_refused(what, "")
}

/// A reply, whatever it says.
pub(super) async fn heard<S: Duplex>(
    server: &mut Bounded<S>,
    trace: &mut Trace,
) -> Result<Reply, ProbeFailure> {
    let reply = read(server, trace).await?;
    for line in &reply.lines {
        trace.read(Bytes::from(format!("{} {}\n", reply.code, String::from_utf8_lossy(line))));
    }
    Ok(reply)
}

/// Likewise, to what had a secret in it: a server that says it again is not quoted, and nothing of the
/// reply is kept.
pub(super) async fn agreed_in_secret<S: Duplex>(
    server: &mut Bounded<S>,
    what: &str,
    secret: &str,
    trace: &mut Trace,
) -> Result<Reply, ProbeFailure> {
    read(server, trace).await?.unless_refused(what, secret)
}

/// A reply that asks for more; what was said may have had a secret in it.
pub(super) async fn asked_on<S: Duplex>(
    server: &mut Bounded<S>,
    what: &str,
    secret: &str,
    trace: &mut Trace,
) -> Result<(), ProbeFailure> {
    let reply = read(server, trace).await?;
    if reply.asks() {
        return Ok(());
    }
    Err(reply.unless_refused(what, secret).err().unwrap_or_else(garbage))
}

/// Says who we are, and hears what the server offers.
pub(super) async fn introduce<S: Duplex>(
    server: &mut Bounded<S>,
    own: SocketAddr,
    trace: &mut Trace,
) -> Result<Reply, ProbeFailure> {
    let own = match own {
        SocketAddr::V4(own) => own.ip().to_string(),
        SocketAddr::V6(own) => format!("IPv6:{}", own.ip()),
    };
    server.say(format!("EHLO [{own}]\r\n").as_bytes()).await?;
    agreed(server, "EHLO", trace).await
}

async fn read<S: Duplex>(
    server: &mut Bounded<S>,
    trace: &mut Trace,
) -> Result<Reply, ProbeFailure> {
    let mut reply = Reply { code: 0, lines: Vec::new() };
    while reply.lines.len() < MOST_LINES {
        let line = server.line(trace).await.map_err(Lack::of_long_reply)?;
        let (code, more, text) = part(&line).ok_or_else(garbage)?;
        if !reply.lines.is_empty() && code != reply.code {
            return Err(garbage());
        }
        reply.code = code;
        reply.lines.push(text);
        if !more {
            return Ok(reply);
        }
    }
    Err(ProbeFailure::of_target(FailClass::TooLarge, "the reply has more than 100 lines"))
}

/// The code, whether more lines follow, and the text.
fn part(line: &Bytes) -> Option<(u16, bool, Bytes)> {
    let (code, rest) = line.split_at_checked(CODE_DIGITS)?;
    if !matches!(code, [b'2'..=b'5', rest @ ..] if rest.iter().all(u8::is_ascii_digit)) {
        return None;
    }
    let code = std::str::from_utf8(code).ok()?.parse().ok()?;
    match rest.first() {
        None => Some((code, false, Bytes::new())),
        Some(mark @ (b' ' | b'-')) => Some((code, *mark == b'-', line.slice(CODE_DIGITS + 1..))),
        Some(_) => None,
    }
}

pub(super) fn garbage() -> ProbeFailure {
    ProbeFailure::of_target(FailClass::Protocol, "what came back is not SMTP")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt;

    use super::*;

    async fn reply_of(said: &[u8]) -> Result<Reply, String> {
        let (ours, mut theirs) = tokio::io::duplex(1 << 20);
        theirs.write_all(said).await.unwrap();
        drop(theirs);
        let mut trace = Trace::begin(Duration::MAX);
        let read = agreed(&mut Bounded::new(ours, MOST), "EHLO", &mut trace).await;
        read.map_err(|failure| failure.sentence)
    }

    const OFFERS: &[u8] =
        b"250-mail.example\r\n250-size 100\r\n250-starttls\r\n250 AUTH=plain x\r\n";

    #[tokio::test]
    async fn a_reply_has_a_code_and_offers_line_by_line() {
        let reply = reply_of(OFFERS).await.unwrap();

        assert_eq!((reply.code, reply.first().as_str()), (250, "mail.example"));
        assert_eq!(reply.offer("STARTTLS").as_deref(), Some(""));
        assert_eq!(reply.offer("AUTH").as_deref(), Some("=PLAIN X"));
        assert_eq!((reply.offer("START"), reply.offer("MAIL.EXAMPLE")), (None, None));
        assert_eq!(reply_of(b"220\r\n").await.unwrap().lines, [""]);
    }

    #[tokio::test]
    async fn what_is_refused_or_no_reply_is_told() {
        let many = b"250-x\r\n".repeat(101);
        let long = [b"250 ".as_slice(), &b"x".repeat(MOST)].concat();
        for (said, sentence) in [
            (b"421 too \x1b busy\r\n" as &[u8], "the server refused EHLO: 421 too   busy"),
            (b"554\r\n", "the server refused EHLO: 554"),
            (b"HTTP/1.1 400 Bad Request\r\n", "what came back is not SMTP"),
            (b"334 more\r\n", "what came back is not SMTP"),
            (b"150 a\r\n", "what came back is not SMTP"),
            (b"2x0 a\r\n", "what came back is not SMTP"),
            (b"250-a\r\n220 b\r\n", "what came back is not SMTP"),
            (b"250_a\r\n", "what came back is not SMTP"),
            (b"\r\n", "what came back is not SMTP"),
            (b"220 ma", "the connection was closed before a reply came"),
            (&many, "the reply has more than 100 lines"),
            (&long, "the reply is larger than is read"),
        ] {
            assert_eq!(reply_of(said).await.unwrap_err(), sentence);
        }
    }

    #[tokio::test]
    async fn what_is_cut_or_spoilt_anywhere_is_read_or_refused_and_nothing_worse() {
        for place in 0..OFFERS.len() {
            assert!(reply_of(&OFFERS[..place]).await.is_err());
            for bits in [0x01, 0x04, 0x20, 0x80, 0xff] {
                let mut spoilt = OFFERS.to_vec();
                spoilt[place] ^= bits;
                let _read_or_refused = reply_of(&spoilt).await;
            }
        }
    }
}
