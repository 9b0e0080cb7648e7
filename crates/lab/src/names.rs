//! A name server that answers as it is told, and another way the next time (RFC 1035).
//!
//! Answers live for no time at all, so that each look asks anew. It speaks over UDP alone.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::UdpSocket;
use tokio::task::AbortHandle;

pub(crate) const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;

pub(crate) const NO_SUCH_NAME: u8 = 3;

pub(crate) const HEADER: usize = 12;
/// Of names that point to names no more are followed than this.
const MOST_POINTERS: usize = 8;

/// What a name has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An address of either family.
    Address(IpAddr),
    /// Another name, whose records it has.
    Alias(String),
}

/// What names have, one answer after the other and from the beginning again.
#[derive(Debug, Default)]
pub struct Zone(HashMap<String, Entry>);

#[derive(Debug)]
struct Entry {
    turns: Vec<Vec<Record>>,
    /// How often each family was asked for: both are asked at once, and turn by themselves.
    asked: [AtomicUsize; 2],
}

impl Zone {
    /// Gives a name, in lower case, its answers.
    pub fn add(&mut self, name: impl Into<String>, turns: Vec<Vec<Record>>) {
        self.0.insert(name.into(), Entry { turns, asked: Default::default() });
    }

    /// The records of one family in this turn, with the aliases that lead to them; `None` when there is no
    /// such name.
    fn answer(&self, name: &str, kind: u16) -> Option<Vec<(String, Record)>> {
        let mut found = Vec::new();
        let mut name = name.to_owned();
        for pointer in 0..MOST_POINTERS {
            let Some(entry) = self.0.get(&name) else {
                return (pointer > 0).then_some(found);
            };
            let records = entry.turn(kind);
            found.extend(
                records.iter().filter(|it| it.is_for(kind)).map(|it| (name.clone(), it.clone())),
            );
            let Some(Record::Alias(next)) =
                records.iter().find(|it| matches!(it, Record::Alias(_)))
            else {
                break;
            };
            name.clone_from(next);
        }
        Some(found)
    }
}

impl Entry {
    fn turn(&self, kind: u16) -> &[Record] {
        let asked = self.asked[usize::from(kind == AAAA)].fetch_add(1, Ordering::Relaxed);
        self.turns.get(asked % self.turns.len().max(1)).map_or(&[], Vec::as_slice)
    }
}

impl Record {
    fn is_for(&self, kind: u16) -> bool {
        match self {
            Self::Address(IpAddr::V4(_)) => kind == A,
            Self::Address(IpAddr::V6(_)) => kind == AAAA,
            Self::Alias(_) => true,
        }
    }

    fn write(&self, owner: &str, reply: &mut Vec<u8>) {
        let (kind, bytes) = match self {
            Self::Address(IpAddr::V4(address)) => (A, address.octets().to_vec()),
            Self::Address(IpAddr::V6(address)) => (AAAA, address.octets().to_vec()),
            Self::Alias(name) => (CNAME, written(name)),
        };
        reply.extend(written(owner));
        reply.extend(kind.to_be_bytes());
        // Of the internet, and not to be kept.
        reply.extend([0, 1, 0, 0, 0, 0]);
        reply.extend(u16::try_from(bytes.len()).unwrap_or(0).to_be_bytes());
        reply.extend(bytes);
    }
}

/// The server. It ends when dropped.
#[derive(Debug)]
pub struct NameServer {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    serving: AbortHandle,
}

impl NameServer {
    /// Answers for these names on a free port of this address; no others exist.
    pub async fn start_at(host: Ipv4Addr, zone: Zone) -> io::Result<Self> {
        let socket = UdpSocket::bind((host, 0)).await?;
        let address = socket.local_addr()?;
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let serving = tokio::spawn(async move {
            let mut question = [0; 512];
            loop {
                // An error tells of an earlier answer that nobody waited for.
                let Ok((length, from)) = socket.recv_from(&mut question).await else { continue };
                counted.fetch_add(1, Ordering::Relaxed);
                if let Some(reply) = reply(&zone, &question[..length]) {
                    let _nobody_waits = socket.send_to(&reply, from).await;
                }
            }
        });
        Ok(Self { address, asked, serving: serving.abort_handle() })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many questions it was asked.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// `None` for what is no question.
fn reply(zone: &Zone, question: &[u8]) -> Option<Vec<u8>> {
    let (name, kind) = asked_in(question)?;
    match zone.answer(&name, kind) {
        Some(records) => answer(question, 0, &records),
        None => answer(question, NO_SUCH_NAME, &[]),
    }
}

/// The name that is asked for, in lower case, and the type.
pub(crate) fn asked_in(question: &[u8]) -> Option<(String, u16)> {
    let (name, end) = name_in(question)?;
    let kind = u16::from_be_bytes(question.get(end..end + 2)?.try_into().ok()?);
    Some((name, kind))
}

/// The question comes back, with this code, and the records behind it; `None` for what is no question.
pub(crate) fn answer(question: &[u8], code: u8, records: &[(String, Record)]) -> Option<Vec<u8>> {
    let (_, end) = name_in(question)?;
    let asked = question.get(HEADER..end + 4)?;
    let mut reply = question.get(..2)?.to_vec();
    reply.extend([0x81, 0x80 | code, 0, 1]);
    reply.extend(u16::try_from(records.len()).ok()?.to_be_bytes());
    reply.extend([0, 0, 0, 0]);
    reply.extend(asked);
    for (owner, record) in records {
        record.write(owner, &mut reply);
    }
    Some(reply)
}

/// The name that is asked for, in lower case, and where it ends.
fn name_in(question: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut at) = (Vec::new(), HEADER);
    loop {
        let length = usize::from(*question.get(at)?);
        if length == 0 {
            return Some((labels.join("."), at + 1));
        }
        let label = question.get(at + 1..at + 1 + length)?;
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        at += 1 + length;
    }
}

/// A name as labels behind their lengths.
pub(crate) fn written(name: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(name.len() + 2);
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap_or(0));
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(name: &str, kind: u16) -> Vec<u8> {
        let mut question = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        question.extend(written(name));
        question.extend(kind.to_be_bytes());
        question.extend([0, 1]);
        question
    }

    fn address(text: &str) -> Record {
        Record::Address(text.parse().unwrap())
    }

    #[test]
    fn answers_take_turns_for_each_family_by_itself() {
        let mut zone = Zone::default();
        zone.add("a.test", vec![vec![address("127.0.1.1")], vec![address("127.0.0.1")]]);
        let last = |kind| reply(&zone, &question("A.test", kind)).unwrap().last().copied();

        let first = reply(&zone, &question("A.test", A)).unwrap();

        assert_eq!((first[3], first[7]), (0x80, 1), "no error, one answer");
        assert_eq!(first[first.len() - 4..], [127, 0, 1, 1]);
        assert_eq!(first[first.len() - 10..first.len() - 6], [0; 4], "it lives for no time");
        assert_eq!(last(AAAA), Some(1), "no answer of that family: the question ends the reply");
        assert_eq!(last(A), Some(1), "127.0.0.1");
    }

    #[test]
    fn an_alias_is_answered_with_what_it_leads_to() {
        let mut zone = Zone::default();
        zone.add("a.test", vec![vec![Record::Alias("b.test".to_owned())]]);
        zone.add("b.test", vec![vec![address("::1"), address("127.0.0.1")]]);

        let found = zone.answer("a.test", AAAA).unwrap();

        assert_eq!(found.len(), 2);
        assert_eq!(found[1], ("b.test".to_owned(), address("::1")));
    }

    #[test]
    fn no_such_name_is_told_and_a_broken_question_is_not_answered() {
        let zone = Zone::default();

        assert_eq!(reply(&zone, &question("a.test", A)).unwrap()[3], 0x80 | NO_SUCH_NAME);
        assert_eq!(reply(&zone, &question("a.test", A)[..15]), None);
        assert_eq!(reply(&zone, &[]), None);
    }
}
