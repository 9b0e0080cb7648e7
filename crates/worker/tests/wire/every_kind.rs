//! What befalls a look of any kind on its way, before anything is said in the kind's own protocol: its
//! name, its address, its connection, its handshake.

use std::net::SocketAddr;

use futures_util::future::join_all;
use pulse_core::models::address::AddressPolicy;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::run::{Detail, FailClass, Outcome};
use pulse_core::models::scheme::Scheme;
use pulse_worker::egress::Egress;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::database::{PASSWORD, by};
use crate::looking::Look;
use crate::name_server::NameServer;
use crate::servers::{Server, full};
use crate::smtp::saying;
use crate::udp::Port;

/// Nothing is ever said to them first, or without a connection.
const DATAGRAMS: [Scheme; 3] = [Scheme::Udp, Scheme::Dns, Scheme::Icmp];

/// A look of this kind, with the least that it needs.
pub fn at(scheme: Scheme, host: &str, port: u16) -> ProbeSpec {
    let spec = |rest: &str| ProbeSpec::at(format!("{scheme}://{host}{rest}"));
    match scheme {
        Scheme::Icmp => spec(""),
        Scheme::Dns => spec(&format!(":{port}/shop.example")),
        Scheme::Postgres | Scheme::Mysql => by("me", PASSWORD, spec(&format!(":{port}/shop"))),
        Scheme::Tcp | Scheme::Udp => {
            ProbeSpec { expect: Some("x".to_owned()), ..spec(&format!(":{port}")) }
        }
        _ => spec(&format!(":{port}")),
    }
}

fn over_connections() -> impl Iterator<Item = Scheme> {
    Scheme::looked_at().filter(|scheme| !DATAGRAMS.contains(scheme))
}

/// Whether the handshake is the first that is done on a connection.
fn begins_with_tls(scheme: Scheme) -> bool {
    use Scheme::{Grpcs, Https, Rediss, Tls, Wss};
    matches!(scheme, Https | Tls | Grpcs | Wss | Rediss)
}

async fn fails(look: Look, class: FailClass, detail: Detail) -> String {
    let kind = look.spec.url.clone();
    let (outcome, seen) = look.once().await;
    assert_eq!(outcome, Outcome::Fail(class), "{kind}: {seen:?}");
    let told = seen.evidence.and_then(|evidence| evidence.detail);
    assert_eq!(told, Some(detail), "{kind}: {:?}", seen.error);
    seen.error.unwrap()
}

fn asking(server: u16) -> Egress {
    let servers: [SocketAddr; 1] = [([127, 0, 0, 1], server).into()];
    Egress::asking(Some(&servers), AddressPolicy::open()).unwrap()
}

#[tokio::test]
async fn a_name_that_leads_nowhere_is_told_by_why() {
    let server = NameServer::start();
    let egress = asking(server.port);
    for (host, detail) in [
        ("no.shop.example", Detail::NxDomain),
        ("long.shop.example", Detail::NoRecord),
        ("broken.example", Detail::ServFail),
    ] {
        for scheme in Scheme::looked_at() {
            let look = Look::with(at(scheme, host, 9)).through(egress.clone());
            fails(look, FailClass::Dns, detail).await;
        }
    }
}

#[tokio::test]
async fn a_name_server_that_is_silent_costs_the_timeout() {
    let silent = Port::answering(|_, _| vec![]).await;
    let egress = asking(silent.number);
    for scheme in Scheme::looked_at() {
        let look = Look::with(at(scheme, "shop.example", 9)).through(egress.clone()).within(150);

        let told = fails(look, FailClass::Timeout, Detail::WhileResolving).await;

        assert_eq!(told, "timed out after 150 ms while resolving the name");
    }
}

#[tokio::test]
async fn no_kind_goes_to_an_address_that_is_forbidden() {
    let public = Egress::asking(None, AddressPolicy::public_and(Vec::new())).unwrap();
    for scheme in Scheme::looked_at() {
        for host in ["127.0.0.1", "localhost"] {
            let look = Look::with(at(scheme, host, 9)).through(public.clone());
            let told = look.expect_fail(FailClass::ForbiddenAddress).await;
            assert_eq!(told, "the address is not one that may be reached from here");
        }
    }
}

#[tokio::test]
async fn a_port_that_is_closed_refuses_every_kind_that_has_one() {
    let port = Port::closed().await;
    for scheme in Scheme::looked_at().filter(|scheme| *scheme != Scheme::Icmp) {
        let look = Look::with(at(scheme, "127.0.0.1", port));

        let told = fails(look, FailClass::Connect, Detail::Refused).await;

        let is_datagram = DATAGRAMS.contains(&scheme);
        let sentence =
            if is_datagram { "the port is closed" } else { "the connection was refused" };
        assert_eq!(told, sentence, "{scheme}");
    }
}

#[tokio::test]
async fn a_connection_that_is_never_made_costs_the_timeout() {
    let full = full().await;
    for scheme in over_connections() {
        let look = Look::with(at(scheme, "127.0.0.1", full.address.port())).within(150);

        let told = fails(look, FailClass::Timeout, Detail::WhileConnecting).await;

        assert_eq!(told, "timed out after 150 ms while connecting", "{scheme}");
    }
}

#[tokio::test]
async fn a_server_that_is_silent_costs_the_timeout() {
    let silent = Server::raw(|stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let looks = over_connections().map(|scheme| {
        let look = Look::with(at(scheme, "127.0.0.1", silent.port())).within(1_000);
        let detail = match scheme {
            Scheme::Tcp => Detail::WhileWaiting,
            scheme if begins_with_tls(scheme) => Detail::WhileSecuring,
            _ => Detail::WhileWaiting,
        };

        fails(look, FailClass::Timeout, detail)
    });
    join_all(looks).await;
}

#[tokio::test]
async fn a_reply_that_stops_in_the_middle_costs_the_timeout() {
    let looks = [
        (Scheme::Http, "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nok"),
        (Scheme::Tcp, "not it"),
        (Scheme::Redis, "$100\r\nPONG"),
        (Scheme::Postgres, "N"),
        (Scheme::Mysql, "\x49\0\0\0\x0a8.4.3"),
        (Scheme::Smtp, "220-mail"),
    ]
    .map(|(scheme, begun)| async move {
        let server = Server::raw(move |mut stream| async move {
            let mut rest = Vec::new();
            let _sent = stream.write_all(begun.as_bytes()).await;
            let _read = stream.read_to_end(&mut rest).await;
        })
        .await;
        let mut spec = at(scheme, "127.0.0.1", server.port());
        if scheme == Scheme::Postgres {
            spec.url += "?sslmode=disable";
        }

        let look = Look::with(spec).within(1_000);

        fails(look, FailClass::Timeout, Detail::WhileReading).await;
    });
    join_all(looks).await;
}

#[tokio::test]
async fn a_connection_that_is_reset_is_told() {
    let resetting = Server::raw(|stream| async move { stream.set_zero_linger().unwrap() }).await;
    for scheme in over_connections() {
        let look = || Look::with(at(scheme, "127.0.0.1", resetting.port()));

        let (outcome, seen) = look().once().await;

        let told = seen.evidence.and_then(|evidence| evidence.detail);
        // It may be reset before it is known that it was made.
        let early = (outcome, told) == (Outcome::Fail(FailClass::Connect), Some(Detail::Reset));
        let expected = (Outcome::Fail(FailClass::Tls), Some(Detail::Handshake));
        assert!(
            early || begins_with_tls(scheme) && (outcome, told) == expected,
            "{scheme}: {outcome:?} {:?}",
            seen.error
        );
    }
}

/// What a server says up to where TLS begins: the first at once, the rest each after something was heard.
fn until_tls(scheme: Scheme) -> &'static [&'static [u8]] {
    match scheme {
        Scheme::Postgres => &[b"", b"S"],
        // A greeting of version 10 that offers TLS, the new protocol and plug-ins, with salt and method.
        Scheme::Mysql => &[
            b"\x49\0\0\0\x0a8.4.3\0\x01\0\0\0saltsalt\0\0\x8a\x2d\x02\0\x08\0\x15\0\0\0\0\0\0\0\0\0\0\
               saltsaltsalt\0mysql_native_password\0",
        ],
        Scheme::Smtp => &[b"220 mail\r\n", b"250-mail\r\n250 STARTTLS\r\n", b"220 go\r\n"],
        _ => &[],
    }
}

#[tokio::test]
async fn a_server_that_offers_tls_and_is_silent_then_costs_the_timeout() {
    let looks = [Scheme::Postgres, Scheme::Mysql, Scheme::Smtp].map(|scheme| async move {
        let server = saying(until_tls(scheme)).await;
        let mut spec = at(scheme, "127.0.0.1", server.port());
        if scheme != Scheme::Smtp {
            spec.url += "?sslmode=require";
        }

        let look = Look::with(spec).within(1_000);
        let told = fails(look, FailClass::Timeout, Detail::WhileSecuring).await;

        assert_eq!(told, "timed out after 1000 ms while shaking hands for TLS", "{scheme}");
    });
    join_all(looks).await;
}
