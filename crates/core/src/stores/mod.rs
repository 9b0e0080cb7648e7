//! The adapters. [`Stores::connect`] is the only place that knows which technology was chosen.

pub mod clickhouse;
pub mod history_row;
pub mod postgres;
pub mod redis;

use std::sync::Arc;

use crate::ports::checks::{AlertLog, CheckStore};
use crate::ports::clock::Clock;
use crate::ports::deliveries::DeliveryStore;
use crate::ports::history::{History, HistoryOutbox};
use crate::ports::presence::Presence;
use crate::ports::queue::{Dispatch, ResultQueue, WorkQueue};
use crate::ports::recording::RecordStore;
use crate::ports::schedule::ScheduleStore;
use crate::ports::state::StateUpkeep;
use crate::ports::{Ping, StoreResult};
use crate::runtime::config::Config;
use clickhouse::ClickHouse;
use postgres::Postgres;
use redis::{QueueOptions, Redis};

/// Every port, on the stores that the settings chose. Cheap to clone.
#[derive(Clone)]
#[expect(missing_docs, reason = "each field is the port of that name")]
pub struct Stores {
    pub checks: Arc<dyn CheckStore>,
    pub alerts: Arc<dyn AlertLog>,
    pub schedule: Arc<dyn ScheduleStore>,
    pub records: Arc<dyn RecordStore>,
    pub deliveries: Arc<dyn DeliveryStore>,
    pub outbox: Arc<dyn HistoryOutbox>,
    pub history: Arc<dyn History>,
    pub upkeep: Arc<dyn StateUpkeep>,
    pub clock: Arc<dyn Clock>,
    pub dispatch: Arc<dyn Dispatch>,
    pub work: Arc<dyn WorkQueue>,
    pub results: Arc<dyn ResultQueue>,
    pub presence: Arc<dyn Presence>,
    /// Whether PostgreSQL answers.
    pub state_ping: Arc<dyn Ping>,
    /// Whether Redis answers.
    pub queue_ping: Arc<dyn Ping>,
    /// Whether ClickHouse answers; `None` when history is kept in the state store.
    pub history_ping: Option<Arc<dyn Ping>>,
}

impl std::fmt::Debug for Stores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stores").finish_non_exhaustive()
    }
}

impl Stores {
    /// Chooses by the settings. Nothing is connected yet: each store is when first used.
    ///
    /// # Errors
    /// A store's address that its driver cannot read.
    pub fn connect(config: &Config, identity: &str) -> StoreResult<Self> {
        let postgres = Postgres::new(&config.database_url, config.database_pool_size)?;
        let options = QueueOptions {
            prefix: config.redis_prefix.clone(),
            queue_limit: config.queue_limit,
            ..QueueOptions::default()
        };
        let redis = Redis::new(&config.redis_url, identity, options)?;
        let days = config.history_retention_days;
        let clickhouse = config.clickhouse.as_ref().map(|dsn| ClickHouse::new(dsn, days));
        let history: Arc<dyn History> = match &clickhouse {
            Some(clickhouse) => Arc::new(clickhouse.clone()),
            None => Arc::new(postgres.history(days)),
        };
        let clock = postgres.clock();
        let (postgres, redis) = (Arc::new(postgres), Arc::new(redis));
        Ok(Self {
            checks: postgres.clone(),
            alerts: postgres.clone(),
            schedule: postgres.clone(),
            records: postgres.clone(),
            deliveries: postgres.clone(),
            outbox: postgres.clone(),
            history,
            upkeep: postgres.clone(),
            clock,
            dispatch: redis.clone(),
            work: redis.clone(),
            results: redis.clone(),
            presence: redis.clone(),
            state_ping: postgres,
            queue_ping: redis,
            history_ping: clickhouse.map(|it| Arc::new(it) as Arc<dyn Ping>),
        })
    }
}
