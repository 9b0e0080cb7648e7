//! Deliveries: leased, recorded, sent by the alerter, settled. Never a transaction open meanwhile.

use async_trait::async_trait;
use uuid::Uuid;

use super::{Postgres, Tx, error, unreadable};
use crate::models::alert::{AttemptReport, LeasedDelivery, Settlement};
use crate::models::ids::{CheckId, DeliveryId, IncidentId};
use crate::models::schedule::Slot;
use crate::ports::StoreResult;
use crate::ports::deliveries::{DeliveryStore, Standing};
use crate::stores::sql::deliveries::{
    DeliveryRow, KeptAlertRow, UndeliveredRow, headers, response_headers, settle, tell_stand_ins,
};
use crate::stores::sql::receivers::{ReceiverRow, Room, StandingCounts};
use crate::stores::sql::rows::read_all;
use crate::stores::sql::{Raised, StateTx as _, Undelivered};

#[async_trait]
impl DeliveryStore for Postgres {
    async fn claim(
        &self,
        now: Slot,
        limit: u32,
        lease_ms: i64,
    ) -> StoreResult<Vec<LeasedDelivery>> {
        let mut tx = self.begin().await?;
        let receivers: Vec<ReceiverRow> = sqlx::query_as(
            // From one receiver to the next along the index, however much waits for each.
            "-- deliveries.claim: for whom something waits, and what is under way
             WITH RECURSIVE receivers AS (
                 (SELECT project_id, channel, channel_id FROM deliveries WHERE state = 'pending'
                  ORDER BY project_id, channel LIMIT 1)
                 UNION ALL
                 SELECT n.* FROM receivers r CROSS JOIN LATERAL (
                     SELECT project_id, channel, channel_id FROM deliveries
                     WHERE state = 'pending' AND (project_id, channel) > (r.project_id, r.channel)
                     ORDER BY project_id, channel LIMIT 1) n
             ), busy AS (
                 SELECT project_id, channel,
                        count(*) FILTER (WHERE kind <> 'test' AND schedule_step <= 1) AS first,
                        count(*) FILTER (WHERE kind <> 'test' AND schedule_step > 1) AS again,
                        count(*) FILTER (WHERE kind = 'test') AS tests
                 FROM deliveries WHERE state = 'pending' AND leased_until > $1 GROUP BY project_id, channel
             )
             SELECT r.project_id, r.channel, s.open_until,
                    r.channel_id IS NOT NULL AND NOT coalesce((c.config ->> 'enabled')::boolean, FALSE) AS absent,
                    coalesce(b.first, 0) AS first, coalesce(b.again, 0) AS again, coalesce(b.tests, 0) AS tests
             FROM receivers r
             LEFT JOIN settings c ON c.id = r.channel_id
             LEFT JOIN channel_states s ON s.project_id = r.project_id AND s.channel = r.channel
             LEFT JOIN busy b ON b.project_id = r.project_id AND b.channel = r.channel",
        )
        .bind(now.0)
        .fetch_all(&mut *tx)
        .await
        .map_err(error)?;
        let rooms: Vec<Room> = receivers.iter().flat_map(|it| it.rooms(now)).collect();
        if rooms.is_empty() {
            return Ok(tx.unchanged(Vec::new()).await);
        }
        let rows: Vec<DeliveryRow> = sqlx::query_as(
            // A delivery waits for the earlier alerts of its incident at the same channel. SKIP LOCKED:
            // another alerter has those. First attempts go first.
            "-- deliveries.claim
             WITH placed AS (
                 SELECT d.id, w.probes AND row_number() OVER (PARTITION BY w.project_id, w.channel, w.probes
                                                              ORDER BY d.next_attempt_at, d.id) > 1 AS too_many
                 FROM UNNEST($4::uuid[], $5::text[], $6::int[], $7::int[], $8::boolean[])
                      AS w (project_id, channel, lane, room, probes)
                 CROSS JOIN LATERAL (
                     SELECT d.id, d.next_attempt_at FROM deliveries d
                     WHERE d.state = 'pending' AND d.project_id = w.project_id AND d.channel = w.channel
                       AND (CASE WHEN kind = 'test' THEN 2 WHEN schedule_step > 0 THEN 1 ELSE 0 END) = w.lane
                       AND d.next_attempt_at <= $1 AND (d.leased_until IS NULL OR d.leased_until <= $1)
                       AND NOT EXISTS (
                           SELECT 1 FROM deliveries e
                           WHERE e.incident_id = d.incident_id AND e.channel = d.channel
                             AND e.sequence < d.sequence AND e.state = 'pending')
                     ORDER BY d.next_attempt_at, d.id LIMIT w.room) d
             ), picked AS (
                 SELECT d.id FROM deliveries d JOIN placed p ON p.id = d.id
                 WHERE NOT p.too_many AND d.state = 'pending' AND (d.leased_until IS NULL OR d.leased_until <= $1)
                 ORDER BY d.schedule_step > 0, d.next_attempt_at LIMIT $2 FOR NO KEY UPDATE OF d SKIP LOCKED
             )
             UPDATE deliveries d
             SET leased_until = $3, attempts = d.attempts + 1, schedule_step = d.schedule_step + 1
             FROM picked
             WHERE d.id = picked.id
             RETURNING d.id, d.project_id, d.incident_id, d.kind, d.attempts, d.schedule_step, d.channel, d.channel_id,
                 d.body, (SELECT config FROM settings WHERE id = d.channel_id) AS config,
                 (SELECT version FROM settings WHERE id = d.channel_id) AS version,
                 coalesce((SELECT webhook_secret FROM checks WHERE id = d.check_id), '') AS secret,
                 CASE WHEN d.attempts > 1 THEN (
                     SELECT response_headers ->> 'left' FROM attempts
                     WHERE delivery_id = d.id AND number < d.attempts AND finished_at IS NOT NULL
                     ORDER BY number DESC LIMIT 1) END AS \"left\"",
        )
        .bind(now.0)
        .bind(i64::from(limit))
        .bind(now.plus(lease_ms).0)
        .bind(rooms.iter().map(|it| it.project).collect::<Vec<_>>())
        .bind(rooms.iter().map(|it| it.receiver.to_owned()).collect::<Vec<_>>())
        .bind(rooms.iter().map(|it| it.lane).collect::<Vec<_>>())
        .bind(rooms.iter().map(|it| it.places).collect::<Vec<_>>())
        .bind(rooms.iter().map(|it| it.probes).collect::<Vec<_>>())
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
        settle(self.begin().await?, lease, report, settlement, now).await
    }

    async fn tell_stand_ins(&self, since: Slot, limit: u32, now: Slot) -> StoreResult<u64> {
        tell_stand_ins(self.begin().await?, since, limit, now).await
    }

    async fn standing(&self, now: Slot) -> StoreResult<Standing> {
        let row: StandingCounts = sqlx::query_as(
            "-- deliveries.standing
             SELECT count(*) FILTER (WHERE open_until > $1) AS open,
                    count(*) FILTER (WHERE open_until <= $1) AS half_open,
                    count(*) FILTER (WHERE disabled_at IS NOT NULL) AS disabled,
                    (SELECT count(*) FROM deliveries WHERE state = 'dead') AS dead
             FROM channel_states",
        )
        .bind(now.0)
        .fetch_one(&self.pool)
        .await
        .map_err(error)?;
        Ok(row.into())
    }
}

pub(super) async fn end_lease(
    tx: &mut Tx,
    lease: &LeasedDelivery,
    state: &str,
    next_attempt: Slot,
) -> StoreResult<Option<CheckId>> {
    let check: Option<Uuid> = sqlx::query_scalar(
        // The number is the fence: whoever claimed after us has raised it.
        "-- deliveries.settle
         UPDATE deliveries SET state = $3, next_attempt_at = $4, leased_until = NULL
         WHERE id = $1 AND attempts = $2 AND state = 'pending'
         RETURNING check_id",
    )
    .bind(lease.id.0)
    .bind(i32::try_from(lease.number).unwrap_or(i32::MAX))
    .bind(state)
    .bind(next_attempt.0)
    .fetch_optional(&mut **tx)
    .await
    .map_err(error)?;
    Ok(check.map(CheckId))
}

pub(super) async fn undelivered(tx: &mut Tx, ids: &[DeliveryId]) -> StoreResult<Vec<Undelivered>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows: Vec<UndeliveredRow> = sqlx::query_as(
        "-- deliveries.undelivered
         SELECT d.id, d.kind, d.alert_id, d.project_id, d.check_id, d.incident_id, a.message, d.channel_id, s.fallback
         FROM deliveries d JOIN alerts a ON a.id = d.alert_id
         LEFT JOIN channel_states s ON s.project_id = d.project_id AND s.channel = d.channel
         WHERE d.id = ANY($1) AND d.channel_id IS NOT NULL AND d.kind <> 'test' AND a.message IS NOT NULL
         ORDER BY d.id",
    )
    .bind(ids)
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    read_all(rows).map_err(unreadable)
}

pub(super) async fn ends_of(tx: &mut Tx, incidents: &[IncidentId]) -> StoreResult<Vec<Raised>> {
    let ids: Vec<Uuid> = incidents.iter().map(|id| id.0).collect();
    // Whoever ends one has its row and then asks who has heard of it: the one of us who comes second sees
    // what the first has written, each in a statement that begins after the lock.
    sqlx::query(
        "-- deliveries.ends_of: lock
         SELECT 1 FROM incidents WHERE id = ANY($1) ORDER BY id FOR SHARE",
    )
    .bind(&ids)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    let rows: Vec<KeptAlertRow> = sqlx::query_as(
        "-- deliveries.ends_of
         SELECT id AS alert_id, project_id, check_id, incident_id, message FROM alerts
         WHERE incident_id = ANY($1) AND kind = 'resolved' AND message IS NOT NULL",
    )
    .bind(&ids)
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    Ok(rows.into_iter().map(Raised::from).collect())
}

pub(super) async fn late(tx: &mut Tx, since: Slot, limit: u32) -> StoreResult<Vec<DeliveryId>> {
    let late: Vec<Uuid> = sqlx::query_scalar(
        // What is under way is left out by SKIP LOCKED at most for the time that its settling takes.
        "-- deliveries.late
         UPDATE deliveries SET stood_in = TRUE WHERE id IN (
             SELECT id FROM deliveries WHERE state = 'pending' AND NOT stood_in AND raised_at <= $1
             ORDER BY raised_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED)
         RETURNING id",
    )
    .bind(since.0)
    .bind(i64::from(limit))
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    Ok(late.into_iter().map(DeliveryId).collect())
}

pub(super) async fn complete(
    tx: &mut Tx,
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
    .bind(response_headers(report))
    .bind(&report.response_body)
    .bind(&report.error)
    .bind(i32::try_from(report.latency_ms).unwrap_or(i32::MAX))
    .bind(report.timed_out)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}
