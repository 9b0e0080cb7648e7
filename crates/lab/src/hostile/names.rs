//! Plays name servers that mean harm.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context;
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::AbortHandle;

use crate::names::{A, HEADER, NO_SUCH_NAME, Record, answer, asked_in, written};

/// What they are asked for.
pub(super) const NAME: &str = "shop.example";
const FAILED: u8 = 2;
/// Later than any look waits.
const LATE: Duration = Duration::from_secs(8);
/// As many records as fit into a datagram, nearly.
const CROWD: u16 = 2_000;
const FLOOD: usize = 200;
/// How often a port is sought that is free for both protocols.
const TRIES: usize = 20;

/// How a name server misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mischief {
    /// It says nothing.
    Silent,
    /// It answers when nobody waits any more.
    Late,
    /// Each name is another name for one that has not been asked for yet.
    EndlessAlias,
    /// Two names are names for each other.
    AliasLoop,
    /// Two thousand addresses, in one datagram of 56 KiB.
    Huge,
    /// What comes back begins as an answer does, and is nothing behind that.
    Garbage,
    /// A name that is written as being where it is itself.
    PointerLoop,
    /// A good answer to somebody else.
    AnotherId,
    /// A good answer to another question.
    AnotherName,
    /// The start of an answer; who asks for all of it over TCP is let in, and hears nothing.
    CutShort,
    /// No such name, two hundred times.
    Flood,
    /// It failed.
    Failing,
}

/// A server on a port of its own, which counts questions, and what keeps it going.
pub(super) async fn open(
    mischief: Mischief,
    asked: Arc<AtomicUsize>,
) -> anyhow::Result<(SocketAddr, Vec<AbortHandle>)> {
    let (socket, listener) = bind().await.context("a port for a name server")?;
    let address = socket.local_addr()?;
    let socket = Arc::new(socket);
    let answering = tokio::spawn(async move {
        let mut question = [0; 512];
        for turn in 0.. {
            // An error tells of an earlier answer that nobody waited for.
            let Ok((length, from)) = socket.recv_from(&mut question).await else { continue };
            asked.fetch_add(1, Ordering::Relaxed);
            let answers = mischief.answers(&question[..length], turn).unwrap_or_default();
            let socket = Arc::clone(&socket);
            let say = async move {
                for answer in answers {
                    let _nobody_waits = socket.send_to(&answer, from).await;
                }
            };
            if mischief == Mischief::Late {
                tokio::spawn(async move {
                    tokio::time::sleep(LATE).await;
                    say.await;
                });
            } else {
                say.await;
            }
        }
    });
    let mut working = vec![answering.abort_handle()];
    if mischief == Mischief::CutShort {
        working.push(let_in(listener));
    }
    Ok((address, working))
}

async fn bind() -> io::Result<(UdpSocket, TcpListener)> {
    let mut last = None;
    for _ in 0..TRIES {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        match TcpListener::bind(socket.local_addr()?).await {
            Ok(listener) => return Ok((socket, listener)),
            Err(taken) => last = Some(taken),
        }
    }
    Err(last.unwrap_or_else(|| io::ErrorKind::AddrInUse.into()))
}

/// Lets everybody in, and hears and says nothing.
fn let_in(listener: TcpListener) -> AbortHandle {
    let letting_in = tokio::spawn(async move {
        let mut inside = std::collections::VecDeque::new();
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                inside.push_back(stream);
            }
            // Whoever came before those has given up.
            inside.drain(..inside.len().saturating_sub(64));
        }
    });
    letting_in.abort_handle()
}

impl Mischief {
    /// What is said to a question, one datagram after the other; `None` for what is no question.
    fn answers(self, question: &[u8], turn: usize) -> Option<Vec<Vec<u8>>> {
        let (name, kind) = asked_in(question)?;
        let here = Record::Address(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let well = || answer(question, 0, &[(name.clone(), here.clone())]);
        let one = match self {
            Self::Silent => return None,
            Self::Late => well()?,
            Self::EndlessAlias => {
                let next = Record::Alias(format!("a{turn}.{NAME}"));
                answer(question, 0, &[(name, next)])?
            }
            Self::AliasLoop => {
                let other = format!("other.{NAME}");
                let there = (name.clone(), Record::Alias(other.clone()));
                answer(question, 0, &[there, (other, Record::Alias(name))])?
            }
            Self::Huge => {
                let count = if kind == A { CROWD } else { 0 };
                let address = |number: u16| {
                    let [high, low] = number.to_be_bytes();
                    Record::Address(Ipv4Addr::new(127, 7, high, low).into())
                };
                let all: Vec<_> =
                    (0..count).map(|number| (name.clone(), address(number))).collect();
                answer(question, 0, &all)?
            }
            Self::Garbage => [&question[..2], &[0x81, 0x80][..], &[0xff; 300][..]].concat(),
            Self::PointerLoop => {
                let mut reply = answer(question, 0, &[])?;
                // One answer, whose name is where it begins itself.
                reply[7] = 1;
                let [high, low] = u16::try_from(reply.len()).ok()?.to_be_bytes();
                reply.extend([0xc0 | high, low, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
                reply
            }
            Self::AnotherId => {
                let mut reply = well()?;
                reply[0] ^= 0x55;
                reply
            }
            Self::AnotherName => {
                let other = "elsewhere.example";
                let mut question = question[..HEADER].to_vec();
                question.extend(written(other));
                question.extend(kind.to_be_bytes());
                question.extend([0, 1]);
                answer(&question, 0, &[(other.to_owned(), here)])?
            }
            Self::CutShort => {
                let mut reply = answer(question, 0, &[])?;
                reply[2] |= 0x02;
                reply
            }
            Self::Flood => return Some(vec![answer(question, NO_SUCH_NAME, &[])?; FLOOD]),
            Self::Failing => answer(question, FAILED, &[])?,
        };
        Some(vec![one])
    }
}
