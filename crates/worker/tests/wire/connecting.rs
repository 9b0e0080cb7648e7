//! Looks that end with a connection or a handshake: `tcp` and `tls`.

use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::run::{FailClass, Outcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
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
    assert_eq!(evidence.tls_version.as_deref(), Some("TLS 1.3"));
    assert_eq!(evidence.certificates[0].names, ["localhost"]);
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

/// Says `banner`, reads a line, says it back in capitals.
async fn shouting(banner: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut line = [0; 64];
                stream.write_all(banner.as_bytes()).await.unwrap();
                let read = stream.read(&mut line).await.unwrap_or(0);
                let _gone = stream.write_all(&line[..read].to_ascii_uppercase()).await;
            });
        }
    });
    port
}

#[tokio::test]
async fn what_is_said_is_answered_and_the_answer_is_looked_through() {
    let port = shouting("220 ready\r\n").await;
    let look = |send: Option<&str>, expect: &str| {
        Look::with(ProbeSpec {
            send: send.map(str::to_owned),
            expect: Some(expect.to_owned()),
            ..ProbeSpec::at(format!("tcp://127.0.0.1:{port}"))
        })
    };

    let seen = look(Some("ping\n"), "PING").expect_ok().await;
    look(None, "^220 ").expect_ok().await;
    let (_, _, evidence) = look(Some("ping\n"), "^220 ").closely().await;
    let unmet = look(Some("ping\n"), "PONG").expect_fail(FailClass::Assertion).await;
    let silent = look(None, "PONG").within(1_000).expect_fail(FailClass::Timeout).await;

    assert!(seen.phases.first_byte_us.is_some());
    assert!(evidence.reply.unwrap().starts_with("220 ready \n"));
    assert_eq!(unmet, "the connection was closed before what was expected came");
    assert_eq!(silent, "timed out after 1000 ms while reading the answer");
}

#[tokio::test]
async fn a_reply_without_end_is_read_to_a_bound() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        while stream.write_all(&[b'x'; 1024]).await.is_ok() {}
    });
    let spec = ProbeSpec {
        expect: Some("y".to_owned()),
        ..ProbeSpec::at(format!("tcp://127.0.0.1:{port}"))
    };

    let unmet = Look::with(spec).expect_fail(FailClass::Assertion).await;

    assert_eq!(unmet, "what was expected is not in the first 64 KiB of the reply");
}
