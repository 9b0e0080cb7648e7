//! Redis or Valkey: who is doing what right now.
//!
//! One queue a region: a list of ready jobs, a hash of their bodies and tokens, a sorted set of
//! leases and a stream of results, under one hash tag, so that a script's keys share a node. Every
//! move is one script. Nothing blocks: consumers poll, and every call has a deadline.

mod dispatch;
mod presence;
mod results;
mod survey;
mod work;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use deadpool_redis::{Connection, Manager, Pool, PoolError, Runtime};
use redis::{AsyncConnectionConfig, ErrorKind, RedisError};

use crate::models::ids::{CheckId, Region};
use crate::models::job::Job;
use crate::models::schedule::Slot;
use crate::ports::{Ping, StoreError, StoreResult};
use crate::stores::queue_rules::QueueOptions;
use results::Consumer;

const STORE: &str = "Redis";
const CONNECTIONS: usize = 16;
const RESPONSE: Duration = Duration::from_secs(2);
const CONNECT: Duration = Duration::from_secs(1);

/// What an operator may choose about a queue in Redis.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// Begins every key, so that several installations can share a server.
    pub prefix: String,
    /// How much may wait.
    pub queue: QueueOptions,
}

/// The queue. Cheap to clone: one pool underneath.
#[derive(Clone)]
pub struct Redis {
    pool: Pool,
    options: Arc<RedisOptions>,
    consumer: Arc<Consumer>,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Redis {
    /// A pool for `url`, as `identity` (never the same for two processes). Connects when first used.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when `url` is no Redis URL.
    pub fn new(url: &str, identity: &str, options: RedisOptions) -> StoreResult<Self> {
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(Some(RESPONSE))
            .set_connection_timeout(Some(CONNECT));
        let manager = Manager::new_with_config(url, config).map_err(error)?;
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS)
            .wait_timeout(Some(RESPONSE))
            .create_timeout(Some(RESPONSE))
            .recycle_timeout(Some(RESPONSE))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|source| StoreError::Refused { store: STORE, source: source.into() })?;
        Ok(Self { pool, options: Arc::new(options), consumer: Arc::new(Consumer::new(identity)) })
    }

    async fn connection(&self) -> StoreResult<Connection> {
        self.pool.get().await.map_err(|source| match source {
            PoolError::Backend(source) => error(source),
            source => StoreError::Unavailable { store: STORE, source: source.into() },
        })
    }

    fn key(&self, region: &Region, part: &str) -> String {
        format!("{}:{{{region}}}:{part}", self.options.prefix)
    }

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

fn spec_suffix(check: CheckId, version: i32) -> String {
    format!("{}:{version}", check.0.simple())
}

fn job_body(job: &Job) -> String {
    format!("{},{},{}", job.version, job.timeout_ms, job.start_within_ms)
}

fn read_job(region: &Region, id: &str, body: &str) -> Option<Job> {
    let (check, slot) = id.split_once(':')?;
    let mut parts = body.split(',');
    Some(Job {
        check_id: CheckId(check.parse().ok()?),
        region: region.clone(),
        slot: Slot(slot.parse().ok()?),
        version: parts.next()?.parse().ok()?,
        timeout_ms: parts.next()?.parse().ok()?,
        start_within_ms: parts.next()?.parse().ok()?,
    })
}
