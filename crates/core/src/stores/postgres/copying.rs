//! State that comes from another store: rows as JSON objects, put in place of what is there.

use std::collections::BTreeMap;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};
use uuid::Uuid;

use super::checks::uuids;
use super::{Postgres, error};
use crate::models::ids::CheckId;
use crate::models::schedule::Slot;
use crate::ports::StoreResult;
use crate::stores::copy::tables::Table;

impl Postgres {
    /// Writes rows, a JSON array of objects, over those with the same key.
    pub(in crate::stores) async fn put(&self, table: &Table, rows: &str) -> StoreResult<()> {
        let is_key = |name: &str| table.key.contains(&name);
        let columns = table.columns.iter().map(|(name, _)| *name);
        let updates: Vec<String> = columns
            .filter(|name| !is_key(name))
            .map(|name| format!("{name} = EXCLUDED.{name}"))
            .collect();
        let upsert = format!(
            "-- copying.put
             INSERT INTO {table} ({columns}) SELECT {columns} FROM jsonb_populate_recordset(NULL::{table}, $1::jsonb)
             ON CONFLICT ({key}) DO UPDATE SET {updates}",
            table = table.name,
            columns = table.columns_listed(),
            key = table.key_listed(),
            updates = updates.join(", "),
        );
        let done = sqlx::query(AssertSqlSafe(upsert)).bind(rows).execute(&self.pool).await;
        done.map(drop).map_err(error)
    }

    /// How many of these rows are here, by their key.
    pub(in crate::stores) async fn count_of(&self, table: &Table, rows: &str) -> StoreResult<u64> {
        let count = format!(
            "-- copying.count_of
             SELECT count(*) FROM jsonb_populate_recordset(NULL::{table}, $1::jsonb) AS n
             JOIN {table} AS here USING ({key})",
            table = table.name,
            key = table.key_listed(),
        );
        let here: i64 = sqlx::query_scalar(AssertSqlSafe(count))
            .bind(rows)
            .fetch_one(&self.pool)
            .await
            .map_err(error)?;
        Ok(here.unsigned_abs())
    }

    /// How many of these regions have been looked at here since: rows of `check_regions`.
    pub(in crate::stores) async fn gone_on(&self, regions: &str) -> StoreResult<u64> {
        let ahead: i64 = sqlx::query_scalar(
            "-- copying.gone_on
             SELECT count(*) FROM jsonb_populate_recordset(NULL::check_regions, $1::jsonb) AS n
             JOIN check_regions AS here USING (check_id, region)
             WHERE here.last_slot IS DISTINCT FROM n.last_slot AND here.last_slot > coalesce(n.last_slot, 0)",
        )
        .bind(regions)
        .fetch_one(&self.pool)
        .await
        .map_err(error)?;
        Ok(ahead.unsigned_abs())
    }

    /// How many servers and workers are connected to this database.
    pub(in crate::stores) async fn processes_at_work(&self) -> StoreResult<u64> {
        let connections: i64 = sqlx::query_scalar(
            "-- copying.processes_at_work
             SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = $1",
        )
        .bind(super::APPLICATION)
        .fetch_one(&self.pool)
        .await
        .map_err(error)?;
        Ok(connections.unsigned_abs())
    }

    /// Tells this table of runs from any other, also from one that had its name before.
    pub(in crate::stores) async fn fingerprint(&self) -> StoreResult<String> {
        sqlx::query_scalar(
            "-- copying.fingerprint
             SELECT concat_ws('/', system_identifier, d.oid, 'runs'::regclass::oid)
             FROM pg_control_system(), pg_database d WHERE d.datname = current_database()",
        )
        .fetch_one(&self.pool)
        .await
        .map_err(error)
    }

    /// Drops regions of the copied checks that the source has no more, and would be due for ever.
    /// `regions`: all rows of `check_regions` of some checks.
    pub(in crate::stores) async fn keep_regions(&self, regions: &str) -> StoreResult<()> {
        sqlx::query(
            "-- copying.keep_regions
             WITH kept AS (SELECT check_id, region FROM jsonb_populate_recordset(NULL::check_regions, $1::jsonb))
             DELETE FROM check_regions r
             WHERE r.check_id IN (SELECT check_id FROM kept)
               AND NOT EXISTS (SELECT 1 FROM kept k WHERE k.check_id = r.check_id AND k.region = r.region)",
        )
        .bind(regions)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(error)
    }

    /// Runs of `checks` from `since` on, by check. On a connection of its own: counting is done once,
    /// and may take longer than a statement in daily life.
    pub(in crate::stores) async fn count_runs(
        &self,
        checks: &[CheckId],
        since: Slot,
    ) -> StoreResult<BTreeMap<CheckId, u64>> {
        let mut connection =
            PgConnection::connect_with(&self.without_deadlines).await.map_err(error)?;
        let counts: Vec<(Uuid, i64)> = sqlx::query_as(
            "-- copying.count_runs
             SELECT check_id, count(*) FROM runs WHERE check_id = ANY($1) AND slot >= $2 GROUP BY check_id",
        )
        .bind(uuids(checks))
        .bind(since.0)
        .fetch_all(&mut connection)
        .await
        .map_err(error)?;
        connection.close().await.map_err(error)?;
        Ok(counts.into_iter().map(|(check, runs)| (CheckId(check), runs.unsigned_abs())).collect())
    }
}
