//! The adapters. [`Stores::connect`] is the only place that knows which technology was chosen.

pub mod clickhouse;
pub mod copy;
pub mod events;
pub mod history_row;
pub mod memory;
pub mod postgres;
pub mod queue_rules;
pub mod redis;
pub mod row_binary;
mod sql;
pub mod sqlite;
mod sums;
pub mod survey;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::ports::changes::ChangeLog;
use crate::ports::checks::{AlertLog, CheckStore};
use crate::ports::clock::Clock;
use crate::ports::deliveries::DeliveryStore;
use crate::ports::dry_runs::DryRuns;
use crate::ports::events::{EventLabels, EventLog};
use crate::ports::follow_ups::FollowUpStore;
use crate::ports::heartbeats::HeartbeatStore;
use crate::ports::history::{History, HistoryOutbox};
use crate::ports::incidents::IncidentStore;
use crate::ports::presence::Presence;
use crate::ports::queue::{Dispatch, ResultQueue, WorkQueue};
use crate::ports::recording::RecordStore;
use crate::ports::schedule::ScheduleStore;
use crate::ports::secrets::SecretStore;
use crate::ports::settings::SettingStore;
use crate::ports::state::StateUpkeep;
use crate::ports::{Ping, StoreResult};
use crate::runtime::config::{Config, StateAt};
use clickhouse::ClickHouse;
use events::EventQueue;
use memory::Memory;
use postgres::Postgres;
use queue_rules::QueueOptions;
use redis::{Redis, RedisOptions};
use sqlite::{Sqlite, SqliteHistory};

/// Every port, on the stores that the settings chose. Cheap to clone.
#[derive(Clone)]
#[expect(missing_docs, reason = "each field is the port of that name")]
pub struct Stores {
    pub checks: Arc<dyn CheckStore>,
    pub alerts: Arc<dyn AlertLog>,
    pub incidents: Arc<dyn IncidentStore>,
    pub changes: Arc<dyn ChangeLog>,
    pub secrets: Arc<dyn SecretStore>,
    pub settings: Arc<dyn SettingStore>,
    pub schedule: Arc<dyn ScheduleStore>,
    pub records: Arc<dyn RecordStore>,
    pub follow_ups: Arc<dyn FollowUpStore>,
    pub heartbeats: Arc<dyn HeartbeatStore>,
    pub deliveries: Arc<dyn DeliveryStore>,
    pub outbox: Arc<dyn HistoryOutbox>,
    pub history: Arc<dyn History>,
    pub upkeep: Arc<dyn StateUpkeep>,
    pub clock: Arc<dyn Clock>,
    pub dispatch: Arc<dyn Dispatch>,
    pub work: Arc<dyn WorkQueue>,
    pub results: Arc<dyn ResultQueue>,
    pub dry_runs: Arc<dyn DryRuns>,
    pub presence: Arc<dyn Presence>,
    pub events: Arc<dyn EventLog>,
    pub labels: Arc<dyn EventLabels>,
    /// What this process has committed and not published yet.
    pub event_queue: EventQueue,
    /// What keeps the state: `postgres` or `sqlite`.
    pub state_name: &'static str,
    /// Whether it answers.
    pub state_ping: Arc<dyn Ping>,
    /// Whether Redis answers; `None` when jobs pass within the process.
    pub queue_ping: Option<Arc<dyn Ping>>,
    /// Whether ClickHouse answers; `None` when history is kept in the state store.
    pub history_ping: Option<Arc<dyn Ping>>,
}

impl std::fmt::Debug for Stores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stores").finish_non_exhaustive()
    }
}

/// A state store is all of these.
trait StateStore:
    CheckStore
    + AlertLog
    + IncidentStore
    + ChangeLog
    + SecretStore
    + SettingStore
    + ScheduleStore
    + RecordStore
    + FollowUpStore
    + HeartbeatStore
    + DeliveryStore
    + HistoryOutbox
    + EventLabels
    + StateUpkeep
    + Ping
    + 'static
{
}

impl<T> StateStore for T where
    T: CheckStore
        + AlertLog
        + IncidentStore
        + ChangeLog
        + SecretStore
        + SettingStore
        + SettingStore
        + ScheduleStore
        + RecordStore
        + FollowUpStore
        + HeartbeatStore
        + HeartbeatStore
        + DeliveryStore
        + HistoryOutbox
        + EventLabels
        + StateUpkeep
        + Ping
        + 'static
{
}

/// A queue is all of these.
trait Queue: Dispatch + WorkQueue + ResultQueue + Presence + DryRuns + EventLog + 'static {}

impl<T> Queue for T where
    T: Dispatch + WorkQueue + ResultQueue + Presence + DryRuns + EventLog + 'static
{
}

/// The state's side of [`Stores`].
struct State<S> {
    name: &'static str,
    store: Arc<S>,
    events: EventQueue,
    clock: Arc<dyn Clock>,
    history: Arc<dyn History>,
    history_ping: Option<Arc<dyn Ping>>,
}

impl Stores {
    /// Chooses by the settings. Files are opened now; servers are connected to when first used.
    ///
    /// # Errors
    /// A file that cannot be used, or a store's address that its driver cannot read.
    pub async fn connect(config: &Config, identity: &str) -> StoreResult<Self> {
        let days = config.history_retention_days;
        let clickhouse = config.clickhouse.as_ref().map(|dsn| Arc::new(ClickHouse::new(dsn, days)));
        let history_ping = clickhouse.clone().map(|it| it as Arc<dyn Ping>);
        let events = EventQueue::default();
        match &config.state {
            StateAt::Postgres(url) => {
                let store = Postgres::new(url, config.database_pool_size)?;
                let store = Arc::new(store.telling(events.clone()));
                let clock = store.clock();
                let history: Arc<dyn History> = match clickhouse {
                    Some(clickhouse) => clickhouse,
                    None => Arc::new(store.history(days)),
                };
                State { name: "postgres", store, events, clock, history, history_ping }
                    .with_queue(config, identity)
            }
            StateAt::Sqlite(path) => {
                let store = Sqlite::open(path, config.redis_url.is_none()).await?;
                let store = Arc::new(store.telling(events.clone()));
                let clock = store.clock();
                let history: Arc<dyn History> = match clickhouse {
                    Some(clickhouse) => clickhouse,
                    None => Arc::new(SqliteHistory::open(&history_beside(path), days).await?),
                };
                State { name: "sqlite", store, events, clock, history, history_ping }
                    .with_queue(config, identity)
            }
        }
    }
}

/// Where history lies when the state is a file: `pulse.db` has `pulse-history.db` beside it.
#[must_use]
pub fn history_beside(state: &Path) -> PathBuf {
    let stem = state.file_stem().unwrap_or_default().to_string_lossy();
    let extension = state.extension().unwrap_or_default().to_string_lossy();
    let name = format!("{stem}-history");
    if extension.is_empty() {
        state.with_file_name(name)
    } else {
        state.with_file_name(format!("{name}.{extension}"))
    }
}

impl<S: StateStore> State<S> {
    fn with_queue(self, config: &Config, identity: &str) -> StoreResult<Stores> {
        let queue = QueueOptions { queue_limit: config.queue_limit, ..QueueOptions::default() };
        let Some(url) = &config.redis_url else {
            return Ok(self.and(Arc::new(Memory::new(queue)), None));
        };
        let options = RedisOptions {
            prefix: config.redis_prefix.clone(),
            queue,
            cluster: config.redis_cluster,
        };
        let redis = Arc::new(Redis::new(url, identity, options)?);
        Ok(self.and(redis.clone(), Some(redis)))
    }

    fn and<Q: Queue>(self, queue: Arc<Q>, queue_ping: Option<Arc<dyn Ping>>) -> Stores {
        let state = self.store;
        Stores {
            checks: state.clone(),
            alerts: state.clone(),
            incidents: state.clone(),
            changes: state.clone(),
            secrets: state.clone(),
            settings: state.clone(),
            schedule: state.clone(),
            records: state.clone(),
            follow_ups: state.clone(),
            heartbeats: state.clone(),
            deliveries: state.clone(),
            outbox: state.clone(),
            history: self.history,
            upkeep: state.clone(),
            clock: self.clock,
            dispatch: queue.clone(),
            work: queue.clone(),
            results: queue.clone(),
            dry_runs: queue.clone(),
            presence: queue.clone(),
            events: queue,
            labels: state.clone(),
            event_queue: self.events,
            state_name: self.name,
            state_ping: state,
            queue_ping,
            history_ping: self.history_ping,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_lies_beside_the_state() {
        for (state, history) in [
            ("data/pulse.db", "data/pulse-history.db"),
            ("/x/pulse", "/x/pulse-history"),
            ("a.b.sqlite", "a.b-history.sqlite"),
        ] {
            assert_eq!(history_beside(Path::new(state)), Path::new(history));
        }
    }
}
