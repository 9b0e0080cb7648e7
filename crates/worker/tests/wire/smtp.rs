//! Looks at mail servers: real ones of the tests' own, with STARTTLS and without, and some that
//! misbehave.

use std::process::Command;

use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::run::{FailClass, Outcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::daemon::{Daemon, Files, listens};
use crate::database::{PASSWORD, by};
use crate::hostile;
use crate::looking::Look;
use crate::servers::Server;
use crate::tls::{Authority, params};

pub const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire/mail_server.py");
pub const WHO: &str = "me@mail.example";

/// aiosmtpd is a package of the system's own Python.
pub fn mail_server(arguments: &[&str]) -> Daemon {
    let command = |port: u16| {
        let mut command = Command::new("/usr/bin/python3");
        command.arg(SCRIPT).arg(port.to_string()).args(arguments);
        command
    };
    Daemon::start(command, listens)
}

/// One that offers STARTTLS.
pub fn showing(files: &Files) -> Daemon {
    mail_server(&[&files.certificate(), &files.key()])
}

pub struct Encrypting {
    pub server: Daemon,
    pub authority: Authority,
    _files: Files,
}

/// A server that offers STARTTLS, as `localhost`.
pub fn encrypting() -> Encrypting {
    let authority = Authority::new();
    let files = Files::of(&authority.issue(&params("localhost")));
    let server = showing(&files);
    Encrypting { server, authority, _files: files }
}

fn at(port: u16, query: &str) -> ProbeSpec {
    ProbeSpec::at(format!("smtp://localhost:{port}{query}"))
}

fn fact<'a>(facts: &'a [(String, String)], name: &str) -> &'a str {
    facts.iter().find(|(fact, _)| fact == name).map_or("", |(_, value)| value)
}

#[tokio::test]
async fn a_session_goes_on_in_tls_where_that_is_offered() {
    let mail = encrypting();
    for (query, encrypted) in [
        ("", true),
        ("?starttls=offered", true),
        ("?starttls=required", true),
        ("?starttls=never", false),
    ] {
        let look = Look::with(at(mail.server.port, query)).through(mail.authority.egress());

        let (outcome, seen, evidence) = look.closely().await;

        assert_eq!(outcome, Outcome::Ok, "{query}: {seen:?}");
        assert_eq!(seen.phases.tls_us.is_some(), encrypted);
        assert!(seen.phases.first_byte_us.is_some());
        assert_eq!(fact(&evidence.facts, "tls"), if encrypted { "yes" } else { "no" });
        assert_eq!(fact(&evidence.facts, "code"), "220");
        assert!(fact(&evidence.facts, "greeting").starts_with("mail.example "), "{evidence:?}");
        assert_eq!(evidence.certificates.len(), usize::from(encrypted));
    }
}

#[tokio::test]
async fn without_an_offer_only_who_needs_none_goes_on() {
    let mail = mail_server(&[]);

    Look::with(at(mail.port, "")).expect_ok().await;
    let required = Look::with(at(mail.port, "?starttls=required"));
    let required = required.expect_fail(FailClass::Tls).await;
    let log_in = Look::with(by(WHO, PASSWORD, at(mail.port, ""))).expect_fail(FailClass::Tls).await;

    assert_eq!(required, "the server offers no STARTTLS, which is required");
    assert_eq!(log_in, "the server offers no STARTTLS, without which nobody logs in");
}

#[tokio::test]
async fn the_certificate_is_verified_for_the_host() {
    let mail = encrypting();
    let stranger = Look::with(at(mail.server.port, "")).through(Authority::new().egress());
    let elsewhere = ProbeSpec::at(format!("smtp://127.0.0.1:{}", mail.server.port));
    let elsewhere = Look::with(elsewhere).through(mail.authority.egress());

    let stranger = stranger.expect_fail(FailClass::Tls).await;
    let elsewhere = elsewhere.expect_fail(FailClass::Tls).await;

    assert_eq!(stranger, "the certificate is from an unknown authority");
    assert_eq!(elsewhere, "the certificate is for another host, not for 127.0.0.1");
}

#[tokio::test]
async fn who_has_the_password_logs_in_and_who_has_not_is_refused() {
    let mail = encrypting();
    let look = |password: &str| {
        Look::with(by(WHO, password, at(mail.server.port, ""))).through(mail.authority.egress())
    };

    look(PASSWORD).expect_ok().await;
    let refused = look("guessed").expect_fail(FailClass::Refused).await;

    assert!(refused.starts_with("the server refused the log-in: 535 5.7.8 "), "{refused}");
}

/// Says each of these in turn, the first at once and each other after a line was heard.
pub async fn saying<T>(said: &'static [&'static T]) -> Server
where
    T: AsRef<[u8]> + Sync + ?Sized,
{
    Server::raw(move |mut stream| async move {
        let mut heard = [0; 512];
        for (turn, said) in said.iter().enumerate() {
            if turn > 0 && stream.read(&mut heard).await.unwrap_or(0) == 0 {
                return;
            }
            let _sent = stream.write_all(said.as_ref()).await;
        }
        std::future::pending::<()>().await;
    })
    .await
}

#[tokio::test]
async fn a_server_that_says_no_or_more_than_it_should_is_told() {
    for (said, class, sentence) in [
        (
            &["554 5.7.1 go\x1b away\r\n"] as &'static [&str],
            FailClass::Refused,
            "the server refused the session: 554 5.7.1 go  away",
        ),
        (
            &["220 mail\r\n", "421 4.3.2 too busy\r\n"],
            FailClass::Refused,
            "the server refused EHLO: 421 4.3.2 too busy",
        ),
        (
            &["220 mail\r\n", "250-mail\r\n250 STARTTLS\r\n", "454 no key\r\n"],
            FailClass::Refused,
            "the server refused STARTTLS: 454 no key",
        ),
        (
            &["220 mail\r\n", "250 mail\r\n", "451 later\r\n"],
            FailClass::Refused,
            "the server refused NOOP: 451 later",
        ),
        (
            &["220 mail\r\n", "250-mail\r\n250 STARTTLS\r\n", "220 go\r\n250 injected\r\n"],
            FailClass::Protocol,
            "the server said more than it was asked before TLS began",
        ),
        (
            &["220 mail\r\n", "250-mail\r\n250 STARTTLS\r\n", "220 go\r\n", "no TLS\r\n"],
            FailClass::Tls,
            "the TLS handshake failed: what came back is not TLS",
        ),
    ] {
        let server = saying(said).await;
        let spec = ProbeSpec::at(format!("smtp://127.0.0.1:{}", server.port()));

        assert_eq!(Look::with(spec).expect_fail(class).await, sentence);
    }
}

#[tokio::test]
async fn a_server_that_repeats_the_log_in_is_not_quoted() {
    let authority = Authority::new();
    let acceptor = authority.issue(&params("localhost")).acceptor();
    let server = Server::raw(move |mut stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut heard = [0; 512];
            for said in ["220 mail\r\n", "250-mail\r\n250 STARTTLS\r\n", "220 go\r\n"] {
                stream.write_all(said.as_bytes()).await.unwrap();
                if !said.starts_with("220 go") {
                    let _line = stream.read(&mut heard).await.unwrap();
                }
            }
            let mut stream = acceptor.accept(stream).await.unwrap();
            let _line = stream.read(&mut heard).await.unwrap();
            stream.write_all(b"250-mail\r\n250 AUTH PLAIN\r\n").await.unwrap();
            let heard_bytes = stream.read(&mut heard).await.unwrap();
            let said = [b"500 what is ", &heard[..heard_bytes]].concat();
            stream.write_all(&said).await.unwrap();
            let _end = stream.read(&mut heard).await;
        }
    })
    .await;
    let look = Look::with(by(WHO, PASSWORD, at(server.port(), ""))).through(authority.egress());

    let (outcome, seen, evidence) = look.closely().await;

    assert_eq!(outcome, Outcome::Fail(FailClass::Refused));
    assert_eq!(seen.error.as_deref(), Some("the server refused the log-in: 500"));
    assert!(!format!("{evidence:?}").contains("what is"), "{evidence:?}");
}

#[tokio::test]
async fn what_is_no_mail_server_is_told_in_time() {
    let at = |port: u16| ProbeSpec::at(format!("smtp://127.0.0.1:{port}"));
    hostile::is_told_in_time(at, b"220 ").await;
}
