//! Servers that answer with the bytes a test gives them, plain or over TLS.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

pub const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
pub const BAD_GATEWAY: &str = "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n";

/// A server on loopback; it ends when dropped.
pub struct Server {
    pub address: SocketAddr,
    pub requests: Arc<Mutex<Vec<String>>>,
    accepting: AbortHandle,
}

impl Server {
    pub async fn answering(answer: impl AsRef<[u8]>) -> Self {
        Self::answering_in_turn(&[answer]).await
    }

    /// The first request gets the first answer, and so on, round and round.
    pub async fn answering_in_turn(answers: &[impl AsRef<[u8]>]) -> Self {
        let answers: Arc<[Vec<u8>]> = answers.iter().map(|a| a.as_ref().to_vec()).collect();
        let (requests, turn) = (Arc::default(), Arc::new(AtomicUsize::new(0)));
        let kept = Arc::clone(&requests);
        Self::raw(requests, move |stream| {
            let answer = answers[turn.fetch_add(1, Ordering::Relaxed) % answers.len()].clone();
            answer_one(stream, answer, Arc::clone(&kept))
        })
        .await
    }

    /// Takes connections, and never says a word.
    pub async fn mute() -> Self {
        Self::raw(Arc::default(), |mut stream| async move {
            let mut heard = Vec::new();
            let _until_it_gives_up = stream.read_to_end(&mut heard).await;
        })
        .await
    }

    /// Shows this certificate, and answers with `OK`.
    pub async fn secured(identity: &Identity) -> Self {
        let (acceptor, requests) = (identity.acceptor(), Arc::default());
        let kept = Arc::clone(&requests);
        Self::raw(requests, move |stream| {
            let (accepting, kept) = (acceptor.accept(stream), Arc::clone(&kept));
            async move {
                if let Ok(stream) = accepting.await {
                    answer_one(stream, OK.into(), kept).await;
                }
            }
        })
        .await
    }

    async fn raw<T, F>(requests: Arc<Mutex<Vec<String>>>, talk: T) -> Self
    where
        T: Fn(TcpStream) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(talk(stream));
            }
        });
        Self { address, requests, accepting: accepting.abort_handle() }
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub fn https(&self) -> String {
        format!("https://localhost:{}/", self.address.port())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn answer_one(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: Vec<u8>,
    requests: Arc<Mutex<Vec<String>>>,
) {
    let mut request = Vec::new();
    while !is_whole(&request) {
        if stream.read_buf(&mut request).await.unwrap_or_default() == 0 {
            return;
        }
    }
    requests.lock().unwrap().push(String::from_utf8(request).unwrap());
    // A probe that has seen enough resets the connection.
    let _reset = stream.write_all(&answer).await;
    let _reset = stream.flush().await;
}

/// Head and body; of these tests none has a body that ends otherwise.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}

/// Signs certificates, and has a file that makes a process trust it.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: TempDir,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("roots.pem"), issuer.pem()).unwrap();
        Self { issuer, directory }
    }

    pub fn file(&self) -> PathBuf {
        self.directory.path().join("roots.pem")
    }

    pub fn issue(&self, params: &CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity { certificate: certificate.der().clone(), key }
    }
}

/// A certificate and its key.
pub struct Identity {
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

impl Identity {
    pub fn self_signed(params: &CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate: certificate.der().clone(), key }
    }

    fn acceptor(&self) -> TlsAcceptor {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}
