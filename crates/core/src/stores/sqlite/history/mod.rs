//! History in SQLite, in a file of its own, for installations of one process.
//!
//! A run takes some fifty bytes: project, check and region are told once (`series`), and what is usual
//! takes no room. Sums by minute, hour and day carry a histogram of latencies, so that percentiles of
//! any span add up. A shipment arrives in one transaction, once; forgetting goes in small steps, so
//! that no shipment waits long.

mod append;
mod copying;
mod read;
mod retention;
mod sums;
#[cfg(test)]
mod tests;

use std::path::Path;

use async_trait::async_trait;
use serde::Serialize;

use super::database::{Database, Kind, Tx};
use super::{STORE, error, unreadable};
use crate::models::run::Run;
use crate::models::schedule::Slot;
use crate::ports::history::{History, Metrics, MetricsOf, RunsOf, Shipment};
use crate::ports::{Page, StoreError, StoreResult};

/// `PulH`.
pub(super) static HISTORY: Kind =
    Kind { mark: 0x5075_6c48, migrations: sqlx::migrate!("../../migrations/sqlite_history") };

/// See the module. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SqliteHistory {
    database: Database,
    retention_days: u32,
}

impl SqliteHistory {
    /// Opens or makes the file at `path`, and the folder it lies in; runs are kept for
    /// `retention_days`. Nobody else has the file while it is open, so it is prepared at once.
    ///
    /// # Errors
    /// A sentence for the person who started this process, when the file cannot be used.
    pub async fn open(path: &Path, retention_days: u32) -> StoreResult<Self> {
        let database = Database::open(path, &HISTORY).await?;
        database.migrate().await?;
        Ok(Self { database, retention_days })
    }
}

#[async_trait]
impl History for SqliteHistory {
    async fn prepare(&self) -> StoreResult<()> {
        self.database.migrate().await
    }

    async fn append(&self, shipment: &Shipment) -> StoreResult<()> {
        let mut tx = self.database.begin().await?;
        if append::arrive(&mut tx, shipment.id).await? {
            append::append(&mut tx, &shipment.rows).await?;
        }
        tx.commit().await.map_err(error)
    }

    async fn runs(&self, of: RunsOf, page: Page<(Slot, String)>) -> StoreResult<Vec<Run>> {
        read::runs(&self.database, of, page).await
    }

    async fn metrics(&self, of: MetricsOf) -> StoreResult<Metrics> {
        read::metrics(&self.database, of).await
    }

    async fn close(&self) {
        self.database.close().await;
    }

    async fn retain(&self, now: Slot) -> StoreResult<()> {
        retention::retain(&self.database, now, self.retention_days).await
    }
}

/// A list on its way into a statement.
fn json(list: &impl Serialize) -> StoreResult<String> {
    serde_json::to_string(list)
        .map_err(|source| StoreError::Refused { store: STORE, source: source.into() })
}

/// Bytes on their way into a statement, for `unhex`.
fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value & 0xf)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}
