//! What may change between runs, as looks at real servers see it.

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use pulse_core::models::address::AddressPolicy;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::run::{FailClass, Outcome};
use pulse_core::models::traits::Traits;
use pulse_worker::egress::Egress;
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use tokio::net::UdpSocket;

use crate::looking::{Look, get};
use crate::servers::Server;
use crate::tls::{Authority, OK, https, params};

async fn seen(look: Look) -> (Outcome, Traits) {
    let (outcome, seen) = look.once().await;
    (outcome, seen.traits.map(|traits| *traits).unwrap_or_default())
}

fn sha256(certificate: &CertificateDer) -> String {
    Sha256::digest(certificate).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

#[tokio::test]
async fn a_certificate_is_told_by_its_hash_and_its_names_also_when_it_is_refused() {
    let authority = Authority::new();
    let identities =
        [authority.issue(&params("localhost")), authority.issue(&params("other.test"))];
    let mut told = Vec::new();
    for identity in &identities {
        let server = identity.serve(OK).await;
        let look = || Look::at(https("localhost", &server)).through(authority.egress());
        let ((outcome, first), (_, again)) = (seen(look()).await, seen(look()).await);
        let leaf = first.certificate.clone().unwrap();
        assert_eq!((&leaf.sha256, &first), (&sha256(&identity.certificate), &again));
        told.push((outcome, leaf.subject, leaf.issuer.starts_with("CN=")));
    }

    assert_eq!(told[0].0, Outcome::Ok);
    assert_eq!(told[1].0, Outcome::Fail(FailClass::Tls));
    assert!(
        told.iter().all(|(_, subject, is_named)| subject.contains("CN=") && *is_named),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_redirect_is_told_by_where_it_leads_without_its_query() {
    let there = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let head =
        |to: &str| format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
    let between = Server::answering(head(&format!("{}end?state=s3cret#x", there.url()))).await;
    let here = Server::answering(head(&format!("{}?once=s3cret", between.url()))).await;
    let following = |most| ProbeSpec { max_redirects: most, ..get(here.url()) };

    let (outcome, followed) = seen(Look::with(following(2))).await;
    let (_, not_followed) = seen(Look::with(following(0))).await;
    let (_, too_far) = seen(Look::with(following(1))).await;
    let (_, none) = seen(Look::at(there.url())).await;

    assert_eq!((outcome, followed.redirect), (Outcome::Ok, Some(format!("{}end", there.url()))));
    assert_eq!(not_followed.redirect, Some(between.url()));
    assert_eq!((too_far, none), (Traits::default(), Traits::default()));
}

#[tokio::test]
async fn what_was_met_first_is_told_however_far_the_look_is_led() {
    let authority = Authority::new();
    let last = authority.issue(&params("localhost")).serve(OK).await;
    let to = https("localhost", &last).leak();
    let first = authority.issue(&params("localhost"));
    let answer = format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
    let server = first.serve(answer.leak()).await;

    let spec = ProbeSpec { max_redirects: 1, ..get(https("localhost", &server)) };
    let (outcome, seen) = seen(Look::with(spec).through(authority.egress())).await;

    assert_eq!(outcome, Outcome::Ok);
    assert_eq!(seen.certificate.unwrap().sha256, sha256(&first.certificate));
    assert_eq!(seen.redirect.as_deref(), Some(&*to));
    assert!(seen.addresses.contains(&Ipv4Addr::LOCALHOST.into()), "{:?}", seen.addresses);
}

/// A name server whose one name has these addresses, for as many seconds.
async fn name_server(addresses: Arc<Mutex<Vec<Ipv4Addr>>>, ttl: u8) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut packet = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut packet).await {
            let answer = answer(&packet[..length], &addresses.lock().unwrap(), ttl);
            socket.send_to(&answer, from).await.unwrap();
        }
    });
    address
}

/// RFC 1035, section 4.1: the question is sent back, the answers' names point to it.
fn answer(query: &[u8], addresses: &[Ipv4Addr], ttl: u8) -> Vec<u8> {
    let name = query[12..].iter().position(|byte| *byte == 0).unwrap();
    let question = &query[12..12 + name + 5];
    let found = if question[name + 2] == 1 { addresses } else { &[] };
    let mut answer = query[..2].to_vec();
    answer.extend([0x81, 0x80, 0, 1, 0, u8::try_from(found.len()).unwrap(), 0, 0, 0, 0]);
    answer.extend(question);
    for address in found {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, ttl, 0, 4]);
        answer.extend(address.octets());
    }
    answer
}

fn asking(server: SocketAddr) -> Egress {
    Egress::asking(Some(&[server]), AddressPolicy::open()).unwrap()
}

#[tokio::test]
async fn the_addresses_of_a_name_are_a_set_whichever_of_them_answered() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let at =
        |last: &[u8]| last.iter().map(|last| Ipv4Addr::new(127, 0, 0, *last)).collect::<Vec<_>>();
    let zone = Arc::new(Mutex::new(at(&[9, 1])));
    let egress = asking(name_server(Arc::clone(&zone), 0).await);
    let url = format!("http://shop.test:{}/", server.port());
    let see = async |last: &[u8]| {
        *zone.lock().unwrap() = at(last);
        seen(Look::at(&*url).through(egress.clone())).await.1.addresses
    };

    let set = |last: &[u8]| at(last).into_iter().map(Into::into).collect::<Vec<std::net::IpAddr>>();
    assert_eq!(see(&[9, 1]).await, set(&[1, 9]));
    assert_eq!(see(&[1, 9]).await, set(&[1, 9]));
    assert_eq!(see(&[1]).await, set(&[1]));
    assert_eq!(see(&[7, 1, 3]).await, set(&[1, 3, 7]));
    // More than are ever tried.
    let many: Vec<u8> = (1..=12).collect();
    assert_eq!(see(&many).await, set(&many));
    assert_eq!(seen(Look::at(server.url())).await.1, Traits::default(), "nothing was resolved");
}

#[tokio::test]
async fn what_a_name_resolved_to_and_for_how_long_is_evidence() {
    let server = Server::answering("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n").await;
    let zone = Arc::new(Mutex::new(vec![Ipv4Addr::LOCALHOST]));
    let egress = asking(name_server(zone, 30).await);

    for kind in ["http", "tls"] {
        let url = format!("{kind}://shop.test:{}/", server.port());
        let (outcome, seen) =
            Look::at(url.trim_end_matches('/')).through(egress.clone()).once().await;

        assert!(matches!(outcome, Outcome::Fail(_)), "{kind}");
        let [answer] = &*seen.evidence.unwrap().answers else { panic!("{kind}") };
        assert_eq!((answer.record.as_str(), answer.value.as_str()), ("A", "127.0.0.1"));
        assert!((20..=30).contains(&answer.ttl), "{kind}: {answer:?}");
    }
}
