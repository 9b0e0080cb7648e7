//! What Redis replies, as text: the leaves of a reply, a line each.
//!
//! However deep a reply is nested, only the number of leaves that are still to come is remembered,
//! and a leaf costs bytes of the bound: nothing here grows with what a server merely announces.

use pulse_core::models::run::FailClass;

use super::super::ProbeFailure;
use super::super::bounded::{Bounded, Lack};
use super::super::reach::Duplex;
use super::super::trace::Trace;

const NOTHING: &[u8] = b"(nil)";
const VERSION: &[u8] = b"redis_version:";
/// Of an error without a code of its own so many words are told.
const MOST_WORDS: usize = 4;

/// One reply.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) text: Vec<u8>,
    /// The first error in it.
    pub(super) error: Option<Vec<u8>>,
    /// Whether it was read to its end, and not only to the bound.
    pub(super) is_whole: bool,
}

impl Reply {
    /// The server's version, if it was asked about itself.
    pub(super) fn version(&self) -> Option<String> {
        let mut lines = self.text.split(|byte| *byte == b'\n');
        let version = lines.find_map(|line| line.strip_prefix(VERSION))?;
        Some(String::from_utf8_lossy(version.trim_ascii()).into_owned())
    }

    fn leaf(&mut self, text: &[u8]) {
        if !self.text.is_empty() {
            self.text.push(b'\n');
        }
        self.text.extend_from_slice(text);
    }
}

/// Reads one reply.
pub(super) async fn read<S: Duplex>(
    server: &mut Bounded<S>,
    trace: &mut Trace,
) -> Result<Reply, ProbeFailure> {
    let (mut reply, mut to_come) = (Reply::default(), 1_u64);
    while to_come > 0 {
        to_come -= 1;
        match one(server, &mut reply, trace).await {
            Ok(within) => to_come = to_come.saturating_add(within),
            Err(Lack::Spent) => return Ok(reply),
            Err(Lack::Lost(failure)) => return Err(failure),
        }
    }
    reply.is_whole = true;
    Ok(reply)
}

/// Reads a leaf, as far as it can be had, or how many are to come instead of it.
async fn one<S: Duplex>(
    server: &mut Bounded<S>,
    reply: &mut Reply,
    trace: &mut Trace,
) -> Result<u64, Lack> {
    let line = match server.line(trace).await {
        Err(Lack::Spent) => return Err(begun(&server.rest(), reply)),
        line => line?,
    };
    let (kind, rest) = line.split_first().ok_or_else(garbage)?;
    match kind {
        b'+' | b':' => reply.leaf(rest),
        b'-' => reply.error = reply.error.take().or_else(|| Some(rest.to_vec())),
        b'*' => match count(rest)? {
            Some(within) => return Ok(within),
            None => reply.leaf(NOTHING),
        },
        b'$' => match count(rest)? {
            Some(length) => bulk(server, length, reply, trace).await?,
            None => reply.leaf(NOTHING),
        },
        _ => return Err(garbage()),
    }
    Ok(0)
}

/// A line without an end: what there is of it.
fn begun(line: &[u8], reply: &mut Reply) -> Lack {
    match line.split_first() {
        Some((b'+', text)) => reply.leaf(text),
        Some((b'-', error)) => reply.error = Some(error.to_vec()),
        _ => return garbage(),
    }
    Lack::Spent
}

async fn bulk<S: Duplex>(
    server: &mut Bounded<S>,
    length: u64,
    reply: &mut Reply,
    trace: &mut Trace,
) -> Result<(), Lack> {
    // What does not fit in memory is more than is read, too.
    let text = server.exactly(usize::try_from(length).unwrap_or(usize::MAX), trace).await;
    if let Err(Lack::Spent) = text {
        reply.leaf(&server.rest());
    }
    reply.leaf(&text?);
    match &*server.exactly(2, trace).await? {
        b"\r\n" => Ok(()),
        _ => Err(garbage()),
    }
}

/// How many there are; `None` for nothing at all.
fn count(digits: &[u8]) -> Result<Option<u64>, Lack> {
    if digits == b"-1" {
        return Ok(None);
    }
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(digits).ok().filter(|_| plain).and_then(|it| it.parse().ok());
    number.map(Some).ok_or_else(garbage)
}

fn garbage() -> Lack {
    Lack::Lost(ProbeFailure::of_target(FailClass::Protocol, "what came back is not Redis"))
}

/// What kind of error it is: its first word, which is a code; and where that says nothing, as much
/// as comes before something may be quoted.
pub(super) fn code(error: &[u8]) -> String {
    let error = String::from_utf8_lossy(error);
    let mut words = error.split_ascii_whitespace();
    match words.next() {
        Some("ERR") => {
            let quotes = |word: &&str| word.contains(['\'', '"', '`', '=']);
            let told = words.take_while(|word| !quotes(word)).take(MOST_WORDS);
            ["ERR"].into_iter().chain(told).collect::<Vec<_>>().join(" ")
        }
        word => word.unwrap_or("an error without a word").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt;

    use super::*;

    async fn read_of(bytes: &[u8], room: usize) -> Result<Reply, ProbeFailure> {
        let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
        theirs.write_all(bytes).await.unwrap();
        drop(theirs);
        super::read(&mut Bounded::new(ours, room), &mut Trace::begin(Duration::MAX)).await
    }

    async fn text_of(bytes: &[u8]) -> String {
        let reply = read_of(bytes, 1_000).await.unwrap();
        assert!(reply.is_whole && reply.error.is_none(), "{reply:?}");
        String::from_utf8(reply.text).unwrap()
    }

    #[tokio::test]
    async fn the_leaves_of_a_reply_are_its_lines() {
        for (bytes, text) in [
            (b"+PONG\r\n" as &[u8], "PONG"),
            (b":-7\r\n", "-7"),
            (b"$4\r\na\r\nb\r\n", "a\r\nb"),
            (b"$-1\r\n", "(nil)"),
            (b"*-1\r\n", "(nil)"),
            (b"*0\r\n", ""),
            (b"*3\r\n$1\r\na\r\n*2\r\n:1\r\n+b\r\n$0\r\n\r\n", "a\n1\nb\n"),
        ] {
            assert_eq!(text_of(bytes).await, text);
        }
    }

    #[tokio::test]
    async fn an_error_is_kept_wherever_it_stands() {
        let alone = read_of(b"-NOAUTH Authentication required.\r\n", 100).await.unwrap();
        let within = read_of(b"*2\r\n-ERR a\r\n-WRONGTYPE b\r\n", 100).await.unwrap();

        assert_eq!(code(&alone.error.unwrap()), "NOAUTH");
        assert_eq!(within.error.unwrap(), b"ERR a");
    }

    #[test]
    fn an_error_is_told_without_what_it_quotes() {
        for (error, told) in [
            ("WRONGPASS invalid username-password pair or user is disabled.", "WRONGPASS"),
            ("ERR unknown command 'hush', with args beginning with: ", "ERR unknown command"),
            ("ERR DB index is out of range", "ERR DB index is out"),
            ("", "an error without a word"),
        ] {
            assert_eq!(code(error.as_bytes()), told);
        }
    }

    #[tokio::test]
    async fn a_long_reply_is_read_to_the_bound() {
        let reply = read_of(b"*3\r\n+one\r\n$900\r\nabcdefghi", 20).await.unwrap();
        let endless = read_of(b"+aaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 10).await.unwrap();
        let announced = read_of(b"*9999999999999\r\n*9999999999999\r\n:1\r\n", 40).await;

        assert_eq!((reply.text.as_slice(), reply.is_whole), (b"one\nabcd" as &[u8], false));
        assert_eq!((endless.text.len(), endless.is_whole), (9, false));
        assert_eq!(read_of(b"-ERRERRERRERR", 10).await.unwrap().error.unwrap(), b"ERRERRERR");
        assert!(announced.unwrap_err().sentence.contains("closed"));
    }

    #[tokio::test]
    async fn what_is_no_reply_is_told() {
        for bytes in [
            b"HTTP/1.1 400 Bad Request\r\n" as &[u8],
            b"\r\n",
            b"$a\r\n",
            b"$-2\r\n",
            b"$1\r\nabc",
            b"*+1\r\n",
            b"$99999999999999999999999\r\n",
        ] {
            let failure = read_of(bytes, 1_000).await.unwrap_err();
            assert_eq!(failure.sentence, "what came back is not Redis");
        }
    }

    #[tokio::test]
    async fn what_is_cut_or_spoilt_anywhere_is_read_or_refused_and_nothing_worse() {
        let whole = b"*4\r\n$5\r\nhello\r\n:42\r\n*2\r\n+OK\r\n-ERR no\r\n$-1\r\n";

        for place in 0..whole.len() {
            assert!(read_of(&whole[..place], 1_000).await.is_err());
            for bits in [0x01, 0x04, 0x20, 0x80, 0xff] {
                let mut spoilt = whole.to_vec();
                spoilt[place] ^= bits;
                let _read_or_refused = read_of(&spoilt, 1_000).await;
            }
        }
    }
}
