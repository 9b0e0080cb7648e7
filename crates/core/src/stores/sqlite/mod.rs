//! SQLite: state and history of one process, in two files side by side, with nothing else installed.
//!
//! History has a file and a writer of its own, so that its bulk never makes a change of state wait.
//! Lists travel into statements as one JSON text (`jsonb_each`), as arrays do with PostgreSQL. Ids are
//! blobs of 16 bytes; instants are integers, milliseconds since the Unix epoch.

mod acts;
mod alert_log;
mod changes;
mod channel_states;
mod check_regions;
mod checks;
mod copying;
mod database;
mod deliveries;
mod events;
mod follow_ups;
mod heartbeats;
mod history;
mod incidents;
mod list;
mod outbox;
mod recording;
mod schedule;
mod secrets;
mod settings;
mod storms;
mod survey;
mod transaction;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::SqlitePool;

use crate::models::installation::LinkKey;
use crate::models::schedule::Slot;
use crate::ports::state::StateUpkeep;
use crate::ports::{Ping, StoreError, StoreResult};
use crate::stores::events::{EventQueue, Noted};
use crate::stores::sql::clock::StoreClock;
use database::{Database, Kind, Tx};

pub use history::SqliteHistory;
pub use survey::SqliteFile;

const STORE: &str = "SQLite";
/// `Puls`.
static STATE: Kind =
    Kind { mark: 0x5075_6c73, migrations: sqlx::migrate!("../../migrations/sqlite") };

/// The state store. Cheap to clone: one file underneath.
#[derive(Clone, Debug)]
pub struct Sqlite {
    state: Database,
    /// Whether jobs end with the process: then none is under way when it starts.
    jobs_end_with_us: bool,
    clock: Arc<StoreClock>,
    events: EventQueue,
}

impl Sqlite {
    /// Opens or makes the state file at `path`. With `jobs_end_with_us`, slots that an earlier process
    /// left under way are not waited for.
    ///
    /// # Errors
    /// [`StoreError::Refused`] with a sentence for the person who started this process.
    pub async fn open(path: &Path, jobs_end_with_us: bool) -> StoreResult<Self> {
        let state = Database::open(path, &STATE).await?;
        let clock = Arc::new(StoreClock::unset(STORE));
        Ok(Self { state, jobs_end_with_us, clock, events: EventQueue::default() })
    }

    /// The same, whose transactions tell by `events` what they have committed.
    #[must_use]
    pub fn telling(self, events: EventQueue) -> Self {
        Self { events, ..self }
    }

    /// This host's time, which never goes back while the process lives.
    #[must_use]
    pub fn clock(&self) -> Arc<StoreClock> {
        Arc::clone(&self.clock)
    }
}

impl Sqlite {
    async fn begin(&self) -> StoreResult<Tx> {
        let mut tx = self.state.begin().await?;
        tx.noted = Noted::bound_for(self.events.clone());
        Ok(tx)
    }

    const fn readers(&self) -> &SqlitePool {
        self.state.readers()
    }

    /// Ends the wait for results of an earlier process: the next claim of each check tells its slot as
    /// lost, and looks.
    async fn wait_for_nobody(&self) -> StoreResult<()> {
        sqlx::query(
            "-- wait_for_nobody\n UPDATE check_regions SET out_until = 0 WHERE out_until > 0",
        )
        .execute(self.state.writer())
        .await
        .map(drop)
        .map_err(error)
    }
}

#[async_trait]
impl StateUpkeep for Sqlite {
    async fn migrate(&self) -> StoreResult<()> {
        self.state.migrate().await?;
        if self.jobs_end_with_us { self.wait_for_nobody().await } else { Ok(()) }
    }

    async fn close(&self) {
        self.state.close().await;
    }

    async fn is_migrated(&self) -> StoreResult<bool> {
        self.state.is_migrated().await
    }

    async fn introduce(&self, key: &LinkKey, public_url: Option<&str>) -> StoreResult<()> {
        self.save_installation(key, public_url).await
    }

    async fn sync_clock(&self) -> StoreResult<()> {
        self.clock.set(Slot::from(chrono::Utc::now()).0, Instant::now());
        Ok(())
    }
}

#[async_trait]
impl Ping for Sqlite {
    async fn ping(&self) -> StoreResult<Duration> {
        let asked = Instant::now();
        sqlx::query("-- ping\n SELECT count(*) FROM sqlite_schema")
            .execute(self.readers())
            .await
            .map_err(error)?;
        Ok(asked.elapsed())
    }
}

/// Sorts the driver's errors into "try again" and "refused".
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

/// Primary result codes 18 `SQLITE_TOOBIG`, 19 `SQLITE_CONSTRAINT` and 20 `SQLITE_MISMATCH`: what is
/// wrong is the data (sqlite.org/rescode.html). The driver tells extended codes; the low byte counts.
fn is_bad_data(code: &str) -> bool {
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 18..=20))
}

fn unreadable(what: impl Into<String>) -> StoreError {
    StoreError::Unreadable { store: STORE, what: what.into() }
}
