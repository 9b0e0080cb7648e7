//! One who looks on, on either way, and what it has heard.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use chrono::DateTime;
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};
use uuid::Uuid;

use crate::clock;

/// How long one who was cut off stays away.
const AWAY: Duration = Duration::from_millis(1500);
/// When it is over, whoever still hears something listens on until it is silent for so long.
const SILENCE: Duration = Duration::from_secs(3);
/// Longer than any show.
const NEVER: Duration = Duration::from_hours(24);

/// How it listens.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    /// By server-sent events.
    Stream,
    /// By WebSocket.
    Socket,
}

/// See the module.
pub struct Listener {
    pub way: Way,
    pub servers: Arc<[SocketAddr; 2]>,
    /// Begins with which of them.
    pub turn: usize,
    /// Cut off once, so long after it began.
    pub cut_after: Option<Duration>,
    /// Counts those who listen.
    pub connected: watch::Sender<usize>,
    /// Whether it is over.
    pub over: watch::Receiver<bool>,
}

/// What one has heard.
#[derive(Debug, Default)]
pub struct Heard {
    /// How many events.
    pub count: u64,
    /// Of their ids, in order.
    digest: u64,
    last: String,
    /// Events whose id was not greater than that of the one before.
    pub disorder: u64,
    /// Times it was told to read again.
    pub resyncs: u64,
    /// Times it was cut off.
    pub cuts: u64,
    /// The incidents that it heard the beginning of.
    pub opened: BTreeSet<Uuid>,
    /// From an event's time until it was heard, of those that came while it listened.
    pub delays: Delays,
    since_ms: i64,
}

/// Delays by whole milliseconds; longer ones are the longest.
#[derive(Clone, Debug)]
pub struct Delays(Vec<u32>);

impl Default for Delays {
    fn default() -> Self {
        Self(vec![0; 5_001])
    }
}

impl Delays {
    fn note(&mut self, ms: i64) {
        let longest = self.0.len() - 1;
        let place = usize::try_from(ms.max(0)).unwrap_or(longest).min(longest);
        self.0[place] += 1;
    }

    /// Takes those of another.
    pub fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(sum, more)| *sum += more);
    }

    /// So many percent were no longer than this.
    pub fn percentile_ms(&self, percent: u64) -> u32 {
        let all: u64 = self.0.iter().map(|count| u64::from(*count)).sum();
        let due = (all * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let place = self.0.iter().position(|count| {
            seen += u64::from(*count);
            seen >= due
        });
        u32::try_from(place.unwrap_or_default()).unwrap_or(u32::MAX)
    }
}

/// As much of an event as is looked at.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(default)]
    id: &'a str,
    #[serde(default)]
    at: &'a str,
    #[serde(default)]
    incident_id: Option<Uuid>,
}

impl Heard {
    /// Whether both heard the same in the same order.
    pub fn is_same(&self, other: &Self) -> bool {
        (self.count, self.digest) == (other.count, other.digest)
    }

    fn hear(&mut self, text: &str) -> anyhow::Result<()> {
        let event: Event<'_> = serde_json::from_str(text).with_context(|| text.to_owned())?;
        match event.kind {
            "subscribed" => return Ok(()),
            "resync" => {
                self.resyncs += 1;
                return Ok(());
            }
            "error" => bail!("was told {text}"),
            _ => {}
        }
        if place(event.id) <= place(&self.last) {
            self.disorder += 1;
        }
        event.id.clone_into(&mut self.last);
        let mut hasher = DefaultHasher::new();
        (self.digest, event.id).hash(&mut hasher);
        self.digest = hasher.finish();
        self.count += 1;
        let at = DateTime::parse_from_rfc3339(event.at).with_context(|| text.to_owned())?;
        if at.timestamp_millis() >= self.since_ms {
            self.delays.note(clock::now_ms() - at.timestamp_millis());
        }
        if event.kind == "incident.opened" {
            self.opened.extend(event.incident_id);
        }
        Ok(())
    }
}

fn place(id: &str) -> (u64, u64) {
    let (ms, number) = id.split_once('-').unwrap_or_default();
    (ms.parse().unwrap_or_default(), number.parse().unwrap_or_default())
}

/// An open way, and its next text.
enum Open {
    Stream { reader: BufReader<TcpStream>, line: Vec<u8> },
    Socket(Box<WebSocketStream<TcpStream>>),
}

impl Listener {
    /// Listens until it is over and silent.
    pub async fn listen(mut self) -> anyhow::Result<Heard> {
        let mut heard = Heard::default();
        let (mut over, mut is_over) = (self.over.clone(), false);
        let mut cut_at = Instant::now() + self.cut_after.unwrap_or(NEVER);
        let mut open = self.connect(&heard.last).await?;
        self.connected.send_modify(|count| *count += 1);
        loop {
            tokio::select! {
                text = open.next() => heard.hear(&text?)?,
                () = ended(&mut over), if !is_over => is_over = true,
                () = sleep(SILENCE), if is_over => return Ok(heard),
                () = sleep_until(cut_at) => {
                    drop(open);
                    cut_at += NEVER;
                    heard.cuts += 1;
                    sleep(AWAY).await;
                    self.turn += 1;
                    open = self.connect(&heard.last).await?;
                    heard.since_ms = clock::now_ms();
                }
            }
        }
    }

    async fn connect(&self, last: &str) -> anyhow::Result<Open> {
        let server = self.servers[self.turn % self.servers.len()];
        let connection = TcpStream::connect(server).await?;
        match self.way {
            Way::Stream => stream(connection, server, last).await,
            Way::Socket => socket(connection, server, last).await,
        }
    }
}

async fn ended(over: &mut watch::Receiver<bool>) {
    // Nobody is left to say so: over as well.
    let _said = over.wait_for(|over| *over).await.is_ok();
}

async fn stream(mut connection: TcpStream, server: SocketAddr, last: &str) -> anyhow::Result<Open> {
    let last = if last.is_empty() { String::new() } else { format!("last-event-id: {last}\r\n") };
    let request = format!("GET /api/v1/events HTTP/1.1\r\nhost: {server}\r\n{last}\r\n");
    connection.write_all(request.as_bytes()).await?;
    let mut reader = BufReader::new(connection);
    let mut line = String::new();
    reader.read_line(&mut line).await?;
    ensure!(line.starts_with("HTTP/1.1 200"), "was answered {line:?}");
    // The greeting: from here on nothing is missed.
    while !line.starts_with("retry:") {
        line.clear();
        ensure!(reader.read_line(&mut line).await? > 0, "the answer ended in its head");
    }
    Ok(Open::Stream { reader, line: Vec::new() })
}

async fn socket(connection: TcpStream, server: SocketAddr, last: &str) -> anyhow::Result<Open> {
    let (mut socket, _) = client_async(format!("ws://{server}/api/v1/ws"), connection).await?;
    let last = (!last.is_empty()).then_some(last);
    let wish = serde_json::json!({"type": "subscribe", "last_event_id": last});
    socket.send(Message::text(wish.to_string())).await?;
    let answer = socket.next().await.context("the socket ended at once")??;
    ensure!(answer.to_text()?.contains("subscribed"), "was told {answer}");
    Ok(Open::Socket(Box::new(socket)))
}

impl Open {
    /// The next text. Nothing is lost when this is dropped before.
    async fn next(&mut self) -> anyhow::Result<String> {
        match self {
            Self::Stream { reader, line } => loop {
                // What was read of a line stays in it when this is dropped.
                ensure!(reader.read_until(b'\n', line).await? > 0, "the stream ended");
                let text = String::from_utf8(std::mem::take(line))?;
                if let Some(data) = text.strip_prefix("data: ") {
                    return Ok(data.trim_end().to_owned());
                }
            },
            Self::Socket(socket) => loop {
                match socket.next().await.context("the socket ended")?? {
                    Message::Text(text) => return Ok(text.to_string()),
                    Message::Close(why) => bail!("was sent away: {why:?}"),
                    _ => {}
                }
            },
        }
    }
}
