//! Storms: statements.

use uuid::Uuid;

use super::checks::uuids;
use super::{Tx, error};
use crate::models::alert::Incident;
use crate::models::channel::Severity;
use crate::models::ids::{CheckId, IncidentId, ProjectId};
use crate::models::schedule::Slot;
use crate::ports::StoreResult;
use crate::stores::sql::storms::{MemberRow, StormRow};

/// A lock that only those take who count what is told.
pub(super) async fn lock(tx: &mut Tx, project: ProjectId, waits: bool) -> StoreResult<bool> {
    let lock = if waits {
        "-- storms.lock\n SELECT pg_advisory_xact_lock(hashtextextended('pulse.storms', $1)) IS NOT NULL"
    } else {
        "-- storms.try_lock\n SELECT pg_try_advisory_xact_lock(hashtextextended('pulse.storms', $1))"
    };
    let seed = project.0.as_u64_pair().1.cast_signed();
    sqlx::query_scalar(lock).bind(seed).fetch_one(&mut **tx).await.map_err(error)
}

pub(super) async fn lasting(tx: &mut Tx, projects: &[ProjectId]) -> StoreResult<Vec<StormRow>> {
    let projects: Vec<Uuid> = projects.iter().map(|project| project.0).collect();
    sqlx::query_as(
        "-- storms.lasting
         SELECT project_id, id, severity, gathers, acknowledged_at FROM incidents
         WHERE project_id = ANY($1) AND kind = 'storm' AND resolved_slot IS NULL",
    )
    .bind(projects)
    .fetch_all(&mut **tx)
    .await
    .map_err(error)
}

pub(super) async fn told_since(
    tx: &mut Tx,
    (project, severity): (ProjectId, Severity),
    since: Slot,
    others: &[CheckId],
    most: u32,
) -> StoreResult<u64> {
    let told: i64 = sqlx::query_scalar(
        "-- storms.told_since
         SELECT count(*) FROM (
             SELECT DISTINCT check_id FROM incidents
             WHERE project_id = $1 AND severity = $2 AND told_at > $3 AND kind = 'outage'
               AND check_id <> ALL($5) LIMIT $4) told",
    )
    .bind(project.0)
    .bind(severity.as_str())
    .bind(since.0)
    .bind(i64::from(most))
    .bind(uuids(others))
    .fetch_one(&mut **tx)
    .await
    .map_err(error)?;
    Ok(told.unsigned_abs())
}

pub(super) async fn note_told(tx: &mut Tx, incidents: &[IncidentId], now: Slot) -> StoreResult<()> {
    let ids: Vec<Uuid> = incidents.iter().map(|incident| incident.0).collect();
    sqlx::query(
        "-- storms.note_told
         UPDATE incidents SET told_at = coalesce(told_at, $2) WHERE id = ANY($1)",
    )
    .bind(ids)
    .bind(now.0)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

pub(super) async fn members_of(
    tx: &mut Tx,
    storm: &Incident,
    within_ms: i64,
    most: u32,
) -> StoreResult<Vec<MemberRow>> {
    let began = Slot::from(storm.opened_at);
    sqlx::query_as(
        "-- storms.members_of
         SELECT i.check_id, i.region, i.shared, i.opened_at, i.resolved_slot IS NULL AS lasts, i.resolution,
                i.told_at IS NOT NULL AS told,
                c.config ->> 'name' AS name, c.config ->> 'url' AS url, c.config -> 'tags' AS tags
         FROM (SELECT * FROM incidents WHERE parent_id = $1
               UNION
               SELECT * FROM incidents
               WHERE project_id = $2 AND told_at > $3 AND told_at <= $4 AND severity = $6) i
         JOIN checks c ON c.id = i.check_id
         ORDER BY i.id LIMIT $5",
    )
    .bind(storm.id.0)
    .bind(storm.project_id.0)
    .bind(began.plus(-within_ms).0)
    .bind(began.0)
    .bind(i64::from(most))
    .bind(storm.severity.as_str())
    .fetch_all(&mut **tx)
    .await
    .map_err(error)
}

pub(super) async fn describe(tx: &mut Tx, storm: &Incident, gathers: bool) -> StoreResult<()> {
    sqlx::query(
        "-- storms.describe
         UPDATE incidents SET title = $2, cause = $3, gathers = $4 WHERE id = $1",
    )
    .bind(storm.id.0)
    .bind(storm.title.as_deref())
    .bind(&storm.cause)
    .bind(gathers)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}
