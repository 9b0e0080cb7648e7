//! Who listens at forbidden addresses, and who at the one that is allowed; all on the same port, so that
//! an answer that changes its address leads to one of them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::Context;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::AbortHandle;

use super::HERE;
use crate::http1::{self, After, Connection, Oracle, Request};

/// Where nobody may come.
const FORBIDDEN: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)),
    IpAddr::V4(Ipv4Addr::new(127, 1, 0, 1)),
    IpAddr::V4(Ipv4Addr::new(127, 255, 255, 254)),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];
/// How often a port is sought that is free everywhere.
const TRIES: usize = 20;

/// The listeners. They end when dropped.
#[derive(Debug)]
pub struct Places {
    /// The port of them all.
    pub port: u16,
    forbidden: Vec<(SocketAddr, Arc<AtomicUsize>)>,
    here: Arc<Here>,
    working: Vec<AbortHandle>,
}

/// What the server at the allowed address was asked for.
#[derive(Debug, Default)]
struct Here {
    /// Where `/to/{number}` leads.
    ways: OnceLock<Vec<String>>,
    hooks: AtomicUsize,
}

impl Places {
    /// Opens all of them.
    pub async fn open() -> anyhow::Result<Self> {
        for _ in 0..TRIES {
            let here = TcpListener::bind((HERE, 0)).await.context("the allowed address")?;
            let port = here.local_addr()?.port();
            if let Some(forbidden) = bind_all(port).await? {
                return Self::serve(port, here, forbidden);
            }
        }
        anyhow::bail!("no port is free at all of them")
    }

    fn serve(port: u16, here: TcpListener, forbidden: Vec<Ears>) -> anyhow::Result<Self> {
        let oracle = Arc::new(Here::default());
        let mut working = vec![http1::serve_on(Arc::clone(&oracle), here)];
        let mut counted = Vec::new();
        for (listener, socket) in forbidden {
            let visitors = Arc::new(AtomicUsize::new(0));
            counted.push((listener.local_addr()?, Arc::clone(&visitors)));
            let counting = tokio::spawn(async move {
                let mut message = [0; 512];
                loop {
                    let came = tokio::select! {
                        came = listener.accept() => came.is_ok(),
                        came = socket.recv_from(&mut message) => came.is_ok(),
                    };
                    visitors.fetch_add(usize::from(came), Ordering::Relaxed);
                }
            });
            working.push(counting.abort_handle());
        }
        Ok(Self { port, forbidden: counted, here: oracle, working })
    }

    /// The addresses where nobody may come.
    pub fn forbidden(&self) -> impl Iterator<Item = IpAddr> {
        self.forbidden.iter().map(|(address, _)| address.ip())
    }

    /// One of them, as the address of a proxy.
    #[must_use]
    pub fn as_proxy(&self) -> String {
        format!("http://{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }

    /// Sets where the server at the allowed address leads, by number: once.
    pub fn lead(&self, ways: Vec<String>) {
        let _set_before = self.here.ways.set(ways);
    }

    /// How many came where nobody may.
    #[must_use]
    pub fn visitors(&self) -> usize {
        self.forbidden.iter().map(|(_, visitors)| visitors.load(Ordering::Relaxed)).sum()
    }

    /// How many webhooks came where they may.
    #[must_use]
    pub fn hooks(&self) -> usize {
        self.here.hooks.load(Ordering::Relaxed)
    }

    /// Goes to each forbidden place, by a connection and by a datagram, and says how many of them noticed
    /// both: to be asked in the end.
    pub async fn noticing(&self) -> io::Result<usize> {
        let mut noticed = 0;
        for (address, visitors) in &self.forbidden {
            let before = visitors.load(Ordering::Relaxed);
            let _visit = TcpStream::connect(address).await?;
            let _message =
                UdpSocket::bind((unspecified(*address), 0)).await?.send_to(b"?", address).await?;
            for _ in 0..100 {
                if visitors.load(Ordering::Relaxed) >= before + 2 {
                    noticed += 1;
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
        Ok(noticed)
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        for working in &self.working {
            working.abort();
        }
    }
}

/// What hears connections and datagrams.
type Ears = (TcpListener, UdpSocket);

fn unspecified(like: SocketAddr) -> IpAddr {
    match like {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

async fn bind(address: IpAddr, port: u16) -> io::Result<Ears> {
    Ok((TcpListener::bind((address, port)).await?, UdpSocket::bind((address, port)).await?))
}

/// `None` when somebody else has the port at one of them. A machine without IPv6 has fewer of them.
async fn bind_all(port: u16) -> io::Result<Option<Vec<Ears>>> {
    let mut listeners = Vec::new();
    for address in FORBIDDEN {
        match bind(address, port).await {
            Ok(ears) => listeners.push(ears),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Ok(None),
            Err(_no_ipv6) if address.is_ipv6() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(listeners))
}

impl Oracle for Here {
    async fn meet(&self, connection: &mut Connection, request: Request) -> io::Result<After> {
        if request.path == "/hook" {
            self.hooks.fetch_add(1, Ordering::Relaxed);
            return connection.answer(200, "", &request).await;
        }
        if request.path == "/fail" {
            return connection.answer(500, "", &request).await;
        }
        let number = request.path.strip_prefix("/to/").and_then(|number| number.parse().ok());
        let Some(number) = number else { return connection.answer(200, "", &request).await };
        let way = |number: usize| self.ways.get()?.get(number);
        match way(number) {
            Some(way) => connection.answer(302, &format!("location: {way}\r\n"), &request).await,
            None => connection.answer(404, "", &request).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_visitor_is_noticed_wherever_nobody_may_come() {
        let places = Places::open().await.unwrap();
        assert_eq!(places.visitors(), 0);

        let noticed = places.noticing().await.unwrap();

        assert_eq!(noticed, places.forbidden().count());
        assert_eq!(places.visitors(), 2 * noticed);
        assert!(noticed >= 4);
    }
}
