//! The policy on addresses against a second table, whatever networks are allowed; and what a host is
//! read as against what it is.

#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use libfuzzer_sys::fuzz_target;
use pulse_fuzz::models::address::AddressPolicy;
use pulse_fuzz::models::target::Target;
use pulse_fuzz::table::{self, Network};
use url::Host;

/// Of an input so many bytes are networks at most: a family, an address and a length each.
const MOST_NETWORKS: usize = 4;
const NETWORK: usize = 18;

fn address(family: u8, bytes: [u8; 16]) -> IpAddr {
    let [a, b, c, d, ..] = bytes;
    match family % 4 {
        0 => Ipv4Addr::new(a, b, c, d).into(),
        1 => Ipv4Addr::new(a, b, c, d).to_ipv6_mapped().into(),
        2 => Ipv6Addr::from_bits(
            (0x64_ff9b_u128 << 96) | u128::from(u32::from_be_bytes([a, b, c, d])),
        )
        .into(),
        _ => Ipv6Addr::from(bytes).into(),
    }
}

fn networks(input: &[u8]) -> Vec<Network> {
    let network = |bytes: &[u8]| {
        let address = address(bytes[0] & 2 | bytes[0] >> 1 & 1, bytes[1..17].try_into().ok()?);
        let most = if address.is_ipv4() { 32 } else { 128 };
        Some((address, bytes[17] % (most + 1)))
    };
    input.chunks_exact(NETWORK).take(MOST_NETWORKS).filter_map(network).collect()
}

fuzz_target!(|input: &[u8]| {
    let Some((first, rest)) = input.split_first_chunk::<17>() else { return };
    let networks = networks(rest);
    let nets = networks.iter().map(|(address, bits)| IpNet::new(*address, *bits).expect("it fits"));
    let policy = AddressPolicy::public_and(nets.collect());
    let found = address(first[0], first[1..].try_into().expect("it is sixteen bytes"));

    assert_eq!(policy.permits(found), table::permits(found, &networks), "{found} {networks:?}");
    assert!(AddressPolicy::open().permits(found));

    // Written in a URL, it is read as the address that it is.
    let written = match found {
        IpAddr::V4(found) => format!("http://{found}:81/"),
        IpAddr::V6(found) => format!("tcp://[{found}]:81"),
    };
    let read = match Target::parse(&written).expect("an address is a target").host {
        Some(Host::Ipv4(read)) => IpAddr::V4(read),
        Some(Host::Ipv6(read)) => IpAddr::V6(read),
        other => panic!("{written} was read as {other:?}"),
    };
    assert_eq!(read, found);
});
