//! The floor: the least that a look over a fresh connection costs with the prober's client stack.
//!
//! hyper on a socket of one's own, connection and request in one task; https by rustls with the
//! certificate verified and a full handshake each. No deadline, no phases, no limits, no verdict.

use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use anyhow::ensure;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::target::{ADDRESSES, Ports, Scheme};

/// See the module.
pub struct Bare {
    tls: TlsConnector,
    ports: Ports,
    requests: Vec<Request<Empty<Bytes>>>,
}

impl Bare {
    /// Looks at so many paths, and trusts `roots`.
    pub fn new(roots: Arc<RootCertStore>, ports: Ports, paths: usize) -> anyhow::Result<Self> {
        let mut tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.resumption = Resumption::disabled();
        let request = |n| {
            Request::get(format!("/m/{n}"))
                .header("host", address(ports.http, n).to_string())
                .header("user-agent", "bench/1")
                .header("accept", "*/*")
                .body(Empty::new())
        };
        Ok(Self {
            tls: TlsConnector::from(Arc::new(tls)),
            ports,
            requests: (0..paths).map(request).collect::<Result<_, _>>()?,
        })
    }

    /// Looks once at the n-th path.
    pub async fn look(&self, scheme: Scheme, n: usize) -> anyhow::Result<()> {
        let address = address(self.ports.of(scheme), n);
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let request = self.requests[n].clone();
        match scheme {
            Scheme::Http => exchange(stream, request).await,
            Scheme::Https => {
                let name = ServerName::from(address.ip());
                exchange(self.tls.connect(name, stream).await?, request).await
            }
        }
    }
}

fn address(port: u16, n: usize) -> SocketAddr {
    let last = u8::try_from(n % usize::from(ADDRESSES)).unwrap_or_default() + 1;
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), port)
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    request: Request<Empty<Bytes>>,
) -> anyhow::Result<()> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut connection = pin!(connection);
    let mut talk = pin!(async {
        let answer = sender.send_request(request).await?;
        ensure!(answer.status() == StatusCode::OK, "the target answered {}", answer.status());
        answer.into_body().collect().await?;
        Ok(())
    });
    let mut open = true;
    poll_fn(|cx| {
        // Twice: each may wait for what the other has just done.
        for _ in 0..2 {
            open = open && connection.as_mut().poll(cx).is_pending();
            if let Poll::Ready(talked) = talk.as_mut().poll(cx) {
                return Poll::Ready(talked);
            }
        }
        Poll::Pending
    })
    .await
}
