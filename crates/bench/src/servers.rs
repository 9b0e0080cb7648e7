//! PostgreSQL, Redis and `ClickHouse`, lent to the benchmark: looked over, emptied and weighed.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use pulse_core::stores::clickhouse::dsn::Dsn;
use pulse_meter::listener::listener;
use redis::FromRedisValue;
use sqlx::{Connection as _, PgConnection};
use url::Url;

use crate::stack::{Sizes, StoreProcess, number};

/// What only the benchmark asks of stores may take its time.
const PATIENCE: Duration = Duration::from_mins(5);
const TABLES: &str = "checks, check_regions, incidents, alerts, deliveries, attempts, \
    idempotency_keys, history_shipments, history_batches, runs, run_metrics, history_arrivals";

/// The addresses of the three servers.
#[derive(Clone)]
pub struct Servers {
    /// `DATABASE_URL`.
    pub database: String,
    /// `REDIS_URL`.
    pub redis: String,
    /// `CLICKHOUSE_DSN`.
    pub clickhouse: String,
}

impl Servers {
    fn each(&self) -> [(&'static str, &str); 3] {
        [
            ("postgres", self.database.as_str()),
            ("redis", self.redis.as_str()),
            ("clickhouse", self.clickhouse.as_str()),
        ]
    }

    /// Fails unless all three are on loopback: they will be emptied.
    pub fn must_be_here(&self) -> anyhow::Result<()> {
        for (name, address) in self.each() {
            let url = Url::parse(address).with_context(|| format!("the address of {name}"))?;
            let host = url.host_str().unwrap_or_default();
            let is_here = host == "localhost"
                || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|it| it.is_loopback());
            ensure!(is_here, "{name} is not on 127.0.0.1: a benchmark empties its stores");
        }
        Ok(())
    }

    /// Fails unless they are here and hold nothing.
    pub(crate) async fn must_be_ours(&self) -> anyhow::Result<()> {
        self.must_be_here()?;
        ensure!(self.checks().await? == 0, "the database is not empty: name one that is");
        let keys: i64 = self.redis("DBSIZE", &[]).await?;
        ensure!(keys == 0, "Redis is not empty: name one that is");
        let rows = "SELECT sum(total_rows) FROM system.tables \
             WHERE database = currentDatabase() AND name IN ('check_results', 'check_metrics')";
        let rows = self.clickhouse(rows).await?;
        ensure!(
            matches!(rows.trim(), "" | "0" | "\\N"),
            "ClickHouse is not empty: name one that is"
        );
        Ok(())
    }

    /// Their processes, as far as they can be seen.
    pub(crate) fn processes(&self) -> anyhow::Result<Vec<StoreProcess>> {
        let mut found = Vec::new();
        for (name, address) in self.each() {
            if let Some(pid) = listener(port(&Url::parse(address)?))? {
                found.push(StoreProcess { name, pid });
            }
        }
        Ok(found)
    }

    /// Drops the jobs that wait.
    pub(crate) async fn forget_jobs(&self) -> anyhow::Result<()> {
        let _ok: String = self.redis("FLUSHDB", &[]).await?;
        Ok(())
    }

    async fn checks(&self) -> anyhow::Result<i64> {
        let mut db = PgConnection::connect(&self.database).await?;
        if !has_tables(&mut db).await? {
            let other: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()",
            )
            .fetch_one(&mut db)
            .await?;
            return Ok(other);
        }
        Ok(sqlx::query_scalar("SELECT count(*) FROM checks").fetch_one(&mut db).await?)
    }

    /// Empties what the benchmark has filled.
    pub(crate) async fn empty(&self) -> anyhow::Result<()> {
        let mut db = PgConnection::connect(&self.database).await?;
        if !has_tables(&mut db).await? {
            // No stage that was asked for has needed any.
            return Ok(());
        }
        let truncate = format!("TRUNCATE {TABLES} CASCADE");
        sqlx::query(sqlx::AssertSqlSafe(truncate)).execute(&mut db).await?;
        db.close().await?;
        self.forget_jobs().await?;
        self.clickhouse("TRUNCATE TABLE check_results").await?;
        self.clickhouse("TRUNCATE TABLE check_metrics").await?;
        Ok(())
    }

    async fn redis<T: FromRedisValue>(&self, word: &str, rest: &[&str]) -> anyhow::Result<T> {
        let client = redis::Client::open(self.redis.as_str())?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        Ok(redis::cmd(word).arg(rest).query_async(&mut connection).await?)
    }

    /// Asks ClickHouse; the answer as text.
    pub async fn clickhouse(&self, sql: &str) -> anyhow::Result<String> {
        let dsn = Dsn::parse(&self.clickhouse).map_err(anyhow::Error::msg)?;
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
        let mut url = Url::parse(&dsn.endpoint)?;
        url.query_pairs_mut().append_pair("database", &dsn.database);
        let mut asked =
            client.post(url).header("X-ClickHouse-User", &dsn.user).body(sql.to_owned());
        if let Some(password) = &dsn.password {
            asked = asked.header("X-ClickHouse-Key", password);
        }
        let answer = asked.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            bail!("ClickHouse answered {status}: {text}");
        }
        Ok(text)
    }

    /// What they hold, in bytes.
    pub(crate) async fn sizes(&self) -> anyhow::Result<Sizes> {
        let mut db = PgConnection::connect(&self.database).await?;
        let (database, log): (i64, i64) = sqlx::query_as(
            "SELECT pg_database_size(current_database()),
                    pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint",
        )
        .fetch_one(&mut db)
        .await?;
        db.close().await?;
        let info: String = self.redis("INFO", &["memory"]).await?;
        let used = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
        let parts = "SELECT table, sum(bytes_on_disk) FROM system.parts \
             WHERE active AND database = currentDatabase() GROUP BY table ORDER BY table FORMAT TSV";
        let parts = self.clickhouse(parts).await?;
        let part = |name: &str| -> f64 {
            let line = parts.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|it| it.trim().parse().ok()).unwrap_or_default()
        };
        Ok(Sizes(vec![
            ("postgres database", number(database)),
            ("postgres log written", number(log)),
            ("redis memory", used.and_then(|it| it.trim().parse().ok()).unwrap_or_default()),
            ("clickhouse runs", part("check_results")),
            ("clickhouse sums", part("check_metrics")),
        ]))
    }
}

/// Whether a server of Pulse's has ever begun here.
async fn has_tables(db: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar("SELECT to_regclass('checks') IS NOT NULL").fetch_one(db).await
}

fn port(url: &Url) -> u16 {
    let usual = match url.scheme() {
        "postgres" | "postgresql" => 5432,
        "redis" => 6379,
        _ => 8123,
    };
    url.port().unwrap_or(usual)
}
