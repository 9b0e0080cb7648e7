//! Looks that end with a connection or a handshake: `tcp` and `tls`.

use pulse_core::models::run::{FailClass, Outcome};
use tokio::net::TcpListener;

use crate::looking::Look;
use crate::servers::Server;
use crate::tls::{Authority, OK, bad_certificates, params};

fn at(scheme: &str, host: &str, port: u16) -> Look {
    Look::at(format!("{scheme}://{host}:{port}"))
}

#[tokio::test]
async fn a_port_that_answers_is_well_and_nothing_is_said_to_it() {
    let server = Server::answering(OK).await;

    let seen = at("tcp", "localhost", server.port()).expect_ok().await;

    assert!(seen.phases.dns_us.is_some() && seen.phases.connect_us.is_some());
    assert_eq!((seen.phases.tls_us, seen.phases.first_byte_us), (None, None));
    assert_eq!((seen.status_code, seen.address), (None, Some([127, 0, 0, 1].into())));
    assert!(server.requests.all().is_empty());
}

#[tokio::test]
async fn a_port_nobody_listens_on_fails_whatever_the_kind() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);

    for scheme in ["tcp", "tls"] {
        let sentence = at(scheme, "127.0.0.1", port).expect_fail(FailClass::Connect).await;
        assert_eq!(sentence, "the connection was refused");
    }
}

#[tokio::test]
async fn a_handshake_is_looked_at_and_kept() {
    let authority = Authority::new();
    let server = authority.issue(&params("localhost")).serve(OK).await;
    let look = || at("tls", "localhost", server.port()).through(authority.egress());

    let seen = look().expect_ok().await;
    let (_, _, evidence) = look().closely().await;

    assert!(seen.phases.tls_us.is_some_and(|us| us > 0) && seen.phases.first_byte_us.is_none());
    assert_eq!(evidence.tls_version, Some("TLS 1.3"));
    assert_eq!(evidence.certificate.unwrap().names, ["localhost"]);
}

#[tokio::test]
async fn a_bad_certificate_fails_as_it_does_over_https() {
    let authority = Authority::new();
    for (identity, sentence) in bad_certificates(&authority) {
        let server = identity.serve(OK).await;

        let look = at("tls", "localhost", server.port()).through(authority.egress());

        assert_eq!(look.expect_fail(FailClass::Tls).await, sentence);
    }
}

#[tokio::test]
async fn what_speaks_no_tls_is_told_and_what_is_silent_costs_the_timeout() {
    let silent = Server::raw(|stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let talking = Server::raw(|mut stream| async move {
        let _sent = tokio::io::AsyncWriteExt::write_all(&mut stream, b"220 mail\r\n").await;
        std::future::pending::<()>().await;
    })
    .await;

    let sentence = at("tls", "127.0.0.1", talking.port()).expect_fail(FailClass::Tls).await;
    assert_eq!(sentence, "the TLS handshake failed: what came back is not TLS");
    let (outcome, seen) = at("tls", "127.0.0.1", silent.port()).within(200).once().await;
    assert_eq!(outcome, Outcome::Fail(FailClass::Timeout));
    let told = seen.error.unwrap();
    assert_eq!(told, "timed out after 200 ms while shaking hands for TLS");
}
