//! A mail server that puts every letter off once: each try is written down, as the sink writes them.

use std::collections::HashSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use crate::clock;
use crate::log::Log;
use crate::sink::{Delivery, hash};

/// The hook's name in the log.
const HOOK: &str = "email";

/// The server and its log. It stops listening when dropped.
#[derive(Debug)]
pub struct Mailbox {
    address: SocketAddr,
    office: Arc<Office>,
    accepting: AbortHandle,
}

#[derive(Debug, Default)]
struct Office {
    seen: Mutex<HashSet<String>>,
    letters: Log<Delivery>,
}

impl Mailbox {
    /// Listens on a port of its own.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let office = Arc::new(Office::default());
        let desk = Arc::clone(&office);
        let accepting = tokio::spawn(async move {
            let mut sessions = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let desk = Arc::clone(&desk);
                // A peer that breaks off has handed nothing in.
                sessions.spawn(async move { drop(desk.talk(stream).await) });
            }
        });
        Ok(Self { address, office, accepting: accepting.abort_handle() })
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Every letter, in the order of arrival, those that were put off among them.
    #[must_use]
    pub fn letters(&self) -> &Log<Delivery> {
        &self.office.letters
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Office {
    /// RFC 5321, as far as a client that knows what it wants needs it.
    async fn talk(&self, stream: TcpStream) -> io::Result<()> {
        let (reader, mut writer) = stream.into_split();
        let mut lines = BufReader::new(reader);
        writer.write_all(b"220 lab\r\n").await?;
        let mut line = Vec::new();
        loop {
            line.clear();
            if lines.read_until(b'\n', &mut line).await? == 0 {
                return Ok(());
            }
            let reply: &[u8] = match line.get(..4) {
                Some(b"DATA") => {
                    writer.write_all(b"354 go on\r\n").await?;
                    let mut letter = Vec::new();
                    while !letter.ends_with(b"\r\n.\r\n") {
                        if lines.read_until(b'\n', &mut letter).await? == 0 {
                            return Ok(());
                        }
                    }
                    self.take(letter)
                }
                Some(b"QUIT") => b"221 bye\r\n",
                _ => b"250 well\r\n",
            };
            writer.write_all(reply).await?;
        }
    }

    fn take(&self, letter: Vec<u8>) -> &'static [u8] {
        let at_us = clock::now_us();
        let body_hash = hash(&letter);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = seen.insert(body_hash.clone());
        self.letters.push(Delivery {
            hook: HOOK.to_owned(),
            id: String::new(),
            timestamp: None,
            body: Bytes::from(letter),
            body_hash,
            signature_ok: true,
            told: None,
            at_us,
            status: Some(if is_new { 451 } else { 250 }),
        });
        if is_new { b"451 later\r\n" } else { b"250 taken\r\n" }
    }
}
