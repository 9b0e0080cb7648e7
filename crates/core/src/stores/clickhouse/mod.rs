//! ClickHouse only remembers: runs and their sums, over its HTTP interface.
//!
//! A shipment is one insert with its id as the token, so that one whose fate is unknown can be sent
//! again: the engine drops the copy, also before it reaches the sums, and queries on runs keep one
//! of each key whatever happened.

mod copying;
pub mod dsn;
mod survey;

use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use clickhouse::{Client, Row};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use tokio::time::timeout;
use uuid::Uuid;

use crate::models::run::Run;
use crate::models::schedule::Slot;
use crate::models::text::tame;
use crate::ports::history::{History, Latency, Metrics, MetricsOf, RunsOf, Shipment, Summary};
use crate::ports::{Page, Ping, StoreError, StoreResult};
use crate::stores::history_row::HistoryRow;
use crate::stores::row_binary::COLUMNS;
use dsn::Dsn;

const STORE: &str = "ClickHouse";
const SCHEMA: &str = concat!(
    include_str!("../../../../../migrations/clickhouse/0001_spine.sql"),
    include_str!("../../../../../migrations/clickhouse/0002_evidence.sql"),
);
const PING: Duration = Duration::from_secs(2);
const QUERY: Duration = Duration::from_secs(8);
const INSERT: Duration = Duration::from_secs(30);
/// The widths that are summed up, in seconds, widest first.
const RESOLUTIONS: [u32; 3] = [86_400, 3_600, 60];

/// The history store. Cheap to clone.
#[derive(Clone)]
pub struct ClickHouse {
    client: Client,
    /// Without a database: the one that makes the database.
    bare: Client,
    database: String,
    retention_days: u32,
}

impl std::fmt::Debug for ClickHouse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClickHouse").field("database", &self.database).finish_non_exhaustive()
    }
}

impl ClickHouse {
    /// Speaks to `dsn`; runs are kept for `retention_days`. Connects when first used.
    #[must_use]
    pub fn new(dsn: &Dsn, retention_days: u32) -> Self {
        let mut bare = base_client(dsn).with_url(&dsn.endpoint).with_user(&dsn.user);
        if let Some(password) = &dsn.password {
            bare = bare.with_password(password);
        }
        let client =
            bare.clone().with_database(&dsn.database).with_setting("max_execution_time", "6");
        Self { client, bare, database: dsn.database.clone(), retention_days }
    }

    async fn execute(&self, client: &Client, sql: &str) -> StoreResult<()> {
        within(QUERY, client.query_raw(sql).execute()).await
    }

    /// Makes what is missing, and changes nothing that is there.
    async fn create(&self) -> StoreResult<()> {
        let database = self.database.replace('`', "");
        self.execute(&self.bare, &format!("CREATE DATABASE IF NOT EXISTS `{database}`")).await?;
        let schema = SCHEMA.replace("{retention_days}", &self.retention_days.to_string());
        for statement in statements(&schema) {
            self.execute(&self.client, &statement).await?;
        }
        Ok(())
    }

    /// Follows a change of `HISTORY_RETENTION_DAYS`.
    async fn adjust_retention(&self) -> StoreResult<()> {
        let query = self
            .client
            .query("SELECT create_table_query FROM system.tables WHERE database = ? AND name = 'check_results'")
            .bind(&self.database);
        let definition: String = within(QUERY, query.fetch_one()).await?;
        if definition.contains(&format!("toIntervalDay({})", self.retention_days)) {
            return Ok(());
        }
        let alter = format!(
            "ALTER TABLE check_results MODIFY TTL toDateTime(slot) + INTERVAL {} DAY",
            self.retention_days
        );
        self.execute(&self.client, &alter).await
    }
}

/// Over plain HTTP with `TCP_NODELAY`, which the crate's own connector leaves off: small inserts
/// would wait 40 ms for an acknowledgement.
fn base_client(dsn: &Dsn) -> Client {
    if dsn.endpoint.starts_with("https://") {
        return Client::default();
    }
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(PING));
    connector.set_keepalive(Some(Duration::from_mins(1)));
    // Shorter than the server's own limit, so that no request is sent into a closing connection.
    let http = HttpClient::builder(TokioExecutor::new())
        .pool_idle_timeout(Duration::from_secs(2))
        .build(connector);
    Client::with_http_client(http)
}

#[async_trait]
impl Ping for ClickHouse {
    async fn ping(&self) -> StoreResult<Duration> {
        let asked = Instant::now();
        let one: u8 = within(PING, self.bare.query("SELECT 1").fetch_one()).await?;
        debug_assert_eq!(one, 1);
        Ok(asked.elapsed())
    }
}

#[async_trait]
impl History for ClickHouse {
    async fn prepare(&self) -> StoreResult<()> {
        self.create().await?;
        self.adjust_retention().await
    }

    async fn append(&self, shipment: &Shipment) -> StoreResult<()> {
        let send = async {
            let mut insert = self
                .client
                .insert_formatted_with(format!(
                    "INSERT INTO check_results ({COLUMNS}) FORMAT RowBinary"
                ))
                .with_setting("insert_deduplication_token", shipment.id.to_string())
                .with_setting("deduplicate_blocks_in_dependent_materialized_views", "1")
                // One insert is one block: the token stands for all of it or none.
                .with_setting("input_format_parallel_parsing", "0")
                .with_setting("max_execution_time", "25");
            insert.send(Bytes::copy_from_slice(&shipment.rows)).await?;
            insert.end().await
        };
        within(INSERT, send).await
    }

    async fn runs(&self, of: RunsOf, page: Page<(Slot, String)>) -> StoreResult<Vec<Run>> {
        let (slot, region) = page.after.unwrap_or((Slot(i64::MAX), String::new()));
        let query = self
            .client
            .query(
                "SELECT ?fields FROM check_results FINAL
                 WHERE project_id = ? AND check_id = ?
                   AND (toUnixTimestamp64Milli(slot), region) < (?, ?)
                 ORDER BY slot DESC, region DESC LIMIT ? OFFSET ?",
            )
            .bind(of.project.0)
            .bind(of.check.0)
            .bind(slot.0)
            .bind(region)
            .bind(page.limit)
            .bind(page.offset);
        let rows: Vec<ResultRow> = within(QUERY, query.fetch_all()).await?;
        Ok(rows.into_iter().filter_map(|row| HistoryRow::from(row).into_run()).collect())
    }

    async fn metrics(&self, of: MetricsOf) -> StoreResult<Metrics> {
        let resolution = RESOLUTIONS
            .into_iter()
            .find(|width| of.bucket_seconds.is_multiple_of(*width))
            .unwrap_or(60);
        let query = self
            .client
            .query(
                // The bucket of the grand total is the epoch: ROLLUP leaves the key at its default.
                "SELECT toDateTime(intDiv(toUnixTimestamp(bucket), ?) * ?, 'UTC') AS start,
                        sum(ok) AS oks, sum(failed) AS fails, sum(inconclusive) AS unsure, sum(missed) AS misses,
                        sum(latency_us) AS us, sum(latency_count) AS answers,
                        quantilesTDigestIfMerge(0.5, 0.95, 0.99)(latency) AS quantiles_us
                 FROM check_metrics
                 WHERE project_id = ? AND check_id = ? AND resolution_s = ?
                   AND bucket >= toDateTime(?, 'UTC') AND bucket < toDateTime(?, 'UTC')
                 GROUP BY start WITH ROLLUP ORDER BY start",
            )
            .bind(of.bucket_seconds)
            .bind(of.bucket_seconds)
            .bind(of.project.0)
            .bind(of.check.0)
            .bind(resolution)
            .bind(of.from.timestamp())
            .bind(of.until.timestamp());
        let rows: Vec<SumRow> = within(QUERY, query.fetch_all()).await?;
        let mut metrics = Metrics::default();
        for row in rows {
            if row.start == DateTime::UNIX_EPOCH {
                metrics.total = row.summary();
            } else {
                metrics.buckets.push((row.start, row.summary()));
            }
        }
        Ok(metrics)
    }

    async fn retain(&self, _now: Slot) -> StoreResult<()> {
        // TTL does it.
        Ok(())
    }
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = clickhouse::error::Result<T>>,
) -> StoreResult<T> {
    match timeout(limit, work).await {
        Ok(done) => done.map_err(error),
        Err(elapsed) => Err(StoreError::Unavailable { store: STORE, source: elapsed.into() }),
    }
}

/// An answer with an error in it may be megabytes of rows with the text at the very end.
const LONGEST_ERROR: usize = 500;

fn error(source: clickhouse::error::Error) -> StoreError {
    use clickhouse::error::Error;
    match source {
        Error::BadResponse(text) => {
            let start = text.ceil_char_boundary(text.len().saturating_sub(LONGEST_ERROR));
            let told = tame(&text[start..], LONGEST_ERROR);
            if is_passing(&text) {
                StoreError::Unavailable { store: STORE, source: told.into() }
            } else {
                StoreError::Refused { store: STORE, source: told.into() }
            }
        }
        source @ (Error::Network(_) | Error::TimedOut) => {
            StoreError::Unavailable { store: STORE, source: source.into() }
        }
        source => StoreError::Refused { store: STORE, source: source.into() },
    }
}

/// Codes that say "not now": unknown database or table (not prepared yet), time, memory, parts,
/// read-only, shutting down.
fn is_passing(text: &str) -> bool {
    const CODES: [&str; 9] = ["60", "81", "159", "164", "202", "236", "241", "252", "394"];
    let code = text.find("Code: ").map(|at| &text[at + 6..]);
    code.and_then(|rest| rest.split('.').next()).is_some_and(|code| CODES.contains(&code))
}

/// Comments go first: their semicolons end nothing.
fn statements(schema: &str) -> Vec<String> {
    let code = schema.lines().filter(|line| !line.trim_start().starts_with("--"));
    let code = code.collect::<Vec<_>>().join("\n");
    let statements = code.split(';').map(str::trim).filter(|statement| !statement.is_empty());
    statements.map(str::to_owned).collect()
}

#[derive(Row, Deserialize)]
struct ResultRow {
    #[serde(with = "clickhouse::serde::uuid")]
    project_id: Uuid,
    #[serde(with = "clickhouse::serde::uuid")]
    check_id: Uuid,
    region: String,
    #[serde(with = "clickhouse::serde::chrono::datetime64::millis")]
    slot: DateTime<Utc>,
    slots: u32,
    outcome: String,
    reason: String,
    attempt: u32,
    #[serde(with = "clickhouse::serde::chrono::datetime64::millis")]
    started_at: DateTime<Utc>,
    status_code: u16,
    dns_us: u32,
    connect_us: u32,
    tls_us: u32,
    first_byte_us: u32,
    total_us: u32,
    address: String,
    error: String,
    evidence: String,
}

impl From<ResultRow> for HistoryRow<'_> {
    fn from(row: ResultRow) -> Self {
        Self {
            project_id: row.project_id,
            check_id: row.check_id,
            region: row.region.into(),
            slot: row.slot,
            slots: row.slots,
            outcome: row.outcome.into(),
            reason: row.reason.into(),
            attempt: row.attempt,
            started_at: row.started_at,
            status_code: row.status_code,
            dns_us: row.dns_us,
            connect_us: row.connect_us,
            tls_us: row.tls_us,
            first_byte_us: row.first_byte_us,
            total_us: row.total_us,
            address: row.address.into(),
            error: row.error.into(),
            evidence: row.evidence.into(),
        }
    }
}

#[derive(Row, Deserialize)]
struct SumRow {
    #[serde(with = "clickhouse::serde::chrono::datetime")]
    start: DateTime<Utc>,
    oks: u64,
    fails: u64,
    unsure: u64,
    misses: u64,
    us: u64,
    answers: u64,
    quantiles_us: Vec<f32>,
}

impl SumRow {
    fn summary(&self) -> Summary {
        Summary {
            ok: self.oks,
            failed: self.fails,
            inconclusive: self.unsure,
            missed: self.misses,
            latency: self.latency(),
        }
    }

    fn latency(&self) -> Option<Latency> {
        let [p50, p95, p99] = self.quantiles_us[..] else {
            return None;
        };
        if self.answers == 0 {
            return None;
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "sums of microseconds stay far below 2^52 in a window"
        )]
        let mean_us = self.us as f64 / self.answers as f64;
        let ms = |us: f32| f64::from(us) / 1000.0;
        Some(Latency {
            mean_ms: mean_us / 1000.0,
            p50_ms: ms(p50),
            p95_ms: ms(p95),
            p99_ms: ms(p99),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_semicolon_in_a_comment_ends_no_statement() {
        let schema = "-- a table; empty\nCREATE a\n  -- b; c\n  (b);\nALTER a;\n";

        assert_eq!(statements(schema), ["CREATE a\n  (b)", "ALTER a"]);
        assert!(statements(SCHEMA).iter().all(|it| it.starts_with(|c: char| c.is_uppercase())));
    }
}
