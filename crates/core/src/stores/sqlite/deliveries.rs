//! Deliveries: leased, recorded, sent by the alerter, settled. Never a transaction open meanwhile.

use async_trait::async_trait;
use sqlx::FromRow;
use uuid::Uuid;

use super::list::{id, ids, rows};
use super::{Sqlite, Tx, error, unreadable};
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
use crate::stores::sql::{Raised, Undelivered};

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
        settle(self.begin().await?, lease, report, settlement, now).await
    }

    async fn tell_stand_ins(&self, since: Slot, limit: u32, now: Slot) -> StoreResult<u64> {
        if !self.any_late(since).await? {
            return Ok(0);
        }
        tell_stand_ins(self.begin().await?, since, limit, now).await
    }

    async fn standing(&self, now: Slot) -> StoreResult<Standing> {
        let row: StandingCounts = sqlx::query_as(
            "-- deliveries.standing
             SELECT count(*) FILTER (WHERE open_until > ?1) AS open,
                    count(*) FILTER (WHERE open_until <= ?1) AS half_open,
                    count(*) FILTER (WHERE disabled_at IS NOT NULL) AS disabled,
                    (SELECT count(*) FROM deliveries WHERE state = 'dead') AS dead
             FROM channel_states",
        )
        .bind(now.0)
        .fetch_one(self.state.polls())
        .await
        .map_err(error)?;
        Ok(row.into())
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

    async fn any_late(&self, since: Slot) -> StoreResult<bool> {
        sqlx::query_scalar(
            "-- deliveries.any_late
             SELECT EXISTS (SELECT 1 FROM deliveries
                            WHERE state = 'pending' AND stood_in = 0 AND raised_at <= ?1)",
        )
        .bind(since.0)
        .fetch_one(self.state.polls())
        .await
        .map_err(error)
    }
}

/// For whom something waits, and what is under way: from one receiver to the next along the index,
/// however much waits for each.
async fn receivers(tx: &mut Tx, now: Slot) -> StoreResult<Vec<ReceiverRow>> {
    sqlx::query_as(
        "-- deliveries.receivers
         WITH RECURSIVE receivers AS (
             SELECT * FROM (SELECT project_id, channel, channel_id FROM deliveries WHERE state = 'pending'
                            ORDER BY project_id, channel LIMIT 1)
             UNION ALL
             SELECT d.project_id, d.channel, d.channel_id FROM receivers r JOIN deliveries d ON d.id = coalesce(
                 (SELECT id FROM deliveries
                  WHERE state = 'pending' AND project_id = r.project_id AND channel > r.channel
                  ORDER BY channel LIMIT 1),
                 (SELECT id FROM deliveries WHERE state = 'pending' AND project_id > r.project_id
                  ORDER BY project_id, channel LIMIT 1))
         ), busy AS MATERIALIZED (
             SELECT project_id, channel,
                    count(*) FILTER (WHERE kind <> 'test' AND schedule_step <= 1) AS first,
                    count(*) FILTER (WHERE kind <> 'test' AND schedule_step > 1) AS again,
                    count(*) FILTER (WHERE kind = 'test') AS tests
             FROM deliveries INDEXED BY deliveries_leased
             WHERE state = 'pending' AND leased_until > ?1 GROUP BY project_id, channel
         )
         SELECT r.project_id, r.channel, s.open_until,
                r.channel_id IS NOT NULL AND NOT coalesce(c.config ->> 'enabled', 0) AS absent,
                coalesce(b.first, 0) AS first, coalesce(b.again, 0) AS again, coalesce(b.tests, 0) AS tests
         FROM receivers r
         LEFT JOIN settings c ON c.id = r.channel_id
         LEFT JOIN channel_states s ON s.project_id = r.project_id AND s.channel = r.channel
         LEFT JOIN busy b ON b.project_id = r.project_id AND b.channel = r.channel",
    )
    .bind(now.0)
    .fetch_all(&mut **tx)
    .await
    .map_err(error)
}

/// What may be taken there. A delivery waits for the earlier alerts of its incident at the same channel.
async fn due(tx: &mut Tx, room: &Room<'_>, now: Slot) -> StoreResult<Vec<Due>> {
    sqlx::query_as(
        "-- deliveries.due
         SELECT id, next_attempt_at, schedule_step > 0 AS again FROM deliveries d
         WHERE state = 'pending' AND project_id = ?1 AND channel = ?2
           AND (CASE WHEN kind = 'test' THEN 2 WHEN schedule_step > 0 THEN 1 ELSE 0 END) = ?3
           AND next_attempt_at <= ?4 AND (leased_until IS NULL OR leased_until <= ?4)
           AND NOT EXISTS (
               SELECT 1 FROM deliveries e
               WHERE e.incident_id = d.incident_id AND e.channel = d.channel
                 AND e.sequence < d.sequence AND e.state = 'pending')
         ORDER BY next_attempt_at, id LIMIT ?5",
    )
    .bind(room.project)
    .bind(room.receiver)
    .bind(room.lane)
    .bind(now.0)
    .bind(room.places)
    .fetch_all(&mut **tx)
    .await
    .map_err(error)
}

/// First attempts come first.
#[derive(FromRow, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    again: bool,
    next_attempt_at: i64,
    id: Uuid,
}

async fn lease(
    tx: &mut Tx,
    now: Slot,
    limit: u32,
    until: Slot,
) -> StoreResult<Vec<LeasedDelivery>> {
    let mut picked = Vec::new();
    for receiver in receivers(tx, now).await? {
        let mut probes = Vec::new();
        for room in receiver.rooms(now) {
            let found = due(tx, &room, now).await?;
            if room.probes { &mut probes } else { &mut picked }.extend(found);
        }
        picked.extend(probes.into_iter().min_by_key(|it: &Due| (it.next_attempt_at, it.id)));
    }
    picked.sort_unstable();
    picked.truncate(limit as usize);
    let rows: Vec<DeliveryRow> = sqlx::query_as(
        "-- deliveries.lease
         UPDATE deliveries
         SET leased_until = ?2, attempts = attempts + 1, schedule_step = schedule_step + 1
         WHERE id IN (SELECT unhex(value) FROM jsonb_each(?1))
         RETURNING id, project_id, incident_id, kind, attempts, schedule_step, channel, channel_id, body,
             (SELECT config FROM settings WHERE id = deliveries.channel_id) AS config,
             (SELECT version FROM settings WHERE id = deliveries.channel_id) AS version,
             coalesce((SELECT webhook_secret FROM checks WHERE id = deliveries.check_id), '') AS secret,
             CASE WHEN attempts > 1 THEN (
                 SELECT response_headers ->> '$.left' FROM attempts t
                 WHERE t.delivery_id = deliveries.id AND t.number < deliveries.attempts AND t.finished_at IS NOT NULL
                 ORDER BY t.number DESC LIMIT 1) END AS \"left\"",
    )
    .bind(ids(picked.into_iter().map(|it| it.id)))
    .bind(until.0)
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

pub(super) async fn complete(
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
    .bind(response_headers(report))
    .bind(&report.response_body)
    .bind(&report.error)
    .bind(report.latency_ms)
    .bind(report.timed_out)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
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
         UPDATE deliveries SET state = ?3, next_attempt_at = ?4, leased_until = NULL
         WHERE id = ?1 AND attempts = ?2 AND state = 'pending'
         RETURNING check_id",
    )
    .bind(lease.id.0)
    .bind(lease.number)
    .bind(state)
    .bind(next_attempt.0)
    .fetch_optional(&mut **tx)
    .await
    .map_err(error)?;
    Ok(check.map(CheckId))
}

pub(super) async fn undelivered(
    tx: &mut Tx,
    deliveries: &[DeliveryId],
) -> StoreResult<Vec<Undelivered>> {
    let rows: Vec<UndeliveredRow> = sqlx::query_as(
        "-- deliveries.undelivered
         SELECT d.id, d.kind, d.alert_id, d.project_id, d.check_id, d.incident_id, a.message, d.channel_id, s.fallback
         FROM deliveries d JOIN alerts a ON a.id = d.alert_id
         LEFT JOIN channel_states s ON s.project_id = d.project_id AND s.channel = d.channel
         WHERE d.id IN (SELECT unhex(value) FROM jsonb_each(?1))
           AND d.channel_id IS NOT NULL AND d.kind <> 'test' AND a.message IS NOT NULL
         ORDER BY d.id",
    )
    .bind(ids(deliveries.iter().map(|id| id.0)))
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    read_all(rows).map_err(unreadable)
}

/// Nobody else writes meanwhile: there is nothing to lock.
pub(super) async fn ends_of(tx: &mut Tx, incidents: &[IncidentId]) -> StoreResult<Vec<Raised>> {
    let rows: Vec<KeptAlertRow> = sqlx::query_as(
        "-- deliveries.ends_of
         SELECT id AS alert_id, project_id, check_id, incident_id, message FROM alerts
         WHERE incident_id IN (SELECT unhex(value) FROM jsonb_each(?1))
           AND kind = 'resolved' AND message IS NOT NULL",
    )
    .bind(ids(incidents.iter().map(|id| id.0)))
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    Ok(rows.into_iter().map(Raised::from).collect())
}

pub(super) async fn late(tx: &mut Tx, since: Slot, limit: u32) -> StoreResult<Vec<DeliveryId>> {
    let late: Vec<Uuid> = sqlx::query_scalar(
        "-- deliveries.late
         UPDATE deliveries SET stood_in = 1 WHERE id IN (
             SELECT id FROM deliveries WHERE state = 'pending' AND stood_in = 0 AND raised_at <= ?1
             ORDER BY raised_at LIMIT ?2)
         RETURNING id",
    )
    .bind(since.0)
    .bind(limit)
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    Ok(late.into_iter().map(DeliveryId).collect())
}
