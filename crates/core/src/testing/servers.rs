//! Real stores for a test, nobody else's: a folder, or a database, a key prefix and a history of its
//! own on the servers that the environment names. A missing server is a failure, never a skip.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::ManualClock;
use super::contracts::history::KEPT_DAYS;
use crate::models::schedule::Slot;
use crate::runtime::config::{Config, Shape};
use crate::stores::Stores;

const NEEDS: &str = "these tests run on real servers: run them with `make test`, or set DATABASE_URL, \
                     REDIS_URL and CLICKHOUSE_DSN (`make services` starts private ones and prints them)";

/// Which stores a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// What one binary brings: SQLite, and a queue in the process. Needs no server.
    Embedded,
    /// PostgreSQL, history included, and Redis.
    Scaled,
    /// PostgreSQL, Redis, and history in ClickHouse.
    ScaledFurther,
}

/// Stores of one's own, gone when dropped.
pub struct TestStores {
    /// All ports. `clock` is [`TestStores::clock`].
    pub stores: Stores,
    /// Moves when told.
    pub clock: Arc<ManualClock>,
    /// What a process would be told to use them.
    pub config: Config,
    home: Home,
}

enum Home {
    Folder(#[expect(dead_code, reason = "removes the folder when dropped")] TempDir),
    Database(String),
}

/// Stores on servers, with history in PostgreSQL.
pub async fn stores() -> TestStores {
    stores_on(Profile::Scaled).await
}

/// Stores on what the test wants, migrated and prepared.
///
/// # Panics
/// When a server is missing.
pub async fn stores_on(profile: Profile) -> TestStores {
    let name = format!("pulse_test_{}", Uuid::now_v7().simple());
    let (config, home) = if profile == Profile::Embedded {
        let folder = TempDir::new().expect("a folder of the test's own");
        (embedded(&folder), Home::Folder(folder))
    } else {
        create_database(&name).await;
        (scaled(&name, profile), Home::Database(name.clone()))
    };
    let mut stores =
        Stores::connect(&config, &name).await.expect("the stores' addresses should be readable");
    let clock = Arc::new(ManualClock::at(Slot(1_790_000_000_000)));
    stores.clock = clock.clone();
    if let Some(redis) = &stores.queue_ping {
        redis.ping().await.unwrap_or_else(|error| panic!("Redis: {error:?}; {NEEDS}"));
    }
    if profile == Profile::Embedded {
        stores.upkeep.migrate().await.expect("the migrations should run");
    }
    stores.history.prepare().await.unwrap_or_else(|error| panic!("history: {error:?}; {NEEDS}"));
    TestStores { stores, clock, config, home }
}

/// Settings for stores in `folder`, and whatever happens within the process.
fn embedded(folder: &TempDir) -> Config {
    let data = folder.path().to_string_lossy().into_owned();
    Config::read(Shape::Whole, |name| match name {
        "PULSE_DATA" => Some(data.clone()),
        "HISTORY_RETENTION_DAYS" => Some(KEPT_DAYS.to_string()),
        _ => None,
    })
    .expect("the settings are right")
}

/// Settings for a database, a prefix and a history all called `name`.
///
/// # Panics
/// When a server is not named in the environment.
#[must_use]
pub fn scaled(name: &str, profile: Profile) -> Config {
    Config::read(Shape::Half, |setting| match setting {
        "DATABASE_URL" => Some(beside(&needed(setting), name)),
        "REDIS_URL" => Some(needed(setting)),
        "REDIS_PREFIX" => Some(name.to_owned()),
        "CLICKHOUSE_DSN" if profile == Profile::ScaledFurther => {
            Some(beside(&needed(setting), name))
        }
        "DATABASE_POOL_SIZE" => Some("5".into()),
        "HISTORY_RETENTION_DAYS" => Some(KEPT_DAYS.to_string()),
        _ => None,
    })
    .expect("the servers' addresses should be readable")
}

fn needed(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: {NEEDS}"))
}

/// The same server, another database.
fn beside(url: &str, database: &str) -> String {
    let mut url = url::Url::parse(url).unwrap_or_else(|error| panic!("{error}; {NEEDS}"));
    url.set_path(database);
    url.into()
}

async fn admin() -> PgConnection {
    let url = needed("DATABASE_URL");
    PgConnection::connect(&url).await.unwrap_or_else(|error| panic!("PostgreSQL: {error}; {NEEDS}"))
}

/// Copies the migrated template: 20 ms instead of running the migrations each time.
async fn create_database(name: &str) {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    let template = TEMPLATE.get_or_init(make_template).await;
    let mut admin = admin().await;
    // One at a time: a template must not be copied while another copy looks at it.
    sqlx::query("SELECT pg_advisory_lock(7402)").execute(&mut admin).await.expect("a lock");
    let create = format!("CREATE DATABASE {name} TEMPLATE {template}");
    sqlx::query(AssertSqlSafe(create))
        .execute(&mut admin)
        .await
        .expect("a database of the test's own");
    sqlx::query("SELECT pg_advisory_unlock(7402)")
        .execute(&mut admin)
        .await
        .expect("the lock's end");
    admin.close().await.expect("an orderly end");
}

/// One template a test process, so that no process finds another's half made.
async fn make_template() -> String {
    let name = format!("pulse_template_{}", Uuid::now_v7().simple());
    let mut admin = admin().await;
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .execute(&mut admin)
        .await
        .expect("a template");
    let config = scaled(&name, Profile::Scaled);
    let stores =
        Stores::connect(&config, &name).await.expect("the servers' addresses should be readable");
    stores.upkeep.migrate().await.expect("the migrations should run");
    drop(stores);
    // The pool's connections end in their own time; a template must have none.
    let end = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1";
    sqlx::query(end).bind(&name).execute(&mut admin).await.expect("no more connections");
    admin.close().await.expect("an orderly end");
    name
}

impl Drop for TestStores {
    fn drop(&mut self) {
        let Home::Database(name) = &self.home else { return };
        let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        // On a thread of its own: the test's runtime may be ending.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                runtime.block_on(async {
                    let mut admin = admin().await;
                    let _left_behind = sqlx::query(AssertSqlSafe(drop)).execute(&mut admin).await;
                });
            }
        });
        let _panicked = dropping.join();
    }
}
