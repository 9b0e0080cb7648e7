//! Deliveries: leased, recorded, sent by the alerter, settled. Never a transaction open meanwhile.

use async_trait::async_trait;
use uuid::Uuid;

use super::{Postgres, error, unreadable};
use crate::models::alert::{AttemptReport, LeasedDelivery, Settlement};
use crate::models::ids::CheckId;
use crate::models::schedule::Slot;
use crate::ports::StoreResult;
use crate::ports::deliveries::{DeliveryStore, PER_CHANNEL, RETRIES_PER_CHANNEL};
use crate::stores::sql::deliveries::{DeliveryRow, event, headers, settled};
use crate::stores::sql::rows::read_all;

#[async_trait]
impl DeliveryStore for Postgres {
    async fn claim(
        &self,
        now: Slot,
        limit: u32,
        lease_ms: i64,
    ) -> StoreResult<Vec<LeasedDelivery>> {
        let mut tx = self.begin().await?;
        let rows: Vec<DeliveryRow> = sqlx::query_as(
            // A delivery waits for the earlier alerts of its incident at the same channel. Of each
            // channel only so many are taken that a slow one holds up nobody else; what has failed
            // before has places of its own. First attempts go first. SKIP LOCKED: another alerter
            // has those. What is under way has taken its step already.
            "-- deliveries.claim
             WITH busy AS (
                 SELECT channel, schedule_step > 1 AS again, count(*) AS n FROM deliveries
                 WHERE state = 'pending' AND leased_until > $1 GROUP BY channel, again
             ), due AS (
                 SELECT d.id, row_number() OVER (PARTITION BY d.channel, d.schedule_step > 0
                                                 ORDER BY d.next_attempt_at, d.id)
                              + coalesce(b.n, 0) AS place
                 FROM deliveries d
                 LEFT JOIN busy b ON b.channel = d.channel AND b.again = (d.schedule_step > 0)
                 WHERE d.state = 'pending' AND d.next_attempt_at <= $1
                   AND (d.leased_until IS NULL OR d.leased_until <= $1)
                   AND NOT EXISTS (
                       SELECT 1 FROM deliveries e
                       WHERE e.incident_id = d.incident_id AND e.channel = d.channel
                         AND e.sequence < d.sequence AND e.state = 'pending')
             ), picked AS (
                 SELECT d.id FROM deliveries d JOIN due ON due.id = d.id
                 WHERE due.place <= CASE WHEN d.schedule_step = 0 THEN $2 ELSE $5 END
                   AND d.state = 'pending' AND (d.leased_until IS NULL OR d.leased_until <= $1)
                 ORDER BY d.schedule_step > 0, d.next_attempt_at LIMIT $3 FOR NO KEY UPDATE OF d SKIP LOCKED
             )
             UPDATE deliveries d
             SET leased_until = $4, attempts = d.attempts + 1, schedule_step = d.schedule_step + 1
             FROM picked
             WHERE d.id = picked.id
             RETURNING d.id, d.project_id, d.incident_id, d.kind, d.attempts, d.schedule_step, d.channel, d.channel_id,
                 d.body, (SELECT config FROM settings WHERE id = d.channel_id) AS config,
                 coalesce((SELECT webhook_secret FROM checks WHERE id = d.check_id), '') AS secret",
        )
        .bind(now.0)
        .bind(i64::from(PER_CHANNEL))
        .bind(i64::from(limit))
        .bind(now.plus(lease_ms).0)
        .bind(i64::from(RETRIES_PER_CHANNEL))
        .fetch_all(&mut *tx)
        .await
        .map_err(error)?;
        let leased: Vec<LeasedDelivery> = read_all(rows).map_err(unreadable)?;
        let ids: Vec<Uuid> = leased.iter().map(|lease| lease.id.0).collect();
        let attempts: Vec<Uuid> = leased.iter().map(|lease| lease.attempt_id.0).collect();
        sqlx::query(
            "-- deliveries.claim: each attempt is on record before it is made
             INSERT INTO attempts (id, project_id, check_id, delivery_id, number, started_at)
             SELECT n.attempt_id, d.project_id, d.check_id, d.id, d.attempts, $3
             FROM UNNEST($1::uuid[], $2::uuid[]) AS n (attempt_id, delivery_id)
             JOIN deliveries d ON d.id = n.delivery_id",
        )
        .bind(attempts)
        .bind(ids)
        .bind(now.time())
        .execute(&mut *tx)
        .await
        .map_err(error)?;
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
             UPDATE deliveries SET state = $3, next_attempt_at = $4, leased_until = NULL
             WHERE id = $1 AND attempts = $2 AND state = 'pending'
             RETURNING check_id",
        )
        .bind(lease.id.0)
        .bind(i32::try_from(lease.number).unwrap_or(i32::MAX))
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

async fn complete(
    tx: &mut super::Tx,
    lease: &LeasedDelivery,
    report: &AttemptReport,
    now: Slot,
) -> StoreResult<()> {
    sqlx::query(
        "-- deliveries.complete
         UPDATE attempts SET finished_at = $2, request_headers = $3, status = $4, response_headers = $5,
                             response_body = $6, error = $7, latency_ms = $8, timed_out = $9
         WHERE id = $1",
    )
    .bind(lease.attempt_id.0)
    .bind(now.time())
    .bind(headers(&report.request_headers))
    .bind(report.status.map(i32::from))
    .bind(report.status.map(|_| headers(&report.response_headers)))
    .bind(&report.response_body)
    .bind(&report.error)
    .bind(i32::try_from(report.latency_ms).unwrap_or(i32::MAX))
    .bind(report.timed_out)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}
