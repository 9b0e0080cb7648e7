//! Sockets that say and hear one message at a time: UDP, and echoes over ICMP.
//!
//! All of them are connected: the system hears nobody else on them, and tells of ports and hosts that
//! are not there.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rand::RngExt;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use super::connection::Datagrams;
use super::limit::Admission;

/// The same on every Unix; the crate gives it a name only together with much else.
const RAW: i32 = 3;

/// A socket for echoes.
#[derive(Debug)]
pub struct Echo {
    /// Hears echoes, and other things that come over ICMP.
    pub socket: Datagrams,
    /// What echoes of this socket carry.
    pub identifier: u16,
}

/// Why there is no socket for echoes.
#[derive(Debug, thiserror::Error)]
pub enum EchoError {
    /// The system permits neither kind of socket to this process.
    #[error("neither kind of socket for echoes is permitted")]
    Forbidden,
    /// It permits them, and this one could not be had or not be connected.
    #[error("there is no socket for echoes")]
    Socket(#[from] io::Error),
}

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

pub(super) fn echo(address: IpAddr, place: Admission) -> Result<Echo, EchoError> {
    let (domain, protocol) = match address {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    let (socket, kind) = permitted(|kind| Socket::new(domain, kind, Some(protocol)))?;
    socket.connect(&SocketAddr::new(address, 0).into())?;
    socket.set_nonblocking(true)?;
    let socket = std::net::UdpSocket::from(socket);
    let identifier = match kind {
        // Drawn by the system, which hands us the echoes that carry it and no others.
        Type::DGRAM => socket.local_addr()?.port(),
        _ => rand::rng().random(),
    };
    Ok(Echo { socket: Datagrams::new(UdpSocket::from_std(socket)?, place), identifier })
}

/// The kind of socket that needs no privilege, or else the one that does.
fn permitted<S>(open: impl Fn(Type) -> io::Result<S>) -> Result<(S, Type), EchoError> {
    let refused = match open(Type::DGRAM) {
        Ok(socket) => return Ok((socket, Type::DGRAM)),
        Err(error) => error,
    };
    match open(Type::from(RAW)) {
        Ok(socket) => Ok((socket, Type::from(RAW))),
        // What the first lacked, if it was permitted, is what is worth telling.
        Err(error) if is_forbidden(&error) && is_forbidden(&refused) => Err(EchoError::Forbidden),
        Err(error) if is_forbidden(&error) => Err(refused.into()),
        Err(error) => Err(error.into()),
    }
}

fn is_forbidden(error: &io::Error) -> bool {
    error.kind() == ErrorKind::PermissionDenied
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPERM: i32 = 1;
    const EMFILE: i32 = 24;
    const EACCES: i32 = 13;

    fn opening(datagram: Option<i32>, raw: Option<i32>) -> Result<Type, EchoError> {
        let told =
            |lack: Option<i32>| lack.map_or(Ok(()), |no| Err(io::Error::from_raw_os_error(no)));
        let opened = permitted(|kind| told(if kind == Type::DGRAM { datagram } else { raw }));
        opened.map(|((), kind)| kind)
    }

    #[test]
    fn a_privilege_is_used_only_where_it_is_needed() {
        assert_eq!(opening(None, None).unwrap(), Type::DGRAM);
        assert_eq!(opening(Some(EACCES), None).unwrap(), Type::from(RAW));
        assert!(matches!(opening(Some(EACCES), Some(EPERM)), Err(EchoError::Forbidden)));
    }

    #[test]
    fn a_lack_of_our_own_is_not_told_as_something_forbidden() {
        for lacking in [opening(Some(EMFILE), Some(EPERM)), opening(Some(EACCES), Some(EMFILE))] {
            let Err(EchoError::Socket(error)) = lacking else { panic!("{lacking:?}") };
            assert_eq!(error.raw_os_error(), Some(EMFILE));
        }
    }
}
