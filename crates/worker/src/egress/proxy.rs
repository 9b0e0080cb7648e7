//! A proxy that a check names, and the tunnel through it (CONNECT: RFC 9110, section 9.3.6).
//!
//! One way serves every kind of check, plain HTTP among them: the proxy is told where to, and from
//! then on passes bytes.

use std::fmt;
use std::io::{self, ErrorKind};
use std::ops::Deref;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pulse_core::models::proxy as models;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Host;

/// No proxy has more to say before it lets through.
const MOST_HEAD: usize = 8 * 1024;
const END: &[u8] = b"\r\n\r\n";

/// See the module.
pub struct Proxy {
    host: Host<String>,
    port: u16,
    /// A secret.
    authorization: Option<String>,
}

/// Why there is no tunnel.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// The connection to the proxy broke.
    #[error(transparent)]
    Broken(#[from] io::Error),
    /// The proxy said no.
    #[error("the proxy answered status {0}")]
    Refused(u16),
    /// It does not speak as a proxy does.
    #[error("what the proxy answered is not HTTP/1.1")]
    NoHttp,
    /// It says more than anybody needs.
    #[error("the head of what the proxy answered is over {} KiB", MOST_HEAD / 1024)]
    TooLarge,
}

impl Proxy {
    pub(super) fn new(proxy: &models::Proxy) -> Result<Self, String> {
        let (host, port) = proxy.place()?;
        let authorization = proxy.username.as_ref().map(|name| {
            let password = proxy.password.as_deref().unwrap_or_default();
            STANDARD.encode(format!("{name}:{password}"))
        });
        Ok(Self { host, port, authorization })
    }

    pub(super) const fn host(&self) -> &Host<String> {
        &self.host
    }

    /// Where it listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Asks it, over a fresh connection, to pass everything on to `place`: `host:port`. What comes after
    /// its answer is left to be read by whoever uses the tunnel.
    pub async fn tunnel<S>(&self, stream: &mut S, place: &str) -> Result<(), TunnelError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Deref<Target = TcpStream>,
    {
        let mut request = format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n");
        if let Some(credentials) = &self.authorization {
            request.extend(["Proxy-Authorization: Basic ", credentials, "\r\n"]);
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await?;
        let head = read_head(stream).await?;
        match status(&head).ok_or(TunnelError::NoHttp)? {
            200..=299 => Ok(()),
            other => Err(TunnelError::Refused(other)),
        }
    }
}

/// The address alone.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// The same.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Proxy").field(&self.to_string()).finish()
    }
}

/// The head of an answer and not a byte more: what follows may be the target's already.
async fn read_head<S>(stream: &mut S) -> Result<Vec<u8>, TunnelError>
where
    S: AsyncRead + Unpin + Deref<Target = TcpStream>,
{
    let mut head = Vec::new();
    let mut ahead = [0; 1024];
    while head.len() < MOST_HEAD {
        let seen = stream.peek(&mut ahead).await?;
        if seen == 0 {
            return Err(io::Error::from(ErrorKind::UnexpectedEof).into());
        }
        let before = head.len();
        head.extend_from_slice(&ahead[..seen]);
        let searched = before.saturating_sub(END.len() - 1);
        let end = memchr::memmem::find(&head[searched..], END).map(|at| searched + at + END.len());
        head.truncate(end.unwrap_or(head.len()));
        stream.read_exact(&mut ahead[..head.len() - before]).await?;
        if end.is_some() {
            return Ok(head);
        }
    }
    Err(TunnelError::TooLarge)
}

/// The status of `HTTP/1.1 200 OK`.
fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    words.next()?.parse().ok().filter(|status| (100..=599).contains(status))
}

#[cfg(test)]
mod tests {
    use pulse_core::models::address::AddressPolicy;
    use rustls::RootCertStore;
    use tokio::net::TcpListener;

    use super::*;
    use crate::egress::{Addresses, Egress, Waiting};

    #[test]
    fn a_status_is_read_or_there_is_none() {
        for (head, read) in [
            ("HTTP/1.1 200 Connection established\r\n\r\n", Some(200)),
            ("HTTP/1.0 407\r\n\r\n", Some(407)),
            ("HTTP/2 200\r\n\r\n", None),
            ("HTTP/1.1 20\r\n\r\n", None),
            ("220 mail\r\n\r\n", None),
            ("\r\n\r\n", None),
        ] {
            assert_eq!(status(head.as_bytes()), read, "{head}");
        }
    }

    /// What is said in these pieces, as a head and what is left after it.
    async fn heard(pieces: &'static [&'static str]) -> (Result<String, TunnelError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let speaking = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            for piece in pieces {
                stream.write_all(piece.as_bytes()).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        let egress = Egress::with_roots(RootCertStore::empty(), AddressPolicy::open()).unwrap();
        let here = Addresses::one(address.ip());
        let connected = egress.connect(&here, address.port(), &Waiting::default()).await;
        let (mut stream, _) = connected.unwrap();
        let head = read_head(&mut stream).await.map(|head| String::from_utf8(head).unwrap());
        speaking.await.unwrap();
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.unwrap();
        (head, rest)
    }

    #[tokio::test]
    async fn of_what_follows_a_head_nothing_is_taken() {
        let (head, rest) = heard(&["HTTP/1.1 200 OK\r\na: b\r\n\r\n220 mail\r\n"]).await;
        assert_eq!(
            (head.unwrap().as_str(), rest.as_str()),
            ("HTTP/1.1 200 OK\r\na: b\r\n\r\n", "220 mail\r\n")
        );

        let (head, rest) = heard(&["HTTP/1.1 200 OK\r", "\n\r", "\n2", "20"]).await;
        assert_eq!((head.unwrap().as_str(), rest.as_str()), ("HTTP/1.1 200 OK\r\n\r\n", "220"));

        let (head, _) = heard(&["HTTP/1.1 200 OK\r\n"]).await;
        assert!(matches!(head, Err(TunnelError::Broken(_))));
    }

    #[test]
    fn a_proxy_is_told_by_its_address_alone() {
        let proxy = models::Proxy {
            url: "http://[::1]:3128".into(),
            username: Some("me".into()),
            password: Some("hush".into()),
        };
        let proxy = Proxy::new(&proxy).unwrap();

        assert_eq!(format!("{proxy} {proxy:?}"), r#"[::1]:3128 Proxy("[::1]:3128")"#);
    }
}
