//! Incidents that last: statements, and the port; what they come to is shared. The transaction is the lock.

use async_trait::async_trait;
use serde_json::json;
use uuid::Uuid;

use super::list::{id, ids, rows};
use super::{Sqlite, Tx, error, unreadable};
use crate::models::alert::Incident;
use crate::models::ids::{CheckId, IncidentId};
use crate::models::schedule::Slot;
use crate::ports::StoreResult;
use crate::ports::follow_ups::{FollowUpStore, FollowedUp};
use crate::stores::sql::incident_rows::{IncidentRow, incident_columns};
use crate::stores::sql::rows::{json_text, read_all};
use crate::stores::sql::telling::{self, Followed};

#[async_trait]
impl FollowUpStore for Sqlite {
    async fn follow_up(&self, now: Slot, limit: u32) -> StoreResult<FollowedUp> {
        // Asked of a reader of the loops', so that a calm round never takes the writer's place.
        let due: Option<i64> = sqlx::query_scalar(
            "-- follow_ups.follow_up\n SELECT 1 FROM incidents WHERE follow_up_at <= ?1 LIMIT 1",
        )
        .bind(now.0)
        .fetch_optional(self.state.polls())
        .await
        .map_err(error)?;
        if due.is_none() {
            return Ok(FollowedUp::default());
        }
        telling::follow_up(self.state.begin().await?, now, limit).await
    }
}

pub(super) async fn lock(tx: &mut Tx, now: Slot, limit: u32) -> StoreResult<Vec<Incident>> {
    let rows: Vec<IncidentRow> = sqlx::query_as(concat!(
        "-- follow_ups.lock
         SELECT ",
        incident_columns!(),
        " FROM incidents WHERE follow_up_at <= ?1 ORDER BY follow_up_at LIMIT ?2"
    ))
    .bind(now.0)
    .bind(limit)
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    read_all(rows).map_err(unreadable)
}

pub(super) async fn save(tx: &mut Tx, followed: &[Followed]) -> StoreResult<()> {
    let list = rows(followed, |it| {
        [
            id(it.incident.0),
            json!(json_text(&it.memory)),
            json!(it.follow_up_at.map(|slot| slot.0)),
            it.memory.under().map(|parent| id(parent.0)).into(),
        ]
    });
    sqlx::query(
        "-- follow_ups.save
         UPDATE incidents SET telling = n.value ->> 1, follow_up_at = n.value ->> 2,
                              parent_id = unhex(n.value ->> 3)
         FROM jsonb_each(?1) AS n
         WHERE incidents.id = unhex(n.value ->> 0)",
    )
    .bind(list)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

pub(super) async fn outages_of(
    tx: &mut Tx,
    checks: &[CheckId],
) -> StoreResult<Vec<(CheckId, IncidentId)>> {
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "-- follow_ups.outages_of
         SELECT check_id, id FROM incidents
         WHERE check_id IN (SELECT unhex(value) FROM jsonb_each(?1))
           AND resolved_slot IS NULL AND kind = 'outage' AND severity = 'down'",
    )
    .bind(ids(checks.iter().map(|check| check.0)))
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    Ok(rows.into_iter().map(|(check, id)| (CheckId(check), IncidentId(id))).collect())
}

/// Zero is always due.
pub(super) async fn ask_children(tx: &mut Tx, parents: &[IncidentId]) -> StoreResult<()> {
    sqlx::query(
        "-- follow_ups.ask_children
         UPDATE incidents SET follow_up_at = 0
         WHERE parent_id IN (SELECT unhex(value) FROM jsonb_each(?1)) AND follow_up_at > 0",
    )
    .bind(ids(parents.iter().map(|parent| parent.0)))
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}
