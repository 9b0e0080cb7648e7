//! `--healthcheck`: asks the process on this host for its health, so that images need no curl.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(4);

/// Whether `GET /health` on `host:port` answers 200. Listening on all addresses is asked on loopback.
pub async fn is_healthy(host: IpAddr, port: u16) -> bool {
    timeout(LIMIT, ask(reachable(host), port)).await.ok().and_then(Result::ok).unwrap_or(false)
}

/// Where a process that listens on `host` is reached from this machine: on loopback, when it listens
/// on all addresses.
#[must_use]
pub fn reachable(host: IpAddr) -> IpAddr {
    match host {
        IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(any) if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        named => named,
    }
}

async fn ask(host: IpAddr, port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect((host, port)).await?;
    stream
        .write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await?;
    let mut status_line = [0; 12];
    stream.read_exact(&mut status_line).await?;
    Ok(&status_line == b"HTTP/1.1 200")
}
