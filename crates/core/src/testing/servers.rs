//! Real stores for a test, nobody else's: a database, a key prefix and a history of its own on the
//! servers that the environment names. A missing server is a failure, never a skip.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::ManualClock;
use crate::models::schedule::Slot;
use crate::runtime::config::Config;
use crate::stores::Stores;

const NEEDS: &str = "these tests run on real servers: run them with `make test`, or set DATABASE_URL, \
                     REDIS_URL and CLICKHOUSE_DSN (`make services` starts private ones and prints them)";

/// Which history a test wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryIn {
    /// The one without ClickHouse.
    Postgres,
    /// A database of its own in ClickHouse.
    ClickHouse,
}

/// Stores of one's own, gone when dropped.
pub struct TestStores {
    /// All ports. `clock` is [`TestStores::clock`].
    pub stores: Stores,
    /// Moves when told.
    pub clock: Arc<ManualClock>,
    /// What a process would be told to use them.
    pub config: Config,
    database: String,
}

/// Stores with history in PostgreSQL.
pub async fn stores() -> TestStores {
    stores_with(HistoryIn::Postgres).await
}

/// Stores with history where the test wants it, migrated and prepared.
///
/// # Panics
/// When a server is missing.
pub async fn stores_with(history: HistoryIn) -> TestStores {
    let database = format!("pulse_test_{}", Uuid::now_v7().simple());
    create_database(&database).await;
    let config = config(&database, history);
    let mut stores =
        Stores::connect(&config, &database).expect("the servers' addresses should be readable");
    let clock = Arc::new(ManualClock::at(Slot(1_790_000_000_000)));
    stores.clock = clock.clone();
    stores.queue_ping.ping().await.unwrap_or_else(|error| panic!("Redis: {error:?}; {NEEDS}"));
    stores.history.prepare().await.unwrap_or_else(|error| panic!("ClickHouse: {error:?}; {NEEDS}"));
    TestStores { stores, clock, config, database }
}

/// Settings for a database, a prefix and a history all called `database`.
///
/// # Panics
/// When a server is not named in the environment.
#[must_use]
pub fn config(database: &str, history: HistoryIn) -> Config {
    Config::read(|name| match name {
        "DATABASE_URL" => Some(beside(&needed(name), database)),
        "REDIS_URL" => Some(needed(name)),
        "REDIS_PREFIX" => Some(database.to_owned()),
        "CLICKHOUSE_DSN" if history == HistoryIn::ClickHouse => {
            Some(beside(&needed(name), database))
        }
        "DATABASE_POOL_SIZE" => Some("5".into()),
        "HISTORY_RETENTION_DAYS" => Some("3650".into()),
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
    let config = config(&name, HistoryIn::Postgres);
    let stores =
        Stores::connect(&config, &name).expect("the servers' addresses should be readable");
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
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.database);
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
