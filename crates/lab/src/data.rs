//! The files of one that plays alone: how large they are, and whether they are whole.
//!
//! They are judged in a copy. Whoever opens a database after a crash recovers it and may empty its
//! write-ahead log; that is Pulse's to do, and the lab's to see.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};

/// State, and history beside it.
const DATABASES: [&str; 2] = ["pulse.db", "pulse-history.db"];

/// A database and what belongs to it after a crash. The index of the write-ahead log (`-shm`) is
/// made anew by whoever opens it first.
const PARTS: [&str; 3] = ["", "-wal", "-journal"];

/// How many databases there are.
pub const COUNT: usize = DATABASES.len();

/// The bytes of a database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Of the database itself.
    pub database: u64,
    /// Of what waits in its write-ahead log.
    pub log: u64,
}

/// How large state and history are.
pub fn sizes(folder: &Path) -> io::Result<[Size; COUNT]> {
    let mut sizes = [Size::default(); COUNT];
    for (database, found) in DATABASES.iter().zip(&mut sizes) {
        found.database = size(&folder.join(database))?;
        found.log = size(&folder.join(format!("{database}-wal")))?;
    }
    Ok(sizes)
}

fn size(file: &Path) -> io::Result<u64> {
    match fs::metadata(file) {
        Ok(found) => Ok(found.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

/// What is wrong with the files of a process that does not run, at most one fault a database.
pub async fn faults(folder: &Path) -> anyhow::Result<Vec<String>> {
    let copy = tempfile::Builder::new().prefix("pulse-lab-").tempdir().context("a directory")?;
    let mut faults = Vec::new();
    for database in DATABASES {
        for part in PARTS {
            let name = format!("{database}{part}");
            match tokio::fs::copy(folder.join(&name), copy.path().join(&name)).await {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("copying {name}"));
                }
                _ => {}
            }
        }
        // A database that cannot be read at all is a finding, not a failure of the lab.
        let judged = judge(&copy.path().join(database)).await;
        let fault = judged.unwrap_or_else(|error| Some(error.to_string()));
        faults.extend(fault.map(|fault| format!("{database}: {fault}")));
    }
    Ok(faults)
}

async fn judge(database: &Path) -> sqlx::Result<Option<String>> {
    // Foreign keys are off, so that this connection would see what nobody enforces.
    let options = SqliteConnectOptions::new().filename(database).foreign_keys(false);
    let mut connection = options.connect().await?;
    let fault = fault(&mut connection).await;
    connection.close().await?;
    fault
}

async fn fault(connection: &mut SqliteConnection) -> sqlx::Result<Option<String>> {
    let integrity: Vec<String> =
        sqlx::query_scalar("PRAGMA integrity_check").fetch_all(&mut *connection).await?;
    if integrity != ["ok"] {
        return Ok(Some(integrity.join("; ")));
    }
    let orphans = sqlx::query("PRAGMA foreign_key_check").fetch_all(&mut *connection).await?;
    if !orphans.is_empty() {
        return Ok(Some(format!("{} rows refer to nothing", orphans.len())));
    }
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(connection).await?;
    Ok((tables == 0).then(|| "it holds nothing".to_owned()))
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::SqliteJournalMode;

    use super::*;

    /// Both databases with a row each, the last of them only in the write-ahead log.
    async fn in_use(folder: &Path) -> Vec<SqliteConnection> {
        let mut open = Vec::new();
        for database in DATABASES {
            let options = SqliteConnectOptions::new()
                .filename(folder.join(database))
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .foreign_keys(false);
            let mut connection = options.connect().await.unwrap();
            for statement in [
                "CREATE TABLE parent (id INTEGER PRIMARY KEY, bulk BLOB)",
                "CREATE TABLE child (parent INTEGER REFERENCES parent (id))",
                "INSERT INTO parent VALUES (1, randomblob(100000))",
                "PRAGMA wal_checkpoint",
                "INSERT INTO child VALUES (1)",
            ] {
                sqlx::query(statement).execute(&mut connection).await.unwrap();
            }
            open.push(connection);
        }
        open
    }

    #[tokio::test]
    async fn files_left_in_mid_use_are_whole_and_stay_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let _open = in_use(folder.path()).await;
        let before = sizes(folder.path()).unwrap();

        let faults = faults(folder.path()).await.unwrap();

        assert_eq!(faults, Vec::<String>::new());
        assert_eq!(sizes(folder.path()).unwrap(), before);
        assert!(before.iter().all(|it| it.database > 100_000 && it.log > 0), "{before:?}");
    }

    #[tokio::test]
    async fn a_torn_page_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        for connection in in_use(folder.path()).await {
            connection.close().await.unwrap();
        }
        let file = folder.path().join(DATABASES[1]);
        let mut torn = fs::read(&file).unwrap();
        torn[4096..8192].fill(0xa5);
        fs::write(&file, torn).unwrap();

        let faults = faults(folder.path()).await.unwrap();

        assert_eq!(faults.len(), 1);
        assert!(faults[0].starts_with("pulse-history.db"), "{faults:?}");
    }

    #[tokio::test]
    async fn a_row_that_refers_to_nothing_is_seen_in_the_log_too() {
        let folder = tempfile::tempdir().unwrap();
        let mut open = in_use(folder.path()).await;
        sqlx::query("INSERT INTO child VALUES (7)").execute(&mut open[0]).await.unwrap();

        let faults = faults(folder.path()).await.unwrap();

        assert_eq!(faults, ["pulse.db: 1 rows refer to nothing"]);
    }

    #[tokio::test]
    async fn files_that_are_not_there_are_a_fault() {
        let folder = tempfile::tempdir().unwrap();

        assert_eq!(faults(folder.path()).await.unwrap().len(), COUNT);
    }
}
