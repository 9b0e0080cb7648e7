//! The schedule, and forgetting.

use async_trait::async_trait;
use chrono::TimeDelta;

use super::{Postgres, error};
use crate::models::schedule::{Reach, Slot};
use crate::ports::StoreResult;
use crate::ports::schedule::{Claim, ScheduleStore};
use crate::stores::sql::forgetting::{DELETED_FOR, INCIDENTS_FOR, KEYS_FOR, STEP, silences_until};
use crate::stores::sql::schedule::SqlClaim;

#[async_trait]
impl ScheduleStore for Postgres {
    async fn claim_due(&self, reach: Reach, limit: u32) -> StoreResult<Box<dyn Claim>> {
        SqlClaim::of(self.begin().await?, reach, limit).await
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
        let silences = sqlx::query(
            "-- schedule.forget_old: silences; a year of more than four digits begins with a plus
             DELETE FROM settings WHERE id = ANY(ARRAY(
                 SELECT id FROM settings WHERE kind = 'silence'
                 AND (config ->> 'expires_at') COLLATE \"C\" >= '0' AND (config ->> 'expires_at') COLLATE \"C\" < $1
                 ORDER BY id LIMIT $2))",
        )
        .bind(silences_until(now.time()));
        let mut more = false;
        for step in [keys, orphans, checks, incidents, silences] {
            let done = step.bind(STEP).execute(&self.pool).await.map_err(error)?;
            more |= done.rows_affected() == STEP.unsigned_abs();
        }
        Ok(more)
    }
}
