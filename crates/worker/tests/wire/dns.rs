//! Looks by a question to a name server: `dns`.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pulse_core::models::address::AddressPolicy;
use pulse_core::models::evidence::Evidence;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::run::{Detail, FailClass, Outcome};
use pulse_worker::egress::Egress;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UdpSocket};

use crate::looking::Look;
use crate::name_server::NameServer;
use crate::servers::{FOR_EVER, Server};
use crate::udp::Port;

fn asking(port: u16, question: &str) -> Look {
    Look::at(format!("dns://127.0.0.1:{port}/{question}"))
}

fn expecting(port: u16, question: &str, expect: &str) -> Look {
    let url = format!("dns://127.0.0.1:{port}/{question}");
    Look::with(ProbeSpec { expect: Some(expect.to_owned()), ..ProbeSpec::at(url) })
}

fn values(evidence: &Evidence) -> Vec<(&str, &str)> {
    evidence.answers.iter().map(|it| (it.record.as_str(), it.value.as_str())).collect()
}

fn fact<'a>(evidence: &'a Evidence, name: &str) -> Option<&'a str> {
    evidence.facts.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn every_type_of_record_is_asked_for_and_its_values_are_kept_in_order() {
    let server = NameServer::start();
    let soa = "ns.shop.example admin.shop.example 2026112101 7200 3600 1209600 300";
    let addresses = [("A", "192.0.2.1"), ("A", "192.0.2.2")];
    let behind_an_alias = [addresses[0], addresses[1], ("CNAME", "shop.example")];
    let mail = [("MX", "10 mail.shop.example"), ("MX", "20 backup.shop.example")];
    let cases: [(&str, &[(&str, &str)]); 11] = [
        ("shop.example", &addresses),
        ("SHOP.example?type=a", &addresses),
        ("www.shop.example", &behind_an_alias),
        ("www.shop.example?type=CNAME", &[("CNAME", "shop.example")]),
        ("shop.example?type=AAAA", &[("AAAA", "2001:db8::1")]),
        ("shop.example?type=MX", &mail),
        ("shop.example?type=NS", &[("NS", "ns.shop.example")]),
        ("shop.example?type=TXT", &[("TXT", "v=spf1 -all")]),
        ("shop.example?type=SOA", &[("SOA", soa)]),
        ("_sip._tcp.shop.example?type=SRV", &[("SRV", "10 60 5060 sip.shop.example")]),
        ("shop.example?type=CAA", &[("CAA", "0 issue ca.example")]),
    ];
    for (question, answers) in cases {
        let (outcome, seen, evidence) = asking(server.port, question).closely().await;

        assert_eq!(outcome, Outcome::Ok, "{question}: {seen:?}");
        assert_eq!(values(&evidence), answers, "{question}");
        assert_eq!(fact(&evidence, "code"), Some("NOERROR"));
        assert!(seen.phases.first_byte_us.is_some() && seen.phases.connect_us.is_none());
        assert_eq!(seen.address, Some([127, 0, 0, 1].into()));
    }
    let (.., evidence) = asking(server.port, "www.shop.example").closely().await;
    assert_eq!(evidence.answers.iter().map(|it| it.ttl).collect::<Vec<_>>(), [300, 300, 60]);
}

#[tokio::test]
async fn each_way_to_have_no_answer_is_told() {
    let server = NameServer::start();
    for (question, detail, sentence) in [
        ("no.shop.example", Detail::NxDomain, "the name does not exist"),
        ("shop.example?type=SRV", Detail::NoRecord, "the name has no record of type SRV"),
        ("broken.example", Detail::ServFail, "the name server failed to find an answer (SERVFAIL)"),
        ("other.example", Detail::ServFail, "the name server refused to answer (REFUSED)"),
        (
            "a.elsewhere.shop.example",
            Detail::NoRecord,
            "the name server does not know the name, and points to others",
        ),
    ] {
        let (outcome, seen) = asking(server.port, question).once().await;

        assert_eq!(outcome, Outcome::Fail(FailClass::Dns), "{question}: {seen:?}");
        assert_eq!(seen.error.as_deref(), Some(sentence));
        assert_eq!(seen.evidence.unwrap().detail, Some(detail), "{question}");
    }
}

#[tokio::test]
async fn what_is_expected_is_searched_in_the_values_that_were_asked_for() {
    let server = NameServer::start();
    let met = [
        ("shop.example", r"^192\.0\.2\.1\n192\.0\.2\.2$"),
        ("www.shop.example?type=AAAA", "^2001:db8::1$"),
        ("shop.example?type=TXT", "^v=spf1 "),
    ];

    for (question, expect) in met {
        expecting(server.port, question, expect).expect_ok().await;
    }
    let unmet = expecting(server.port, "shop.example", r"192\.0\.2\.7");
    let sentence = unmet.expect_fail(FailClass::Assertion).await;

    assert_eq!(sentence, "what was expected is not in the answers");
}

#[tokio::test]
async fn an_answer_that_is_too_long_for_a_datagram_is_had_over_tcp() {
    let server = NameServer::start();

    let look = expecting(server.port, "long.shop.example?type=TXT", "19x+$");
    let (outcome, seen, evidence) = look.closely().await;

    assert_eq!(outcome, Outcome::Ok, "{seen:?}");
    assert_eq!(fact(&evidence, "transport"), Some("tcp"));
    assert_eq!(evidence.answers[0].value.len(), 512);
}

#[tokio::test]
async fn without_a_server_in_the_url_those_of_the_worker_are_asked_until_one_answers() {
    let server = NameServer::start();
    let silent = Port::answering(|_, _| vec![]).await;
    let failing = Port::answering(|query, _| vec![answer(query, [0x81, 0x82], [1, 0], &[])]).await;
    let closed = Port::closed().await;

    for first in [silent.number, failing.number, closed] {
        let servers = [first, server.port].map(|port| ([127, 0, 0, 1], port).into());
        let egress = Egress::asking(Some(&servers), AddressPolicy::open()).unwrap();

        Look::at("dns:///shop.example").through(egress).expect_ok().await;
    }
    for order in [[closed, failing.number], [failing.number, closed]] {
        let servers = order.map(|port| ([127, 0, 0, 1], port).into());
        let egress = Egress::asking(Some(&servers), AddressPolicy::open()).unwrap();
        let look = Look::at("dns:///shop.example").through(egress);
        let told = look.expect_fail(FailClass::Dns).await;
        assert_eq!(told, "the name server failed to find an answer (SERVFAIL)");
    }
}

#[tokio::test]
async fn a_silent_server_holds_up_the_next_for_a_moment_and_may_still_answer() {
    let slow = UdpSocket::bind("127.0.0.2:0").await.unwrap();
    let quick = Port::answering(|query, _| vec![answer(query, GOOD, [1, 1], &address(1))]).await;
    let silent = Port::answering(|_, _| vec![]).await;
    let slow_at = slow.local_addr().unwrap();
    let answering = tokio::spawn(async move {
        let mut query = [0; 512];
        loop {
            let (length, from) = slow.recv_from(&mut query).await.unwrap();
            tokio::time::sleep(Duration::from_millis(450)).await;
            let late = answer(&query[..length], GOOD, [1, 1], &address(1));
            let _gone = slow.send_to(&late, from).await;
        }
    });
    let asking = |first: SocketAddr, second: u16| {
        let servers = [first, ([127, 0, 0, 1], second).into()];
        let egress = Egress::asking(Some(&servers), AddressPolicy::open()).unwrap();
        Look::at("dns:///shop.example").through(egress).within(900)
    };

    asking(([127, 0, 0, 1], silent.number).into(), quick.number).expect_ok().await;
    let late = asking(slow_at, silent.number).expect_ok().await;

    assert_eq!(late.address, Some(slow_at.ip()), "the one that answered, not the one asked last");
    answering.abort();
}

/// An answer to `query`: flags and counts as given, records as they come.
fn answer(query: &[u8], flags: [u8; 2], counts: [u16; 2], rest: &[u8]) -> Vec<u8> {
    let name = query[12..].iter().position(|byte| *byte == 0).unwrap();
    let mut reply = [&query[..2], &flags[..], &counts[0].to_be_bytes()].concat();
    reply.extend([counts[1].to_be_bytes(), [0, 0], [0, 0]].concat());
    reply.extend(&query[12..12 + name + 5]);
    reply.extend(rest);
    reply
}

/// An address of the name that was asked for, to be kept for an hour.
fn address(last: u8) -> Vec<u8> {
    vec![0xc0, 12, 0, 1, 0, 1, 0, 0, 0x0e, 0x10, 0, 4, 192, 0, 2, last]
}

const GOOD: [u8; 2] = [0x81, 0x80];
const CUT_SHORT: [u8; 2] = [0x83, 0x80];

#[tokio::test]
async fn nothing_is_remembered_and_the_order_of_answers_does_not_matter() {
    let port = Port::answering(|query, turn| {
        let last = u8::try_from(turn).unwrap();
        let records =
            if turn < 2 { address(last) } else { [address(9), address(last), address(1)].concat() };
        let count = if turn < 2 { 1 } else { 3 };
        vec![answer(query, GOOD, [1, count], &records)]
    })
    .await;
    let mut seen = Vec::new();
    for _look in 0..3 {
        let (_, _, evidence) = asking(port.number, "shop.example").closely().await;
        let values: Vec<_> = evidence.answers.into_iter().map(|it| it.value).collect();
        seen.push(values.join(" "));
    }

    assert_eq!(seen, ["192.0.2.0", "192.0.2.1", "192.0.2.1 192.0.2.2 192.0.2.9"]);
}

#[tokio::test]
async fn a_question_that_is_lost_is_asked_again() {
    let port = Port::answering(|query, turn| match turn {
        0 => vec![],
        _ => vec![answer(query, GOOD, [1, 1], &address(1))],
    })
    .await;

    let (outcome, seen, evidence) = asking(port.number, "shop.example").closely().await;

    assert_eq!(outcome, Outcome::Ok, "{seen:?}");
    assert_eq!(fact(&evidence, "sent"), Some("2"));
}

#[tokio::test]
async fn a_server_that_knows_only_plain_questions_is_asked_plainly() {
    let port = Port::answering(|query, _| match query[11] {
        0 => vec![answer(query, GOOD, [1, 1], &address(1))],
        // Without the question, as old servers do it.
        _ => vec![[&query[..2], &[0x81, 0x81, 0, 0, 0, 0, 0, 0, 0, 0]].concat()],
    })
    .await;

    asking(port.number, "shop.example").expect_ok().await;
}

#[tokio::test]
async fn what_is_no_answer_is_told_at_once_and_what_is_anothers_at_the_deadline() {
    type Answers = fn(&[u8], usize) -> Vec<Vec<u8>>;
    let none = "what came back is no answer of a name server";
    let anothers = "what came back is no answer to what was asked";
    let cases: [(Answers, bool, &str); 7] = [
        (|query, _| vec![[&query[..2], b"garbage"].concat()], true, none),
        (|query, _| vec![query.to_vec()], true, none),
        (|query, _| vec![answer(query, GOOD, [1, 1], &[0xc0, 29])], true, none),
        (|query, _| vec![answer(query, GOOD, [1, 65_535], &address(1))], true, none),
        (
            |query, _| {
                let other = [&query[..13], b"x", &query[14..]].concat();
                vec![answer(&other, GOOD, [1, 1], &address(1))]
            },
            true,
            "what came back answers another question",
        ),
        (
            |query, _| {
                let other = [&[query[0] ^ 1], &query[1..]].concat();
                vec![answer(&other, GOOD, [1, 1], &address(1)), vec![], vec![0]]
            },
            false,
            anothers,
        ),
        (|query, _| vec![vec![query[0] ^ 1, 0, 0]; 1_500], true, anothers),
    ];
    for (answers, at_once, sentence) in cases {
        let port = Port::answering(answers).await;
        let began = Instant::now();

        let deadline = if at_once { 10_000 } else { 300 };
        let look = asking(port.number, "shop.example").within(deadline);

        assert_eq!(look.expect_fail(FailClass::Protocol).await, sentence);
        let took = began.elapsed();
        assert!(took < Duration::from_secs(5), "{sentence}: {took:?}");
        assert!(at_once || took >= Duration::from_millis(deadline), "{sentence}: {took:?}");
    }
}

#[tokio::test]
async fn nobody_can_know_the_id_of_a_question_from_the_one_before() {
    let ids = Arc::new(Mutex::new(BTreeSet::new()));
    let kept = Arc::clone(&ids);
    let port = Port::answering(move |query, _| {
        kept.lock().unwrap().insert([query[0], query[1]]);
        vec![answer(query, GOOD, [1, 1], &address(1))]
    })
    .await;

    for _ in 0..20 {
        asking(port.number, "shop.example").expect_ok().await;
    }

    // Of twenty drawn from 65,536 hardly two are the same.
    assert!(ids.lock().unwrap().len() > 15);
}

#[tokio::test]
async fn a_huge_answer_is_read_and_little_of_it_is_kept() {
    let port = Port::answering(|query, _| {
        let records = (0..4_000).map(|n| address(u8::try_from(n % 250).unwrap()));
        vec![answer(query, GOOD, [1, 4_000], &records.collect::<Vec<_>>().concat())]
    })
    .await;

    let (outcome, seen, evidence) = asking(port.number, "shop.example").closely().await;

    assert_eq!(outcome, Outcome::Ok, "{seen:?}");
    assert_eq!(evidence.answers.len(), 50);
}

#[tokio::test]
async fn silence_and_a_late_answer_cost_the_deadline_and_a_closed_port_nothing() {
    let silent = Port::answering(|_, _| vec![]).await;
    let late = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let late_port = late.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut query = [0; 512];
        let (length, from) = late.recv_from(&mut query).await.unwrap();
        tokio::time::sleep(Duration::from_millis(400)).await;
        let late_answer = answer(&query[..length], GOOD, [1, 1], &address(1));
        late.send_to(&late_answer, from).await.unwrap();
    });
    let waiting = "timed out after 200 ms while waiting for the first byte";

    for port in [silent.number, late_port] {
        let look = asking(port, "shop.example").within(200);
        assert_eq!(look.expect_fail(FailClass::Timeout).await, waiting);
    }
    let closed = asking(Port::closed().await, "shop.example");
    assert_eq!(closed.expect_fail(FailClass::Connect).await, "the port is closed");
}

/// A name server whose answers never fit, and that does `talk` over TCP.
async fn cut_short<T, F>(talk: T) -> (Port, Server)
where
    T: Fn(TcpStream) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let port = Port::answering(|query, _| vec![answer(query, CUT_SHORT, [1, 0], &[])]).await;
        // The number may be taken over TCP.
        let address = format!("127.0.0.1:{}", port.number);
        if let Ok(server) = Server::on(&address, talk.clone()).await {
            return (port, server);
        }
    }
}

async fn saying_over_tcp(bytes: &'static [u8]) -> (Port, Server) {
    cut_short(move |mut stream| async move {
        stream.write_all(bytes).await.unwrap();
        tokio::time::sleep(FOR_EVER).await;
    })
    .await
}

#[tokio::test]
async fn what_goes_wrong_over_tcp_is_told_and_bounded() {
    let early = cut_short(|stream| async move { drop(stream) }).await;
    let garbage = saying_over_tcp(b"\0\x05hello").await;
    let stalling = saying_over_tcp(b"\xff\xffhello").await;
    let alone = Port::answering(|query, _| vec![answer(query, CUT_SHORT, [1, 0], &[])]).await;
    let over_tcp = "the answer is too long for a datagram, and over TCP";

    let look = |port: &Port| asking(port.number, "shop.example").within(1_000);

    let early = look(&early.0).expect_fail(FailClass::Connect).await;
    assert!(early.starts_with(&format!("{over_tcp} the connection was ")), "{early}");
    let garbage = look(&garbage.0).expect_fail(FailClass::Protocol).await;
    assert_eq!(garbage, format!("{over_tcp} what came back is no answer of a name server"));
    let stalling = look(&stalling.0).expect_fail(FailClass::Timeout).await;
    assert_eq!(stalling, "timed out after 1000 ms while reading the answer");
    let refused = look(&alone).expect_fail(FailClass::Connect).await;
    assert_eq!(refused, format!("{over_tcp} the connection was refused"));
}
