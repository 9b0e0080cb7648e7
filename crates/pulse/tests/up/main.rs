//! `pulse up` where it cannot begin: a sentence on standard error, an exit code, nothing damaged; and
//! where it has begun, but the disk is full. Where secrets go, and do not go. And a job that is waited for.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod changes;
mod full_disk;
mod heartbeats;
mod process;
mod secrets;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use process::{Pulse, refused};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tempfile::TempDir;

/// It could not begin.
const FAILED: i32 = 3;
/// Wrong settings.
const WRONG: i32 = 2;

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_told() {
    let scratch = TempDir::new().unwrap();
    let file = scratch.path().join("file");
    fs::write(&file, "kept").unwrap();

    let refusal = refused(&[("PULSE_DATA", &shown(&file.join("data")))]).await;

    refusal.says(FAILED, &[&shown(&file.join("data")), "cannot be made"]);
    assert_eq!(fs::read(&file).unwrap(), b"kept");
}

/// Permissions do not bind root, but in these folders the kernel lets nobody make a file.
#[tokio::test]
async fn a_folder_that_cannot_be_written_is_told() {
    for folder in ["/proc", "/sys"] {
        let refusal = refused(&[("PULSE_DATA", folder)]).await;

        refusal.says(FAILED, &[folder, "cannot be written"]);
    }
}

#[tokio::test]
async fn a_folder_in_the_place_of_the_file_is_told() {
    let data = TempDir::new().unwrap();
    fs::create_dir(state(&data)).unwrap();

    let refusal = refused(&[("PULSE_DATA", &shown(data.path()))]).await;

    refusal.says(FAILED, &[&shown(&state(&data)), "cannot be opened"]);
    assert_eq!(fs::read_dir(state(&data)).unwrap().count(), 0);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_told_and_left_alone() {
    for content in ["no", "not a database at all\n", &"long and not a database\n".repeat(1000)] {
        let data = TempDir::new().unwrap();
        fs::write(state(&data), content).unwrap();

        let refusal = refused(&[("PULSE_DATA", &shown(data.path()))]).await;

        refusal.says(FAILED, &[&shown(&state(&data)), "file is not a database"]);
        assert_eq!(fs::read(state(&data)).unwrap(), content.as_bytes());
    }
}

#[tokio::test]
async fn a_database_that_was_cut_short_is_told_and_left_alone() {
    let data = lived_in().await;
    let whole = fs::read(state(&data)).unwrap();
    fs::write(state(&data), &whole[..whole.len() / 2]).unwrap();
    let before = Files::of(data.path(), "");

    let refusal = refused(&[("PULSE_DATA", &shown(data.path()))]).await;

    refusal.says(FAILED, &[&shown(&state(&data)), "malformed"]);
    assert_untouched(data.path(), &before);
}

#[tokio::test]
async fn the_database_of_somebody_else_is_told_and_left_alone() {
    for journal in [SqliteJournalMode::Delete, SqliteJournalMode::Wal] {
        let data = TempDir::new().unwrap();
        // Still open, so that what was written last is in the write-ahead log alone.
        let owner = a_strangers_database(&state(&data), journal).await;
        let before = Files::of(data.path(), "");

        let refusal = refused(&[("PULSE_DATA", &shown(data.path()))]).await;

        refusal.says(FAILED, &[&shown(&state(&data)), "not one of Pulse's"]);
        assert_untouched(data.path(), &before);
        owner.close().await.unwrap();
    }
}

#[tokio::test]
async fn databases_of_a_newer_version_are_told_and_left_alone() {
    for name in ["pulse.db", "pulse-history.db"] {
        let data = lived_in().await;
        let file = data.path().join(name);
        raise_version(&file).await;
        let before = Files::of(data.path(), name);

        let refusal = refused(&[("PULSE_DATA", &shown(data.path()))]).await;

        refusal.says(FAILED, &[&shown(&file), "newer version of Pulse", "nothing was changed"]);
        assert_eq!(Files::of(data.path(), name).unlike(&before), []);
    }
}

/// As a crash leaves it: its owner is gone, and what it holds is in the write-ahead log alone. Whoever
/// looks into it may empty the log, as `SQLite` does, but nothing more.
#[tokio::test]
async fn the_database_of_somebody_who_crashed_still_holds_what_it_held() {
    let (data, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let owner = a_strangers_database(&state(&elsewhere), SqliteJournalMode::Wal).await;
    for name in ["pulse.db", "pulse.db-wal"] {
        fs::copy(elsewhere.path().join(name), data.path().join(name)).unwrap();
    }
    owner.close().await.unwrap();

    let refusal = refused(&[("PULSE_DATA", &shown(data.path()))]).await;

    refusal.says(FAILED, &["not one of Pulse's"]);
    let mut left = open(&state(&data)).await;
    let names = sqlx::query_scalar("SELECT name FROM recipes").fetch_all(&mut left).await;
    let tables = sqlx::query_scalar("SELECT name FROM sqlite_schema").fetch_all(&mut left).await;
    left.close().await.unwrap();
    assert_eq!(
        (names.unwrap(), tables.unwrap()),
        (vec!["soup".to_owned()], vec!["recipes".to_owned()])
    );
}

#[tokio::test]
async fn a_second_process_is_refused_and_the_first_goes_on() {
    let data = TempDir::new().unwrap();
    let first = Pulse::start(data.path()).await;
    let known = first.create("before").await;

    let refusal = refused(&[("PULSE_DATA", &shown(data.path()))]).await;

    let pid = format!("(pid {})", first.pid());
    refusal.says(FAILED, &["another process", &pid, &shown(&state(&data)), "PULSE_DATA"]);
    let added = first.create("after").await;
    assert_eq!(first.checks().await, [added, known]);
}

#[tokio::test]
async fn a_port_that_is_taken_is_told() {
    let data = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();

    let port = address.port().to_string();
    let refusal = refused(&[("PULSE_DATA", &shown(data.path())), ("PORT", &port)]).await;

    refusal.says(FAILED, &["cannot listen on", &address.to_string()]);
}

#[tokio::test]
async fn all_wrong_settings_are_told_at_once_and_no_value_is_repeated() {
    let data = TempDir::new().unwrap();
    let wrong = [
        ("DATABASE_URL", "mysql://user:hush@host/pulse"),
        ("HISTORY_RETENTION_DAYS", "0"),
        ("HOST", "nowhere-to-be-found"),
        ("LOG_FORMAT", "yaml"),
        ("LOG_LEVEL", "a=b=c"),
        ("PORT", "65536"),
        ("PROBE_RUN_HEADER", "perhaps"),
        ("REDIS_URL", "http://:hush@host"),
        ("SCHEDULER_TICK_MS", "-1"),
    ];

    let mut settings = wrong.to_vec();
    let folder = shown(&data.path().join("data"));
    settings.push(("PULSE_DATA", &folder));
    let refusal = refused(&settings).await;

    assert_eq!(refusal.code, Some(WRONG), "{}", refusal.told);
    for (name, value) in wrong {
        let lines = refusal.told.lines().filter(|line| line.trim_start().starts_with(name));
        assert_eq!(lines.count(), 1, "{name} in {}", refusal.told);
        assert!(value.len() < 3 || !refusal.told.contains(value), "{value} in {}", refusal.told);
    }
    assert!(!refusal.told.contains("hush"));
    assert!(!Path::new(&folder).exists());
}

/// A pipe whose reader has gone, a log on a full disk: no reason to stop watching.
#[tokio::test]
async fn what_it_prints_may_be_lost() {
    let data = TempDir::new().unwrap();
    let mut pulse = Pulse::unheard(data.path()).await;

    pulse.create("a").await;

    assert_eq!(pulse.interrupt().await, Some(0));
}

fn state(folder: &TempDir) -> PathBuf {
    folder.path().join("pulse.db")
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// The folder of a process that made a check and ended; nothing waits in write-ahead logs.
async fn lived_in() -> TempDir {
    let data = TempDir::new().unwrap();
    let mut pulse = Pulse::start(data.path()).await;
    pulse.create("a").await;
    assert_eq!(pulse.interrupt().await, Some(0));
    for name in ["pulse.db", "pulse-history.db"] {
        let mut connection = open(&data.path().join(name)).await;
        let emptied = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)");
        emptied.execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
    data
}

async fn open(file: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(file).connect().await.unwrap()
}

/// Files with their bytes, but for those that hold no data: locks, the index of a write-ahead log, a
/// log that is empty.
struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    /// Those of a folder whose names begin so.
    fn of(folder: &Path, beginning: &str) -> Self {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        let files = entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.path()));
        let files = files.filter(|(name, _)| name.starts_with(beginning) && !is_no_data(name));
        let files = files.map(|(name, path)| (name, fs::read(path).unwrap()));
        Self(files.filter(|(name, bytes)| !(bytes.is_empty() && is_log(name))).collect())
    }

    /// The names of those that have come, gone or changed, with their sizes before and after.
    fn unlike<'a>(&'a self, before: &'a Self) -> Vec<(&'a str, Option<usize>, Option<usize>)> {
        let names: BTreeSet<_> = self.0.keys().chain(before.0.keys()).collect();
        let unlike = names.into_iter().filter(|name| self.0.get(*name) != before.0.get(*name));
        let size = |files: &Self, name| files.0.get(name).map(Vec::len);
        unlike.map(|name| (name.as_str(), size(before, name), size(self, name))).collect()
    }
}

fn is_no_data(name: &str) -> bool {
    ["lock", "db-shm"].iter().any(|kind| Path::new(name).extension() == Some(kind.as_ref()))
}

fn is_log(name: &str) -> bool {
    Path::new(name).extension() == Some("db-wal".as_ref())
}

fn assert_untouched(folder: &Path, before: &Files) {
    assert_eq!(Files::of(folder, "").unlike(before), [], "files that are not as they were");
}

async fn a_strangers_database(file: &Path, journal: SqliteJournalMode) -> SqliteConnection {
    let options =
        SqliteConnectOptions::new().filename(file).create_if_missing(true).journal_mode(journal);
    let mut connection = options.connect().await.unwrap();
    for statement in ["CREATE TABLE recipes (name TEXT)", "INSERT INTO recipes VALUES ('soup')"] {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
    connection
}

async fn raise_version(file: &Path) {
    let mut connection = open(file).await;
    let raised = sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'of tomorrow', TRUE, x'00', 0)",
    );
    raised.execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
