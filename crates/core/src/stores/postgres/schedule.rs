//! The schedule: claims in one transaction that stays open while the jobs are pushed.

use async_trait::async_trait;
use chrono::TimeDelta;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Postgres, Tx, check_regions, error, outbox};
use crate::models::check::CheckConfig;
use crate::models::check_region::CheckRegion;
use crate::models::ids::CheckId;
use crate::models::job::{Job, VersionedSpec};
use crate::models::run::Run;
use crate::models::schedule::Slot;
use crate::ports::StoreResult;
use crate::ports::schedule::{Claim, ScheduleStore};

/// How long a deleted check is remembered, so that its last alerts can be delivered.
const DELETED_FOR: TimeDelta = TimeDelta::days(7);
/// How long an idempotency key is remembered.
const KEYS_FOR: TimeDelta = TimeDelta::days(1);
/// How long a resolved incident, its alerts and their deliveries are remembered.
const INCIDENTS_FOR: TimeDelta = TimeDelta::days(400);
/// Rows forgotten in one step.
const STEP: i64 = 500;

struct PostgresClaim {
    tx: Tx,
    rows: Vec<CheckRegion>,
    jobs: Vec<Job>,
    missed: Vec<Run>,
    full: bool,
}

#[async_trait]
impl Claim for PostgresClaim {
    fn jobs(&self) -> &[Job] {
        &self.jobs
    }

    fn missed(&self) -> u64 {
        self.missed.iter().map(|run| u64::from(run.slots)).sum()
    }

    fn full(&self) -> bool {
        self.full
    }

    async fn specs(&mut self, checks: &[CheckId]) -> StoreResult<Vec<VersionedSpec>> {
        let ids: Vec<Uuid> = checks.iter().map(|check| check.0).collect();
        let rows: Vec<(Uuid, i32, Json<CheckConfig>)> = sqlx::query_as(
            "-- schedule.specs
             SELECT id, version, config FROM checks WHERE id = ANY($1)",
        )
        .bind(ids)
        .fetch_all(&mut *self.tx)
        .await
        .map_err(error)?;
        let spec = |(id, version, config): (Uuid, i32, Json<CheckConfig>)| VersionedSpec {
            check_id: CheckId(id),
            version,
            spec: config.probe_spec().into(),
        };
        Ok(rows.into_iter().map(spec).collect())
    }

    async fn commit(mut self: Box<Self>) -> StoreResult<()> {
        check_regions::save(&mut self.tx, &self.rows).await?;
        outbox::seal(&mut self.tx, &self.missed).await?;
        self.tx.commit().await.map_err(error)
    }
}

#[async_trait]
impl ScheduleStore for Postgres {
    async fn claim_due(&self, now: Slot, limit: u32) -> StoreResult<Box<dyn Claim>> {
        let mut tx = self.begin().await?;
        let rows = sqlx::query_as(
            // SKIP LOCKED: rows another scheduler or a recorder holds are theirs; they come again.
            concat!(
                "-- schedule.claim_due
                 SELECT ",
                check_regions::columns!(),
                " FROM check_regions
             WHERE next_slot <= $1 AND (out_until IS NULL OR out_until <= $1)
             ORDER BY next_slot LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED"
            ),
        )
        .bind(now.0)
        .bind(i64::from(limit))
        .fetch_all(&mut *tx)
        .await
        .map_err(error)?;
        let mut rows = check_regions::read_all(rows)?;
        let full = rows.len() >= limit as usize;
        let (mut jobs, mut missed) = (Vec::with_capacity(rows.len()), Vec::new());
        for (job, runs) in rows.iter_mut().filter_map(|row| row.claim(now)) {
            jobs.push(job);
            missed.extend(runs);
        }
        Ok(Box::new(PostgresClaim { tx, rows, jobs, missed, full }))
    }

    async fn oldest_due_ms(&self, now: Slot) -> StoreResult<u64> {
        let oldest: Option<i64> = sqlx::query_scalar(
            "-- schedule.oldest_due_ms
             SELECT next_slot FROM check_regions
             WHERE next_slot <= $1 AND (out_until IS NULL OR out_until <= $1) ORDER BY next_slot LIMIT 1",
        )
        .bind(now.0)
        .fetch_optional(&self.pool)
        .await
        .map_err(error)?;
        Ok(oldest.map_or(0, |oldest| u64::try_from(now.0 - oldest).unwrap_or_default()))
    }

    async fn forget_old(&self, now: Slot) -> StoreResult<bool> {
        let before = |age: TimeDelta| now.time() - age;
        let keys = sqlx::query(
            "-- schedule.forget_old: keys
             DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY(
                 SELECT ctid FROM idempotency_keys WHERE created_at < $1 LIMIT $2))",
        )
        .bind(before(KEYS_FOR));
        let orphans = sqlx::query(
            "-- schedule.forget_old: incidents of deleted checks, with all that hangs on them
             DELETE FROM incidents WHERE id = ANY(ARRAY(
                 SELECT i.id FROM incidents i JOIN checks c ON c.id = i.check_id
                 WHERE c.deleted_at < $1 AND NOT EXISTS (
                     SELECT 1 FROM deliveries d WHERE d.incident_id = i.id AND d.state = 'pending')
                 LIMIT $2))",
        )
        .bind(before(DELETED_FOR));
        let checks = sqlx::query(
            "-- schedule.forget_old: deleted checks
             DELETE FROM checks WHERE id = ANY(ARRAY(
                 SELECT id FROM checks c WHERE deleted_at < $1
                 AND NOT EXISTS (SELECT 1 FROM incidents i WHERE i.check_id = c.id) LIMIT $2))",
        )
        .bind(before(DELETED_FOR));
        let incidents = sqlx::query(
            "-- schedule.forget_old: incidents, with their alerts, deliveries and attempts
             DELETE FROM incidents WHERE id = ANY(ARRAY(
                 SELECT id FROM incidents WHERE resolved_slot IS NOT NULL AND opened_at < $1 ORDER BY id LIMIT $2))",
        )
        .bind(before(INCIDENTS_FOR));
        let mut more = false;
        for step in [keys, orphans, checks, incidents] {
            let done = step.bind(STEP).execute(&self.pool).await.map_err(error)?;
            more |= done.rows_affected() == STEP.unsigned_abs();
        }
        Ok(more)
    }
}
