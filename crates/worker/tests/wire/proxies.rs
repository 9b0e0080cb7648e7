//! Looks by way of a proxy: what it is asked for, and whose fault is what.

use std::sync::{Arc, Mutex};

use pulse_core::models::address::AddressPolicy;
use pulse_core::models::evidence::Evidence;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::proxy::Proxy;
use pulse_core::models::run::{Detail, FailClass, Observation, Outcome};
use pulse_core::models::way::IpFamily;
use pulse_worker::egress::Egress;
use rustls::RootCertStore;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;

use crate::daemon::free_port;
use crate::looking::{Look, get};
use crate::servers::{Server, header, read_request};
use crate::tls::{Authority, OK, https, params};

const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";
/// `me:hush`
const CREDENTIALS: &str = "Basic bWU6aHVzaA==";

/// A proxy that lets through, and what it was asked for.
struct Through {
    server: Server,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Through {
    /// `by_name` is where names lead to.
    async fn start(by_name: Option<u16>) -> Self {
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&asked);
        let server = Server::raw(move |mut stream: TcpStream| {
            let kept = Arc::clone(&kept);
            async move {
                let request = read_request(&mut stream).await;
                let place = request.split(' ').nth(1).unwrap().to_owned();
                kept.lock().unwrap().push(request);
                let by_name = by_name.map(|port| format!("127.0.0.1:{port}"));
                let mut target = TcpStream::connect(by_name.unwrap_or(place)).await.unwrap();
                stream.write_all(ESTABLISHED).await.unwrap();
                let _gone = copy_bidirectional(&mut stream, &mut target).await;
            }
        })
        .await;
        Self { server, asked }
    }

    fn asked(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap().clone();
        asked.iter().map(|it| it.split(' ').nth(1).unwrap().to_owned()).collect()
    }
}

fn by(server: &Server, spec: ProbeSpec) -> ProbeSpec {
    let url = format!("http://{}", server.address);
    ProbeSpec { proxy: Some(Box::new(Proxy { url, username: None, password: None })), ..spec }
}

fn guarded(allowed: &[&str]) -> Egress {
    let allowed = allowed.iter().map(|network| network.parse().unwrap()).collect();
    Egress::with_roots(RootCertStore::empty(), AddressPolicy::public_and(allowed)).unwrap()
}

fn fact<'a>(evidence: &'a Evidence, name: &str) -> Option<&'a str> {
    evidence.facts.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
}

async fn well() -> Server {
    Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await
}

#[tokio::test]
async fn a_request_goes_through_a_tunnel_and_the_evidence_says_so() {
    let (proxy, target) = (Through::start(None).await, well().await);

    let (outcome, seen, evidence) =
        Look::with(by(&proxy.server, get(target.url()))).closely().await;

    assert_eq!(outcome, Outcome::Ok, "{seen:?}");
    assert_eq!(proxy.asked(), [target.address.to_string()]);
    assert_eq!(fact(&evidence, "proxy"), Some(proxy.server.address.to_string().as_str()));
    assert_eq!(seen.address, Some(target.address.ip()), "the target's, not the proxy's");
    assert!(seen.phases.connect_us.is_some() && seen.phases.dns_us.is_none());
    assert!(target.requests.only().starts_with("GET / HTTP/1.1\r\n"));
}

#[tokio::test]
async fn tls_goes_through_and_the_target_is_verified() {
    let authority = Authority::new();
    let target = authority.issue(&params("localhost")).serve(OK).await;
    let proxy = Through::start(Some(target.port())).await;
    let look = |url: String| Look::with(by(&proxy.server, get(url))).through(authority.egress());

    let seen = look(https("localhost", &target)).expect_ok().await;
    let told = look(format!("https://other.example:{}/", target.port()));
    let told = told.expect_fail(FailClass::Tls).await;

    assert!(seen.phases.tls_us.is_some());
    assert_eq!(seen.address, None, "the proxy alone knows which it was");
    assert!(told.starts_with("the certificate is for another host"), "{told}");
    let port = target.port();
    assert_eq!(proxy.asked(), [format!("localhost:{port}"), format!("other.example:{port}")]);
}

#[tokio::test]
async fn who_speaks_first_is_heard_from_the_first_byte() {
    let proxy = Server::after_request(|mut stream| async move {
        let greeting = [ESTABLISHED, b"220 mail\r\n"].concat();
        stream.write_all(&greeting).await.unwrap();
        let _gone = stream.read(&mut [0]).await;
    })
    .await;
    let spec =
        ProbeSpec { expect: Some("^220 mail".into()), ..ProbeSpec::at("tcp://mail.test:25") };

    Look::with(by(&proxy, spec)).expect_ok().await;

    assert!(proxy.requests.only().starts_with("CONNECT mail.test:25 HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_proxy_that_wants_to_know_who_asks_is_told() {
    let target = well().await;
    let proxy = Server::after_request(|mut stream| async move {
        let _gone =
            stream.write_all(b"HTTP/1.1 407 Who\r\nproxy-authenticate: Basic\r\n\r\n").await;
    })
    .await;
    let named = |password: Option<&str>| {
        let mut spec = by(&proxy, get(target.url()));
        let proxy = spec.proxy.as_mut().unwrap();
        proxy.username = password.map(|_| "me".to_owned());
        proxy.password = password.map(str::to_owned);
        Look::with(spec)
    };

    let (_, seen, evidence) = named(None).closely().await;
    named(Some("hush")).once().await;

    assert_eq!(seen.error.as_deref(), Some("at the proxy: it wants to know who asks: status 407"));
    assert_eq!(seen.evidence.unwrap().detail, Some(Detail::Proxy));
    assert!(evidence.headers.is_empty() && seen.status_code.is_none(), "not the target's");
    let requests = proxy.requests.all();
    let told: Vec<_> = requests.iter().map(|it| header(it, "proxy-authorization")).collect();
    assert_eq!(told, [None, Some(CREDENTIALS)]);
    assert!(target.requests.all().is_empty());
}

#[tokio::test]
async fn what_a_proxy_does_wrong_is_not_told_of_the_target() {
    let target = || get("http://127.0.0.1:9/");
    let mut away = by(&well().await, target());
    away.proxy.as_mut().unwrap().url = format!("http://127.0.0.1:{}", free_port());
    refuses(Look::with(away).once().await, FailClass::Connect, "the connection was refused");
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(10_000));
    for (answer, class, told) in [
        ("HTTP/1.1 502 No\r\n\r\n", FailClass::Refused, "it lets nobody through: status 502"),
        ("SSH-2.0\r\n\r\n", FailClass::Protocol, "what the proxy answered is not HTTP/1.1"),
        ("", FailClass::Connect, "the connection was closed before a reply came"),
        (long.as_str(), FailClass::TooLarge, "the head of what the proxy answered is over 8 KiB"),
    ] {
        let proxy = Server::answering(answer).await;
        refuses(Look::with(by(&proxy, target())).once().await, class, told);
        let upside_down = ProbeSpec { upside_down: true, ..by(&proxy, target()) };
        refuses(Look::with(upside_down).once().await, class, told);
    }
}

fn refuses((outcome, seen): (Outcome, Observation), class: FailClass, told: &str) {
    assert_eq!(outcome, Outcome::Fail(class), "{seen:?}");
    assert_eq!(seen.error, Some(format!("at the proxy: {told}")));
    assert_eq!((seen.status_code, seen.address), (None, None));
    assert_eq!(seen.evidence.unwrap().detail, Some(Detail::Proxy));
}

#[tokio::test]
async fn a_proxy_that_says_nothing_costs_the_deadline() {
    let silent = Server::stalling_after("").await;

    let look = Look::with(by(&silent, get("http://127.0.0.1:9/"))).within(200);
    let (outcome, seen) = look.once().await;

    assert_eq!(outcome, Outcome::Fail(FailClass::Timeout));
    assert_eq!(seen.error.as_deref(), Some("timed out after 200 ms while waiting for the proxy"));
    assert_eq!(seen.evidence.unwrap().detail, Some(Detail::Proxy));
}

#[tokio::test]
async fn the_guard_stands_before_the_proxy_and_before_what_it_is_asked_for() {
    let target = well().await;
    let proxy = Through::start(None).await;
    let port = target.port();
    let forbidden = ["127.0.0.2", "0x7f.2", "[::ffff:127.0.0.2]", "10.0.0.1"];

    let look = Look::with(by(&proxy.server, get(target.url()))).through(guarded(&["127.0.0.2/32"]));
    let told = look.expect_fail(FailClass::ForbiddenAddress).await;
    assert_eq!(told, "the address is not one that may be reached from here", "the target's");

    for host in forbidden {
        let spec = by(&proxy.server, get(format!("http://{host}:{port}/")));
        let look = Look::with(spec).through(guarded(&["127.0.0.1/32"]));
        look.expect_fail(FailClass::ForbiddenAddress).await;
    }

    let look =
        Look::with(by(&proxy.server, get("http://192.0.2.1/"))).through(guarded(&["192.0.2.0/24"]));
    let told = look.expect_fail(FailClass::ForbiddenAddress).await;
    assert!(told.starts_with("at the proxy: "), "{told}");
    assert_eq!(proxy.asked(), [""; 0]);
}

#[tokio::test]
async fn where_anything_is_forbidden_a_name_is_resolved_here() {
    let target = well().await;
    let proxy = Through::start(None).await;
    let url = format!("http://localhost:{}/", target.port());
    let look = |spec| Look::with(by(&proxy.server, spec));

    let guarded = look(get(url.clone())).through(guarded(&["127.0.0.1/32"]));
    let seen = guarded.expect_ok().await;
    look(ProbeSpec { ip_family: IpFamily::V4, ..get(url) }).expect_ok().await;

    assert_eq!(seen.address, Some(target.address.ip()));
    assert!(seen.phases.dns_us.is_some());
    let address = target.address.to_string();
    assert_eq!(proxy.asked(), [address.clone(), address]);
}

#[tokio::test]
async fn redirects_go_the_same_way_and_past_the_same_guard() {
    let there = well().await;
    let here =
        Server::answering(format!("HTTP/1.1 302 Found\r\nlocation: {}\r\n\r\n", there.url())).await;
    let proxy = Through::start(None).await;
    let following = |to: &Server| {
        Look::with(by(&proxy.server, ProbeSpec { max_redirects: 1, ..get(to.url()) }))
    };

    let (outcome, _, evidence) = following(&here).closely().await;
    assert_eq!(outcome, Outcome::Ok);
    assert_eq!(proxy.asked(), [here.address.to_string(), there.address.to_string()]);
    assert!(fact(&evidence, "proxy").is_some());

    let inward = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.2:9/\r\n\r\n";
    let inward = Server::answering(inward).await;
    let look = following(&inward).through(guarded(&["127.0.0.1/32"]));
    look.expect_fail(FailClass::ForbiddenAddress).await;
    assert_eq!(proxy.asked().len(), 3, "nobody asked it for the second");
}
