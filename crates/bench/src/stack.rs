//! What Pulse stands on: a file, or three servers. How each is filled, emptied, weighed and counted.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use pulse_core::models::schedule::Slot;
use pulse_core::runtime::config::{Config, Shape};
use pulse_core::stores::Stores;
use serde::Serialize;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};

use crate::hits::Window;
use crate::seeded::{First, Seeded};
use crate::servers::Servers;

/// See the module.
#[derive(Clone)]
pub enum Stack {
    /// One process on files in this folder.
    Alone(PathBuf),
    /// A server and a worker on three stores.
    Scaled(Servers),
}

/// A store's process, to be watched.
#[derive(Clone, Debug)]
pub struct StoreProcess {
    /// Its name.
    pub name: &'static str,
    /// Its id; the first of its family.
    pub pid: u32,
}

/// Bytes that a store has.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Sizes(pub Vec<(&'static str, f64)>);

impl Stack {
    /// What shapes are called on it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Alone(_) => "sqlite",
            Self::Scaled(_) => "stores",
        }
    }

    /// What its processes are.
    #[must_use]
    pub const fn processes(&self) -> &'static [&'static str] {
        match self {
            Self::Alone(_) => &["pulse"],
            // In this order: what the server brings, the worker waits for.
            Self::Scaled(_) => &["server", "worker"],
        }
    }

    /// What its processes are told about stores.
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Alone(folder) => vec![("PULSE_DATA", folder.display().to_string())],
            Self::Scaled(servers) => vec![
                ("DATABASE_URL", servers.database.clone()),
                ("REDIS_URL", servers.redis.clone()),
                ("CLICKHOUSE_DSN", servers.clickhouse.clone()),
            ],
        }
    }

    /// Every port, on these stores.
    pub async fn connect(&self) -> anyhow::Result<Stores> {
        let settings: HashMap<_, _> = self.settings().into_iter().collect();
        let shape = match self {
            Self::Alone(_) => Shape::Whole,
            Self::Scaled(_) => Shape::Half,
        };
        let config = Config::read(shape, |name| settings.get(name).cloned())?;
        Ok(Stores::connect(&config, "bench").await?)
    }

    /// Makes everything anew, and fills in these checks.
    pub async fn fill(&self, checks: &Seeded, first: First) -> anyhow::Result<()> {
        self.empty().await?;
        match self {
            Self::Alone(folder) => {
                let now = Slot::from(chrono::Utc::now());
                checks.fill_sqlite(&folder.join("pulse.db"), first, now).await
            }
            Self::Scaled(servers) => checks.fill_postgres(&servers.database, first).await,
        }
    }

    /// The schema, and nothing in it.
    pub async fn empty(&self) -> anyhow::Result<()> {
        if let Self::Alone(folder) = self {
            if folder.exists() {
                fs::remove_dir_all(folder)?;
            }
            fs::create_dir_all(folder)?;
        }
        let stores = self.connect().await?;
        stores.upkeep.migrate().await?;
        stores.history.prepare().await?;
        stores.history.close().await;
        stores.upkeep.close().await;
        if let Self::Scaled(servers) = self {
            servers.empty().await?;
        }
        Ok(())
    }

    /// Ends what was claimed, as recording it would: rows are let go of, and nothing else happens.
    pub async fn settle_claims(&self) -> anyhow::Result<()> {
        const SETTLE: &str = "UPDATE check_regions SET last_slot = out_slot, out_slot = NULL, \
            out_until = NULL WHERE out_slot IS NOT NULL";
        match self {
            Self::Alone(folder) => {
                let path = folder.join("pulse.db");
                let mut db = SqliteConnectOptions::new().filename(path).connect().await?;
                sqlx::query(SETTLE).execute(&mut db).await?;
                Ok(db.close().await?)
            }
            Self::Scaled(servers) => {
                let mut db = PgConnection::connect(&servers.database).await?;
                sqlx::query(SETTLE).execute(&mut db).await?;
                Ok(db.close().await?)
            }
        }
    }

    /// Drops the jobs that wait on a server. Those within a process end with it.
    pub async fn drop_jobs(&self) -> anyhow::Result<()> {
        if let Self::Scaled(servers) = self {
            servers.forget_jobs().await?;
        }
        Ok(())
    }

    /// Runs of slots in a window that history has as `ok`. To be asked when no process uses the files.
    pub async fn recorded(&self, window: Window) -> anyhow::Result<usize> {
        match self {
            Self::Alone(folder) => {
                let path = folder.join("pulse-history.db");
                let mut db = SqliteConnectOptions::new().filename(path).connect().await?;
                let count: i64 = sqlx::query_scalar(
                    "SELECT count(*) FROM runs WHERE slot >= ?1 AND slot < ?2 AND outcome IS NULL",
                )
                .bind(window.from_ms)
                .bind(window.until_ms)
                .fetch_one(&mut db)
                .await?;
                db.close().await?;
                Ok(usize::try_from(count)?)
            }
            Self::Scaled(servers) => {
                let sql = format!(
                    "SELECT count() FROM check_results FINAL WHERE outcome = 'ok' \
                     AND toUnixTimestamp64Milli(slot) >= {} AND toUnixTimestamp64Milli(slot) < {}",
                    window.from_ms, window.until_ms
                );
                Ok(servers.clickhouse(&sql).await?.trim().parse()?)
            }
        }
    }

    /// What the stores hold, in bytes.
    pub async fn sizes(&self) -> anyhow::Result<Sizes> {
        match self {
            Self::Alone(folder) => {
                let size = |name: &str| -> f64 {
                    fs::metadata(folder.join(name)).map_or(0.0, |found| bytes(found.len()))
                };
                let [runs, sums, free] = parts_of(&folder.join("pulse-history.db")).await?;
                Ok(Sizes(vec![
                    ("sqlite history", size("pulse-history.db")),
                    ("sqlite state", size("pulse.db")),
                    ("sqlite runs", runs),
                    ("sqlite sums", sums),
                    ("sqlite free pages", free),
                ]))
            }
            Self::Scaled(servers) => servers.sizes().await,
        }
    }

    /// The processes of its stores, as far as they can be seen.
    pub fn store_processes(&self) -> anyhow::Result<Vec<StoreProcess>> {
        match self {
            Self::Alone(_) => Ok(Vec::new()),
            Self::Scaled(servers) => servers.processes(),
        }
    }
}

/// Bytes of runs, of sums, and of pages that nothing uses, in a history that no process uses.
async fn parts_of(history: &Path) -> anyhow::Result<[f64; 3]> {
    if !history.exists() {
        return Ok([0.0; 3]);
    }
    let mut db = SqliteConnectOptions::new().filename(history).connect().await?;
    let parts: (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT coalesce(sum(pgsize), 0) FROM dbstat('main', 1) WHERE name = 'runs'),
                (SELECT coalesce(sum(pgsize), 0) FROM dbstat('main', 1) WHERE name = 'run_metrics'),
                (SELECT freelist_count FROM pragma_freelist_count)
                    * (SELECT page_size FROM pragma_page_size)",
    )
    .fetch_one(&mut db)
    .await?;
    db.close().await?;
    Ok([parts.0, parts.1, parts.2].map(number))
}

#[expect(clippy::cast_precision_loss, reason = "sizes of a benchmark stay far below 2^52")]
fn bytes(count: u64) -> f64 {
    count as f64
}

/// A size as it is told.
pub(crate) fn number(count: i64) -> f64 {
    bytes(u64::try_from(count).unwrap_or_default())
}

impl Sizes {
    /// The size of that name; 0 when there is none.
    #[must_use]
    pub fn of(&self, name: &str) -> f64 {
        self.0.iter().find(|(it, _)| *it == name).map_or(0.0, |(_, size)| *size)
    }
}

/// Where the files of a process alone lie, within the benchmark's folder.
#[must_use]
pub fn folder_within(folder: &Path) -> PathBuf {
    folder.join("data")
}
