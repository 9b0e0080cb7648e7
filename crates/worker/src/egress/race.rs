//! Connects to whichever address answers first (Happy Eyeballs, RFC 8305, section 5).
//!
//! Addresses start one after the other, the next as soon as one fails or has been silent for a
//! quarter of a second. A single address costs nothing extra.

use std::io::{Error, ErrorKind, Result};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::connection::Connection;
use super::exhaustion::is_local_exhaustion;
use super::limit::{Limit, Waiting, admit};

const STAGGER: Duration = Duration::from_millis(250);

/// What lets a connection begin, and knows of those that wait for it.
#[derive(Clone, Copy)]
pub(super) struct Door<'a> {
    pub(super) limit: Option<&'a Arc<Limit>>,
    pub(super) waiting: &'a Waiting,
}

impl Door<'_> {
    async fn connect(self, address: IpAddr, port: u16) -> Result<Connection> {
        let place = admit(self.limit, address, self.waiting).await;
        Ok(Connection::new(TcpStream::connect((address, port)).await?, place))
    }
}

/// When all fail, the error of the address that tells most.
pub(super) async fn connect(
    addresses: &[IpAddr],
    port: u16,
    door: Door<'_>,
) -> Result<(Connection, IpAddr)> {
    match addresses {
        [only] => Ok((door.connect(*only, port).await?, *only)),
        several => first_of(several, port, door).await,
    }
}

async fn first_of(addresses: &[IpAddr], port: u16, door: Door<'_>) -> Result<(Connection, IpAddr)> {
    let mut waiting = addresses.iter();
    let mut under_way = FuturesUnordered::new();
    let mut told: Option<Refusal> = None;
    loop {
        under_way.extend(waiting.next().map(|address| attempt(*address, port, door)));
        let patience = if waiting.as_slice().is_empty() { Duration::MAX } else { STAGGER };
        match timeout(patience, under_way.next()).await {
            Ok(Some(Ok(connected))) => return Ok(connected),
            Ok(Some(Err(refusal))) => told = Some(refusal.or(told)),
            Ok(None) => break,
            Err(_silence) => {}
        }
    }
    Err(told.map_or_else(|| Error::from(ErrorKind::AddrNotAvailable), |refusal| refusal.error))
}

async fn attempt(
    address: IpAddr,
    port: u16,
    door: Door<'_>,
) -> std::result::Result<(Connection, IpAddr), Refusal> {
    let stream = door.connect(address, port).await;
    stream.map(|stream| (stream, address)).map_err(|error| Refusal { address, error })
}

struct Refusal {
    address: IpAddr,
    error: Error,
}

impl Refusal {
    /// The one that tells more; the earlier when both tell the same.
    fn or(self, earlier: Option<Self>) -> Self {
        match earlier {
            Some(earlier) if earlier.weight() >= self.weight() => earlier,
            _ => self,
        }
    }

    /// A lack of our own outweighs what a target said, because the lacking address may be well. But
    /// "address not available" for IPv6 mostly means that this machine has no IPv6 at all.
    fn weight(&self) -> u8 {
        match self.error.kind() {
            ErrorKind::AddrNotAvailable if self.address.is_ipv6() => 1,
            _ if is_local_exhaustion(&self.error) => 3,
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => 0,
            _ => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
    use std::time::Instant;

    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    fn most_telling(refusals: [(IpAddr, ErrorKind); 2]) -> ErrorKind {
        let [first, second] =
            refusals.map(|(address, kind)| Refusal { address, error: kind.into() });
        second.or(Some(first)).error.kind()
    }

    #[test]
    fn a_lack_of_our_own_is_never_told_as_a_fault_of_the_target() {
        let (v6, v4) = (IpAddr::from(Ipv6Addr::LOCALHOST), IpAddr::from(Ipv4Addr::LOCALHOST));
        let (lack, refused) = (ErrorKind::AddrNotAvailable, ErrorKind::ConnectionRefused);
        let unreachable = ErrorKind::NetworkUnreachable;

        assert_eq!(most_telling([(v6, refused), (v4, lack)]), lack);
        assert_eq!(most_telling([(v6, unreachable), (v4, lack)]), lack);
        assert_eq!(most_telling([(v6, lack), (v4, unreachable)]), lack);
        assert_eq!(
            most_telling([(v6, lack), (v4, refused)]),
            refused,
            "no IPv6 here, and IPv4 answered"
        );
        assert_eq!(most_telling([(v6, refused), (v4, unreachable)]), refused);
    }

    async fn connect(addresses: &[IpAddr], port: u16) -> Result<(Connection, IpAddr)> {
        let door = Door { limit: None, waiting: &Waiting::default() };
        super::connect(addresses, port, door).await
    }

    #[tokio::test]
    async fn an_address_that_refuses_does_not_hide_one_that_answers() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let refusing: IpAddr = [127, 0, 0, 77].into();
        let answering: IpAddr = [127, 0, 0, 1].into();

        let (_stream, address) = connect(&[refusing, answering], port).await.unwrap();

        assert_eq!(address, answering);
    }

    #[tokio::test]
    async fn an_address_that_keeps_silent_holds_the_next_up_for_a_moment_only() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // Its queue is filled, so that further connections to it wait.
        let silent = TcpSocket::new_v4().unwrap();
        silent.bind(SocketAddr::from(([127, 0, 0, 77], port))).unwrap();
        let silent = silent.listen(1).unwrap();
        let address = silent.local_addr().unwrap();
        let filling: Vec<_> = (0..8).map(|_| tokio::spawn(TcpStream::connect(address))).collect();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let began = Instant::now();

        let both = [address.ip(), [127, 0, 0, 1].into()];
        let (_stream, address) = connect(&both, port).await.unwrap();

        assert_eq!(address, IpAddr::from([127, 0, 0, 1]));
        assert!(
            (STAGGER..Duration::from_secs(5)).contains(&began.elapsed()),
            "{:?}",
            began.elapsed()
        );
        drop((filling, silent));
    }

    #[tokio::test]
    async fn when_all_refuse_it_was_refused() {
        let addresses = [IpAddr::from([127, 0, 0, 77]), IpAddr::from([127, 0, 0, 78])];
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();

        let error = connect(&addresses, free).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }
}
