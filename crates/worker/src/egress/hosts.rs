//! The names this machine knows by itself.

use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;

use super::addresses::Addresses;

const PATH: &str = "/etc/hosts";

/// What `/etc/hosts` said when the process began.
#[derive(Debug, Default)]
pub(super) struct Hosts(HashMap<String, Addresses>);

impl Hosts {
    /// A file that is missing or unreadable names nobody.
    pub(super) fn from_system() -> Self {
        fs::read_to_string(PATH).map(|text| Self::parse(&text)).unwrap_or_default()
    }

    fn parse(text: &str) -> Self {
        let mut found: HashMap<String, Vec<IpAddr>> = HashMap::new();
        for line in text.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
            let Some(Ok(address)) = words.next().map(str::parse) else {
                continue;
            };
            for name in words {
                found.entry(name.to_ascii_lowercase()).or_default().push(address);
            }
        }
        let known =
            found.into_iter().filter_map(|(name, all)| Some((name, Addresses::by_turns(all)?)));
        Self(known.collect())
    }

    /// `name` in lower case. A name found here is not asked for anywhere else, in either family.
    pub(super) fn get(&self, name: &str) -> Option<&Addresses> {
        self.0.get(name.strip_suffix('.').unwrap_or(name))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn a_name_has_every_address_of_its_lines() {
        let hosts = Hosts::parse(
            "# the machine itself\n127.0.0.1 localhost Shop.Example # both\n::1\tlocalhost\nnonsense here\n10.0.0.5\n",
        );

        let localhost: [IpAddr; 2] = [Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()];
        assert_eq!(hosts.get("localhost").unwrap().as_slice(), localhost);
        assert_eq!(
            hosts.get("shop.example.").unwrap().as_slice(),
            [IpAddr::from(Ipv4Addr::LOCALHOST)]
        );
        assert_eq!(hosts.get("here"), None);
    }
}
