//! What an operator should know of ClickHouse.

use std::time::Instant;

use async_trait::async_trait;
use chrono::Utc;

use super::{ClickHouse, QUERY, within};
use crate::models::schedule::Slot;
use crate::ports::StoreResult;
use crate::ports::survey::{Finding, Survey};
use crate::runtime::telemetry::chain;

#[async_trait]
impl Survey for ClickHouse {
    async fn survey(&self) -> Vec<Finding> {
        self.look().await.unwrap_or_else(|error| {
            let mend = "start ClickHouse, or set CLICKHOUSE_DSN to its HTTP port";
            vec![Finding::ill(format!("ClickHouse cannot be used: {}", chain(&error)), mend)]
        })
    }
}

impl ClickHouse {
    async fn look(&self) -> StoreResult<Vec<Finding>> {
        let asked = Instant::now();
        let query = self.bare.query("SELECT version(), toUnixTimestamp64Milli(now64(3))");
        let (version, now): (String, i64) = within(QUERY, query.fetch_one()).await?;
        let took = asked.elapsed();
        let host =
            Slot::from(Utc::now()).0 - i64::try_from(took.as_millis() / 2).unwrap_or_default();
        let tables = self
            .bare
            .query(
                "SELECT count() FROM system.tables WHERE database = ? AND name = 'check_results'",
            )
            .bind(&self.database);
        let tables: u64 = within(QUERY, tables.fetch_one()).await?;
        let ms = took.as_secs_f64() * 1000.0;
        Ok(vec![
            Finding::well(format!("ClickHouse {version} answers within {ms:.1} ms")),
            Finding::clock("ClickHouse", now - host),
            if tables > 0 {
                Finding::well("its tables are there")
            } else {
                Finding::odd("it has no tables yet", "start a server: it makes them")
            },
        ])
    }
}
