//! PostgreSQL: the state of everything that must be true, and history where there is no ClickHouse.
//!
//! One file per port or table; what a transaction adds up to is in `sql`. Deadlines are the server's
//! (`statement_timeout`), and behind them, for a server that cannot even say so, those of `pool`.

mod acts;
mod alert_log;
mod changes;
mod channel_states;
mod check_regions;
mod checks;
mod copying;
mod deliveries;
mod events;
mod follow_ups;
mod heartbeats;
mod history;
mod incidents;
mod outbox;
mod pool;
mod recording;
mod schedule;
mod secrets;
mod settings;
mod storms;
mod survey;
mod transaction;

use std::str::FromStr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::Connection as _;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::models::installation::LinkKey;
use crate::ports::state::StateUpkeep;
use crate::ports::{Ping, StoreError, StoreResult};
use crate::stores::events::{EventQueue, Noted};
use crate::stores::sql::clock::StoreClock;
use pool::{Pool, Tx};

pub use history::PostgresHistory;

const STORE: &str = "PostgreSQL";
/// What servers and workers call themselves in `pg_stat_activity`.
const APPLICATION: &str = "pulse";
/// How long a connection past the pool may take to be made and to answer.
const PING: Duration = Duration::from_millis(1500);
/// A migration that takes longer is given up, and begun again.
const MIGRATING: Duration = Duration::from_mins(15);
/// An older server may start beside a newer one: migrations it does not know are no error.
static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrations = sqlx::migrate!("../../migrations/postgres");
    migrations.set_ignore_missing(true);
    migrations
});

/// The state store. Cheap to clone: one pool underneath.
#[derive(Clone, Debug)]
pub struct Postgres {
    pool: Pool,
    without_deadlines: PgConnectOptions,
    clock: Arc<StoreClock>,
    events: EventQueue,
}

impl Postgres {
    /// A pool of at most `connections` to `url`. Connects when first used, and again after a failure.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when `url` is no PostgreSQL URL.
    pub fn new(url: &str, connections: u32) -> StoreResult<Self> {
        Self::called(APPLICATION, url, connections)
    }

    /// As [`Self::new`], for another kind of process.
    pub(super) fn called(name: &str, url: &str, connections: u32) -> StoreResult<Self> {
        let without_deadlines =
            PgConnectOptions::from_str(url).map_err(error)?.application_name(name);
        let options = without_deadlines.clone().options([
            ("statement_timeout", "5s"),
            ("lock_timeout", "2s"),
            // What a process that stands still has locked must be free again while the ledger still waits
            // for results of those slots.
            ("idle_in_transaction_session_timeout", "3s"),
            ("tcp_user_timeout", "10s"),
        ]);
        let pool = Pool::new(options, connections);
        let clock = Arc::new(StoreClock::unset(STORE));
        Ok(Self { pool, without_deadlines, clock, events: EventQueue::default() })
    }

    /// The same, whose transactions tell by `events` what they have committed.
    #[must_use]
    pub fn telling(self, events: EventQueue) -> Self {
        Self { events, ..self }
    }

    /// The store's time; right once [`StateUpkeep::sync_clock`] has succeeded.
    #[must_use]
    pub fn clock(&self) -> Arc<StoreClock> {
        Arc::clone(&self.clock)
    }

    /// History in the same database, kept for `retention_days`.
    #[must_use]
    pub fn history(&self, retention_days: u32) -> PostgresHistory {
        PostgresHistory::new(self.pool.clone(), retention_days)
    }

    async fn begin(&self) -> StoreResult<Tx> {
        let mut tx = self.pool.begin().await.map_err(error)?;
        tx.noted = Noted::bound_for(self.events.clone());
        Ok(tx)
    }

    const fn readers(&self) -> &Pool {
        &self.pool
    }
}

#[async_trait]
impl StateUpkeep for Postgres {
    async fn introduce(&self, key: &LinkKey, public_url: Option<&str>) -> StoreResult<()> {
        self.save_installation(key, public_url).await
    }

    async fn sync_clock(&self) -> StoreResult<()> {
        let mut connection = self.pool.acquire().await.map_err(error)?;
        // From here on: waiting for a connection is no part of the answer's way.
        let asked = Instant::now();
        let now: i64 =
            sqlx::query_scalar("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
                .fetch_one(&mut connection)
                .await
                .map_err(error)?;
        self.clock.set(now, asked);
        Ok(())
    }

    async fn close(&self) {
        self.pool.close().await;
    }

    async fn migrate(&self) -> StoreResult<()> {
        // A migration may take longer than a statement in daily life, and waits for its peers: a
        // connection of its own, without the deadlines of others.
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(Duration::from_secs(3))
            .connect_lazy_with(self.without_deadlines.clone());
        let migrating = async {
            let migrated = MIGRATIONS.run(&pool).await;
            pool.close().await;
            migrated
        };
        let migrated = timeout(MIGRATING, migrating).await;
        let migrated = migrated.unwrap_or_else(|elapsed| Err(late(elapsed).into()));
        migrated.map_err(|source| match source {
            MigrateError::Execute(source) => error(source),
            source => StoreError::Refused { store: STORE, source: source.into() },
        })
    }

    async fn is_migrated(&self) -> StoreResult<bool> {
        let expected = MIGRATIONS.iter().map(|m| m.version).max().unwrap_or_default();
        let table: Option<String> =
            sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations')::text")
                .fetch_one(&self.pool)
                .await
                .map_err(error)?;
        if table.is_none() {
            return Ok(false);
        }
        let version: Option<i64> =
            sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations WHERE success")
                .fetch_one(&self.pool)
                .await
                .map_err(error)?;
        Ok(version.is_some_and(|version| version >= expected))
    }
}

#[async_trait]
impl Ping for Postgres {
    async fn ping(&self) -> StoreResult<Duration> {
        let asked = Instant::now();
        if self.pool.knock().await == Some(true) {
            return Ok(asked.elapsed());
        }
        // Past the pool: all of it may be in use, and that is no fault of the server's.
        let past_the_pool = async {
            let mut connection = PgConnection::connect_with(&self.without_deadlines).await?;
            connection.ping().await?;
            connection.close().await
        };
        timeout(PING, past_the_pool).await.map_err(late).flatten().map_err(error)?;
        Ok(asked.elapsed())
    }
}

fn late(elapsed: Elapsed) -> sqlx::Error {
    sqlx::Error::Io(elapsed.into())
}

/// Sorts the driver's errors into "try again" and "refused".
///
/// Only what is wrong with the data itself is refused: a server that fails over, turns read-only or
/// loses its mind for a while must never make anyone throw results away.
fn error(source: sqlx::Error) -> StoreError {
    match &source {
        sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => unreadable(source.to_string()),
        sqlx::Error::Configuration(_) | sqlx::Error::Encode(_) => refused(source),
        sqlx::Error::Database(database)
            if database.code().is_some_and(|code| is_bad_data(&code)) =>
        {
            refused(source)
        }
        _ => StoreError::Unavailable { store: STORE, source: source.into() },
    }
}

fn refused(source: sqlx::Error) -> StoreError {
    StoreError::Refused { store: STORE, source: source.into() }
}

/// SQLSTATE classes 22 data exception, 23 constraint violation, 54 limit exceeded (PostgreSQL
/// documentation, appendix A).
fn is_bad_data(code: &str) -> bool {
    code.get(..2).is_some_and(|class| ["22", "23", "54"].contains(&class))
}

fn unreadable(what: impl Into<String>) -> StoreError {
    StoreError::Unreadable { store: STORE, what: what.into() }
}
