//! Checks that wait: statements, and the port; its rules are shared. The transaction is the lock.

use async_trait::async_trait;
use serde_json::json;

use super::list::{id, rows};
use super::{Sqlite, Tx, error};
use crate::models::check::Check;
use crate::models::heartbeat::{Listening, Ping, PingToken};
use crate::models::ids::CheckId;
use crate::models::schedule::Slot;
use crate::ports::StoreResult;
use crate::ports::heartbeats::{HeartbeatStore, Overdue, Received};
use crate::stores::sql::heartbeats::{self, Locked, LockedRow, heartbeat_columns};

#[async_trait]
impl HeartbeatStore for Sqlite {
    async fn ping(&self, token: &PingToken, ping: &Ping, now: Slot) -> StoreResult<Received> {
        heartbeats::ping(self.state.begin().await?, token, ping, now).await
    }

    /// Only where there is something to listen for: it is a commit a second.
    async fn listen(&self, now: Slot, quiet_ms: i64) -> StoreResult<()> {
        if !self.is_so("-- heartbeats.listen\n SELECT 1 FROM heartbeats LIMIT 1").await? {
            return Ok(());
        }
        sqlx::query(
            "-- heartbeats.listen
             INSERT INTO listening (id, since, last_said) VALUES (1, ?1, ?1)
             ON CONFLICT (id) DO UPDATE SET last_said = ?1,
                 since = CASE WHEN abs(?1 - last_said) > ?2 THEN ?1 ELSE since END",
        )
        .bind(now.0)
        .bind(quiet_ms)
        .execute(self.state.writer())
        .await
        .map_err(error)?;
        Ok(())
    }

    async fn judge_overdue(&self, now: Slot, limit: u32) -> StoreResult<Overdue> {
        // Asked of a reader of the loops', so that a calm round never takes the writer's place.
        let overdue: Option<i64> = sqlx::query_scalar(
            "-- heartbeats.judge_overdue\n SELECT 1 FROM heartbeats WHERE deadline <= ?1 LIMIT 1",
        )
        .bind(now.0)
        .fetch_optional(self.state.polls())
        .await
        .map_err(error)?;
        if overdue.is_none() {
            return Ok(Overdue::default());
        }
        heartbeats::judge_overdue(self.state.begin().await?, now, limit).await
    }
}

impl Sqlite {
    async fn is_so(&self, question: &'static str) -> StoreResult<bool> {
        let row: Option<i64> =
            sqlx::query_scalar(question).fetch_optional(self.state.polls()).await.map_err(error)?;
        Ok(row.is_some())
    }
}

pub(super) async fn insert(tx: &mut Tx, check: &Check, token: &PingToken) -> StoreResult<()> {
    sqlx::query(
        "-- heartbeats.insert
         INSERT INTO heartbeats (check_id, project_id, token) VALUES (?1, ?2, ?3)",
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
    sqlx::query("-- heartbeats.delete\n DELETE FROM heartbeats WHERE check_id = ?1")
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
        " FROM heartbeats WHERE check_id = ?1"
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
        " FROM heartbeats WHERE token = ?1"
    ))
    .bind(token.as_str())
    .fetch_optional(&mut **tx)
    .await
    .map_err(error)?;
    Ok(row.map(Locked::from))
}

pub(super) async fn lock_overdue(tx: &mut Tx, now: Slot, limit: u32) -> StoreResult<Vec<Locked>> {
    let rows: Vec<LockedRow> = sqlx::query_as(concat!(
        "-- heartbeats.lock_overdue
         SELECT ",
        heartbeat_columns!(),
        " FROM heartbeats WHERE deadline <= ?1 ORDER BY deadline LIMIT ?2"
    ))
    .bind(now.0)
    .bind(limit)
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    Ok(rows.into_iter().map(Locked::from).collect())
}

pub(super) async fn save(tx: &mut Tx, locked: &[Locked]) -> StoreResult<()> {
    let list = rows(locked, |it| {
        [
            id(it.check.0),
            json!(it.heartbeat.expected.map(|slot| slot.0)),
            json!(it.heartbeat.deadline.map(|slot| slot.0)),
            json!(it.heartbeat.started.map(|slot| slot.0)),
            json!(it.heartbeat.last_ping.map(|slot| slot.0)),
        ]
    });
    sqlx::query(
        "-- heartbeats.save
         UPDATE heartbeats AS h SET
             expected = n.value ->> 1, deadline = n.value ->> 2, started = n.value ->> 3,
             last_ping = n.value ->> 4
         FROM jsonb_each(?1) AS n
         WHERE h.check_id = unhex(n.value ->> 0)",
    )
    .bind(list)
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
