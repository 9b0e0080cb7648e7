//! Moves an installation up: from SQLite to PostgreSQL, its history there or to ClickHouse.
//!
//! State is written row over row by key, history in shipments whose id is noted before they are
//! sent. So a copy that was interrupted is simply run again: what has arrived is not sent twice.

mod history;
pub mod tables;

use std::path::{Path, PathBuf};

use futures_util::TryStreamExt;

use super::clickhouse::ClickHouse;
use super::clickhouse::dsn::Dsn;
use super::postgres::Postgres;
use super::sqlite::{Sqlite, SqliteHistory};
use super::{HistoryOutbox as _, history_beside};
use crate::models::schedule::Slot;
use crate::ports::StoreError;
use crate::ports::history::History;
use crate::ports::state::StateUpkeep as _;
use crate::stores::sums::DAY_MS;
use history::RUNS;
use tables::{TABLES, Table};

/// Rows of state in one statement.
const ROWS: usize = 500;
const CONNECTIONS: u32 = 2;

/// Where a copy goes.
#[derive(Clone)]
pub struct Target {
    /// PostgreSQL. May hold a password.
    pub database_url: String,
    /// History goes here; `None` for PostgreSQL.
    pub clickhouse: Option<Dsn>,
    /// Runs older than this are gone soon where they go, and are left behind.
    pub retention_days: u32,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target")
            .field("retention_days", &self.retention_days)
            .finish_non_exhaustive()
    }
}

/// How much of one kind has been copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// What people call it: `checks`, `runs`.
    pub what: &'static str,
    /// How many there are to copy.
    pub source: u64,
    /// How many have arrived.
    pub target: u64,
}

/// Why a copy was not made, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// There is nothing to copy from.
    #[error("there is no file {}", .0.display())]
    NoSource(PathBuf),
    /// A server or a worker uses the target.
    #[error("the target is in use: end its servers and workers first ({0} connections)")]
    InUse(u64),
    /// The target has been used since an earlier copy.
    #[error(
        "{0} checks have been looked at in the target since they were copied; copying again would turn them back"
    )]
    GoneOn(u64),
    /// Something is missing at the end.
    #[error("the counts differ: {}; run it again to send what is missing", told(.0))]
    Differ(Vec<Copied>),
    /// A store did not do what it was asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn told(differing: &[Copied]) -> String {
    let one = |it: &Copied| format!("{} of {} {}", it.target, it.source, it.what);
    differing.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Copies the state at `from` and the history beside it, telling how it goes, and counts at the end.
///
/// The source must be at rest; it is held while the copy lasts. History that waits there to be
/// shipped is shipped first; nothing else in it changes.
///
/// # Errors
/// See [`CopyError`]. After an error, and after any kind of end, running it again goes on.
pub async fn copy(
    from: &Path,
    target: &Target,
    progress: &(dyn Fn(Copied) + Sync),
) -> Result<Vec<Copied>, CopyError> {
    if !from.is_file() {
        return Err(CopyError::NoSource(from.to_owned()));
    }
    let copy = Copying::begin(from, target).await?;
    copy.refuse_if_gone_on().await?;
    copy.ship_what_waits().await?;
    let [early @ .., regions] = &TABLES;
    for table in early {
        copy.table(table, progress).await?;
    }
    copy.history(progress).await?;
    copy.regions(regions, progress).await?;
    let mut copied = Vec::new();
    for table in &TABLES {
        copied.push(copy.count(table).await?);
    }
    copied.push(copy.count_runs().await?);
    let differing: Vec<Copied> =
        copied.iter().filter(|it| it.source != it.target).copied().collect();
    if differing.is_empty() {
        return Ok(copied);
    }
    if differing.iter().any(|it| it.what == RUNS) {
        // What it was thought to have is not there: emptied behind our back, it is filled again.
        copy.history.forget_copies(&copy.fingerprint).await?;
    }
    Err(CopyError::Differ(differing))
}

struct Copying {
    state: Sqlite,
    history: SqliteHistory,
    postgres: Postgres,
    clickhouse: Option<ClickHouse>,
    /// Where history goes: one of the two.
    target: Box<dyn History>,
    /// Tells the target from any other.
    fingerprint: String,
    /// Older runs are left behind.
    since: Slot,
}

impl Copying {
    async fn begin(from: &Path, to: &Target) -> Result<Self, CopyError> {
        let state = Sqlite::open(from, false).await?;
        state.migrate().await?;
        let history = SqliteHistory::open(&history_beside(from), to.retention_days).await?;
        history.prepare().await?;
        let postgres = Postgres::called("pulse store copy", &to.database_url, CONNECTIONS)?;
        match postgres.processes_at_work().await? {
            0 => {}
            at_work => return Err(CopyError::InUse(at_work)),
        }
        postgres.migrate().await?;
        let days = to.retention_days;
        let clickhouse = to.clickhouse.as_ref().map(|dsn| ClickHouse::new(dsn, days));
        let (target, fingerprint): (Box<dyn History>, _) = match &clickhouse {
            Some(clickhouse) => {
                clickhouse.make_room().await?;
                (Box::new(clickhouse.clone()), clickhouse.fingerprint().await?)
            }
            None => (Box::new(postgres.history(days)), postgres.fingerprint().await?),
        };
        let since = Slot::from(chrono::Utc::now()).plus(-i64::from(days) * DAY_MS);
        Ok(Self { state, history, postgres, clickhouse, target, fingerprint, since })
    }

    async fn refuse_if_gone_on(&self) -> Result<(), CopyError> {
        let [.., regions] = &TABLES;
        let mut chunks = self.state.rows(regions).try_chunks(ROWS);
        let mut gone_on = 0;
        while let Some(rows) = chunks.try_next().await.map_err(|stopped| stopped.1)? {
            gone_on += self.postgres.gone_on(&array(&rows)).await?;
        }
        if gone_on == 0 { Ok(()) } else { Err(CopyError::GoneOn(gone_on)) }
    }

    /// As the shipper would: then all history lies in one place. Leased for no time at all, so that
    /// one that is interrupted here is found again.
    async fn ship_what_waits(&self) -> Result<(), StoreError> {
        self.state.take_back_shipments().await?;
        while let Some(shipment) = self.state.next(Slot(0), 0).await? {
            self.history.append(&shipment).await?;
            self.state.settle(shipment.id).await?;
        }
        Ok(())
    }

    async fn table(
        &self,
        table: &Table,
        progress: &(dyn Fn(Copied) + Sync),
    ) -> Result<(), StoreError> {
        let mut so_far =
            Copied { what: table.rows, source: self.state.count(table).await?, target: 0 };
        progress(so_far);
        let mut chunks = self.state.rows(table).try_chunks(ROWS);
        while let Some(rows) = chunks.try_next().await.map_err(|stopped| stopped.1)? {
            self.postgres.put(table, &array(&rows)).await?;
            so_far.target += rows.len() as u64;
            progress(so_far);
        }
        Ok(())
    }

    /// Regions come last, and what an edit has removed since an earlier copy goes: it would be due
    /// in the target for ever.
    async fn regions(
        &self,
        table: &Table,
        progress: &(dyn Fn(Copied) + Sync),
    ) -> Result<(), StoreError> {
        let all: Vec<String> = self.state.rows(table).try_collect().await?;
        self.postgres.keep_regions(&array(&all)).await?;
        self.table(table, progress).await
    }

    async fn count(&self, table: &Table) -> Result<Copied, StoreError> {
        let mut copied =
            Copied { what: table.rows, source: self.state.count(table).await?, target: 0 };
        let mut chunks = self.state.rows(table).try_chunks(ROWS);
        while let Some(rows) = chunks.try_next().await.map_err(|stopped| stopped.1)? {
            copied.target += self.postgres.count_of(table, &array(&rows)).await?;
        }
        Ok(copied)
    }
}

fn array(rows: &[String]) -> String {
    format!("[{}]", rows.join(","))
}
