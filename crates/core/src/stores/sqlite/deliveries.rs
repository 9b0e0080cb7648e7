//! Deliveries: leased, recorded, sent by the alerter, settled. Never a transaction open meanwhile.

use async_trait::async_trait;
use uuid::Uuid;

use super::list::{id, rows};
use super::{Sqlite, Tx, error, unreadable};
use crate::models::alert::{AttemptReport, LeasedDelivery, Settlement};
use crate::models::ids::CheckId;
use crate::models::schedule::Slot;
use crate::ports::StoreResult;
use crate::ports::deliveries::{DeliveryStore, PER_CHANNEL, RETRIES_PER_CHANNEL};
use crate::stores::sql::deliveries::{DeliveryRow, event, headers, settled};
use crate::stores::sql::rows::read_all;

#[async_trait]
impl DeliveryStore for Sqlite {
    async fn claim(
        &self,
        now: Slot,
        limit: u32,
        lease_ms: i64,
    ) -> StoreResult<Vec<LeasedDelivery>> {
        if !self.any_delivery_due(now).await? {
            return Ok(Vec::new());
        }
        let mut tx = self.begin().await?;
        let leased = lease(&mut tx, now, limit, now.plus(lease_ms)).await?;
        record_attempts(&mut tx, &leased, now).await?;
        tx.commit().await.map_err(error)?;
        Ok(leased)
    }

    async fn settle(
        &self,
        lease: &LeasedDelivery,
        report: &AttemptReport,
        settlement: Settlement,
        now: Slot,
    ) -> StoreResult<bool> {
        let (state, next) = settled(settlement, now);
        let mut tx = self.begin().await?;
        complete(&mut tx, lease, report, now).await?;
        let settled: Option<Uuid> = sqlx::query_scalar(
            // The number is the fence: whoever claimed after us has raised it.
            "-- deliveries.settle
             UPDATE deliveries SET state = ?3, next_attempt_at = ?4, leased_until = NULL
             WHERE id = ?1 AND attempts = ?2 AND state = 'pending'
             RETURNING check_id",
        )
        .bind(lease.id.0)
        .bind(lease.number)
        .bind(state)
        .bind(next.0)
        .fetch_optional(&mut *tx)
        .await
        .map_err(error)?;
        let check = settled.map(CheckId);
        tx.noted.note(check.map(|check| event(lease, check, report, settlement, now)));
        tx.commit().await.map_err(error)?;
        Ok(settled.is_some())
    }
}

impl Sqlite {
    /// Asked of a reader of the loops', so that an idle alerter never takes the writer's place.
    async fn any_delivery_due(&self, now: Slot) -> StoreResult<bool> {
        sqlx::query_scalar(
            "-- deliveries.any_delivery_due
             SELECT EXISTS (SELECT 1 FROM deliveries
                            WHERE state = 'pending' AND next_attempt_at <= ?1
                              AND (leased_until IS NULL OR leased_until <= ?1))",
        )
        .bind(now.0)
        .fetch_one(self.state.polls())
        .await
        .map_err(error)
    }
}

/// A delivery waits for the earlier alerts of its incident at the same channel. Of each channel only
/// so many are taken that a slow one holds up nobody else; what has failed before has places of its
/// own. First attempts go first. What is under way has taken its step already.
async fn lease(
    tx: &mut Tx,
    now: Slot,
    limit: u32,
    until: Slot,
) -> StoreResult<Vec<LeasedDelivery>> {
    let rows: Vec<DeliveryRow> = sqlx::query_as(
        "-- deliveries.lease
         WITH busy AS (
             SELECT channel, schedule_step > 1 AS again, count(*) AS n FROM deliveries
             WHERE state = 'pending' AND leased_until > ?1 GROUP BY channel, again
         ), due AS (
             SELECT d.id, d.schedule_step, d.next_attempt_at,
                    row_number() OVER (PARTITION BY d.channel, d.schedule_step > 0
                                       ORDER BY d.next_attempt_at, d.id)
                    + coalesce(b.n, 0) AS place
             FROM deliveries d
             LEFT JOIN busy b ON b.channel = d.channel AND b.again = (d.schedule_step > 0)
             WHERE d.state = 'pending' AND d.next_attempt_at <= ?1
               AND (d.leased_until IS NULL OR d.leased_until <= ?1)
               AND NOT EXISTS (
                   SELECT 1 FROM deliveries e
                   WHERE e.incident_id = d.incident_id AND e.channel = d.channel
                     AND e.sequence < d.sequence AND e.state = 'pending')
         ), picked AS (
             SELECT id FROM due
             WHERE place <= CASE WHEN schedule_step = 0 THEN ?2 ELSE ?5 END
             ORDER BY schedule_step > 0, next_attempt_at LIMIT ?3
         )
         UPDATE deliveries
         SET leased_until = ?4, attempts = attempts + 1, schedule_step = schedule_step + 1
         WHERE id IN (SELECT id FROM picked)
         RETURNING id, project_id, incident_id, kind, attempts, schedule_step, channel, channel_id, body,
             (SELECT config FROM settings WHERE id = deliveries.channel_id) AS config,
             coalesce((SELECT webhook_secret FROM checks WHERE id = deliveries.check_id), '') AS secret",
    )
    .bind(now.0)
    .bind(PER_CHANNEL)
    .bind(limit)
    .bind(until.0)
    .bind(RETRIES_PER_CHANNEL)
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    read_all(rows).map_err(unreadable)
}

/// Each attempt is on record before it is made.
async fn record_attempts(tx: &mut Tx, leased: &[LeasedDelivery], now: Slot) -> StoreResult<()> {
    sqlx::query(
        "-- deliveries.record_attempts
         INSERT INTO attempts (id, project_id, check_id, delivery_id, number, started_at)
         SELECT unhex(n.value ->> 0), d.project_id, d.check_id, d.id, d.attempts, ?2
         FROM jsonb_each(?1) AS n CROSS JOIN deliveries d ON d.id = unhex(n.value ->> 1)",
    )
    .bind(rows(leased, |lease| [id(lease.attempt_id.0), id(lease.id.0)]))
    .bind(now.0)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

async fn complete(
    tx: &mut Tx,
    lease: &LeasedDelivery,
    report: &AttemptReport,
    now: Slot,
) -> StoreResult<()> {
    sqlx::query(
        "-- deliveries.complete
         UPDATE attempts SET finished_at = ?2, request_headers = ?3, status = ?4, response_headers = ?5,
                             response_body = ?6, error = ?7, latency_ms = ?8, timed_out = ?9
         WHERE id = ?1",
    )
    .bind(lease.attempt_id.0)
    .bind(now.0)
    .bind(headers(&report.request_headers))
    .bind(report.status)
    .bind(report.status.map(|_| headers(&report.response_headers)))
    .bind(&report.response_body)
    .bind(&report.error)
    .bind(report.latency_ms)
    .bind(report.timed_out)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}
