//! Which addresses may be reached.
//!
//! Ranges are those of the IANA special-purpose address registries for IPv4 and IPv6 (RFC 6890 and
//! what has been added since), and multicast. An IPv6 address that stands for an IPv4 address is
//! judged as that one, because that is where its packets go.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Special-purpose IPv4 ranges, multicast and what is reserved.
const SPECIAL_V4: [Ipv4Net; 19] = [
    v4([0, 0, 0, 0], 8),       // this network
    v4([10, 0, 0, 0], 8),      // private use
    v4([100, 64, 0, 0], 10),   // shared by carriers
    v4([127, 0, 0, 0], 8),     // loopback
    v4([169, 254, 0, 0], 16),  // link-local, cloud metadata
    v4([172, 16, 0, 0], 12),   // private use
    v4([192, 0, 0, 0], 24),    // IETF protocol assignments
    v4([192, 0, 2, 0], 24),    // documentation
    v4([192, 31, 196, 0], 24), // AS112
    v4([192, 52, 193, 0], 24), // AMT
    v4([192, 88, 99, 0], 24),  // 6to4 relays
    v4([192, 168, 0, 0], 16),  // private use
    v4([192, 175, 48, 0], 24), // AS112
    v4([198, 18, 0, 0], 15),   // benchmarks
    v4([198, 51, 100, 0], 24), // documentation
    v4([203, 0, 113, 0], 24),  // documentation
    v4([224, 0, 0, 0], 4),     // multicast
    v4([240, 0, 0, 0], 4),     // reserved, limited broadcast
    v4([255, 255, 255, 255], 32),
];

/// Global unicast. What lies outside is special, or not assigned to anybody.
const GLOBAL_V6: Ipv6Net = v6([0x2000, 0, 0], 3);

/// Special-purpose ranges within [`GLOBAL_V6`].
const SPECIAL_V6: [Ipv6Net; 5] = [
    v6([0x2001, 0, 0], 23),         // IETF protocol assignments, Teredo among them
    v6([0x2001, 0xdb8, 0], 32),     // documentation
    v6([0x2002, 0, 0], 16),         // 6to4
    v6([0x2620, 0x4f, 0x8000], 48), // AS112
    v6([0x3fff, 0, 0], 20),         // documentation
];

/// Translated to IPv4 by the network (RFC 6052): the last four bytes are the address.
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0], 96);

const fn v4(octets: [u8; 4], bits: u8) -> Ipv4Net {
    let [a, b, c, d] = octets;
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits)
}

const fn v6(first: [u16; 3], bits: u8) -> Ipv6Net {
    let [a, b, c] = first;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), bits)
}

/// Which addresses checks and channels may lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressPolicy {
    special: bool,
    allowed: Vec<IpNet>,
}

impl AddressPolicy {
    /// Every address: for an operator who looks at services of their own.
    #[must_use]
    pub const fn open() -> Self {
        Self { special: true, allowed: Vec::new() }
    }

    /// Addresses of the public internet, and these.
    #[must_use]
    pub const fn public_and(allowed: Vec<IpNet>) -> Self {
        Self { special: false, allowed }
    }

    /// Whether it forbids nothing.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.special
    }

    /// Whether a connection to `address` may be opened.
    #[must_use]
    pub fn permits(&self, address: IpAddr) -> bool {
        let goes_to = destination(address);
        let is_allowed = || self.allowed.iter().any(|net| net.contains(&goes_to));
        self.special || is_public(goes_to) || is_allowed()
    }
}

/// Where packets for `address` end up: an IPv4 address in IPv6 clothes is the IPv4 address.
#[must_use]
pub fn destination(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    if NAT64.contains(&v6) {
        let [.., a, b, c, d] = v6.octets();
        return Ipv4Addr::new(a, b, c, d).into();
    }
    v6.to_canonical()
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !SPECIAL_V4.iter().any(|net| net.contains(&v4)),
        IpAddr::V6(v6) => {
            GLOBAL_V6.contains(&v6) && !SPECIAL_V6.iter().any(|net| net.contains(&v6))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(policy: &AddressPolicy, address: &str) -> bool {
        policy.permits(address.parse().unwrap())
    }

    #[test]
    fn the_public_internet_is_permitted_and_what_is_special_is_not() {
        let public = AddressPolicy::public_and(Vec::new());

        for address in ["1.1.1.1", "172.15.255.255", "172.32.0.0", "100.63.0.1", "2606:4700::1111"]
        {
            assert!(permits(&public, address), "{address}");
        }
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.169.254",
            "172.31.255.255",
            "192.0.0.9",
            "192.168.0.1",
            "198.19.0.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "100::1",
            "64:ff9b:1::1",
            "2001::1",
            "2001:1ff::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "4000::1",
        ] {
            assert!(!permits(&public, address), "{address}");
        }
    }

    #[test]
    fn an_ipv4_address_in_ipv6_clothes_is_judged_as_what_it_is() {
        let public = AddressPolicy::public_and(Vec::new());

        for (address, permitted) in [
            ("::ffff:127.0.0.1", false),
            ("::ffff:1.1.1.1", true),
            ("64:ff9b::a00:1", false),
            ("64:ff9b::101:101", true),
            ("::ffff:0:127.0.0.1", false),
            ("2002:101:101::", false),
        ] {
            assert_eq!(permits(&public, address), permitted, "{address}");
        }
    }

    #[test]
    fn a_range_that_is_allowed_is_permitted_in_either_form_and_opens_no_other() {
        let inside = AddressPolicy::public_and(vec!["10.1.0.0/16".parse().unwrap()]);

        assert!(permits(&inside, "10.1.255.1") && permits(&inside, "::ffff:10.1.0.1"));
        assert!(!permits(&inside, "10.2.0.1") && !permits(&inside, "fd00::1"));
        assert!(permits(&AddressPolicy::open(), "127.0.0.1"));
    }
}
