//! Looks by a datagram: `udp`.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pulse_core::models::address::AddressPolicy;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::run::{FailClass, Outcome};
use pulse_worker::egress::Egress;
use rustls::RootCertStore;
use tokio::net::UdpSocket;
use tokio::task::AbortHandle;

use crate::looking::Look;

/// A port that answers each datagram with some; it ends when dropped.
pub struct Port {
    pub number: u16,
    answering: AbortHandle,
}

impl Port {
    /// `answer` gets what came, and how many came before.
    pub async fn answering<A>(mut answer: A) -> Self
    where
        A: FnMut(&[u8], usize) -> Vec<Vec<u8>> + Send + 'static,
    {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let number = socket.local_addr().unwrap().port();
        let answering = tokio::spawn(async move {
            let mut message = vec![0; 65_536];
            for turn in 0.. {
                let (length, from) = socket.recv_from(&mut message).await.unwrap();
                for answer in answer(&message[..length], turn) {
                    // Whoever has heard enough may be gone.
                    let _sent = socket.send_to(&answer, from).await;
                }
            }
        });
        Self { number, answering: answering.abort_handle() }
    }

    /// Where nobody listens.
    pub async fn closed() -> u16 {
        UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.answering.abort();
    }
}

fn asking(port: u16, send: Option<&str>, expect: Option<&str>) -> Look {
    Look::with(ProbeSpec {
        send: send.map(str::to_owned),
        expect: expect.map(str::to_owned),
        ..ProbeSpec::at(format!("udp://127.0.0.1:{port}"))
    })
}

#[tokio::test]
async fn a_datagram_that_is_answered_as_expected_is_well() {
    let port = Port::answering(|heard, _| vec![heard.to_ascii_uppercase()]).await;

    let (outcome, seen, evidence) =
        asking(port.number, Some("ping"), Some("^PING$")).closely().await;

    assert_eq!(outcome, Outcome::Ok, "{seen:?}");
    assert!(seen.phases.first_byte_us.is_some() && seen.phases.connect_us.is_none());
    assert_eq!(seen.address, Some([127, 0, 0, 1].into()));
    assert_eq!(evidence.reply.as_deref(), Some("PING"));
    assert_eq!(evidence.facts, [("sent".to_owned(), "1".to_owned())]);
}

#[tokio::test]
async fn a_port_that_is_closed_fails_whatever_is_expected() {
    for expect in [None, Some("x")] {
        let port = Port::closed().await;

        let sentence = asking(port, None, expect).expect_fail(FailClass::Connect).await;

        assert_eq!(sentence, "the port is closed");
    }
}

#[tokio::test]
async fn silence_is_well_only_where_nothing_is_expected() {
    let port = Port::answering(|_, _| vec![]).await;
    let began = Instant::now();

    let quiet = asking(port.number, Some("x"), None).expect_ok().await;
    let took = began.elapsed();
    asking(port.number, None, None).within(50).expect_ok().await;
    let unmet = asking(port.number, None, Some("x")).within(200);
    let sentence = unmet.expect_fail(FailClass::Timeout).await;

    assert!(quiet.phases.first_byte_us.is_none());
    assert!((Duration::from_millis(500)..Duration::from_secs(2)).contains(&took), "{took:?}");
    assert_eq!(sentence, "timed out after 200 ms while waiting for the first byte");
}

#[tokio::test]
async fn another_answer_than_expected_is_passed_over_until_the_deadline() {
    let wrong = Port::answering(|_, _| vec![b"no".to_vec()]).await;
    let late = Port::answering(|_, _| vec![b"no".to_vec(), b"yes".to_vec()]).await;

    let unmet = asking(wrong.number, None, Some("yes")).within(200);
    let sentence = unmet.expect_fail(FailClass::Assertion).await;
    asking(late.number, None, Some("yes")).expect_ok().await;

    assert_eq!(sentence, "what came back is not what was expected");
}

#[tokio::test]
async fn a_flood_of_answers_is_read_to_a_bound() {
    let port = Port::answering(|_, _| vec![vec![b'x'; 1_000]; 200]).await;

    let look = asking(port.number, None, Some("y")).closely();
    let (outcome, seen, evidence) = look.await;

    assert_eq!(outcome, Outcome::Fail(FailClass::Assertion));
    let sentence = "what was expected is not in the first 64 KiB that came";
    assert_eq!(seen.error.as_deref(), Some(sentence));
    assert_eq!(evidence.reply_bytes, Some(66_000));
}

#[tokio::test]
async fn a_flood_of_crumbs_costs_no_more_than_the_bound() {
    let port = Port::answering(|_, _| vec![vec![b'x']; 5_000]).await;

    let sentence = asking(port.number, None, Some("y")).expect_fail(FailClass::Assertion).await;

    assert_eq!(sentence, "what was expected is not in the first 64 KiB that came");
}

#[tokio::test]
async fn a_text_is_said_once_because_nobody_knows_what_it_does() {
    let heard = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&heard);
    let port = Port::answering(move |_, _| {
        counted.fetch_add(1, Ordering::Relaxed);
        vec![]
    })
    .await;

    let look = asking(port.number, Some("reboot"), Some("x")).within(1_300);
    look.expect_fail(FailClass::Timeout).await;

    assert_eq!(heard.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn only_the_port_that_was_asked_is_heard() {
    let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let asked = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = asked.local_addr().unwrap().port();
    let answering = tokio::spawn(async move {
        let (_, from) = asked.recv_from(&mut [0; 16]).await.unwrap();
        other.send_to(b"yes", from).await.unwrap();
        pending::<()>().await;
    });

    let look = asking(port, None, Some("yes")).within(300);

    look.expect_fail(FailClass::Timeout).await;
    answering.abort();
}

#[tokio::test]
async fn an_address_that_refuses_does_not_hide_one_that_answers() {
    let port = Port::answering(|_, _| vec![b"yes".to_vec()]).await;
    let url = format!("udp://localhost:{}", port.number);

    let spec = ProbeSpec { expect: Some("yes".to_owned()), ..ProbeSpec::at(url) };
    let seen = Look::with(spec).expect_ok().await;

    assert_eq!(seen.address, Some([127, 0, 0, 1].into()));
}

#[tokio::test]
async fn no_datagram_leaves_for_a_forbidden_address() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    let public = AddressPolicy::public_and(Vec::new());
    let egress = Egress::with_roots(RootCertStore::empty(), public).unwrap();

    for url in [
        format!("udp://127.0.0.1:{port}"),
        format!("dns://127.0.0.1:{port}/shop.example"),
        format!("dns://localhost:{port}/shop.example"),
        "icmp://127.0.0.1".to_owned(),
    ] {
        Look::at(url).through(egress.clone()).expect_fail(FailClass::ForbiddenAddress).await;
    }

    let nothing = socket.try_recv_from(&mut [0; 16]).unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
}
