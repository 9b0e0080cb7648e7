//! Alerts and attempts, as the API shows them.

use std::ops::Range;

use async_trait::async_trait;

use super::{Postgres, Tx, error, unreadable};
use crate::models::alert::{Alert, AttemptView, DeliveryState, DeliveryView};
use crate::models::ids::{AlertId, AttemptId, CheckId, DeliveryId, ProjectId, SettingId};
use crate::models::schedule::Slot;
use crate::ports::checks::{AlertLog, AttemptsOf, DeliveryFilter};
use crate::ports::{Page, StoreResult};
use crate::stores::sql::rows::{AlertRow, AttemptRow, DeliveryViewRow, Replayed, read_all};

#[async_trait]
impl AlertLog for Postgres {
    async fn alerts(
        &self,
        project: ProjectId,
        check: CheckId,
        page: Page<AlertId>,
    ) -> StoreResult<Vec<Alert>> {
        let rows: Vec<AlertRow> = sqlx::query_as(
            "-- alert_log.alerts
             SELECT a.*, d.* FROM alerts a,
             LATERAL (
                 SELECT count(*) AS deliveries, count(*) FILTER (WHERE state = 'delivered') AS delivered
                 FROM deliveries WHERE alert_id = a.id
             ) d
             WHERE a.project_id = $1 AND a.check_id = $2 AND ($3::uuid IS NULL OR a.id < $3)
             ORDER BY a.id DESC LIMIT $4 OFFSET $5",
        )
        .bind(project.0)
        .bind(check.0)
        .bind(page.after.map(|id| id.0))
        .bind(i64::from(page.limit))
        .bind(i64::from(page.offset))
        .fetch_all(&self.pool)
        .await
        .map_err(error)?;
        read_all(rows).map_err(unreadable)
    }

    async fn deliveries(
        &self,
        project: ProjectId,
        filter: &DeliveryFilter,
        page: Page<DeliveryId>,
    ) -> StoreResult<Vec<DeliveryView>> {
        let rows: Vec<DeliveryViewRow> = sqlx::query_as(
            "-- alert_log.deliveries
             SELECT d.id, d.check_id, d.incident_id, d.alert_id, d.kind, d.state, d.channel, d.channel_id, d.raised_at,
                    d.instead_of, d.attempts, d.next_attempt_at,
                    t.started_at, t.finished_at, t.status, t.error, t.latency_ms, t.timed_out
             FROM (
                 SELECT * FROM deliveries
                 WHERE project_id = $1 AND ($2::uuid IS NULL OR id < $2) AND ($3::text IS NULL OR state = $3)
                   AND ($4::uuid IS NULL OR check_id = $4) AND ($5::uuid IS NULL OR incident_id = $5)
                   AND ($6::uuid IS NULL OR channel_id = $6)
                   AND ($7::bigint IS NULL OR raised_at >= $7) AND ($8::bigint IS NULL OR raised_at < $8)
                 ORDER BY id DESC LIMIT $9 OFFSET $10
             ) d LEFT JOIN attempts t ON t.delivery_id = d.id AND t.number = d.attempts
             ORDER BY d.id DESC",
        )
        .bind(project.0)
        .bind(page.after.map(|id| id.0))
        .bind(filter.state.map(DeliveryState::as_str))
        .bind(filter.check.map(|id| id.0))
        .bind(filter.incident.map(|id| id.0))
        .bind(filter.channel.map(|id| id.0))
        .bind(filter.from.map(|slot| slot.0))
        .bind(filter.to.map(|slot| slot.0))
        .bind(i64::from(page.limit))
        .bind(i64::from(page.offset))
        .fetch_all(&self.pool)
        .await
        .map_err(error)?;
        read_all(rows).map_err(unreadable)
    }

    async fn has_delivery(&self, project: ProjectId, id: DeliveryId) -> StoreResult<bool> {
        sqlx::query_scalar(
            "-- alert_log.has_delivery
             SELECT EXISTS (SELECT 1 FROM deliveries WHERE id = $1 AND project_id = $2)",
        )
        .bind(id.0)
        .bind(project.0)
        .fetch_one(&self.pool)
        .await
        .map_err(error)
    }

    async fn attempts(
        &self,
        project: ProjectId,
        of: AttemptsOf,
        page: Page<AttemptId>,
    ) -> StoreResult<Vec<AttemptView>> {
        let (check, delivery) = match of {
            AttemptsOf::All => (None, None),
            AttemptsOf::Check(check) => (Some(check.0), None),
            AttemptsOf::Delivery(delivery) => (None, Some(delivery.0)),
        };
        let rows: Vec<AttemptRow> = sqlx::query_as(
            "-- alert_log.attempts
             SELECT t.*, d.alert_id, d.incident_id, d.kind, d.state, d.channel, d.body,
                    CASE WHEN d.state = 'pending' AND t.finished_at IS NOT NULL AND t.number = d.attempts
                         THEN d.next_attempt_at END AS next_attempt_at
             FROM attempts t JOIN deliveries d ON d.id = t.delivery_id
             WHERE t.project_id = $1 AND ($2::uuid IS NULL OR t.check_id = $2) AND ($3::uuid IS NULL OR t.id < $3)
               AND ($6::uuid IS NULL OR t.delivery_id = $6)
             ORDER BY t.id DESC LIMIT $4 OFFSET $5",
        )
        .bind(project.0)
        .bind(check)
        .bind(page.after.map(|id| id.0))
        .bind(i64::from(page.limit))
        .bind(i64::from(page.offset))
        .bind(delivery)
        .fetch_all(&self.pool)
        .await
        .map_err(error)?;
        read_all(rows).map_err(unreadable)
    }

    async fn replay(
        &self,
        project: ProjectId,
        check: Option<CheckId>,
        delivery: DeliveryId,
        now: Slot,
    ) -> StoreResult<bool> {
        let mut tx = self.begin().await?;
        let replayed: Vec<Replayed> = sqlx::query_as(
            "-- alert_log.replay
             UPDATE deliveries SET state = 'pending', next_attempt_at = $4, schedule_step = 0
             WHERE id = $3 AND ($2::uuid IS NULL OR check_id = $2) AND project_id = $1
             RETURNING incident_id, channel, kind",
        )
        .bind(project.0)
        .bind(check.map(|id| id.0))
        .bind(delivery.0)
        .bind(now.0)
        .fetch_all(&mut *tx)
        .await
        .map_err(error)?;
        replay_ends(&mut tx, &replayed, now).await?;
        tx.commit().await.map_err(error)?;
        Ok(!replayed.is_empty())
    }

    async fn replay_dead(
        &self,
        project: ProjectId,
        channel: Option<SettingId>,
        raised: Range<Slot>,
        limit: u32,
        now: Slot,
    ) -> StoreResult<u64> {
        let mut tx = self.begin().await?;
        let replayed: Vec<Replayed> = sqlx::query_as(
            "-- alert_log.replay_dead
             UPDATE deliveries SET state = 'pending', next_attempt_at = $6, schedule_step = 0
             WHERE id IN (
                 SELECT id FROM deliveries
                 WHERE project_id = $1 AND state = 'dead' AND kind <> 'test' AND raised_at >= $3 AND raised_at < $4
                   AND ($2::uuid IS NULL OR channel_id = $2)
                 ORDER BY raised_at, id LIMIT $5 FOR NO KEY UPDATE SKIP LOCKED)
             RETURNING incident_id, channel, kind",
        )
        .bind(project.0)
        .bind(channel.map(|id| id.0))
        .bind(raised.start.0)
        .bind(raised.end.0)
        .bind(i64::from(limit))
        .bind(now.0)
        .fetch_all(&mut *tx)
        .await
        .map_err(error)?;
        replay_ends(&mut tx, &replayed, now).await?;
        tx.commit().await.map_err(error)?;
        Ok(replayed.len() as u64)
    }
}

/// Whoever hears again that an incident opened hears again that it is over, if it is. An attempt to say so that is
/// under way is fenced off by the number of attempts: it may arrive before the beginning does.
async fn replay_ends(tx: &mut Tx, replayed: &[Replayed], now: Slot) -> StoreResult<()> {
    let told: Vec<_> = replayed.iter().filter(|it| it.begins()).collect();
    if told.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "-- alert_log.replay_ends
         UPDATE deliveries d SET state = 'pending', next_attempt_at = $3, schedule_step = 0, leased_until = NULL,
                attempts = d.attempts + (d.state = 'pending')::int
         FROM UNNEST($1::uuid[], $2::text[]) AS n (incident_id, channel)
         WHERE d.incident_id = n.incident_id AND d.channel = n.channel AND d.kind = 'resolved'
           AND (d.state <> 'pending' OR d.leased_until > $3)",
    )
    .bind(told.iter().map(|it| it.incident_id).collect::<Vec<_>>())
    .bind(told.iter().map(|it| it.channel.as_str()).collect::<Vec<_>>())
    .bind(now.0)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}
