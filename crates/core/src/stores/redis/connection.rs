//! One connection for all that a process asks of Redis, made anew when it fails.
//!
//! Commands of many tasks share it: each is answered in its turn, and one whose future is dropped
//! spoils nothing. A connection that failed or fell silent is never asked again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection, PubSubStream};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult,
    Value,
};
use tokio::sync::Mutex;
use tokio::time::timeout;

/// A command that takes longer than this has failed.
const RESPONSE: Duration = Duration::from_secs(2);
const CONNECT: Duration = Duration::from_secs(1);

/// Where connections come from.
pub(super) struct Connections {
    client: Client,
    config: AsyncConnectionConfig,
    current: Mutex<Option<Connection>>,
}

impl Connections {
    /// To `url`; connects when first used.
    pub fn new(url: &str) -> RedisResult<Self> {
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(Some(RESPONSE))
            .set_connection_timeout(Some(CONNECT));
        Ok(Self { client: Client::open(url)?, config, current: Mutex::new(None) })
    }

    /// The connection, or a new one where it has failed.
    pub async fn get(&self) -> RedisResult<Connection> {
        let waited = timeout(RESPONSE, self.current.lock()).await;
        let mut current = waited.map_err(|_elapsed| {
            RedisError::from((ErrorKind::Io, "others have waited for a connection in vain"))
        })?;
        if let Some(connection) = current.as_ref().filter(|connection| !connection.is_broken()) {
            return Ok(connection.clone());
        }
        *current = None;
        let shared = self.client.get_multiplexed_async_connection_with_config(&self.config).await?;
        let connection = Connection { shared, broken: Arc::default() };
        *current = Some(connection.clone());
        Ok(connection)
    }
}

impl Connections {
    /// A line of its own on which messages of `channel` come, until it breaks or is dropped.
    pub async fn subscribe(&self, channel: &str) -> RedisResult<PubSubStream> {
        let subscribing = async {
            let mut line = self.client.get_async_pubsub().await?;
            line.subscribe(channel).await?;
            Ok(line.into_on_message())
        };
        timeout(RESPONSE, subscribing).await.unwrap_or_else(|_elapsed| {
            Err(RedisError::from((ErrorKind::Io, "a subscription was not confirmed in time")))
        })
    }
}

/// A share in the connection. Cheap to clone.
#[derive(Clone)]
pub(super) struct Connection {
    shared: MultiplexedConnection,
    broken: Arc<AtomicBool>,
}

impl Connection {
    fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// Notes what an answer says of the connection. One that came too late says: no more of it.
    fn judged<T>(&self, answer: RedisResult<T>) -> RedisResult<T> {
        if let Err(error) = &answer
            && (error.is_io_error() || error.is_timeout() || error.is_unrecoverable_error())
        {
            self.broken.store(true, Ordering::Relaxed);
        }
        answer
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let answer = self.shared.req_packed_command(cmd).await;
            self.judged(answer)
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let answers = self.shared.req_packed_commands(pipeline, offset, count).await;
            self.judged(answers)
        })
    }

    fn get_db(&self) -> i64 {
        self.shared.get_db()
    }
}
