//! Checks that wait: statements, and the port; its rules are shared.

use async_trait::async_trait;
use uuid::Uuid;

use super::{Postgres, Tx, error};
use crate::models::check::Check;
use crate::models::heartbeat::{Listening, Ping, PingToken};
use crate::models::ids::CheckId;
use crate::models::schedule::Slot;
use crate::ports::StoreResult;
use crate::ports::heartbeats::{HeartbeatStore, Overdue, Received};
use crate::stores::sql::heartbeats::{self, Locked, LockedRow, heartbeat_columns};

#[async_trait]
impl HeartbeatStore for Postgres {
    async fn ping(&self, token: &PingToken, ping: &Ping, now: Slot) -> StoreResult<Received> {
        heartbeats::ping(self.begin().await?, token, ping, now).await
    }

    async fn listen(&self, now: Slot, quiet_ms: i64) -> StoreResult<()> {
        sqlx::query(
            "-- heartbeats.listen
             INSERT INTO listening AS l (id, since, last_said) VALUES (1, $1, $1)
             ON CONFLICT (id) DO UPDATE SET last_said = $1,
                 since = CASE WHEN abs($1 - l.last_said) > $2 THEN $1 ELSE l.since END",
        )
        .bind(now.0)
        .bind(quiet_ms)
        .execute(&self.pool)
        .await
        .map_err(error)?;
        Ok(())
    }

    async fn judge_overdue(&self, now: Slot, limit: u32) -> StoreResult<Overdue> {
        heartbeats::judge_overdue(self.begin().await?, now, limit).await
    }
}

pub(super) async fn insert(tx: &mut Tx, check: &Check, token: &PingToken) -> StoreResult<()> {
    sqlx::query(
        "-- heartbeats.insert
         INSERT INTO heartbeats (check_id, project_id, token) VALUES ($1, $2, $3)",
    )
    .bind(check.id.0)
    .bind(check.project_id.0)
    .bind(token.as_str())
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

pub(super) async fn delete(tx: &mut Tx, check: CheckId) -> StoreResult<()> {
    sqlx::query("-- heartbeats.delete\n DELETE FROM heartbeats WHERE check_id = $1")
        .bind(check.0)
        .execute(&mut **tx)
        .await
        .map_err(error)?;
    Ok(())
}

pub(super) async fn lock(tx: &mut Tx, check: CheckId) -> StoreResult<Option<Locked>> {
    let row: Option<LockedRow> = sqlx::query_as(concat!(
        "-- heartbeats.lock
         SELECT ",
        heartbeat_columns!(),
        " FROM heartbeats WHERE check_id = $1 FOR NO KEY UPDATE"
    ))
    .bind(check.0)
    .fetch_optional(&mut **tx)
    .await
    .map_err(error)?;
    Ok(row.map(Locked::from))
}

pub(super) async fn lock_called(tx: &mut Tx, token: &PingToken) -> StoreResult<Option<Locked>> {
    let row: Option<LockedRow> = sqlx::query_as(concat!(
        "-- heartbeats.lock_called
         SELECT ",
        heartbeat_columns!(),
        " FROM heartbeats WHERE token = $1 FOR NO KEY UPDATE"
    ))
    .bind(token.as_str())
    .fetch_optional(&mut **tx)
    .await
    .map_err(error)?;
    Ok(row.map(Locked::from))
}

/// SKIP LOCKED: what another server judges, or a ping moves at this moment, is theirs.
pub(super) async fn lock_overdue(tx: &mut Tx, now: Slot, limit: u32) -> StoreResult<Vec<Locked>> {
    let rows: Vec<LockedRow> = sqlx::query_as(concat!(
        "-- heartbeats.lock_overdue
         SELECT ",
        heartbeat_columns!(),
        " FROM heartbeats WHERE deadline <= $1
         ORDER BY deadline LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED"
    ))
    .bind(now.0)
    .bind(i64::from(limit))
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    Ok(rows.into_iter().map(Locked::from).collect())
}

/// Writes dates back; each row must be locked by this transaction.
pub(super) async fn save(tx: &mut Tx, locked: &[Locked]) -> StoreResult<()> {
    let checks: Vec<Uuid> = locked.iter().map(|it| it.check.0).collect();
    let column = |date: fn(&Locked) -> Option<Slot>| -> Vec<Option<i64>> {
        locked.iter().map(|it| date(it).map(|slot| slot.0)).collect()
    };
    sqlx::query(
        "-- heartbeats.save
         UPDATE heartbeats AS h SET
             expected = n.expected, deadline = n.deadline, started = n.started, last_ping = n.last_ping
         FROM UNNEST($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
              AS n (check_id, expected, deadline, started, last_ping)
         WHERE h.check_id = n.check_id",
    )
    .bind(checks)
    .bind(column(|it| it.heartbeat.expected))
    .bind(column(|it| it.heartbeat.deadline))
    .bind(column(|it| it.heartbeat.started))
    .bind(column(|it| it.heartbeat.last_ping))
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

pub(super) async fn listening(tx: &mut Tx) -> StoreResult<Option<Listening>> {
    let row: Option<(i64, i64)> =
        sqlx::query_as("-- heartbeats.listening\n SELECT since, last_said FROM listening")
            .fetch_optional(&mut **tx)
            .await
            .map_err(error)?;
    Ok(row.map(|(since, until)| Listening { since: Slot(since), until: Slot(until) }))
}
