//! Which addresses may be reached, told a second time: by the bytes of an address, and from the IANA
//! registries alone.
//!
//! This file stands by itself, so that others than the lab can hold Pulse against it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network: an address, and how many of its leading bits count.
pub type Network = (IpAddr, u8);

/// Whether a worker that denies private targets may connect to `address`, when these networks are
/// allowed all the same.
#[must_use]
pub fn permits(address: IpAddr, allowed: &[Network]) -> bool {
    let goal = goal(address);
    let is_public = match goal {
        IpAddr::V4(goal) => is_public_v4(goal),
        IpAddr::V6(goal) => is_public_v6(goal),
    };
    is_public || allowed.iter().any(|network| holds(*network, goal))
}

/// Where packets for `address` go in the end.
fn goal(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    match v6.segments() {
        // Mapped, and translated by the network.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            Ipv4Addr::new(a, b, c, d).into()
        }
        _ => address,
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let is_apart = matches!(
        address.octets(),
        [0 | 10 | 127 | 224..=255, ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 168, ..]
            | [198, 18 | 19, ..]
            | [192, 0, 0 | 2, _]
            | [192, 31, 196, _]
            | [192, 52, 193, _]
            | [192, 88, 99, _]
            | [192, 175, 48, _]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
    );
    !is_apart
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        [0x2001, 0..=0x1ff | 0xdb8, ..]
        | [0x2002, ..]
        | [0x2620, 0x4f, 0x8000, ..]
        | [0x3fff, 0..=0xfff, ..] => false,
        [0x2000..=0x3fff, ..] => true,
        _ => false,
    }
}

fn holds((network, bits): Network, address: IpAddr) -> bool {
    let same = |one: u128, other: u128, width: u8| {
        let rest = u32::from(width.saturating_sub(bits));
        one.checked_shr(rest).unwrap_or(0) == other.checked_shr(rest).unwrap_or(0)
    };
    match (network, address) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            same(one.to_bits().into(), other.to_bits().into(), 32)
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => same(one.to_bits(), other.to_bits(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permitted(address: &str) -> bool {
        permits(address.parse().unwrap(), &[("127.0.1.0".parse().unwrap(), 24)])
    }

    #[test]
    fn ranges_begin_and_end_where_the_registries_say() {
        for (inside, outside) in [
            ("172.16.0.0", "172.15.255.255"),
            ("172.31.255.255", "172.32.0.0"),
            ("100.127.255.255", "100.128.0.0"),
            ("198.19.255.255", "198.20.0.0"),
            ("2001:1ff:ffff::", "2001:200::"),
            ("3fff:fff:ffff::", "3fff:1000::"),
            ("4000::", "3fff:ffff::"),
        ] {
            assert!(!permitted(inside) && permitted(outside), "{inside} {outside}");
        }
    }

    #[test]
    fn what_is_allowed_is_allowed_in_every_form_that_leads_there() {
        for address in ["127.0.1.0", "127.0.1.255", "::ffff:127.0.1.7", "64:ff9b::7f00:107"] {
            assert!(permitted(address), "{address}");
        }
        for address in ["127.0.0.255", "127.0.2.0", "::127.0.1.7", "2002:7f00:107::", "::1"] {
            assert!(!permitted(address), "{address}");
        }
    }

    #[test]
    fn a_network_of_no_bits_holds_its_whole_family() {
        let everything = ("0.0.0.0".parse().unwrap(), 0);

        assert!(permits("10.0.0.1".parse().unwrap(), &[everything]));
        assert!(!permits("::1".parse().unwrap(), &[everything]));
    }
}
