//! Looks whose check says how they get there: over which family, trusting whom, as whom.

use std::sync::Arc;

use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::run::{Detail, FailClass, Outcome};
use pulse_core::models::way::{IpFamily, TlsOptions};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::looking::Look;
use crate::servers::{Server, read_request};
use crate::tls::{Authority, Identity, OK, https, params};

fn trusting(tls: TlsOptions, url: String) -> Look {
    Look::with(ProbeSpec { tls: Some(Box::new(tls.checked().unwrap())), ..ProbeSpec::at(url) })
}

fn options() -> TlsOptions {
    TlsOptions { verify: true, ca: None, certificate: None, key: None }
}

#[tokio::test]
async fn a_checks_own_authorities_vouch_for_its_target_and_no_others_do() {
    let (own, stranger) = (Authority::new(), Authority::new());
    let server = own.issue(&params("localhost")).serve(OK).await;
    let by = |authority: &Authority| TlsOptions { ca: Some(authority.pem()), ..options() };

    trusting(by(&own), https("localhost", &server)).expect_ok().await;
    let look = trusting(by(&stranger), https("localhost", &server)).through(own.egress());
    let told = look.expect_fail(FailClass::Tls).await;

    assert_eq!(told, "the certificate is from an unknown authority");
}

#[tokio::test]
async fn where_nothing_is_verified_every_certificate_will_do_and_is_kept() {
    let server = Authority::new().issue(&params("other.example")).serve(OK).await;
    let lenient = || TlsOptions { verify: false, ..options() };

    let (outcome, _, evidence) = trusting(lenient(), https("localhost", &server)).closely().await;

    assert_eq!(outcome, Outcome::Ok);
    assert_eq!(evidence.certificates[0].names, ["other.example"]);
}

/// Talks to nobody who cannot show a certificate of `authority`, and answers others this.
async fn who_asks_first(authority: &Authority, identity: &Identity, answer: String) -> Server {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![identity.certificate.clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Server::raw(move |stream: TcpStream| {
        let (acceptor, answer) = (acceptor.clone(), answer.clone());
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            read_request(&mut stream).await;
            let _gone = stream.write_all(answer.as_bytes()).await;
            let _gone = stream.shutdown().await;
        }
    })
    .await
}

fn showing(ours: &Identity) -> TlsOptions {
    let key = Some(ours.key.serialize_pem());
    TlsOptions { certificate: Some(ours.pem()), key, ..options() }
}

#[tokio::test]
async fn who_we_are_is_shown_to_no_other_origin() {
    let authority = Authority::new();
    let identity = authority.issue(&params("localhost"));
    let there = who_asks_first(&authority, &identity, OK.to_owned()).await;
    let on = format!("HTTP/1.1 302 Found\r\nlocation: {}\r\n\r\n", https("localhost", &there));
    let here = who_asks_first(&authority, &identity, on).await;
    let mut look = trusting(showing(&authority.issue(&params("pulse"))), https("localhost", &here));
    look.spec.max_redirects = 1;

    let (outcome, seen) = look.through(authority.egress()).once().await;

    assert_eq!(outcome, Outcome::Fail(FailClass::Tls), "{seen:?}");
    let evidence = seen.evidence.unwrap();
    assert_eq!((evidence.detail, evidence.redirects), (Some(Detail::Handshake), 1));
}

#[tokio::test]
async fn a_server_that_asks_who_we_are_is_shown_it() {
    let authority = Authority::new();
    let identity = authority.issue(&params("localhost"));
    let server = who_asks_first(&authority, &identity, OK.to_owned()).await;
    let shown = showing(&authority.issue(&params("pulse")));

    let url = https("localhost", &server);
    trusting(shown, url.clone()).through(authority.egress()).expect_ok().await;
    let (outcome, seen) = Look::at(url).through(authority.egress()).once().await;

    assert_eq!(outcome, Outcome::Fail(FailClass::Tls), "{seen:?}");
    assert_eq!(seen.evidence.unwrap().detail, Some(Detail::Handshake));
}

#[tokio::test]
async fn a_family_that_the_target_lacks_is_told() {
    let server = Server::answering(OK).await;
    let over = |ip_family| ProbeSpec { ip_family, ..ProbeSpec::at(server.url()) };

    Look::with(over(IpFamily::V4)).expect_ok().await;
    let told = Look::with(over(IpFamily::V6)).expect_fail(FailClass::Dns).await;

    assert_eq!(told, "there is no address of IPv6");
}
