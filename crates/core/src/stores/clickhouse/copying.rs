//! What a copy asks of its target.

use std::collections::BTreeMap;
use std::time::Duration;

use clickhouse::Row;
use serde::Deserialize;
use uuid::Uuid;

use super::{ClickHouse, QUERY, within};
use crate::models::ids::CheckId;
use crate::models::schedule::Slot;
use crate::ports::StoreResult;

#[derive(Row, Deserialize)]
struct Count {
    #[serde(with = "clickhouse::serde::uuid")]
    check_id: Uuid,
    runs: u64,
}

/// Counting is done once, and may take its time.
const COUNT: Duration = Duration::from_mins(5);

impl ClickHouse {
    /// Makes what is missing. Unlike [`crate::ports::history::History::prepare`] it never shortens how
    /// long runs are kept: the target may have been at work for years.
    pub(in crate::stores) async fn make_room(&self) -> StoreResult<()> {
        self.create().await
    }

    /// Tells this table from any other, also from one that had its name before.
    pub(in crate::stores) async fn fingerprint(&self) -> StoreResult<String> {
        let query = self
            .client
            .query(
                "SELECT toString(uuid) FROM system.tables WHERE database = ? AND name = 'check_results'",
            )
            .bind(&self.database);
        within(QUERY, query.fetch_one()).await
    }

    /// Runs of `checks` from `since` on, by check.
    pub(in crate::stores) async fn count_runs(
        &self,
        checks: &[CheckId],
        since: Slot,
    ) -> StoreResult<BTreeMap<CheckId, u64>> {
        let checks: Vec<Uuid> = checks.iter().map(|check| check.0).collect();
        let query = self
            .client
            .query(
                "SELECT check_id, count() AS runs FROM check_results FINAL
                 WHERE check_id IN ? AND toUnixTimestamp64Milli(slot) >= ? GROUP BY check_id",
            )
            .bind(checks)
            .bind(since.0)
            .with_setting("max_execution_time", COUNT.as_secs().to_string());
        let counts: Vec<Count> = within(COUNT, query.fetch_all()).await?;
        Ok(counts.into_iter().map(|count| (CheckId(count.check_id), count.runs)).collect())
    }
}
