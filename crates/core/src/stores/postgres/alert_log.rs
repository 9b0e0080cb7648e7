//! Alerts and attempts, as the API shows them.

use async_trait::async_trait;

use super::{Postgres, error, unreadable};
use crate::models::alert::{Alert, AttemptView};
use crate::models::ids::{AlertId, AttemptId, CheckId, DeliveryId, ProjectId};
use crate::models::schedule::Slot;
use crate::ports::checks::AlertLog;
use crate::ports::{Page, StoreResult};
use crate::stores::sql::rows::{AlertRow, AttemptRow, read_all};

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

    async fn attempts(
        &self,
        project: ProjectId,
        check: Option<CheckId>,
        page: Page<AttemptId>,
    ) -> StoreResult<Vec<AttemptView>> {
        let rows: Vec<AttemptRow> = sqlx::query_as(
            "-- alert_log.attempts
             SELECT t.*, d.alert_id, d.incident_id, d.kind, d.state, d.channel, d.body,
                    CASE WHEN d.state = 'pending' AND t.finished_at IS NOT NULL AND t.number = d.attempts
                         THEN d.next_attempt_at END AS next_attempt_at
             FROM attempts t JOIN deliveries d ON d.id = t.delivery_id
             WHERE t.project_id = $1 AND ($2::uuid IS NULL OR t.check_id = $2) AND ($3::uuid IS NULL OR t.id < $3)
             ORDER BY t.id DESC LIMIT $4 OFFSET $5",
        )
        .bind(project.0)
        .bind(check.map(|id| id.0))
        .bind(page.after.map(|id| id.0))
        .bind(i64::from(page.limit))
        .bind(i64::from(page.offset))
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
        let done = sqlx::query(
            "-- alert_log.replay
             UPDATE deliveries SET state = 'pending', next_attempt_at = $4, schedule_step = 0
             WHERE id = $3 AND ($2::uuid IS NULL OR check_id = $2) AND project_id = $1",
        )
        .bind(project.0)
        .bind(check.map(|id| id.0))
        .bind(delivery.0)
        .bind(now.0)
        .execute(&self.pool)
        .await
        .map_err(error)?;
        Ok(done.rows_affected() == 1)
    }
}
