//! What a look sees of a certificate.

use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pulse_core::models::address::AddressPolicy;
use pulse_core::models::alert::Settlement;
use pulse_core::models::run::FailClass;
use pulse_worker::egress::Egress;
use pulse_worker::notifiers::Notifier;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{HandshakeKind, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::looking::Look;
use crate::servers::{Server, read_request};
use crate::webhook::a_delivery;

pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, uuid::Uuid::now_v7().to_string());
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    pub fn pem(&self) -> String {
        pem(self.0.der())
    }

    pub fn egress(&self) -> Egress {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        Egress::with_roots(roots, AddressPolicy::open()).unwrap()
    }

    pub fn issue(&self, params: &CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity { certificate: certificate.der().clone(), key }
    }
}

pub struct Identity {
    pub certificate: CertificateDer<'static>,
    pub key: KeyPair,
}

fn pem(der: &CertificateDer) -> String {
    let text = STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

impl Identity {
    pub fn pem(&self) -> String {
        pem(&self.certificate)
    }

    pub fn acceptor(&self) -> TlsAcceptor {
        self.acceptor_of(b"http/1.1")
    }

    /// For those who speak this inside, and for those who do not say what they speak. With nothing,
    /// no protocol is ever chosen.
    pub fn acceptor_of(&self, protocol: &[u8]) -> TlsAcceptor {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], key)
            .unwrap();
        let protocols = [protocol].into_iter().filter(|protocol| !protocol.is_empty());
        config.alpn_protocols = protocols.map(<[u8]>::to_vec).collect();
        TlsAcceptor::from(Arc::new(config))
    }

    pub async fn serve(&self, answer: &'static str) -> Server {
        let acceptor = self.acceptor();
        Server::raw(move |stream| serve_once(acceptor.clone(), stream, answer)).await
    }
}

/// Answers one request, and leaves without the farewell that TLS asks for.
async fn serve_once(acceptor: TlsAcceptor, stream: TcpStream, answer: &'static str) {
    let Ok(mut stream) = acceptor.accept(stream).await else {
        return;
    };
    read_request(&mut stream).await;
    stream.write_all(answer.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
}

pub const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

pub fn params(name: &str) -> CertificateParams {
    CertificateParams::new([name.to_owned()]).unwrap()
}

pub fn https(name: &str, server: &Server) -> String {
    format!("https://{name}:{}/", server.port())
}

#[tokio::test]
async fn a_good_certificate_is_accepted_and_the_handshake_is_timed() {
    let authority = Authority::new();
    let server = authority.issue(&params("localhost")).serve(OK).await;

    let seen = Look::at(https("localhost", &server)).through(authority.egress()).expect_ok().await;

    assert!(seen.phases.dns_us.is_some() && seen.phases.tls_us.is_some_and(|us| us > 0));
    assert!(seen.phases.total_us > seen.phases.tls_us);
}

#[tokio::test]
async fn a_certificate_can_be_for_an_address() {
    let authority = Authority::new();
    let server = authority.issue(&params("127.0.0.1")).serve(OK).await;

    Look::at(https("127.0.0.1", &server)).through(authority.egress()).expect_ok().await;
}

#[tokio::test]
async fn an_end_without_farewell_is_an_end_where_http_expects_one() {
    let authority = Authority::new();
    let until_close =
        authority.issue(&params("localhost")).serve("HTTP/1.1 200 OK\r\n\r\nok").await;
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nok";
    let too_early = authority.issue(&params("localhost")).serve(cut).await;

    Look::at(https("localhost", &until_close)).through(authority.egress()).expect_ok().await;
    let look = Look::at(https("localhost", &too_early)).through(authority.egress());
    let sentence = look.expect_fail(FailClass::Protocol).await;

    assert_eq!(sentence, "the body ended too early");
}

/// Every kind of certificate that `authority` does not make good, and what is said of it.
pub fn bad_certificates(authority: &Authority) -> [(Identity, &'static str); 5] {
    let mut expired = params("localhost");
    expired.not_before = date_time_ymd(2020, 1, 1);
    expired.not_after = date_time_ymd(2021, 2, 3);
    let mut early = params("localhost");
    early.not_before = date_time_ymd(2090, 1, 2);
    early.not_after = date_time_ymd(2091, 1, 1);
    let key = KeyPair::generate().unwrap();
    let own = params("localhost").self_signed(&key).unwrap();
    [
        (authority.issue(&expired), "the certificate expired on 2021-02-03"),
        (authority.issue(&early), "the certificate is not valid before 2090-01-02"),
        (
            authority.issue(&params("other.example")),
            "the certificate is for another host, not for localhost",
        ),
        (Identity { certificate: own.der().clone(), key }, "the certificate is self-signed"),
        (
            Authority::new().issue(&params("localhost")),
            "the certificate is from an unknown authority",
        ),
    ]
}

#[tokio::test]
async fn a_bad_certificate_is_a_failure_that_says_what_is_bad() {
    let authority = Authority::new();
    for (identity, expected) in bad_certificates(&authority) {
        let server = identity.serve(OK).await;

        let look = Look::at(https("localhost", &server)).through(authority.egress());
        let sentence = look.expect_fail(FailClass::Tls).await;

        assert_eq!(sentence, expected);
    }
}

#[tokio::test]
async fn the_systems_authorities_do_not_vouch_for_a_stranger() {
    let server = Authority::new().issue(&params("localhost")).serve(OK).await;

    let look =
        Look::at(https("localhost", &server)).through(Egress::new(AddressPolicy::open()).unwrap());
    let sentence = look.expect_fail(FailClass::Tls).await;

    assert_eq!(sentence, "the certificate is from an unknown authority");
}

#[tokio::test]
async fn webhooks_trust_whom_probes_trust_and_nobody_else() {
    let authority = Authority::new();
    let server = authority.issue(&params("localhost")).serve(OK).await;
    let delivery = a_delivery(https("localhost", &server));

    let trusting = Notifier::new(&authority.egress()).unwrap();
    assert_eq!(trusting.send(&delivery, 1).await.settlement, Settlement::Delivered);

    let suspicious = Notifier::new(&Authority::new().egress()).unwrap();
    let report = suspicious.send(&delivery, 1).await.report;
    assert_eq!(report.error.unwrap(), "no connection: invalid peer certificate: UnknownIssuer");
}

#[tokio::test]
async fn what_is_no_tls_is_a_failed_handshake() {
    let plain = Server::raw(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    })
    .await;
    let closing = Server::raw(|mut stream| async move {
        let mut hello = [0; 4096];
        let _ = stream.read(&mut hello).await;
    })
    .await;

    let sentence = Look::at(https("localhost", &plain)).expect_fail(FailClass::Tls).await;
    assert_eq!(sentence, "the TLS handshake failed: what came back is not TLS");
    let sentence = Look::at(https("localhost", &closing)).expect_fail(FailClass::Tls).await;
    assert!(sentence.ends_with("during the TLS handshake"), "{sentence}");
}

#[tokio::test]
async fn every_run_sees_the_certificate_anew() {
    let authority = Authority::new();
    let acceptor = authority.issue(&params("localhost")).acceptor();
    let kinds = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&kinds);
    let server = Server::raw(move |stream| {
        let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
        async move {
            let mut stream = acceptor.accept(stream).await.unwrap();
            seen.lock().unwrap().push(stream.get_ref().1.handshake_kind());
            read_request(&mut stream).await;
            stream.write_all(OK.as_bytes()).await.unwrap();
        }
    })
    .await;
    let egress = authority.egress();

    for _ in 0..2 {
        Look::at(https("localhost", &server)).through(egress.clone()).expect_ok().await;
    }

    // A resumed session would show no certificate.
    assert_eq!(*kinds.lock().unwrap(), [Some(HandshakeKind::Full); 2]);
}
