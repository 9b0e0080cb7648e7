//! Incidents that last: statements, and the port; what they come to is shared.

use async_trait::async_trait;
use uuid::Uuid;

use super::{Postgres, Tx, error, unreadable};
use crate::models::alert::Incident;
use crate::models::ids::{CheckId, IncidentId};
use crate::models::schedule::Slot;
use crate::ports::StoreResult;
use crate::ports::follow_ups::{FollowUpStore, FollowedUp};
use crate::stores::sql::incident_rows::{IncidentRow, incident_columns};
use crate::stores::sql::rows::{json_text, read_all};
use crate::stores::sql::telling::{self, Followed};

#[async_trait]
impl FollowUpStore for Postgres {
    async fn follow_up(&self, now: Slot, limit: u32) -> StoreResult<FollowedUp> {
        telling::follow_up(self.begin().await?, now, limit).await
    }
}

/// SKIP LOCKED: what another server takes, or a recording ends at this moment, is theirs.
pub(super) async fn lock(tx: &mut Tx, now: Slot, limit: u32) -> StoreResult<Vec<Incident>> {
    let rows: Vec<IncidentRow> = sqlx::query_as(concat!(
        "-- follow_ups.lock
         SELECT ",
        incident_columns!(),
        " FROM incidents WHERE follow_up_at <= $1
         ORDER BY follow_up_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED"
    ))
    .bind(now.0)
    .bind(i64::from(limit))
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    read_all(rows).map_err(unreadable)
}

/// Keeps what was done; each row must be locked by this transaction, or be of its making.
pub(super) async fn save(tx: &mut Tx, followed: &[Followed]) -> StoreResult<()> {
    let ids: Vec<Uuid> = followed.iter().map(|it| it.incident.0).collect();
    let memories: Vec<String> = followed.iter().map(|it| json_text(&it.memory)).collect();
    let next: Vec<Option<i64>> =
        followed.iter().map(|it| it.follow_up_at.map(|slot| slot.0)).collect();
    let parents: Vec<Option<Uuid>> =
        followed.iter().map(|it| it.memory.under().map(|id| id.0)).collect();
    sqlx::query(
        "-- follow_ups.save
         UPDATE incidents AS i SET telling = n.telling, follow_up_at = n.follow_up_at, parent_id = n.parent_id
         FROM UNNEST($1::uuid[], $2::text[], $3::bigint[], $4::uuid[]) AS n (id, telling, follow_up_at, parent_id)
         WHERE i.id = n.id",
    )
    .bind(ids)
    .bind(memories)
    .bind(next)
    .bind(parents)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

pub(super) async fn outages_of(
    tx: &mut Tx,
    checks: &[CheckId],
) -> StoreResult<Vec<(CheckId, IncidentId)>> {
    let checks: Vec<Uuid> = checks.iter().map(|check| check.0).collect();
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "-- follow_ups.outages_of
         SELECT check_id, id FROM incidents
         WHERE check_id = ANY($1) AND resolved_slot IS NULL AND kind = 'outage' AND severity = 'down'",
    )
    .bind(checks)
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    Ok(rows.into_iter().map(|(check, id)| (CheckId(check), IncidentId(id))).collect())
}

/// Zero is always due.
pub(super) async fn ask_children(tx: &mut Tx, parents: &[IncidentId]) -> StoreResult<()> {
    let parents: Vec<Uuid> = parents.iter().map(|parent| parent.0).collect();
    sqlx::query(
        "-- follow_ups.ask_children
         UPDATE incidents SET follow_up_at = 0 WHERE id IN (
             SELECT id FROM incidents WHERE parent_id = ANY($1) AND follow_up_at > 0 ORDER BY id FOR NO KEY UPDATE)",
    )
    .bind(parents)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}
