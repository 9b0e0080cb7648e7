//! What checks and webhooks are pointed at, and what must come of it.

use std::net::{IpAddr, Ipv4Addr};

use super::HERE;
use super::spellings::{self, Leads};
use crate::names::{Record, Zone};

/// Where the names of the lab end.
const DOMAIN: &str = "guard.test";

/// Addresses at which something listens, and those that every cloud has.
const SPELLED: [Ipv4Addr; 4] = [
    Ipv4Addr::LOCALHOST,
    Ipv4Addr::new(127, 0, 0, 2),
    Ipv4Addr::new(127, 255, 255, 254),
    Ipv4Addr::new(169, 254, 169, 254),
];

/// Others that must not be reached, in brackets where the web wants them.
const OTHERS: [&str; 14] = [
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000::0001]",
    "[::0.0.0.1]",
    "[::]",
    "[::ffff:0:0]",
    "[::ffff:0.0.0.0]",
    "0.0.0.0",
    "0",
    "0x0",
    "127.1.0.1",
    "10.0.0.1",
    "[fd00::1]",
    "[fe80::1]",
];

/// What must come of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Must {
    /// It is refused.
    BeRefused,
    /// It is looked at, and is well.
    BeWell,
    /// One of the two: its name answers now this and now that.
    BeEither,
}

/// Who is asked for addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolver {
    /// Whom the worker asks.
    Usual,
    /// The name server of the lab, which may be reached.
    Ours,
    /// Another one, by its address.
    At(String),
}

/// A check, or a webhook.
#[derive(Clone, Debug)]
pub struct Case {
    /// Where it is pointed.
    pub url: String,
    /// Whether each of its addresses is looked at.
    pub everywhere: bool,
    /// Who knows its addresses.
    pub resolver: Resolver,
    /// What must come of it.
    pub must: Must,
}

/// Everything a worker is pointed at.
#[derive(Debug, Default)]
pub struct Cases {
    /// Checks of these addresses.
    pub direct: Vec<Case>,
    /// Places that a check of an allowed address is led to, by number.
    pub led_to: Vec<Case>,
    /// Where webhooks go.
    pub hooks: Vec<Case>,
}

/// Kinds of checks besides requests over plain HTTP. What is refused is refused before anybody asks what
/// would be spoken.
const KINDS: [&str; 15] = [
    "https", "tcp", "tls", "udp", "icmp", "dns", "grpc", "grpcs", "ws", "wss", "redis", "rediss",
    "postgres", "mysql", "smtp",
];

/// Name servers that must not be asked.
const RESOLVERS: [&str; 12] = [
    "127.0.0.1",
    "127.0.0.2",
    "127.1.0.1",
    "127.255.255.254",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::1]",
    "169.254.169.254",
    "10.0.0.1",
    "0.0.0.0",
    "[::]",
];

/// A check of `kind` as its URL has it.
fn url_of(kind: &str, host: &str, port: u16) -> String {
    match kind {
        "icmp" => format!("icmp://{host}"),
        "dns" => format!("dns://{host}:{port}/here.{DOMAIN}"),
        "grpc" | "grpcs" => format!("{kind}://{host}:{port}/service"),
        "postgres" | "mysql" => format!("{kind}://{host}:{port}/database"),
        _ => format!("{kind}://{host}:{port}"),
    }
}

impl Case {
    fn new(url: String, must: Must) -> Self {
        Self { url, everywhere: false, resolver: Resolver::Usual, must }
    }

    /// Whether somebody must log in.
    #[must_use]
    pub fn logs_in(&self) -> bool {
        ["postgres://", "mysql://"].iter().any(|kind| self.url.starts_with(kind))
    }
}

impl Cases {
    /// All cases; of their names `zone` is told. Everything is at this port.
    #[must_use]
    pub fn all(port: u16, zone: &mut Zone) -> Self {
        let mut cases = Self::default();
        let mut hosts = literals();
        hosts.extend(named(zone));
        for (host, must) in &hosts {
            let case = |rest: &str| Case::new(format!("http://{host}:{port}{rest}"), *must);
            cases.direct.push(case("/"));
            cases.led_to.push(case("/"));
            cases.hooks.push(case("/hook"));
        }
        let refused = hosts.iter().filter(|(_, must)| *must == Must::BeRefused);
        for ((host, must), kind) in refused.zip(KINDS.iter().cycle()) {
            cases.direct.push(Case::new(url_of(kind, host, port), *must));
        }
        cases.direct.extend(by_resolver(&hosts, port));
        cases.led_to.extend(tricks(port));
        cases
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.direct.len() + self.led_to.len() + self.hooks.len()
    }
}

fn literals() -> Vec<(String, Must)> {
    let refused = SPELLED.into_iter().flat_map(spellings::of).map(|it| it.host);
    let others = OTHERS.into_iter().map(str::to_owned);
    let refused = refused.chain(others).map(|host| (host, Must::BeRefused));
    // A translator is not asked for: this machine has none.
    let here = spellings::of(HERE).into_iter().filter(|it| it.leads != Leads::ThereTranslated);
    let here = here.map(|it| {
        let must = if it.leads == Leads::There { Must::BeWell } else { Must::BeRefused };
        (it.host, must)
    });
    refused.chain(here).collect()
}

/// Locations that are read otherwise than they look, each of them from an allowed address.
fn tricks(port: u16) -> Vec<Case> {
    let elsewhere = [
        format!("//127.0.0.1:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        format!("http:\\\\127.0.0.1:{port}\\"),
        format!("\\\\127.0.0.1:{port}/"),
        format!("http://{HERE}@127.0.0.1:{port}/"),
        format!("http://{HERE}:{port}@127.0.0.1:{port}/"),
        format!("http://{HERE}%00@127.0.0.1:{port}/"),
        format!("http://127.0.0.1:{port}\\@{HERE}/"),
        format!("http://127.0.0.1:{port}#@{HERE}:{port}/"),
        format!("http://127.0.0.1:{port}?@{HERE}:{port}/"),
        format!("HTTP:\t//127.0.0.1:{port}/"),
    ];
    elsewhere.into_iter().map(|url| Case::new(url, Must::BeRefused)).collect()
}

/// Checks that say who is asked, and such as look at each address of what is answered.
fn by_resolver(hosts: &[(String, Must)], port: u16) -> Vec<Case> {
    let mut cases = Vec::new();
    for resolver in RESOLVERS {
        let url = format!("http://here.{DOMAIN}:{port}/");
        let resolver = Resolver::At(format!("{resolver}:{port}"));
        cases.push(Case { resolver, ..Case::new(url, Must::BeRefused) });
    }
    for (host, must) in hosts.iter().filter(|(host, _)| host.ends_with(DOMAIN)) {
        let case = || Case::new(format!("http://{host}:{port}/"), *must);
        cases.push(Case { resolver: Resolver::Ours, ..case() });
        cases.push(Case { everywhere: true, ..case() });
    }
    cases
}

/// Names, which `zone` is told of, and those that each machine knows by itself.
fn named(zone: &mut Zone) -> Vec<(String, Must)> {
    let mut names = Vec::new();
    let mut name = |label: &str, must: Must, turns: Vec<Vec<Record>>| {
        let name = format!("{label}.{DOMAIN}");
        zone.add(name.clone(), turns);
        names.push((name, must));
    };
    let (here, there, mapped) =
        (&[address("127.0.1.1")], &[address("127.0.0.1")], &[address("::ffff:127.0.0.1")]);
    for (label, text) in [
        ("loopback", "127.0.0.1"),
        ("other-loopback", "127.0.0.2"),
        ("last-loopback", "127.255.255.254"),
        ("loopback6", "::1"),
        ("unspecified", "0.0.0.0"),
        ("unspecified6", "::"),
        ("mapped", "::ffff:127.0.0.1"),
        ("compatible", "::127.0.0.1"),
        ("nat64", "64:ff9b::127.0.0.1"),
        ("own-nat64", "64:ff9b:1::127.0.0.1"),
        ("six-to-four", "2002:7f00:1::1"),
        ("teredo", "2001::8000:1:80ff:fffe"),
        ("metadata", "169.254.169.254"),
        ("private", "10.0.0.1"),
        ("unique-local", "fd00::1"),
        ("link-local", "fe80::1"),
    ] {
        name(label, Must::BeRefused, vec![vec![address(text)]]);
    }
    name("here", Must::BeWell, vec![here.to_vec()]);
    name("here-mapped", Must::BeWell, vec![vec![address("::ffff:127.0.1.1")]]);
    // Some of its addresses may be reached: those are.
    name("mixed", Must::BeWell, vec![[&there[..], here].concat()]);
    name("mixed-families", Must::BeWell, vec![vec![address("::1"), here[0].clone()]]);
    name("mixed-mapped", Must::BeWell, vec![[&mapped[..], here].concat()]);
    name("alias-here", Must::BeWell, vec![vec![alias("here")]]);
    name("alias", Must::BeRefused, vec![vec![alias("loopback")]]);
    name("alias-of-alias", Must::BeRefused, vec![vec![alias("alias")]]);
    name("alias-of-metadata", Must::BeRefused, vec![vec![alias("metadata")]]);
    name("alias-of-localhost", Must::BeRefused, vec![vec![Record::Alias("localhost".to_owned())]]);
    // Those that change their mind between two questions.
    for number in 0..8 {
        name(&format!("rebinding-{number}"), Must::BeEither, vec![here.to_vec(), there.to_vec()]);
    }
    for number in 0..4 {
        let turns = vec![vec![alias("here")], vec![alias("loopback")]];
        name(&format!("rebinding-alias-{number}"), Must::BeEither, turns);
        let turns = vec![vec![address("::ffff:127.0.1.1")], mapped.to_vec()];
        name(&format!("rebinding-mapped-{number}"), Must::BeEither, turns);
        let turns = vec![here.to_vec(), vec![address("::1"), there[0].clone()]];
        name(&format!("rebinding-families-{number}"), Must::BeEither, turns);
    }
    let own = ["localhost", "LOCALHOST.", "some.localhost"];
    names.extend(own.map(|name| (name.to_owned(), Must::BeRefused)));
    names
}

fn address(text: &str) -> Record {
    Record::Address(text.parse::<IpAddr>().expect("the addresses above are addresses"))
}

fn alias(label: &str) -> Record {
    Record::Alias(format!("{label}.{DOMAIN}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_hundred_cases_are_refused_and_some_are_well() {
        let cases = Cases::all(80, &mut Zone::default());

        assert!((600..1500).contains(&cases.count()), "{}", cases.count());
        for kind in KINDS {
            let (scheme, most) = (format!("{kind}://"), 5);
            let count = cases.direct.iter().filter(|case| case.url.starts_with(&scheme)).count();
            assert!(count >= most, "{kind}: {count}");
        }
        for part in [&cases.direct, &cases.led_to, &cases.hooks] {
            for must in [Must::BeRefused, Must::BeWell, Must::BeEither] {
                assert!(part.iter().any(|case| case.must == must), "{must:?}");
            }
        }
    }
}
