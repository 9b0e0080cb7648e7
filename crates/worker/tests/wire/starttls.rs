//! Looks that turn to TLS on their way: `tls` with the plain beginning of a protocol.

use futures_util::future::join_all;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::run::{FailClass, Outcome};
use pulse_worker::egress::Egress;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio_rustls::TlsAcceptor;

use crate::database::Database as _;
use crate::hostile;
use crate::looking::Look;
use crate::postgres::postgres;
use crate::servers::Server;
use crate::smtp::encrypting;
use crate::tls::{Authority, bad_certificates, params};

fn spec(port: u16, prelude: &str) -> ProbeSpec {
    ProbeSpec::at(format!("tls://localhost:{port}?starttls={prelude}"))
}

/// A mail server as a mail program meets it (RFC 9051): greets, answers each command by its tag, and
/// goes on in TLS when asked to.
async fn imap(acceptor: TlsAcceptor, greeting: &'static str, answer: &'static str) -> Server {
    Server::raw(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = BufReader::new(stream);
            let _sent = stream.write_all(greeting.as_bytes()).await;
            let mut command = String::new();
            let _read = stream.read_line(&mut command).await;
            let (tag, rest) = command.trim_end().split_once(' ').unwrap_or_default();
            if rest != "STARTTLS" {
                return;
            }
            let said = format!("* CAPABILITY IMAP4rev2\r\n{tag} {answer}\r\n");
            let _sent = stream.write_all(said.as_bytes()).await;
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let mut stream = BufReader::new(stream);
            let mut command = String::new();
            let _read = stream.read_line(&mut command).await;
            let tag = command.split(' ').next().unwrap_or_default();
            let _sent = stream.write_all(format!("{tag} OK done\r\n").as_bytes()).await;
            let _flushed = stream.flush().await;
        }
    })
    .await
}

const READY: &str = "* OK [CAPABILITY IMAP4rev2 STARTTLS] ready\r\n";

async fn is_looked_at(port: u16, prelude: &str, egress: Egress) {
    let look = || Look::with(spec(port, prelude));

    let (outcome, seen, evidence) = look().through(egress).closely().await;
    let refused = look().through(Authority::new().egress()).expect_fail(FailClass::Tls).await;

    assert_eq!(outcome, Outcome::Ok, "{prelude}: {seen:?}");
    assert!(seen.phases.tls_us.is_some_and(|us| us > 0), "{seen:?}");
    assert_eq!(evidence.certificates[0].names, ["localhost"]);
    assert_eq!(evidence.tls_version.as_deref(), Some("TLS 1.3"));
    assert_eq!(refused, "the certificate is from an unknown authority");
}

#[tokio::test]
async fn the_handshake_of_a_mail_server_is_looked_at() {
    let mail = encrypting();

    is_looked_at(mail.server.port, "smtp", mail.authority.egress()).await;
}

#[tokio::test]
async fn the_handshake_of_postgresql_is_looked_at() {
    let server = postgres();

    is_looked_at(server.server.port, "postgres", server.egress()).await;
}

#[tokio::test]
async fn the_handshake_of_an_imap_server_is_looked_at_and_what_is_said_inside() {
    let authority = Authority::new();
    let acceptor = authority.issue(&params("localhost")).acceptor_of(b"imap");
    let server = imap(acceptor, READY, "OK begin").await;
    let inside = ProbeSpec {
        send: Some("a NOOP\r\n".into()),
        expect: Some("a OK".into()),
        ..spec(server.port(), "imap")
    };

    is_looked_at(server.port(), "imap", authority.egress()).await;
    Look::with(inside).through(authority.egress()).expect_ok().await;
}

#[tokio::test]
async fn a_bad_certificate_fails_as_it_does_over_https() {
    let authority = Authority::new();
    for (identity, sentence) in bad_certificates(&authority) {
        let server = imap(identity.acceptor(), READY, "OK begin").await;

        let look = Look::with(spec(server.port(), "imap")).through(authority.egress());

        assert_eq!(look.expect_fail(FailClass::Tls).await, sentence);
    }
}

#[tokio::test]
async fn a_server_that_will_not_is_told() {
    let acceptor = Authority::new().issue(&params("localhost")).acceptor();
    for (greeting, answer, class, sentence) in [
        ("* BYE full\r\n", "", FailClass::Refused, "the server refused the session: BYE full"),
        (READY, "BAD what?", FailClass::Refused, "the server refused STARTTLS: BAD what?"),
        (READY, "NO\x1b key", FailClass::Protocol, "what came back is not IMAP"),
        (READY, "NO key\x1b", FailClass::Refused, "the server refused STARTTLS: NO key"),
        ("220 mail\r\n", "", FailClass::Protocol, "what came back is not IMAP"),
        (
            READY,
            "OK begin\r\n* injected",
            FailClass::Protocol,
            "the server said more than it was asked before TLS began",
        ),
    ] {
        let server = imap(acceptor.clone(), greeting, answer).await;

        let look = Look::with(spec(server.port(), "imap"));

        assert_eq!(look.expect_fail(class).await, sentence);
    }
    let plain = Server::raw(|mut stream| async move {
        let _sent = stream.write_all(b"N").await;
        std::future::pending::<()>().await;
    })
    .await;
    let sentence = Look::with(spec(plain.port(), "postgres")).expect_fail(FailClass::Tls).await;
    assert_eq!(sentence, "the server offers no TLS");
}

#[tokio::test]
async fn what_speaks_another_protocol_is_told_in_time() {
    let told = [("smtp", b"220 " as &[u8]), ("imap", b"* "), ("postgres", b"E")]
        .map(|(prelude, begin)| hostile::is_told_in_time(move |port| spec(port, prelude), begin));
    join_all(told).await;
}
