//! What is looked at: a server that costs next to nothing, in a process of its own.
//!
//! Two bytes of body on twenty addresses of loopback, http and https. Requests that name a run by
//! `Pulse-Run` are written down with their time of arrival, in memory, and to a file when asked.
//!
//! It is told what to do by lines on its standard input, and ends with it: `save PATH` writes down
//! what arrived since the last time and forgets it.

use std::cell::RefCell;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};
use tokio_rustls::TlsAcceptor;

use crate::hits::Hit;

/// How many addresses it listens on, from 127.0.0.1 on: each has ports of its own to be reached from.
pub const ADDRESSES: u8 = 20;
/// More hits than this between two savings are not kept, and are missed by whoever counts.
const MOST_HITS: usize = 8_000_000;
const MOST_HEAD: usize = 4096;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
/// Sought for a port that is free on all addresses.
const ATTEMPTS: usize = 50;

/// Where it listens: told on its standard output, as a line of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// For http.
    pub http: u16,
    /// For https.
    pub https: u16,
}

impl Ports {
    /// The address of the n-th thing to look at; they go round the addresses.
    #[must_use]
    pub fn url(self, scheme: Scheme, n: usize) -> String {
        let address = 1 + n % usize::from(ADDRESSES);
        format!("{}://127.0.0.{address}:{}/m/{n}", scheme.as_str(), self.of(scheme))
    }

    /// The port of a scheme.
    #[must_use]
    pub const fn of(self, scheme: Scheme) -> u16 {
        match scheme {
            Scheme::Http => self.http,
            Scheme::Https => self.https,
        }
    }
}

/// How it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Plain.
    Http,
    /// Encrypted, the certificate verified.
    Https,
}

impl Scheme {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Http, Self::Https];

    /// As in an address.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

type Hits = Rc<RefCell<Vec<Hit>>>;

/// Serves until the standard input ends. Whom to trust is written to `authority`.
pub async fn serve(authority: &Path) -> anyhow::Result<()> {
    LocalSet::new().run_until(serve_here(authority)).await
}

async fn serve_here(authority: &Path) -> anyhow::Result<()> {
    let hits = Hits::default();
    let acceptor = acceptor(authority)?;
    let (http, plain) = listen().await?;
    let (https, encrypted) = listen().await?;
    for listener in plain {
        spawn_local(accept(listener, None, Rc::clone(&hits)));
    }
    for listener in encrypted {
        spawn_local(accept(listener, Some(acceptor.clone()), Rc::clone(&hits)));
    }
    say(&serde_json::to_string(&Ports { http, https })?)?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        if let Some(path) = line.strip_prefix("save ") {
            let taken = hits.take();
            Hit::write_all(&taken, Path::new(path))?;
            say(&taken.len().to_string())?;
        }
    }
    Ok(())
}

pub(crate) fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).context("nobody listens any more")
}

async fn listen() -> anyhow::Result<(u16, Vec<TcpListener>)> {
    for _ in 0..ATTEMPTS {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = first.local_addr()?.port();
        let mut all = vec![first];
        for last in 2..=ADDRESSES {
            match TcpListener::bind((Ipv4Addr::new(127, 0, 0, last), port)).await {
                Ok(listener) => all.push(listener),
                Err(_taken) => break,
            }
        }
        if all.len() == usize::from(ADDRESSES) {
            return Ok((port, all));
        }
    }
    anyhow::bail!("no port is free on 127.0.0.1 to 127.0.0.{ADDRESSES}")
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, hits: Hits) {
    loop {
        // Only a lack of descriptors fails here; those that waited try again.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let (tls, hits) = (tls.clone(), Rc::clone(&hits));
        // However a peer goes away, that is its own business.
        spawn_local(async move {
            let _peer_left = meet(stream, tls, &hits).await;
        });
    }
}

async fn meet(stream: TcpStream, tls: Option<TlsAcceptor>, hits: &Hits) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    match tls {
        None => converse(stream, hits).await,
        Some(tls) => converse(tls.accept(stream).await?, hits).await,
    }
}

/// Requests have no bodies here. The peer closes: whoever closes first keeps the port.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    hits: &Hits,
) -> std::io::Result<()> {
    let mut head = [0_u8; MOST_HEAD];
    let mut filled = 0;
    loop {
        let read = stream.read(&mut head[filled..]).await?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        if head[..filled].ends_with(b"\r\n\r\n") {
            let at_us = now_us();
            if let Some(hit) = Hit::named_in(&head[..filled], at_us) {
                let mut hits = hits.borrow_mut();
                if hits.len() < MOST_HITS {
                    hits.push(hit);
                }
            }
            filled = 0;
            stream.write_all(ANSWER).await?;
            stream.flush().await?;
        }
    }
}

fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// An authority of its own, and a certificate of it for all addresses: one signature to be verified.
fn acceptor(authority: &Path) -> anyhow::Result<TlsAcceptor> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "Pulse benchmark");
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    std::fs::write(authority, issuer.pem())
        .with_context(|| format!("writing {}", authority.display()))?;
    let addresses: Vec<String> = (1..=ADDRESSES).map(|last| format!("127.0.0.{last}")).collect();
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(addresses)?.signed_by(&key, &issuer)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?,
        )?;
    // Nobody here resumes a session.
    config.send_tls13_tickets = 0;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
