//! The way by WebSocket: a client says what it wants to hear of, and hears it.
//!
//! One task a client. While it writes it does not read, and a write has a deadline: a client that does
//! not read is ended, and nobody else notices. What a client may send is small and of one kind; whatever
//! else comes ends it with a code that says why (RFC 6455, section 7.4.1).

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use futures_util::{SinkExt, StreamExt};
use pulse_core::models::check::FieldError;
use pulse_core::models::ids::ProjectId;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::follower::Follower;
use super::item::Item;
use super::subscription::{Subscription, Wish};
use super::upgrade::{Upgrade, Wire};
use super::{Client, Live};

/// Between the answer to the request and the WebSocket, and between the two ends of its end.
const PATIENCE: Duration = Duration::from_secs(5);
/// What is read and thrown away of a client that is sent away, so that it sees why.
const MOST_DRAINED_BYTES: usize = 8 * 1024 * 1024;
/// Messages that a client may send between two pings of ours.
const MOST_MESSAGES: u32 = 60;

/// What a client says.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Request {
    /// In place of what it wanted before.
    Subscribe {
        #[serde(default)]
        types: Vec<String>,
        #[serde(default)]
        checks: Vec<String>,
        #[serde(default)]
        tags: Vec<String>,
        #[serde(default)]
        last_event_id: Option<String>,
    },
}

/// Why a client is sent away: the code, the reason that it is told, and the word that is counted.
type End = (CloseCode, &'static str, &'static str);

const STOPPING: End = (CloseCode::Restart, "this server stops; come again", "stop");
const SILENT: End = (CloseCode::Policy, "nothing was heard for too long", "silent");
const SLOW: End = (CloseCode::Policy, "what was sent was not taken in time", "slow");
const NOT_JSON: End = (CloseCode::Invalid, "a message must be a JSON object", "garbage");
const NOT_TEXT: End = (CloseCode::Unsupported, "a message must be a text", "garbage");
const TOO_MANY: End = (CloseCode::Policy, "too many messages", "flood");
const NOT_READY: End = (CloseCode::Again, "this server is not ready; come again", "not_ready");

struct Socket {
    live: Live,
    client: Client,
    project: ProjectId,
    wire: WebSocketStream<Wire>,
    follower: Option<Follower>,
    heard: Instant,
    messages: u32,
}

/// Serves a client until it leaves or is sent away.
pub async fn serve(live: Live, client: Client, project: ProjectId, upgrade: Upgrade) {
    let Ok(Some(wire)) = timeout(PATIENCE, upgrade.socket()).await else { return };
    let heard = Instant::now();
    let mut socket = Socket { live, client, project, wire, follower: None, heard, messages: 0 };
    if let Some((code, reason, counted)) = socket.talk().await {
        socket.client.count_ended(counted);
        socket.end(CloseFrame { code, reason: reason.into() }).await;
    }
}

impl Socket {
    /// Until the client has left, or why it is to go.
    async fn talk(&mut self) -> Option<End> {
        let stop = self.live.0.stop.clone();
        let mut ping = interval(self.live.options().ping);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ping.tick().await;
        loop {
            let next = async {
                match &mut self.follower {
                    Some(follower) => follower.next().await,
                    None => std::future::pending().await,
                }
            };
            let went = tokio::select! {
                biased;
                () = stop.cancelled() => Err(Some(STOPPING)),
                message = self.wire.next() => self.hear(message).await,
                items = next => self.tell(&items).await,
                _ = ping.tick() => self.ping().await,
            };
            if let Err(end) = went {
                return end;
            }
        }
    }

    async fn hear(&mut self, message: Option<Result<Message, Error>>) -> Result<(), Option<End>> {
        let message = match message {
            None => return Err(None),
            Some(Err(error)) => return Err(end_of(&error)),
            Some(Ok(message)) => message,
        };
        self.heard = Instant::now();
        match message {
            Message::Text(text) => self.take(&text).await,
            Message::Binary(_) => Err(Some(NOT_TEXT)),
            // The library has put its answer into the row: it is to leave.
            Message::Ping(_) | Message::Close(_) => self.write(Vec::new()).await,
            Message::Pong(_) | Message::Frame(_) => Ok(()),
        }
    }

    async fn take(&mut self, text: &str) -> Result<(), Option<End>> {
        self.messages += 1;
        if self.messages > MOST_MESSAGES {
            return Err(Some(TOO_MANY));
        }
        let value: Value = serde_json::from_str(text).map_err(|_garbage| Some(NOT_JSON))?;
        if !value.is_object() {
            return Err(Some(NOT_JSON));
        }
        let answer = match serde_json::from_value(value) {
            Err(wrong) => refusal(vec![FieldError {
                pointer: String::new(),
                detail: format!("is not understood: {wrong}"),
            }]),
            Ok(Request::Subscribe { types, checks, tags, last_event_id }) => {
                let wish = Wish { types, checks, tags };
                match Subscription::read(&wish) {
                    Err(errors) => refusal(errors),
                    Ok(wanted) => self.subscribe(wanted, last_event_id.as_deref()).await?,
                }
            }
        };
        self.write(vec![Message::text(answer.to_string())]).await
    }

    async fn subscribe(
        &mut self,
        wanted: Subscription,
        last: Option<&str>,
    ) -> Result<Value, Option<End>> {
        let follower = self.live.follow(self.project, wanted, last).await;
        let follower = follower.map_err(|_not_ready| Some(NOT_READY))?;
        let newest = follower.newest().map(|id| id.to_string());
        self.follower = Some(follower);
        Ok(json!({"type": "subscribed", "last_event_id": newest}))
    }

    async fn tell(&mut self, items: &[Arc<Item>]) -> Result<(), Option<End>> {
        let texts = items.iter().filter_map(|item| Utf8Bytes::try_from(item.json()).ok());
        self.write(texts.map(Message::Text).collect()).await?;
        self.client.count_sent(items.len());
        Ok(())
    }

    async fn ping(&mut self) -> Result<(), Option<End>> {
        if self.heard.elapsed() > self.live.options().silence {
            return Err(Some(SILENT));
        }
        self.messages = 0;
        self.write(vec![Message::Ping(Bytes::new())]).await
    }

    async fn write(&mut self, messages: Vec<Message>) -> Result<(), Option<End>> {
        let writing = async {
            for message in messages {
                self.wire.feed(message).await?;
            }
            self.wire.flush().await
        };
        match timeout(self.live.options().writing, writing).await {
            // One that has left, or is leaving: what is read says so.
            Ok(Ok(()) | Err(Error::ConnectionClosed | Error::AlreadyClosed)) => Ok(()),
            Ok(Err(_broken)) => Err(None),
            Err(_elapsed) => Err(Some(SLOW)),
        }
    }

    /// Says why, and lets the client see it: a connection that is closed with something unread in it is
    /// reset, and what was written last is lost with it.
    async fn end(mut self, why: CloseFrame) {
        let _in_time = timeout(PATIENCE, async {
            self.wire.close(Some(why)).await.ok()?;
            self.wire.flush().await.ok()?;
            let (mut left, mut buffer) = (MOST_DRAINED_BYTES, [0; 4096]);
            while left > 0 {
                match self.wire.get_mut().read(&mut buffer).await {
                    Ok(read) if read > 0 => left = left.saturating_sub(read),
                    _ => break,
                }
            }
            Some(())
        })
        .await;
    }
}

fn refusal(errors: Vec<FieldError>) -> Value {
    let error = |it: FieldError| json!({"pointer": it.pointer, "detail": it.detail});
    json!({"type": "error", "errors": errors.into_iter().map(error).collect::<Vec<_>>()})
}

/// How a client that cannot be understood is told so; `None` for one that has gone.
fn end_of(error: &Error) -> Option<End> {
    match error {
        Error::Capacity(_) => Some((CloseCode::Size, "a message may have 64 KiB", "garbage")),
        Error::Protocol(
            tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
        ) => None,
        Error::Protocol(_) | Error::AttackAttempt => {
            Some((CloseCode::Protocol, "that is no WebSocket frame", "garbage"))
        }
        Error::Utf8(_) => Some((CloseCode::Invalid, "a text must be UTF-8", "garbage")),
        _ => None,
    }
}
