//! Redis or Valkey: who is doing what right now.
//!
//! One queue a region: a list of ready jobs, a hash of what is known of them, a sorted set of leases
//! and a stream of results, under one hash tag, so that a script's keys share a node. Every move is
//! one script, which declares all keys it touches, for hundreds of jobs at a time. Nothing blocks:
//! consumers poll, and every call has a deadline.

mod connection;
mod dispatch;
mod dry_runs;
mod events;
mod presence;
mod regions;
mod results;
mod survey;
mod work;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use redis::{ErrorKind, RedisError};

use crate::models::ids::{CheckId, Region};
use crate::models::schedule::Slot;
use crate::ports::{Ping, StoreError, StoreResult};
use crate::stores::queue_rules::QueueOptions;
use connection::{Connection, Connections};
use regions::Regions;
use results::Consumer;

const STORE: &str = "Redis";
/// Jobs or results in one call of a script: what it unpacks must fit on its stack.
const MOST_AT_ONCE: usize = 1_000;

/// What an operator may choose about a queue in Redis.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// Begins every key, so that several installations can share a server.
    pub prefix: String,
    /// How much may wait.
    pub queue: QueueOptions,
    /// The address is that of a cluster: some of its nodes, parted by commas.
    pub cluster: bool,
}

/// The queue. Cheap to clone: one connection underneath.
#[derive(Clone)]
pub struct Redis {
    connections: Arc<Connections>,
    options: Arc<RedisOptions>,
    consumer: Arc<Consumer>,
    regions: Arc<Regions>,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Redis {
    /// To `url`, as `identity` (never the same for two processes). Connects when first used.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when `url` is no Redis URL.
    pub fn new(url: &str, identity: &str, options: RedisOptions) -> StoreResult<Self> {
        let connections = if options.cluster {
            Connections::to_cluster(url)
        } else {
            Connections::to_server(url)
        };
        Ok(Self {
            connections: connections.map_err(error)?.into(),
            options: Arc::new(options),
            consumer: Arc::new(Consumer::new(identity)),
            regions: Arc::default(),
        })
    }

    async fn connection(&self) -> StoreResult<Connection> {
        self.connections.get().await.map_err(error)
    }

    fn key(&self, region: &Region, part: &str) -> String {
        format!("{}:{{{region}}}:{part}", self.options.prefix)
    }

    fn spec_key(&self, region: &Region, check: CheckId, version: i32) -> String {
        format!("{}:{{{region}}}:spec:{}:{version}", self.options.prefix, check.0.simple())
    }

    /// A key that is only ever asked for by itself.
    fn shared_key(&self, part: &str) -> String {
        format!("{}:{part}", self.options.prefix)
    }
}

#[async_trait]
impl Ping for Redis {
    async fn ping(&self) -> StoreResult<Duration> {
        let asked = Instant::now();
        let mut connection = self.connection().await?;
        let () = redis::cmd("PING").query_async(&mut connection).await.map_err(error)?;
        Ok(asked.elapsed())
    }
}

fn error(source: RedisError) -> StoreError {
    let refused = matches!(
        source.kind(),
        ErrorKind::InvalidClientConfig
            | ErrorKind::UnexpectedReturnType
            | ErrorKind::Parse
            | ErrorKind::Client
    );
    if refused {
        StoreError::Refused { store: STORE, source: source.into() }
    } else {
        StoreError::Unavailable { store: STORE, source: source.into() }
    }
}

fn unreadable(what: &str) -> StoreError {
    StoreError::Unreadable { store: STORE, what: what.into() }
}

/// A job's id in the queue: the same for the same slot, however often it is pushed.
fn job_id(check: CheckId, slot: Slot) -> String {
    format!("{}:{slot}", check.0.simple())
}
