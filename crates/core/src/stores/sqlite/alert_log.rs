//! Alerts and attempts, as the API shows them.

use async_trait::async_trait;

use super::{Sqlite, error, unreadable};
use crate::models::alert::{Alert, AttemptView};
use crate::models::ids::{AlertId, AttemptId, CheckId, DeliveryId, ProjectId};
use crate::models::schedule::Slot;
use crate::ports::checks::AlertLog;
use crate::ports::{Page, StoreResult};
use crate::stores::sql::rows::{AlertRow, AttemptRow, read_all};

/// Of one check, or of all: apart, so that each finds its index.
macro_rules! attempts {
    ($whose:literal) => {
        concat!(
            "-- alert_log.attempts
             SELECT t.*, d.alert_id, d.incident_id, d.kind, d.state, d.channel, d.body,
                    CASE WHEN d.state = 'pending' AND t.finished_at IS NOT NULL AND t.number = d.attempts
                         THEN d.next_attempt_at END AS next_attempt_at
             FROM attempts t JOIN deliveries d ON d.id = t.delivery_id
             WHERE t.project_id = ?1 AND ",
            $whose,
            " AND t.id < coalesce(?3, x'ffffffffffffffffffffffffffffffff')
             ORDER BY t.id DESC LIMIT ?4 OFFSET ?5"
        )
    };
}

#[async_trait]
impl AlertLog for Sqlite {
    async fn alerts(
        &self,
        project: ProjectId,
        check: CheckId,
        page: Page<AlertId>,
    ) -> StoreResult<Vec<Alert>> {
        let rows: Vec<AlertRow> = sqlx::query_as(
            "-- alert_log.alerts
             SELECT a.*,
                    (SELECT count(*) FROM deliveries WHERE alert_id = a.id) AS deliveries,
                    (SELECT count(*) FROM deliveries WHERE alert_id = a.id AND state = 'delivered') AS delivered
             FROM alerts a
             WHERE a.project_id = ?1 AND a.check_id = ?2 AND a.id < coalesce(?3, x'ffffffffffffffffffffffffffffffff')
             ORDER BY a.id DESC LIMIT ?4 OFFSET ?5",
        )
        .bind(project.0)
        .bind(check.0)
        .bind(page.after.map(|id| id.0))
        .bind(page.limit)
        .bind(page.offset)
        .fetch_all(self.readers())
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
        let rows: Vec<AttemptRow> = sqlx::query_as(if check.is_some() {
            attempts!("t.check_id = ?2")
        } else {
            attempts!("?2 IS NULL")
        })
        .bind(project.0)
        .bind(check.map(|id| id.0))
        .bind(page.after.map(|id| id.0))
        .bind(page.limit)
        .bind(page.offset)
        .fetch_all(self.readers())
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
             UPDATE deliveries SET state = 'pending', next_attempt_at = ?4, schedule_step = 0
             WHERE id = ?3 AND (?2 IS NULL OR check_id = ?2) AND project_id = ?1",
        )
        .bind(project.0)
        .bind(check.map(|id| id.0))
        .bind(delivery.0)
        .bind(now.0)
        .execute(self.state.writer())
        .await
        .map_err(error)?;
        Ok(done.rows_affected() == 1)
    }
}
