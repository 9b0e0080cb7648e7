//! No request reaches an address that is forbidden, however it is written (promise 14).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pulse_core::models::address::AddressPolicy;
use pulse_core::models::run::FailClass;
use pulse_worker::egress::{Egress, Waiting};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustls::RootCertStore;
use url::Url;

use crate::looking::Look;
use crate::servers::Server;

fn public_only() -> Egress {
    Egress::with_roots(RootCertStore::empty(), AddressPolicy::public_and(Vec::new())).unwrap()
}

/// First and last of what the IANA registries keep apart, multicast and reserved included: written
/// down apart from the product's table, and in another form.
const APART: [(u32, u32); 17] = [
    (0x0000_0000, 0x00ff_ffff),
    (0x0a00_0000, 0x0aff_ffff),
    (0x6440_0000, 0x647f_ffff),
    (0x7f00_0000, 0x7fff_ffff),
    (0xa9fe_0000, 0xa9fe_ffff),
    (0xac10_0000, 0xac1f_ffff),
    (0xc000_0000, 0xc000_00ff),
    (0xc000_0200, 0xc000_02ff),
    (0xc01f_c400, 0xc01f_c4ff),
    (0xc034_c100, 0xc034_c1ff),
    (0xc058_6300, 0xc058_63ff),
    (0xc0a8_0000, 0xc0a8_ffff),
    (0xc0af_3000, 0xc0af_30ff),
    (0xc612_0000, 0xc613_ffff),
    (0xc633_6400, 0xc633_64ff),
    (0xcb00_7100, 0xcb00_71ff),
    (0xe000_0000, 0xffff_ffff),
];

fn is_apart(address: u32) -> bool {
    APART.iter().any(|(first, last)| (*first..=*last).contains(&address))
}

/// The ways to write an IPv4 address that leads there, in a URL. The bool is whether its packets go
/// where the IPv4 address is; tunnels are never permitted.
fn spellings(address: u32) -> Vec<(String, bool)> {
    let [a, b, c, d] = address.to_be_bytes();
    let low = address & 0x00ff_ffff;
    let dotted = format!("{a}.{b}.{c}.{d}");
    let (high, rest) = (address >> 16, address & 0xffff);
    let percent: Vec<_> = dotted.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let wide = dotted.replace('.', "\u{3002}");
    let fullwidth: String = dotted
        .chars()
        .map(|it| {
            char::from_u32(u32::from(it) + 0xfee0).filter(|_| it.is_ascii_digit()).unwrap_or(it)
        })
        .collect();
    let straight = [
        dotted.clone(),
        format!("{dotted}."),
        format!("{address}"),
        format!("{address:#x}"),
        format!("0x{address:X}"),
        format!("0{address:o}"),
        format!("{a}.{low}"),
        format!("{a}.{b}.{}", (u32::from(c) << 8) | u32::from(d)),
        format!("{a:#x}.{b:#x}.{c:#x}.{d:#x}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("{a:#x}.0{b:o}.{rest}"),
        percent.concat(),
        wide,
        fullwidth,
        format!("[::ffff:{dotted}]"),
        format!("[::FFFF:{high:x}:{rest:x}]"),
        format!("[0:0:0:0:0:ffff:{high:x}:{rest:x}]"),
        format!("[64:ff9b::{dotted}]"),
        format!("[64:ff9b:0:0:0:0:{high:x}:{rest:x}]"),
    ];
    let tunnels = [
        format!("[::{dotted}]"),
        format!("[::ffff:0:{dotted}]"),
        format!("[2002:{high:x}:{rest:x}::1]"),
        format!("[2001:0:{high:x}:{rest:x}::1]"),
        format!("[64:ff9b:1::{dotted}]"),
    ];
    let straight = straight.into_iter().map(|it| (it, true));
    straight.chain(tunnels.into_iter().map(|it| (it, false))).collect()
}

async fn is_let_through(egress: &Egress, host: &str) -> bool {
    let url =
        Url::parse(&format!("http://{host}/")).unwrap_or_else(|error| panic!("{host}: {error}"));
    let host = url.host().unwrap().to_owned();
    assert!(!matches!(host, url::Host::Domain(_)), "{host} would be asked of a name server");
    egress.resolve(&host, &Waiting::default()).await.is_ok()
}

#[tokio::test]
async fn a_hundred_thousand_spellings_are_judged_by_where_they_lead() {
    let egress = public_only();
    let mut draw = StdRng::seed_from_u64(14);
    let mut judged = 0;
    while judged < 100_000 {
        let address = match draw.random_range(0..4) {
            0 => draw.random(),
            1 => {
                let (first, last) = APART[draw.random_range(0..APART.len())];
                draw.random_range(first..=last)
            }
            // Where ranges begin and end.
            2 => APART[draw.random_range(0..APART.len())].0.wrapping_sub(draw.random_range(0..2)),
            _ => APART[draw.random_range(0..APART.len())].1.wrapping_add(draw.random_range(0..2)),
        };
        for (host, leads_there) in spellings(address) {
            let expected = leads_there && !is_apart(address);
            assert_eq!(
                is_let_through(&egress, &host).await,
                expected,
                "{host} for {}",
                Ipv4Addr::from(address)
            );
            judged += 1;
        }
    }
}

/// Whether an IPv6 address is one of the public internet, by its text: again in another form.
fn is_public_by_text(address: Ipv6Addr) -> bool {
    let groups = address.segments();
    let [first, second, third, ..] = groups;
    match first {
        0x2001 => !(second < 0x200 || second == 0xdb8),
        0x2002 => false,
        0x2620 => (second, third) != (0x4f, 0x8000),
        0x3fff => second > 0x0fff,
        _ => first & 0xe000 == 0x2000,
    }
}

#[test]
fn ipv6_is_judged_as_a_second_table_has_it() {
    let policy = AddressPolicy::public_and(Vec::new());
    let mut draw = StdRng::seed_from_u64(6);
    let heads =
        [0x2001, 0x2002, 0x2620, 0x3fff, 0x2000, 0x1fff, 0x4000, 0xfc00, 0xfe80, 0xff02, 0x0064];
    let seconds = [0, 1, 0x1ff, 0x200, 0xdb7, 0xdb8, 0x4f, 0x50, 0x0fff, 0x1000, 0xff9a];
    for _ in 0..100_000 {
        let mut groups: [u16; 8] = draw.random();
        if draw.random() {
            groups[0] = heads[draw.random_range(0..heads.len())];
            groups[1] = seconds[draw.random_range(0..seconds.len())];
            groups[2] = [0, 0x8000, 0x8001][draw.random_range(0..3)];
        }
        let address = Ipv6Addr::from(groups);
        assert_eq!(policy.permits(IpAddr::V6(address)), is_public_by_text(address), "{address}");
    }
}

/// A server that counts who comes.
async fn listener(address: &str) -> (Server, Arc<AtomicUsize>) {
    let visitors = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&visitors);
    let server = Server::on(address, move |_stream| {
        seen.fetch_add(1, Ordering::Relaxed);
        std::future::ready(())
    });
    (server.await.unwrap(), visitors)
}

#[tokio::test]
async fn nobody_comes_to_a_forbidden_listener_and_nothing_is_told_of_it() {
    let (server, visitors) = listener("127.0.0.1:0").await;
    let loopback = u32::from(Ipv4Addr::LOCALHOST);
    let literals = spellings(loopback).into_iter().map(|(host, _)| host);
    let hosts: Vec<_> = literals.chain(["localhost".to_owned(), "LOCALHOST.".to_owned()]).collect();
    for host in &hosts {
        let url = format!("http://{host}:{}/", server.port());

        let (outcome, seen) = Look::at(&url).through(public_only()).once().await;

        assert_eq!(outcome.reason(), FailClass::ForbiddenAddress.as_str(), "{url}: {seen:?}");
        assert_eq!(seen.address, None, "{url}");
        let sentence = seen.error.unwrap();
        assert_eq!(sentence, "the address is not one that may be reached from here");
    }
    assert_eq!(visitors.load(Ordering::Relaxed), 0);

    // The same look gets there where it may.
    let _ = Look::at(server.url()).once().await;
    assert_eq!(visitors.load(Ordering::Relaxed), 1);
}
