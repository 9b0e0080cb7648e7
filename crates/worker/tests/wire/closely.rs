//! What a close look keeps beyond the observation; and that it trusts nobody more than a run does.

use std::sync::Arc;

use pulse_core::models::address::AddressPolicy;
use pulse_core::models::evidence::Evidence;
use pulse_core::models::run::{FailClass, Outcome};
use pulse_worker::egress::Egress;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio_rustls::TlsAcceptor;

use crate::looking::Look;
use crate::servers::{FOR_EVER, Server};
use crate::tls::{Authority, OK, bad_certificates, https, params};

#[tokio::test]
async fn a_close_look_keeps_the_certificate_and_how_it_was_talked() {
    let authority = Authority::new();
    let server = authority.issue(&params("localhost")).serve(OK).await;

    let look = Look::at(https("localhost", &server)).through(authority.egress());
    let (outcome, seen, evidence) = look.closely().await;

    assert_eq!(outcome, Outcome::Ok, "{seen:?}");
    assert_eq!(
        (evidence.tls_version.as_deref(), evidence.http_version.as_deref()),
        (Some("TLS 1.3"), Some("HTTP/1.1"))
    );
    assert!(evidence.cipher_suite.unwrap().starts_with("TLS_AES_"));
    assert_eq!(evidence.certificates[0].names, ["localhost"]);
    assert_eq!(evidence.location, None);
}

#[tokio::test]
async fn a_refused_certificate_is_refused_just_the_same_and_kept() {
    let authority = Authority::new();
    for (identity, sentence) in bad_certificates(&authority) {
        let server = identity.serve(OK).await;
        let look = || Look::at(https("localhost", &server)).through(authority.egress());

        let (outcome, seen, evidence) = look().closely().await;

        assert_eq!(outcome, Outcome::Fail(FailClass::Tls));
        assert_eq!(seen.error.as_deref(), Some(sentence));
        assert_eq!(look().expect_fail(FailClass::Tls).await, sentence);
        let certificate = evidence.certificates.first().expect(sentence);
        assert!(!certificate.names.is_empty() && certificate.not_before < certificate.not_after);
        assert_eq!((evidence.tls_version, evidence.http_version), (None, None));
    }
}

/// A server that shows a good certificate, and signs with a key that is not the certificate's.
async fn an_impostor(authority: &Authority, version: &'static SupportedProtocolVersion) -> Server {
    let certificate = authority.issue(&params("localhost")).certificate;
    let other_key = authority.issue(&params("localhost")).key.serialize_der();
    let provider = aws_lc_rs::default_provider();
    let other_key = PrivateKeyDer::try_from(other_key).unwrap();
    let signing = provider.key_provider.load_private_key(other_key).unwrap();
    let shown = SingleCertAndKey::from(CertifiedKey::new(vec![certificate], signing));
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shown));
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Server::raw(move |stream| {
        let accepting = acceptor.accept(stream);
        async move { drop(accepting.await) }
    })
    .await
}

#[tokio::test]
async fn whoever_shows_a_certificate_must_hold_its_key() {
    let authority = Authority::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let impostor = an_impostor(&authority, version).await;

        let look = Look::at(https("localhost", &impostor)).through(authority.egress());
        let (outcome, seen, evidence) = look.closely().await;

        assert_eq!(outcome, Outcome::Fail(FailClass::Tls));
        assert_eq!(seen.error.as_deref(), Some("the certificate is not acceptable: BadSignature"));
        assert!(!evidence.certificates.is_empty());
    }
}

#[tokio::test]
async fn a_certificate_seen_before_the_deadline_outlives_it() {
    let authority = Authority::new();
    let acceptor = authority.issue(&params("localhost")).acceptor();
    let server = Server::raw(move |stream| {
        let accepting = acceptor.accept(stream);
        async move {
            let _mute = accepting.await;
            tokio::time::sleep(FOR_EVER).await;
        }
    })
    .await;

    let look = Look::at(https("localhost", &server)).through(authority.egress()).within(1_000);
    let (outcome, seen, evidence) = look.closely().await;

    assert_eq!(outcome, Outcome::Fail(FailClass::Timeout), "{seen:?}");
    assert_eq!(evidence.certificates[0].names, ["localhost"]);
    assert_eq!((evidence.tls_version.as_deref(), evidence.http_version), (Some("TLS 1.3"), None));
}

#[tokio::test]
async fn where_there_is_no_handshake_there_is_nothing_to_keep() {
    let plain = Server::answering(OK).await;
    let https_to_plain =
        Look::at(https("localhost", &plain)).through(Egress::new(AddressPolicy::open()).unwrap());

    let (outcome, _, evidence) = https_to_plain.closely().await;
    assert_eq!((outcome, evidence), (Outcome::Fail(FailClass::Tls), Evidence::default()));

    let (outcome, _, evidence) = Look::at("http://no-such-name.invalid/").closely().await;
    assert_eq!((outcome, evidence), (Outcome::Fail(FailClass::Dns), Evidence::default()));
}

#[tokio::test]
async fn where_a_redirect_points_is_kept_tame_and_bounded() {
    let long = "x".repeat(5_000);
    let wild: &[u8] = b"/a\tb\xc2\x9b31m\xff\xe2\x80\xae";
    let cases: [(&str, &[u8], Option<String>); 5] = [
        ("302 Found", b"//me:hush@there.example/", Some("//there.example/".to_owned())),
        ("301 Moved", b"/there", Some("/there".to_owned())),
        ("302 Found", wild, Some("/a b 31m\u{fffd} ".to_owned())),
        ("308 Permanent", long.as_bytes(), Some("x".repeat(2_048))),
        ("200 OK", b"/there", None),
    ];
    for (status, location, expected) in cases {
        let head = format!("HTTP/1.0 {status}\r\ncontent-length: 0\r\nlocation: ");
        let answer = [head.as_bytes(), location, b"\r\n\r\n"].concat();
        let server = Server::answering(answer).await;

        let (_, _, evidence) = Look::at(server.url()).closely().await;

        let headers = format!("{:?}", evidence.headers);
        assert!(!headers.contains("hush"), "{headers}");
        assert_eq!(
            (evidence.location, evidence.http_version.as_deref()),
            (expected, Some("HTTP/1.0"))
        );
    }
}
