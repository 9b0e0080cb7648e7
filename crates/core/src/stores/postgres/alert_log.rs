//! Incidents, alerts and attempts, as the API shows them.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::FromRow;
use uuid::Uuid;

use super::{Postgres, error, incidents, unreadable};
use crate::models::alert::{
    Alert, AlertKind, AttemptReportView, AttemptView, DeliveryState, Incident,
};
use crate::models::ids::{AlertId, AttemptId, CheckId, DeliveryId, IncidentId, ProjectId};
use crate::models::schedule::Slot;
use crate::ports::checks::AlertLog;
use crate::ports::{Page, StoreError, StoreResult};

#[derive(FromRow)]
struct AlertRow {
    id: Uuid,
    incident_id: Uuid,
    check_id: Uuid,
    kind: String,
    raised_at: DateTime<Utc>,
    deliveries: i64,
    delivered: i64,
}

impl TryFrom<AlertRow> for Alert {
    type Error = StoreError;

    fn try_from(row: AlertRow) -> StoreResult<Self> {
        Ok(Self {
            id: AlertId(row.id),
            incident_id: IncidentId(row.incident_id),
            check_id: CheckId(row.check_id),
            kind: kind(&row.kind)?,
            raised_at: row.raised_at,
            deliveries: u32::try_from(row.deliveries).unwrap_or(u32::MAX),
            delivered: u32::try_from(row.delivered).unwrap_or(u32::MAX),
        })
    }
}

#[derive(FromRow)]
struct AttemptRow {
    id: Uuid,
    delivery_id: Uuid,
    alert_id: Uuid,
    incident_id: Uuid,
    kind: String,
    state: String,
    number: i32,
    started_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    channel: String,
    body: String,
    request_headers: Option<Value>,
    status: Option<i32>,
    response_headers: Option<Value>,
    response_body: Option<String>,
    error: Option<String>,
    latency_ms: Option<i32>,
    timed_out: bool,
    next_attempt_at: Option<i64>,
}

impl TryFrom<AttemptRow> for AttemptView {
    type Error = StoreError;

    fn try_from(row: AttemptRow) -> StoreResult<Self> {
        let state =
            DeliveryState::parse(&row.state).ok_or_else(|| unreadable("a delivery's state"))?;
        Ok(Self {
            id: AttemptId(row.id),
            delivery_id: DeliveryId(row.delivery_id),
            alert_id: AlertId(row.alert_id),
            incident_id: IncidentId(row.incident_id),
            kind: kind(&row.kind)?.as_str(),
            delivery_state: state.as_str(),
            number: u32::try_from(row.number).unwrap_or_default(),
            started_at: row.started_at,
            finished_at: row.finished_at,
            url: row.channel,
            body: row.body,
            report: AttemptReportView {
                request_headers: row.request_headers.unwrap_or(Value::Null),
                status: row.status.and_then(|status| u16::try_from(status).ok()),
                response_headers: row.response_headers.unwrap_or(Value::Null),
                response_body: row.response_body,
                error: row.error,
                latency_ms: row.latency_ms.and_then(|ms| u32::try_from(ms).ok()),
                timed_out: row.timed_out,
            },
            next_attempt_at: row.next_attempt_at.map(|at| Slot(at).time()),
        })
    }
}

fn kind(word: &str) -> StoreResult<AlertKind> {
    AlertKind::parse(word).ok_or_else(|| unreadable("an alert's kind"))
}

#[async_trait]
impl AlertLog for Postgres {
    async fn incidents(
        &self,
        project: ProjectId,
        check: CheckId,
        page: Page<IncidentId>,
    ) -> StoreResult<Vec<Incident>> {
        let rows: Vec<incidents::Row> = sqlx::query_as(
            "-- alert_log.incidents
             SELECT * FROM incidents WHERE project_id = $1 AND check_id = $2 AND ($3::uuid IS NULL OR id < $3)
             ORDER BY id DESC LIMIT $4 OFFSET $5",
        )
        .bind(project.0)
        .bind(check.0)
        .bind(page.after.map(|id| id.0))
        .bind(i64::from(page.limit))
        .bind(i64::from(page.offset))
        .fetch_all(&self.pool)
        .await
        .map_err(error)?;
        rows.into_iter().map(Incident::try_from).collect()
    }

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
        rows.into_iter().map(Alert::try_from).collect()
    }

    async fn attempts(
        &self,
        project: ProjectId,
        check: CheckId,
        page: Page<AttemptId>,
    ) -> StoreResult<Vec<AttemptView>> {
        let rows: Vec<AttemptRow> = sqlx::query_as(
            "-- alert_log.attempts
             SELECT t.*, d.alert_id, d.incident_id, d.kind, d.state, d.channel, d.body,
                    CASE WHEN d.state = 'pending' AND t.finished_at IS NOT NULL AND t.number = d.attempts
                         THEN d.next_attempt_at END AS next_attempt_at
             FROM attempts t JOIN deliveries d ON d.id = t.delivery_id
             WHERE t.project_id = $1 AND t.check_id = $2 AND ($3::uuid IS NULL OR t.id < $3)
             ORDER BY t.id DESC LIMIT $4 OFFSET $5",
        )
        .bind(project.0)
        .bind(check.0)
        .bind(page.after.map(|id| id.0))
        .bind(i64::from(page.limit))
        .bind(i64::from(page.offset))
        .fetch_all(&self.pool)
        .await
        .map_err(error)?;
        rows.into_iter().map(AttemptView::try_from).collect()
    }

    async fn replay(
        &self,
        project: ProjectId,
        check: CheckId,
        delivery: DeliveryId,
        now: Slot,
    ) -> StoreResult<bool> {
        let done = sqlx::query(
            "-- alert_log.replay
             UPDATE deliveries SET state = 'pending', next_attempt_at = $4, schedule_step = 0
             WHERE id = $3 AND check_id = $2 AND project_id = $1",
        )
        .bind(project.0)
        .bind(check.0)
        .bind(delivery.0)
        .bind(now.0)
        .execute(&self.pool)
        .await
        .map_err(error)?;
        Ok(done.rows_affected() == 1)
    }
}
