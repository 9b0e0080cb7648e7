//! Sockets that say and hear one message at a time.
//!
//! All of them are connected: the system hears nobody else on them, and tells of ports and hosts that
//! are not there.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::net::UdpSocket;

pub(super) fn udp(address: IpAddr, port: u16) -> io::Result<UdpSocket> {
    let ours: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = std::net::UdpSocket::bind((ours, 0)).map_err(|error| match error.kind() {
        // No port of ours is left.
        ErrorKind::AddrInUse => ErrorKind::AddrNotAvailable.into(),
        _ => error,
    })?;
    socket.connect((address, port))?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}
