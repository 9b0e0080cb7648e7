//! Looks at every address of a name, each by itself.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use pulse_core::models::address::AddressPolicy;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::run::{Detail, FailClass, Outcome};
use pulse_core::models::way::{AddressChoice, IpFamily};
use pulse_worker::egress::Egress;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::looking::Look;
use crate::name_server::NameServer;
use crate::servers::{FOR_EVER, Requests, Server, read_request};

const WELL: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const BROKEN: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";
/// Nothing, for ever.
const SILENT: &str = "";

struct Place {
    _server: Server,
    asked: Requests,
}

async fn place(address: SocketAddr, answer: &'static str) -> std::io::Result<Place> {
    let asked = Requests::default();
    let kept = asked.clone();
    let talk = move |mut stream: TcpStream| {
        let kept = kept.clone();
        async move {
            kept.keep(read_request(&mut stream).await);
            if answer == SILENT {
                tokio::time::sleep(FOR_EVER).await;
            }
            let _gone = stream.write_all(answer.as_bytes()).await;
        }
    };
    Server::on(&address.to_string(), talk).await.map(|server| Place { _server: server, asked })
}

/// Servers on one port of 127.0.0.1 and so on, one for each answer; `None` leaves a place empty.
async fn places<const N: usize>(answers: [Option<&'static str>; N]) -> (u16, Vec<Place>) {
    let at =
        |last: usize, port| SocketAddr::from(([127, 0, 0, u8::try_from(last + 1).unwrap()], port));
    // The port of one may be somebody else's on another.
    'ports: for _attempt in 0..20 {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut all = Vec::new();
        for (last, answer) in answers.into_iter().enumerate() {
            match answer {
                None if std::net::TcpListener::bind(at(last, port)).is_err() => continue 'ports,
                None => {}
                Some(answer) => match place(at(last, port), answer).await {
                    Ok(place) => all.push(place),
                    Err(_taken) => continue 'ports,
                },
            }
        }
        return (port, all);
    }
    panic!("no port is free on all addresses");
}

fn visits(places: &[Place]) -> Vec<usize> {
    places.iter().map(|place| place.asked.all().len()).collect()
}

struct Names {
    _server: NameServer,
    egress: Egress,
}

fn names(policy: AddressPolicy) -> Names {
    let server = NameServer::start();
    let at = SocketAddr::from(([127, 0, 0, 1], server.port));
    Names { egress: Egress::asking(Some(&[at]), policy).unwrap(), _server: server }
}

fn at(url: String, addresses: AddressChoice, names: &Names) -> Look {
    let spec = ProbeSpec { addresses, ..ProbeSpec::at(url) };
    Look::with(spec).through(names.egress.clone())
}

fn three(port: u16) -> String {
    format!("http://three.shop.example:{port}/")
}

#[tokio::test]
async fn every_address_is_looked_at_once_and_all_are_well() {
    let (port, places) = places([Some(WELL); 3]).await;
    let names = names(AddressPolicy::open());

    let seen = at(three(port), AddressChoice::All, &names).expect_ok().await;

    assert_eq!(visits(&places), [1, 1, 1]);
    assert_eq!(seen.status_code, Some(200));
    assert!(seen.phases.dns_us.is_some() && seen.phases.total_us > seen.phases.dns_us);
    let host = format!("three.shop.example:{port}");
    let request = places[1].asked.only();
    assert_eq!(crate::servers::header(&request, "host"), Some(host.as_str()));
}

#[tokio::test]
async fn one_address_that_is_down_is_one_too_many_for_all_and_none_for_any() {
    let (port, places) = places([Some(WELL), Some(WELL), None]).await;
    let names = names(AddressPolicy::open());

    at(three(port), AddressChoice::First, &names).expect_ok().await;
    at(three(port), AddressChoice::Any, &names).expect_ok().await;
    let (outcome, seen, evidence) = at(three(port), AddressChoice::All, &names).closely().await;

    assert_eq!(outcome, Outcome::Fail(FailClass::Connect), "{seen:?}");
    let told = "1 of 3 addresses failed, first 127.0.0.3: the connection was refused";
    assert_eq!(seen.error.as_deref(), Some(told));
    assert_eq!(seen.evidence.as_ref().unwrap().detail, Some(Detail::Refused));
    let mut facts = evidence.facts;
    facts.sort_unstable();
    let expected = [
        ("address 127.0.0.1", "ok"),
        ("address 127.0.0.2", "ok"),
        ("address 127.0.0.3", "fail (connect): the connection was refused"),
    ];
    assert_eq!(facts, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    drop(places);
}

#[tokio::test]
async fn what_an_address_answers_is_judged_as_ever() {
    let (port, _places) = places([Some(WELL), Some(BROKEN), Some(BROKEN)]).await;
    let names = names(AddressPolicy::open());

    let told = at(three(port), AddressChoice::All, &names).expect_fail(FailClass::Status).await;
    at(three(port), AddressChoice::Any, &names).expect_ok().await;

    assert!(told.starts_with("2 of 3 addresses failed, first 127.0.0."), "{told}");
    assert!(told.ends_with(": status 500, expected any 2xx"), "{told}");
}

#[tokio::test]
async fn an_address_that_is_silent_is_not_waited_for_where_one_is_enough() {
    let (port, _places) = places([Some(SILENT), Some(WELL), Some(SILENT)]).await;
    let names = names(AddressPolicy::open());
    let began = Instant::now();

    at(three(port), AddressChoice::Any, &names).expect_ok().await;
    assert!(began.elapsed() < Duration::from_secs(5));
    let all = at(three(port), AddressChoice::All, &names).within(1_000);
    let told = all.expect_fail(FailClass::Timeout).await;

    assert!(told.starts_with("2 of 3 addresses failed, first "), "{told}");
    assert!(told.ends_with("timed out after 1000 ms while waiting for the first byte"), "{told}");
}

#[tokio::test]
async fn other_kinds_look_everywhere_too() {
    let (port, places) = places([Some(WELL), Some(WELL), None]).await;
    let names = names(AddressPolicy::open());
    let host = format!("three.shop.example:{port}");

    for url in [format!("tcp://{host}"), format!("ws://{host}/"), format!("grpc://{host}")] {
        let (outcome, seen) = at(url.clone(), AddressChoice::All, &names).once().await;
        let told = seen.error.unwrap();
        assert!(matches!(outcome, Outcome::Fail(_)), "{url}: {told}");
        assert!(told.contains(" of 3 addresses failed, first 127.0.0."), "{url}: {told}");
    }
    at(format!("tcp://{host}"), AddressChoice::Any, &names).expect_ok().await;
    // Nobody hears datagrams there.
    let told = at(format!("udp://{host}"), AddressChoice::All, &names);
    let told = told.expect_fail(FailClass::Connect).await;
    assert!(told.starts_with("3 of 3 addresses failed, first 127.0.0."), "{told}");
    drop(places);
}

#[tokio::test]
async fn of_a_crowd_sixteen_are_looked_at() {
    let names = names(AddressPolicy::open());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("tcp://crowd.shop.example:{port}");

    let (_, seen, evidence) = at(url, AddressChoice::All, &names).closely().await;

    assert!(seen.error.unwrap().starts_with("16 of 16 addresses failed, first 127.0.1."));
    assert_eq!(evidence.facts.len(), 16);
}

#[tokio::test]
async fn forbidden_addresses_are_left_out_and_never_reached() {
    let (port, places) = places([Some(WELL); 3]).await;
    let first = AddressPolicy::public_and(vec!["127.0.0.1/32".parse().unwrap()]);

    at(three(port), AddressChoice::All, &names(first)).expect_ok().await;
    let none = names(AddressPolicy::public_and(Vec::new()));
    at(three(port), AddressChoice::Any, &none).expect_fail(FailClass::ForbiddenAddress).await;

    assert_eq!(visits(&places), [1, 0, 0]);
}

#[tokio::test]
async fn a_literal_is_one_address_and_a_family_leaves_the_other_out() {
    let (port, places) = places([Some(BROKEN), Some(WELL), Some(WELL)]).await;
    let names = names(AddressPolicy::open());

    let literal = at(format!("http://127.0.0.1:{port}/"), AddressChoice::All, &names);
    let told = literal.expect_fail(FailClass::Status).await;
    let mut v6 = at(three(port), AddressChoice::All, &names);
    v6.spec.ip_family = IpFamily::V6;
    let none = v6.expect_fail(FailClass::Dns).await;

    assert_eq!(told, "status 500, expected any 2xx");
    assert_eq!(none, "there is no address of IPv6");
    assert_eq!(visits(&places), [1, 0, 0]);
}
