//! One SQLite file: one writer, several readers, nobody else's.
//!
//! A commit is on the disk when it is told (`synchronous=FULL`). Writers begin with
//! `BEGIN IMMEDIATE`, because a transaction that becomes a writer half-way fails at once where one
//! that says so at the beginning waits its turn. SQLite's own file locks would let a second process
//! in; a lock file beside the database keeps it out.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool,
    SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, Connection as _};

use super::{STORE, error};
use crate::ports::{StoreError, StoreResult};
use crate::stores::events::Noted;

/// A transaction. Dropped without [`Self::commit`], nothing has happened.
#[derive(Debug)]
pub(super) struct Tx {
    inner: sqlx::Transaction<'static, sqlx::Sqlite>,
    /// What is told once it is committed.
    pub noted: Noted,
}

impl Tx {
    pub(super) async fn commit(mut self) -> sqlx::Result<()> {
        let committed = self.inner.commit().await;
        self.noted.settle(committed.is_ok());
        committed
    }

    pub(super) async fn roll_back(self) {
        // It fails only where there is no transaction any more: SQLite itself has given it up.
        let _gone = self.inner.rollback().await;
    }
}

impl Deref for Tx {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.inner
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.inner
    }
}

/// What a file is for: the schema it gets, and a number in its header that says so
/// (`PRAGMA application_id`).
#[derive(Debug)]
pub(super) struct Kind {
    /// Its mark: four letters, `Puls` or `PulH`.
    pub mark: i32,
    /// Its schema.
    pub migrations: Migrator,
}

const READERS: u32 = 4;
const PATIENCE: Duration = Duration::from_secs(5);

/// See the module. Cheap to clone.
#[derive(Clone)]
pub(super) struct Database {
    writer: SqlitePool,
    readers: SqlitePool,
    polls: SqlitePool,
    kind: &'static Kind,
    _lock: Arc<File>,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

impl Database {
    /// Opens or makes the file at `path`, and the folder it lies in.
    ///
    /// # Errors
    /// A sentence for the person who started this process: the folder cannot be written, another
    /// process has the file, it is no database, not one of Pulse's, or a newer version's. Nothing has
    /// been changed then.
    pub(super) async fn open(path: &Path, kind: &'static Kind) -> StoreResult<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder {
            fs::create_dir_all(folder).map_err(|source| {
                StoreError::Unusable(format!(
                    "the folder {} cannot be made: {source}",
                    folder.display()
                ))
            })?;
        }
        let lock = lock(path)?;
        examine(path, kind).await?;
        let options = options(path)
            .create_if_missing(true)
            // Must be said before the first page is written; pages go back when somebody asks for it.
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true);
        let pool = || SqlitePoolOptions::new().acquire_timeout(PATIENCE).max_lifetime(None);
        // The writer is opened now, so that what is wrong with the disk is known now.
        let writer = pool()
            .max_connections(1)
            .idle_timeout(None)
            // SQLite itself gives a transaction up when the disk is full or broken. The driver then
            // still counts it, and would begin no other on this connection.
            .before_acquire(|writer, _| Box::pin(async { Ok(!writer.is_in_transaction()) }))
            .connect_with(options.clone());
        let writer = writer.await.map_err(|source| told(path, &source))?;
        let reading = options.pragma("query_only", "ON");
        let readers = |most| {
            let readers = pool().max_connections(most).idle_timeout(Duration::from_mins(1));
            readers.connect_lazy_with(reading.clone())
        };
        let (readers, polls) = (readers(READERS), readers(1));
        Ok(Self { writer, readers, polls, kind, _lock: Arc::new(lock) })
    }

    /// For statements that change nothing; they see what was committed last.
    pub(super) const fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// For the short questions that loops ask again and again, so that no list of the API's makes
    /// them wait.
    pub(super) const fn polls(&self) -> &SqlitePool {
        &self.polls
    }

    /// For single statements that change something.
    pub(super) const fn writer(&self) -> &SqlitePool {
        &self.writer
    }

    /// The one transaction that may write.
    pub(super) async fn begin(&self) -> StoreResult<Tx> {
        let inner = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(error)?;
        Ok(Tx { inner, noted: Noted::default() })
    }

    pub(super) async fn migrate(&self) -> StoreResult<()> {
        let mark = format!("PRAGMA application_id = {}", self.kind.mark);
        sqlx::query(AssertSqlSafe(mark)).execute(&self.writer).await.map_err(error)?;
        self.kind.migrations.run(&self.writer).await.map_err(|source| match source {
            sqlx::migrate::MigrateError::Execute(source) => error(source),
            source => StoreError::Refused { store: STORE, source: source.into() },
        })
    }

    pub(super) async fn is_migrated(&self) -> StoreResult<bool> {
        let version = version(&mut *self.readers.acquire().await.map_err(error)?).await;
        Ok(version.map_err(error)? >= newest(&self.kind.migrations))
    }

    /// The last to let go empties the write-ahead log into the database and removes it.
    pub(super) async fn close(&self) {
        self.polls.close().await;
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Empties the write-ahead log into the database, so that it does not keep the size of the
    /// busiest hour. Where somebody reads just then it is left for the next time: the writer waits
    /// for no reader.
    pub(super) async fn checkpoint(&self) -> StoreResult<()> {
        let mut writer = self.writer.acquire().await.map_err(error)?;
        let patience = format!("PRAGMA busy_timeout = {}", PATIENCE.as_millis());
        sqlx::query("PRAGMA busy_timeout = 0").execute(&mut *writer).await.map_err(error)?;
        let done = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut *writer).await;
        sqlx::query(AssertSqlSafe(patience)).execute(&mut *writer).await.map_err(error)?;
        done.map(drop).map_err(error)
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).busy_timeout(PATIENCE)
}

/// Held until this process ends, however it ends.
fn lock(path: &Path) -> StoreResult<File> {
    let at = lock_path(path);
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&at);
    let mut file = opened.map_err(|source| {
        StoreError::Unusable(format!("{} cannot be written: {source}", at.display()))
    })?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _unknown = file.read_to_string(&mut holder);
            return Err(StoreError::Unusable(format!(
                "another process (pid {}) has {}; end it first, or choose another folder with PULSE_DATA",
                holder.trim(),
                path.display(),
            )));
        }
        Err(TryLockError::Error(source)) => {
            return Err(StoreError::Unusable(format!(
                "{} cannot be locked: {source}",
                at.display()
            )));
        }
    }
    // Only to tell a second process whom it waits for; the lock itself is the system's.
    let told = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    told.map_err(|source| {
        StoreError::Unusable(format!("{} cannot be written: {source}", at.display()))
    })?;
    Ok(file)
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

/// Looks at a file that is there already, before anything is changed in it.
async fn examine(path: &Path, kind: &Kind) -> StoreResult<()> {
    let found = found_in(path, kind).await?;
    if !is_sound(&found.library) {
        return Err(StoreError::Unusable(format!(
            "SQLite {} can corrupt a database in WAL mode; 3.51.3 or newer is needed",
            found.library
        )));
    }
    Ok(())
}

/// The database at `path`, and an empty one when nothing is there.
pub(super) async fn opened(path: &Path) -> StoreResult<SqliteConnection> {
    match fs::metadata(path) {
        Ok(found) if found.len() > 0 => SqliteConnection::connect_with(&options(path)).await,
        _ => SqliteConnection::connect("sqlite::memory:").await,
    }
    .map_err(|source| told(path, &source))
}

/// What lies at `path`; an empty database when nothing does.
///
/// # Errors
/// When it is no database, not one of Pulse's for this use, or a newer version's.
pub(super) async fn found_in(path: &Path, kind: &Kind) -> StoreResult<Found> {
    let mut connection = opened(path).await?;
    let found = look(&mut connection).await.map_err(|source| told(path, &source))?;
    connection.close().await.map_err(|source| told(path, &source))?;
    if found.tables > 0 && found.application_id != kind.mark {
        return Err(StoreError::Unusable(format!(
            "{} is a database, but not one of Pulse's for this use",
            path.display()
        )));
    }
    let known = newest(&kind.migrations);
    if found.version > known {
        return Err(StoreError::Unusable(format!(
            "{} was written by a newer version of Pulse (schema {}, this one knows {known}); nothing was changed",
            path.display(),
            found.version,
        )));
    }
    Ok(found)
}

/// The process that has the database at `path`, if one has.
pub(super) fn holder(path: &Path) -> Option<String> {
    let mut file = File::open(lock_path(path)).ok()?;
    let Err(TryLockError::WouldBlock) = file.try_lock_shared() else { return None };
    let mut holder = String::new();
    file.read_to_string(&mut holder).ok()?;
    Some(holder.trim().to_owned())
}

/// What was found in a file.
pub(super) struct Found {
    /// The version of SQLite itself.
    pub library: String,
    application_id: i32,
    tables: i64,
    /// The newest migration that was run; 0 when none was.
    pub version: i64,
}

async fn look(connection: &mut SqliteConnection) -> sqlx::Result<Found> {
    let library = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&mut *connection).await?;
    let application_id =
        sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *connection).await?;
    let tables = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema")
        .fetch_one(&mut *connection)
        .await?;
    Ok(Found { library, application_id, tables, version: version(connection).await? })
}

/// The newest migration that was run; 0 when none was.
async fn version(connection: &mut SqliteConnection) -> sqlx::Result<i64> {
    let table: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'")
            .fetch_one(&mut *connection)
            .await?;
    if table == 0 {
        return Ok(0);
    }
    sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success")
        .fetch_one(connection)
        .await
}

fn newest(migrations: &Migrator) -> i64 {
    migrations.iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// Whether this SQLite is free of the bug that lets a WAL reset corrupt the database, which 3.51.3
/// mended (sqlite.org/wal.html). Older branches with the mend lack `jsonb_each`.
fn is_sound(library: &str) -> bool {
    let mut parts = library.split('.').map(|part| part.parse::<u32>().unwrap_or_default());
    let mut next = || parts.next().unwrap_or_default();
    (next(), next(), next()) >= (3, 51, 3)
}

/// What the driver said while opening, with the file it said it of.
fn told(path: &Path, source: &sqlx::Error) -> StoreError {
    let said =
        source.as_database_error().map_or_else(|| source.to_string(), |it| it.message().into());
    StoreError::Unusable(format!("{} cannot be opened: {said}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    static NONE: Kind = Kind { mark: 1, migrations: Migrator::DEFAULT };

    #[tokio::test]
    async fn a_transaction_that_sqlite_itself_gave_up_does_not_stay_in_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("it.db"), &NONE).await.unwrap();
        sqlx::query("CREATE TABLE bulk (it BLOB)").execute(database.writer()).await.unwrap();
        let mut tx = database.begin().await.unwrap();

        // As on a full disk.
        sqlx::query("PRAGMA max_page_count = 10").execute(&mut *tx).await.unwrap();
        let full =
            sqlx::query("INSERT INTO bulk VALUES (zeroblob(1000000))").execute(&mut *tx).await;
        assert!(matches!(error(full.unwrap_err()), StoreError::Unavailable { .. }));
        drop(tx);

        let mut tx = database.begin().await.unwrap();
        sqlx::query("INSERT INTO bulk VALUES (x'01')").execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
    }

    #[test]
    fn only_versions_without_the_wal_bug_are_sound() {
        for sound in ["3.51.3", "3.51.10", "3.52.0", "4.0.0"] {
            assert!(is_sound(sound), "{sound}");
        }
        for unsound in ["3.51.2", "3.50.7", "3.49.9", "3.40.1", ""] {
            assert!(!is_sound(unsound), "{unsound}");
        }
    }
}
