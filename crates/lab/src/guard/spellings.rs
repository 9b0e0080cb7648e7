//! The ways to write an address in a URL.

use std::net::Ipv4Addr;

/// One way to write an IPv4 address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spelling {
    /// As it stands between scheme and port.
    pub host: String,
    /// Where it leads.
    pub leads: Leads,
}

/// Where a spelling leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leads {
    /// To the address itself: it is judged as the address is.
    There,
    /// To the address, by a translator that this machine may not have.
    ThereTranslated,
    /// Through a tunnel, which is never permitted.
    Astray,
}

/// All ways to write this address that there are, and some that nobody should read as one.
#[must_use]
pub fn of(address: Ipv4Addr) -> Vec<Spelling> {
    let direct = written_as_v4(address).into_iter().chain(written_as_mapped(address));
    let spelled = |leads| move |host| Spelling { host, leads };
    direct
        .map(spelled(Leads::There))
        .chain(translated(address).into_iter().map(spelled(Leads::ThereTranslated)))
        .chain(tunnelled(address).into_iter().map(spelled(Leads::Astray)))
        .collect()
}

fn written_as_v4(address: Ipv4Addr) -> Vec<String> {
    let whole = address.to_bits();
    let [a, b, c, d] = address.octets();
    let (lower, lowest) = (whole & 0xff_ffff, whole & 0xffff);
    let dotted = address.to_string();
    let mut all = vec![
        dotted.clone(),
        format!("{dotted}."),
        // In fewer parts, of which the last takes what is left.
        format!("{whole}"),
        format!("{a}.{lower}"),
        format!("{a}.{b}.{lowest}"),
        // In other bases, with zeros before, and mixed.
        format!("{whole:#x}"),
        format!("0X{whole:08X}"),
        format!("0{whole:o}"),
        format!("{a:#x}.{b:#x}.{c:#x}.{d:#x}"),
        format!("0x{a:04x}.0x{b:04x}.0x{c:04x}.0x{d:04x}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("{a:#x}.0{b:o}.{lowest}"),
        format!("{a}.{b:#x}.0{c:o}.{d}"),
        format!("{a:#x}.{lower:#x}"),
        format!("0{a:o}.{b}.{lowest:#x}"),
        // In the clothes of the web.
        dotted.bytes().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat(),
        dotted.replace('.', "%2E"),
        dotted.replacen('1', "%31", 1),
    ];
    // In other characters that names are read as (UTS 46).
    for dot in ['\u{3002}', '\u{ff0e}', '\u{ff61}'] {
        all.push(dotted.replace('.', &dot.to_string()));
    }
    let in_digits_from = |zero: u32| -> String {
        dotted.chars().map(|it| it.to_digit(10).map_or(it, |digit| moved(zero, digit))).collect()
    };
    // Full-width, mathematical bold, and mathematical monospace.
    for zero in [0xff10, 0x1d7ce, 0x1d7f6] {
        all.push(in_digits_from(zero));
    }
    all.push(format!("{}\u{ad}{}", &dotted[..1], &dotted[1..]));
    all.push(format!("{}%C2%AD{}", &dotted[..1], &dotted[1..]));
    all
}

fn moved(zero: u32, digit: u32) -> char {
    char::from_u32(zero + digit).unwrap_or('0')
}

fn written_as_mapped(address: Ipv4Addr) -> [String; 5] {
    let (high, low) = halves(address);
    [
        format!("[::ffff:{address}]"),
        format!("[::FFFF:{high:x}:{low:x}]"),
        format!("[0:0:0:0:0:ffff:{high:x}:{low:x}]"),
        format!("[0000:0000:0000:0000:0000:ffff:{high:04x}:{low:04X}]"),
        format!("[0::0:ffff:{address}]"),
    ]
}

fn translated(address: Ipv4Addr) -> [String; 2] {
    let (high, low) = halves(address);
    [format!("[64:ff9b::{address}]"), format!("[64:ff9b:0:0:0:0:{high:x}:{low:x}]")]
}

fn tunnelled(address: Ipv4Addr) -> [String; 6] {
    let (high, low) = halves(address);
    [
        // Compatible, translated for one host, 6to4, Teredo by server and by client, NAT64 of one's own.
        format!("[::{address}]"),
        format!("[::ffff:0:{address}]"),
        format!("[2002:{high:x}:{low:x}::1]"),
        format!("[2001:0:{high:x}:{low:x}::1]"),
        format!("[2001::8000:1:{:x}:{:x}]", !high, !low),
        format!("[64:ff9b:1::{address}]"),
    ]
}

fn halves(address: Ipv4Addr) -> (u16, u16) {
    let [a, b, c, d] = address.octets();
    (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn an_address_is_written_in_many_ways_each_once() {
        let all = of(Ipv4Addr::LOCALHOST);
        let hosts: HashSet<_> = all.iter().map(|it| it.host.as_str()).collect();

        assert_eq!(hosts.len(), all.len());
        for host in [
            "2130706433",
            "127.1",
            "0177.00.00.01",
            "0x7f.00.1",
            "\u{ff11}\u{ff12}\u{ff17}.\u{ff10}.\u{ff10}.\u{ff11}",
            "[::ffff:127.0.0.1]",
            "[64:ff9b::127.0.0.1]",
            "[2001::8000:1:80ff:fffe]",
        ] {
            assert!(hosts.contains(host), "{host}");
        }
    }
}
