//! The way of server-sent events (HTML Standard, section 9.2): an answer that does not end.
//!
//! Nothing is written before the client has taken what came before: the connection asks for more when
//! it has room. A client that takes nothing at all is ended by its connection (`door`).

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio_util::sync::CancellationToken;

use super::follower::Follower;
use super::item::Item;
use super::{Client, Live};

/// When a client is to come again that was cut off.
const RETRY_MS: u32 = 2_000;
/// When one is to come again that was sent away: soon, because another server may be there.
const RETRY_AFTER_STOP_MS: u32 = 500;

struct Stream {
    follower: Follower,
    client: Client,
    ping: Duration,
    stop: CancellationToken,
    has_begun: bool,
}

/// The body of the answer, until the client leaves or the server stops.
pub fn body(live: &Live, follower: Follower, client: Client) -> Body {
    let (ping, stop) = (live.options().ping, live.0.stop.clone());
    let stream = Stream { follower, client, ping, stop, has_begun: false };
    Body::from_stream(stream::unfold(Some(stream), async |stream| {
        let mut stream = stream?;
        let (bytes, goes_on) = stream.next().await;
        Some((Ok::<_, std::convert::Infallible>(bytes), goes_on.then_some(stream)))
    }))
}

impl Stream {
    /// What is written next, and whether more follows.
    async fn next(&mut self) -> (Bytes, bool) {
        if !self.has_begun {
            self.has_begun = true;
            return (self.greeting(), true);
        }
        tokio::select! {
            biased;
            () = self.stop.cancelled() => (farewell(), false),
            items = self.follower.next() => {
                self.client.count_sent(items.len());
                (joined(&items), true)
            }
            // A comment, which clients leave out: it shows whether anyone is there.
            () = tokio::time::sleep(self.ping) => (Bytes::from_static(b":\n\n"), true),
        }
    }

    /// The newest id, so that also a client that has heard nothing yet has a place to go on from.
    fn greeting(&self) -> Bytes {
        let id = self.follower.newest().map(|id| format!("id: {id}\n")).unwrap_or_default();
        format!("retry: {RETRY_MS}\n{id}\n").into()
    }
}

fn farewell() -> Bytes {
    format!("retry: {RETRY_AFTER_STOP_MS}\n: this server stops; come again\n\n").into()
}

/// One write for all.
fn joined(items: &[Arc<Item>]) -> Bytes {
    match items {
        [one] => one.frame().clone(),
        many => many.iter().flat_map(|item| item.frame().iter().copied()).collect(),
    }
}
