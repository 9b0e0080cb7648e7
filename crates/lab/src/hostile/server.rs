//! Plays one kind on a port of its own, and counts who comes.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::names::{self, NAME};
use super::papers::Papers;
use super::{After, Door, End, Kind, Part, Talk};
use crate::names::{NameServer, Record, Zone};

/// Between two bytes of what drips: none of them is on its own too late.
const DRIP: Duration = Duration::from_millis(100);
/// The least that is written of a flood at a time.
const FLOOD: usize = 16 * 1024;
const HEAD_LIMIT: usize = 64 * 1024;

/// One kind at its address. It ends when dropped.
#[derive(Debug)]
pub struct Server {
    /// What it plays.
    pub kind: &'static Kind,
    address: SocketAddr,
    visitors: Arc<AtomicUsize>,
    /// Who accepts, who answers, and who keeps a queue full.
    working: Vec<AbortHandle>,
    /// Who knows where it is, where that is not told otherwise.
    names: Option<NameServer>,
    /// A port that nobody listens on is kept by a socket that is only bound.
    _kept: Option<TcpSocket>,
}

impl Server {
    pub(super) async fn open(kind: &'static Kind, papers: &Papers) -> anyhow::Result<Self> {
        let visitors = Arc::new(AtomicUsize::new(0));
        let socket = bound(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)?;
        let mut address = socket.local_addr()?;
        let (mut working, mut kept, mut names) = (Vec::new(), None, None);
        match kind.door {
            Door::Closed => kept = Some(socket),
            Door::Full => working.push(fill(socket.listen(1)?, address).await?),
            Door::Bare(talk) => {
                working.push(accept(socket.listen(1024)?, Arc::clone(&visitors), talk, None));
            }
            Door::Secured(paper, talk) => {
                let acceptor = papers.acceptor(paper).context("a certificate")?;
                let listener = socket.listen(1024)?;
                working.push(accept(listener, Arc::clone(&visitors), talk, Some(acceptor)));
            }
            Door::Names(mischief) => {
                (address, working) = names::open(mischief, Arc::clone(&visitors)).await?;
            }
            Door::BehindBlackHole(talk) => {
                let (listener, hole, swallowing) = beside_black_hole().await?;
                address = listener.local_addr()?;
                working.push(swallowing);
                working.push(accept(listener, Arc::clone(&visitors), talk, None));
                names = Some(knowing(&[hole, address.ip()]).await?);
            }
        }
        Ok(Self { kind, address, visitors, working, names, _kept: kept })
    }

    /// Where it is found, as a check is told.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = self.kind.scheme;
        match self.kind.door {
            Door::Names(_) if scheme == "dns" => format!("dns://{}/{NAME}?type=A", self.address),
            Door::Names(_) | Door::BehindBlackHole(_) => {
                format!("{scheme}://{NAME}:{}", self.address.port())
            }
            _ => format!("{scheme}://{}", self.address),
        }
    }

    /// Who is asked where it is, where a check must say so.
    #[must_use]
    pub fn resolver(&self) -> Option<SocketAddr> {
        let itself = matches!(self.kind.door, Door::Names(_)) && self.kind.scheme != "dns";
        self.names.as_ref().map(NameServer::address).or_else(|| itself.then_some(self.address))
    }

    /// Whether nobody came who could have.
    #[must_use]
    pub fn is_lonely(&self) -> bool {
        let lets_in = !matches!(self.kind.door, Door::Closed | Door::Full);
        lets_in && self.visitors.load(Ordering::Relaxed) == 0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for working in &self.working {
            working.abort();
        }
    }
}

fn bound(address: IpAddr, port: u16) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind((address, port).into())?;
    Ok(socket)
}

/// Somebody who listens, and on the same port of another address nobody who lets in: of IPv6, which is
/// tried first, where this machine has it.
async fn beside_black_hole() -> anyhow::Result<(TcpListener, IpAddr, AbortHandle)> {
    const TRIES: usize = 20;
    const INSTEAD: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 77));
    let has_v6 = bound(Ipv6Addr::LOCALHOST.into(), 0).is_ok();
    let hole = if has_v6 { Ipv6Addr::LOCALHOST.into() } else { INSTEAD };
    for _ in 0..TRIES {
        let listening = bound(Ipv4Addr::LOCALHOST.into(), 0)?;
        let port = listening.local_addr()?.port();
        let Ok(silent) = bound(hole, port) else { continue };
        let swallowing = fill(silent.listen(1)?, (hole, port).into()).await?;
        return Ok((listening.listen(1024)?, hole, swallowing));
    }
    anyhow::bail!("no port is free at both addresses")
}

/// A name server that is well, and knows these addresses.
async fn knowing(addresses: &[IpAddr]) -> io::Result<NameServer> {
    let mut zone = Zone::default();
    zone.add(NAME, vec![addresses.iter().copied().map(Record::Address).collect()]);
    NameServer::start_at(Ipv4Addr::LOCALHOST, zone).await
}

/// Fills the queue of a listener that never accepts, and keeps it full.
async fn fill(listener: TcpListener, address: SocketAddr) -> anyhow::Result<AbortHandle> {
    const MORE_THAN_ENOUGH: usize = 8;
    const SURELY_FULL: Duration = Duration::from_millis(200);
    let mut waiting = Vec::new();
    for _ in 0..MORE_THAN_ENOUGH {
        // The first ones get into the queue, and stay there.
        match tokio::time::timeout(SURELY_FULL, TcpStream::connect(address)).await {
            Ok(connected) => waiting.push(connected?),
            Err(_full) => {
                let keeping = tokio::spawn(async move {
                    let _kept = (listener, waiting);
                    std::future::pending::<()>().await;
                });
                return Ok(keeping.abort_handle());
            }
        }
    }
    anyhow::bail!("the queue of {address} does not get full")
}

fn accept(
    listener: TcpListener,
    visitors: Arc<AtomicUsize>,
    talk: Talk,
    acceptor: Option<TlsAcceptor>,
) -> AbortHandle {
    let accepting = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            // Only a lack of descriptors fails here; the peers that waited try again.
            let Ok((stream, _)) = listener.accept().await else {
                tokio::task::yield_now().await;
                continue;
            };
            visitors.fetch_add(1, Ordering::Relaxed);
            connections.spawn(converse(stream, talk, acceptor.clone()));
            while connections.try_join_next().is_some() {}
        }
    });
    accepting.abort_handle()
}

/// A peer that goes away is the normal end here.
async fn converse(stream: TcpStream, talk: Talk, acceptor: Option<TlsAcceptor>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if matches!(talk.then, End::Reset) {
        stream.set_zero_linger()?;
    }
    match acceptor {
        None => speak(stream, talk).await,
        Some(acceptor) => speak(acceptor.accept(stream).await?, talk).await,
    }
}

async fn speak<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, talk: Talk) -> io::Result<()> {
    listen(&mut stream, talk.after).await?;
    for part in talk.says {
        say(&mut stream, *part).await?;
    }
    stream.flush().await?;
    match talk.then {
        End::Close | End::Reset => Ok(()),
        End::Silence => {
            let mut ignored = [0; 1024];
            while stream.read(&mut ignored).await? > 0 {}
            Ok(())
        }
        End::Flood(bytes) => {
            let flood = bytes.repeat(FLOOD.div_ceil(bytes.len()));
            loop {
                stream.write_all(&flood).await?;
            }
        }
        End::Drip(bytes) => {
            for byte in bytes.iter().cycle() {
                stream.write_all(&[*byte]).await?;
                stream.flush().await?;
                tokio::time::sleep(DRIP).await;
            }
            Ok(())
        }
    }
}

async fn listen(stream: &mut (impl AsyncRead + Unpin), after: After) -> io::Result<()> {
    let mut heard = Vec::new();
    while after != After::Nothing && heard.len() < HEAD_LIMIT {
        if stream.read_buf(&mut heard).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if after == After::AnyWord || heard.ends_with(b"\r\n\r\n") {
            break;
        }
    }
    Ok(())
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), part: Part) -> io::Result<()> {
    match part {
        Part::Words(words) => stream.write_all(words.as_bytes()).await,
        Part::Bytes(bytes) => stream.write_all(bytes).await,
        Part::Many(words, times) => stream.write_all(words.repeat(times).as_bytes()).await,
        Part::Wait(ms) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::kinds;
    use super::*;

    async fn open(name: &str) -> Server {
        let kind = kinds().find(|kind| kind.name == name).unwrap();
        Server::open(kind, &Papers::issue().unwrap()).await.unwrap()
    }

    async fn asked(server: &Server) -> Vec<u8> {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut heard = vec![0; 4096];
        let read = stream.read(&mut heard).await.unwrap();
        heard.truncate(read);
        heard
    }

    #[tokio::test]
    async fn a_kind_says_what_its_row_has_and_counts_who_came() {
        let server = open("status-99").await;
        assert!(server.is_lonely());

        assert_eq!(asked(&server).await, b"HTTP/1.1 99 Low\r\n\r\n");

        assert!(!server.is_lonely());
    }

    #[tokio::test]
    async fn nobody_gets_through_a_full_door_or_finds_one_that_is_closed() {
        let (full, closed) = (open("queue-full").await, open("nobody-there").await);

        let waited = Duration::from_millis(300);
        let waiting = tokio::time::timeout(waited, TcpStream::connect(full.address)).await;
        let refused = TcpStream::connect(closed.address).await;

        assert!(waiting.is_err(), "{waiting:?}");
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn a_name_server_counts_its_questions_and_answers_as_its_row_has_it() {
        let failing = open("names-failing").await;
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let question = b"\x07\x07\x01\0\0\x01\0\0\0\0\0\0\x04shop\x07example\0\0\x01\0\x01";

        socket.send_to(question, failing.address).await.unwrap();
        let mut answer = [0; 512];
        let (length, _) = socket.recv_from(&mut answer).await.unwrap();

        assert_eq!((length, answer[..2].to_vec(), answer[3] & 0x0f), (30, vec![7, 7], 2));
        assert!(!failing.is_lonely());
        assert_eq!(failing.url(), format!("dns://{}/shop.example?type=A", failing.address));
        assert_eq!(failing.resolver(), None);
        let resolver = open("resolver-failing").await;
        assert_eq!(resolver.resolver(), Some(resolver.address));
    }

    #[tokio::test]
    async fn what_is_beside_a_black_hole_is_found_by_a_name_of_two_addresses() {
        let server = open("black-hole-first").await;

        assert!(server.url().starts_with("http://shop.example:"));
        assert!(server.resolver().is_some_and(|names| names != server.address));
        assert!(!asked(&server).await.is_empty());
    }
}
