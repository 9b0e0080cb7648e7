//! Asks the worker's own library about many hosts, by `pulse-gate`, and judges what it says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::ALLOWED;
use super::spellings::{self, Leads};
use super::table::permits;
use crate::fleet;
use crate::names::{Record, Zone};

/// Of so many hosts one is a name, the others are addresses.
const NAMES: usize = 50;
/// What no number of hosts takes.
const PATIENCE: Duration = Duration::from_mins(10);

/// Where ranges begin, and others: what lies a step before or behind is drawn as well.
const EDGES_V4: [&str; 33] = [
    "0.0.0.0",
    "1.0.0.0",
    "10.0.0.0",
    "11.0.0.0",
    "100.64.0.0",
    "100.128.0.0",
    "127.0.0.0",
    "127.0.1.0",
    "127.0.2.0",
    "128.0.0.0",
    "169.254.0.0",
    "169.254.169.254",
    "169.255.0.0",
    "172.16.0.0",
    "172.32.0.0",
    "192.0.0.0",
    "192.0.1.0",
    "192.0.2.0",
    "192.0.3.0",
    "192.31.196.0",
    "192.52.193.0",
    "192.88.99.0",
    "192.168.0.0",
    "192.169.0.0",
    "192.175.48.0",
    "198.18.0.0",
    "198.20.0.0",
    "198.51.100.0",
    "203.0.113.0",
    "203.0.114.0",
    "224.0.0.0",
    "240.0.0.0",
    "255.255.255.255",
];
const EDGES_V6: [&str; 22] = [
    "::",
    "::1",
    "::2",
    "::ffff:0:0",
    "::ffff:127.0.1.0",
    "64:ff9b::",
    "64:ff9b::127.0.1.1",
    "64:ff9b:1::",
    "100::",
    "2000::",
    "2001::",
    "2001:200::",
    "2001:db8::",
    "2001:db9::",
    "2002::",
    "2003::",
    "2620:4f:8000::",
    "2620:4f:8001::",
    "3fff::",
    "3fff:1000::",
    "4000::",
    "fe80::",
];

/// A host, and what must be said of it.
#[derive(Clone, Debug)]
pub struct Question {
    host: String,
    must: Must,
}

#[derive(Clone, Debug)]
enum Must {
    /// An address, and whether it may be reached.
    Literal(bool),
    /// A name that has one of these, at one time or another.
    Name(Vec<IpAddr>),
}

/// Draws so many hosts. `zone` is told of the names among them.
#[must_use]
pub fn draw(seed: u64, count: usize, zone: &mut Zone) -> Vec<Question> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut questions = Vec::with_capacity(count);
    for number in 0..count / NAMES {
        questions.push(name(&mut random, number, zone));
    }
    while questions.len() < count {
        if random.random_range(0..8) == 0 {
            questions.extend(written_v6(address_v6(&mut random)));
        } else {
            let address = address_v4(&mut random);
            let may = permits(address.into(), &[ALLOWED]);
            questions.extend(spellings::of(address).into_iter().map(|it| Question {
                host: it.host,
                must: Must::Literal(may && it.leads != Leads::Astray),
            }));
        }
    }
    questions.truncate(count);
    questions
}

fn address_v4(random: &mut StdRng) -> Ipv4Addr {
    if random.random() {
        return Ipv4Addr::from_bits(random.random());
    }
    let edge: Ipv4Addr = parsed(EDGES_V4[random.random_range(0..EDGES_V4.len())]);
    Ipv4Addr::from_bits(edge.to_bits().wrapping_add(random.random_range(0..3)).wrapping_sub(1))
}

fn address_v6(random: &mut StdRng) -> Ipv6Addr {
    if random.random() {
        // Half of them where the public internet is.
        let drawn: u128 = random.random();
        return Ipv6Addr::from_bits(if random.random() {
            (drawn >> 3) | (1 << 125)
        } else {
            drawn
        });
    }
    let edge: Ipv6Addr = parsed(EDGES_V6[random.random_range(0..EDGES_V6.len())]);
    let step = [0, 1, 1 << 64, 1 << 96][random.random_range(0..4)];
    let edge = edge.to_bits();
    Ipv6Addr::from_bits(if random.random() {
        edge.wrapping_add(step)
    } else {
        edge.wrapping_sub(step)
    })
}

fn written_v6(address: Ipv6Addr) -> [Question; 3] {
    let must = Must::Literal(permits(address.into(), &[ALLOWED]));
    let groups = address.segments();
    let long: Vec<_> = groups.iter().map(|group| format!("{group:04X}")).collect();
    let short: Vec<_> = groups[..6].iter().map(|group| format!("{group:x}")).collect();
    let [.., a, b, c, d] = address.octets();
    [
        format!("[{address}]"),
        format!("[{}]", long.join(":")),
        format!("[{}:{a}.{b}.{c}.{d}]", short.join(":")),
    ]
    .map(|host| Question { host, must: must.clone() })
}

/// A name with some addresses, and others the next time.
fn name(random: &mut StdRng, number: usize, zone: &mut Zone) -> Question {
    let host = format!("n{number}.bulk.test");
    let turns: Vec<Vec<IpAddr>> = (0..random.random_range(1..4))
        .map(|_| (0..random.random_range(1..4)).map(|_| answer(random)).collect())
        .collect();
    let records = |turn: &Vec<IpAddr>| turn.iter().copied().map(Record::Address).collect();
    zone.add(host.clone(), turns.iter().map(records).collect());
    Question { host, must: Must::Name(turns.concat()) }
}

fn answer(random: &mut StdRng) -> IpAddr {
    match random.random_range(0..4) {
        0 => Ipv4Addr::new(127, 0, 1, random.random()).into(),
        1 => address_v6(random).into(),
        _ => address_v4(random).into(),
    }
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("the addresses above are addresses")
}

/// What the library said that it must not, one sentence for each host.
pub async fn differences(
    questions: Vec<Question>,
    settings: Vec<(&'static str, String)>,
) -> anyhow::Result<Vec<String>> {
    let said = ask(&questions, settings).await?;
    ensure!(said.len() == questions.len(), "{} answers to {}", said.len(), questions.len());
    let wrong = questions.iter().zip(said).filter(|(question, said)| !question.allows(said));
    Ok(wrong.map(|(question, said)| format!("{}: {said}", question.host)).collect())
}

async fn ask(
    questions: &[Question],
    settings: Vec<(&'static str, String)>,
) -> anyhow::Result<Vec<String>> {
    let mut gate = Command::new(fleet::program("pulse-gate")?)
        .env_clear()
        .envs(settings)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("starting pulse-gate")?;
    let mut hosts = gate.stdin.take().context("it was piped")?;
    let lines: String = questions.iter().map(|question| question.host.clone() + "\n").collect();
    let writing = tokio::spawn(async move { hosts.write_all(lines.as_bytes()).await });
    let ended = tokio::time::timeout(PATIENCE, gate.wait_with_output());
    let ended = ended.await.context("pulse-gate takes too long")??;
    writing.await?.context("writing to pulse-gate")?;
    if !ended.status.success() {
        bail!("pulse-gate ended with {}", ended.status);
    }
    Ok(String::from_utf8(ended.stdout)?.lines().map(str::to_owned).collect())
}

impl Question {
    fn allows(&self, said: &str) -> bool {
        let reached: Option<Vec<IpAddr>> = said
            .strip_prefix("reached ")
            .and_then(|list| list.split(' ').map(|one| one.parse().ok()).collect());
        let good = |address: &IpAddr| permits(*address, &[ALLOWED]);
        match (&self.must, reached) {
            (Must::Literal(may), Some(reached)) => *may && reached.len() == 1 && good(&reached[0]),
            (Must::Literal(may), None) => !may && said == "forbidden",
            (Must::Name(known), Some(reached)) => {
                !reached.is_empty() && reached.iter().all(|it| known.contains(it) && good(it))
            }
            // Nothing that may be reached was there, at least this time.
            (Must::Name(known), None) => said == "forbidden" && !known.iter().all(good),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(must: Must) -> Question {
        Question { host: String::new(), must }
    }

    #[test]
    fn an_address_is_reached_or_forbidden_as_the_table_has_it() {
        assert!(question(Must::Literal(true)).allows("reached 8.8.8.8"));
        assert!(question(Must::Literal(false)).allows("forbidden"));
        for said in ["forbidden", "reached 127.0.0.1", "reached ", "failed the name does not exist"]
        {
            assert!(!question(Must::Literal(true)).allows(said), "{said}");
        }
        for said in ["reached 127.0.0.1", "failed the name does not exist", ""] {
            assert!(!question(Must::Literal(false)).allows(said), "{said}");
        }
    }

    #[test]
    fn of_a_name_only_what_may_be_reached_is_and_nothing_that_it_does_not_have() {
        let mixed = question(Must::Name(vec![parsed("127.0.1.1"), parsed("10.0.0.1")]));
        let good = question(Must::Name(vec![parsed("127.0.1.1")]));

        assert!(mixed.allows("reached 127.0.1.1") && mixed.allows("forbidden"));
        assert!(!mixed.allows("reached 127.0.1.1 10.0.0.1") && !mixed.allows("reached 127.0.1.2"));
        assert!(good.allows("reached 127.0.1.1") && !good.allows("forbidden"));
    }

    #[test]
    fn the_same_seed_draws_the_same_hosts_and_names_among_them() {
        let hosts = |seed| -> Vec<String> {
            let drawn = draw(seed, 1000, &mut Zone::default());
            drawn.into_iter().map(|question| question.host).collect()
        };

        assert_eq!(hosts(7), hosts(7));
        assert_ne!(hosts(7), hosts(8));
        assert_eq!(hosts(7).iter().filter(|host| host.ends_with("bulk.test")).count(), 20);
    }
}
