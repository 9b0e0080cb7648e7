//! One connection for all that a process asks of Redis, made anew when it fails.
//!
//! Commands of many tasks share it: each is answered in its turn, and one whose future is dropped
//! spoils nothing. A connection that failed or fell silent is never asked again. To a cluster it is
//! one to each of its primaries, which learns from them who has which hash slot, and goes where it is
//! sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection, PubSubStream};
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult,
    Value,
};
use tokio::sync::Mutex;
use tokio::time::timeout;

/// A command that takes longer than this has failed.
const RESPONSE: Duration = Duration::from_secs(2);
const CONNECT: Duration = Duration::from_secs(1);
/// How often one command follows a cluster that changes, within [`RESPONSE`], and how long it waits
/// before it asks again, in milliseconds.
const RETRIES: u32 = 4;
const RETRY_AFTER_MS: std::ops::Range<u64> = 10..200;

/// Where connections come from.
pub(super) struct Connections {
    /// One server, or those nodes of a cluster that are known by name.
    nodes: Vec<Client>,
    cluster: Option<ClusterClient>,
    config: AsyncConnectionConfig,
    current: Mutex<Option<Connection>>,
}

impl Connections {
    /// To the server at `url`; connects when first used.
    pub fn to_server(url: &str) -> RedisResult<Self> {
        Ok(Self::new(vec![Client::open(url)?], None))
    }

    /// To the cluster of which `urls`, parted by commas, are some nodes; connects when first used.
    pub fn to_cluster(urls: &str) -> RedisResult<Self> {
        let cluster = ClusterClientBuilder::new(urls.split(','))
            .connection_timeout(CONNECT)
            .response_timeout(RESPONSE)
            .retries(RETRIES)
            .min_retry_wait(RETRY_AFTER_MS.start)
            .max_retry_wait(RETRY_AFTER_MS.end)
            .build()?;
        let nodes = urls.split(',').map(Client::open).collect::<RedisResult<_>>()?;
        Ok(Self::new(nodes, Some(cluster)))
    }

    fn new(nodes: Vec<Client>, cluster: Option<ClusterClient>) -> Self {
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(Some(RESPONSE))
            .set_connection_timeout(Some(CONNECT));
        Self { nodes, cluster, config, current: Mutex::new(None) }
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
        let shared = match &self.cluster {
            Some(cluster) => Shared::Cluster(in_time(cluster.get_async_connection()).await?),
            None => Shared::Server(self.to_a_node().await?),
        };
        let connection = Connection { shared, broken: Arc::default() };
        *current = Some(connection.clone());
        Ok(connection)
    }

    /// To the server, or to the first node of a cluster that can be reached: for what is asked of a
    /// node and not of a cluster.
    pub async fn to_a_node(&self) -> RedisResult<MultiplexedConnection> {
        self.first_of(|node| node.get_multiplexed_async_connection_with_config(&self.config)).await
    }

    /// A line of its own on which messages of `channel` come, until it breaks or is dropped. Every node
    /// of a cluster hears what any of them is told.
    pub async fn subscribe(&self, channel: &str) -> RedisResult<PubSubStream> {
        self.first_of(|node| async move {
            let mut line = node.get_async_pubsub().await?;
            line.subscribe(channel).await?;
            Ok(line.into_on_message())
        })
        .await
    }

    /// What the first node answers that answers in time; the last one's error where none does.
    async fn first_of<'a, T, F>(&'a self, ask: impl Fn(&'a Client) -> F) -> RedisResult<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let mut answer = Err(RedisError::from((ErrorKind::InvalidClientConfig, "no address")));
        for node in &self.nodes {
            answer = in_time(ask(node)).await;
            if answer.is_ok() {
                break;
            }
        }
        answer
    }
}

async fn in_time<T>(asking: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    timeout(RESPONSE, asking).await.unwrap_or_else(|_elapsed| {
        Err(RedisError::from((ErrorKind::Io, "a connection was not made in time")))
    })
}

/// A share in the connection. Cheap to clone.
#[derive(Clone)]
pub(super) struct Connection {
    shared: Shared,
    broken: Arc<AtomicBool>,
}

#[derive(Clone)]
enum Shared {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
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
            let answer = match &mut self.shared {
                Shared::Server(server) => server.req_packed_command(cmd).await,
                Shared::Cluster(cluster) => cluster.req_packed_command(cmd).await,
            };
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
            let answers = match &mut self.shared {
                Shared::Server(server) => server.req_packed_commands(pipeline, offset, count).await,
                Shared::Cluster(cluster) => {
                    cluster.req_packed_commands(pipeline, offset, count).await
                }
            };
            self.judged(answers)
        })
    }

    fn get_db(&self) -> i64 {
        match &self.shared {
            Shared::Server(server) => server.get_db(),
            Shared::Cluster(cluster) => cluster.get_db(),
        }
    }
}
