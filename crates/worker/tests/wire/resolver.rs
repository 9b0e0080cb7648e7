//! Checks that say which name server is asked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus::IntCounter;
use pulse_core::models::address::AddressPolicy;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::run::{Detail, FailClass, InconclusiveReason, Outcome};
use pulse_core::models::way::AddressChoice;
use pulse_worker::egress::{Egress, Waiting};
use rustls::RootCertStore;
use url::Host;

use crate::looking::Look;
use crate::name_server::NameServer;
use crate::servers::Server;
use crate::udp::Port;

const WELL: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn egress(policy: AddressPolicy) -> Egress {
    Egress::with_roots(RootCertStore::empty(), policy).unwrap()
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn asking(server: u16, url: String) -> Look {
    Look::with(ProbeSpec { resolver: Some(loopback(server)), ..ProbeSpec::at(url) })
}

#[tokio::test]
async fn the_name_server_of_the_check_is_asked_whatever_its_kind() {
    let names = NameServer::start();
    let server = Server::answering(WELL).await;
    let at = |scheme: &str, rest: &str| {
        asking(names.port, format!("{scheme}://here.shop.example:{}{rest}", server.port()))
    };

    let seen = at("http", "/").expect_ok().await;
    at("tcp", "").expect_ok().await;
    let missing = asking(names.port, "icmp://missing.shop.example".to_owned()).closely().await;

    assert_eq!(seen.address, Some([127, 0, 0, 1].into()));
    assert!(seen.phases.dns_us.is_some());
    assert_eq!(missing.0, Outcome::Fail(FailClass::Dns));
    assert_eq!(missing.1.evidence.unwrap().detail, Some(Detail::NxDomain));
}

#[tokio::test]
async fn a_redirect_is_resolved_by_the_same_name_server() {
    let names = NameServer::start();
    let there = Server::answering(WELL).await;
    let to = format!(
        "HTTP/1.1 302 Found\r\nlocation: http://here.shop.example:{}/\r\ncontent-length: 0\r\n\r\n",
        there.port()
    );
    let here = Server::answering(to).await;

    let mut look = asking(names.port, here.url());
    look.spec.max_redirects = 1;
    look.expect_ok().await;

    assert_eq!(there.requests.all().len(), 1);
}

#[tokio::test]
async fn a_name_server_that_may_not_be_reached_is_not_asked() {
    let asked = Arc::new(AtomicUsize::new(0));
    let heard = Arc::clone(&asked);
    let names = Port::answering(move |_, _| {
        heard.fetch_add(1, Ordering::SeqCst);
        Vec::new()
    })
    .await;
    let public = egress(AddressPolicy::public_and(Vec::new()));

    let look = asking(names.number, "http://shop.example/".to_owned()).through(public);
    let told = look.expect_fail(FailClass::ForbiddenAddress).await;

    assert_eq!(told, "the resolver is not one that may be reached from here");
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_a_name_server_answers_is_guarded_as_ever() {
    let names = NameServer::start();
    let first = AddressPolicy::public_and(vec!["127.0.0.1/32".parse().unwrap()]);
    let visited = Arc::new(AtomicUsize::new(0));
    let counting = async |address: String| {
        let seen = Arc::clone(&visited);
        let count = move |stream| {
            seen.fetch_add(1, Ordering::SeqCst);
            async move { drop(stream) }
        };
        Server::on(&address, count).await
    };
    let second = counting("127.0.0.2:0".to_owned()).await.unwrap();
    let port = second.port();
    let _third = counting(format!("127.0.0.3:{port}")).await;

    let crowd = asking(names.port, format!("tcp://crowd.shop.example:{port}"));
    let crowd = crowd.through(egress(first.clone()));
    crowd.expect_fail(FailClass::ForbiddenAddress).await;
    let mut all = asking(names.port, format!("tcp://three.shop.example:{port}"));
    all.spec.addresses = AddressChoice::All;
    let told = all.through(egress(first)).expect_fail(FailClass::Connect).await;

    assert_eq!(told, "the connection was refused", "the one address that may be reached");
    assert_eq!(visited.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_silent_name_server_costs_the_timeout_and_no_more() {
    let names = Port::answering(|_, _| Vec::new()).await;

    let look = asking(names.number, "http://shop.example/".to_owned()).within(200);
    let told = look.expect_fail(FailClass::Timeout).await;

    assert_eq!(told, "timed out after 200 ms while resolving the name");
}

#[tokio::test]
async fn a_name_server_is_spared_as_other_hosts_are() {
    let names = Port::answering(|_, _| Vec::new()).await;
    let limited =
        egress(AddressPolicy::open()).limited(1, IntCounter::new("waits", "Waits.").unwrap());
    let waiting = Waiting::default();
    let addresses = limited.resolve(&Host::parse("127.0.0.1").unwrap(), &waiting).await.unwrap();
    let _place = limited.admit(&addresses, &waiting).await;

    let look = asking(names.number, "http://shop.example/".to_owned()).within(200);
    let (outcome, _) = look.through(limited).once().await;

    assert_eq!(outcome, Outcome::Inconclusive(InconclusiveReason::Capped));
}
