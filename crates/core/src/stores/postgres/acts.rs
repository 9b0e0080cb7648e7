//! Incidents as people work with them: listed, told in full, and what is done about them.

use async_trait::async_trait;
use sqlx::PgExecutor;

use super::{Postgres, Tx, error, unreadable};
use crate::models::alert::Incident;
use crate::models::ids::{IncidentId, ProjectId};
use crate::models::incident::{Acknowledgement, Act, Report};
use crate::models::installation::{Installation, LinkKey};
use crate::models::schedule::Slot;
use crate::ports::incidents::{Acted, IncidentFilter, IncidentStore, Story};
use crate::ports::{Page, StoreResult};
use crate::stores::sql::incident_rows::{
    Conditions, IncidentRow, InstallationRow, MOST_TOLD, NoteRow, Read, ToldAlertRow,
    ToldDeliveryRow, incident_columns,
};
use crate::stores::sql::rows::read_all;
use crate::stores::sql::{NewNote, acts};

/// Those that last have an index of their own: apart, so that it is found.
macro_rules! incidents {
    ($which:literal) => {
        concat!(
            "-- acts.list
             SELECT ",
            incident_columns!(),
            " FROM incidents
             WHERE project_id = $1 AND ",
            $which,
            " AND ($2::uuid IS NULL OR check_id = $2) AND ($3::uuid IS NULL OR id < $3)
               AND CASE WHEN $4::text IS NULL THEN kind <> 'test' ELSE kind = $4 END
               AND ($5::text IS NULL OR $5 = CASE WHEN resolved_slot IS NOT NULL THEN 'resolved'
                                                  WHEN acknowledged_at IS NOT NULL THEN 'acknowledged'
                                                  ELSE 'open' END)
               AND ($6::text IS NULL OR severity = $6)
               AND ($7::bigint IS NULL OR started_slot >= $7) AND ($8::bigint IS NULL OR started_slot < $8)
               AND (cardinality($9::text[]) = 0 OR coalesce(
                   tags, (SELECT c.config -> 'tags' FROM checks c WHERE c.id = incidents.check_id)) ?& $9)
               AND ($12::uuid IS NULL OR parent_id = $12)
             ORDER BY id DESC LIMIT $10 OFFSET $11"
        )
    };
}

#[async_trait]
impl IncidentStore for Postgres {
    async fn list(
        &self,
        project: ProjectId,
        filter: &IncidentFilter,
        page: Page<IncidentId>,
    ) -> StoreResult<Vec<Incident>> {
        let only = Conditions::of(filter);
        let list =
            if only.lasting { incidents!("resolved_slot IS NULL") } else { incidents!("true") };
        let rows: Vec<IncidentRow> = sqlx::query_as(list)
            .bind(project.0)
            .bind(filter.check.map(|id| id.0))
            .bind(page.after.map(|id| id.0))
            .bind(only.kind)
            .bind(only.standing)
            .bind(only.severity)
            .bind(only.from)
            .bind(only.to)
            .bind(only.tags)
            .bind(i64::from(page.limit))
            .bind(i64::from(page.offset))
            .bind(filter.parent.map(|id| id.0))
            .fetch_all(&self.pool)
            .await
            .map_err(error)?;
        read_all(rows).map_err(unreadable)
    }

    async fn get(&self, project: ProjectId, id: IncidentId) -> StoreResult<Option<Incident>> {
        incident(&self.pool, project, id).await
    }

    async fn story(&self, project: ProjectId, id: IncidentId) -> StoreResult<Option<Story>> {
        let Some(incident) = incident(&self.pool, project, id).await? else {
            return Ok(None);
        };
        let notes: Vec<NoteRow> = sqlx::query_as(
            "-- acts.story: notes
             SELECT id, incident_id, kind, author, body, written_at FROM incident_notes
             WHERE incident_id = $1 ORDER BY id",
        )
        .bind(id.0)
        .fetch_all(&self.pool)
        .await
        .map_err(error)?;
        let alerts: Vec<ToldAlertRow> = sqlx::query_as(
            "-- acts.story: alerts
             SELECT id, kind, raised_at FROM alerts WHERE incident_id = $1 ORDER BY raised_at, id LIMIT $2",
        )
        .bind(id.0)
        .bind(MOST_TOLD)
        .fetch_all(&self.pool)
        .await
        .map_err(error)?;
        let deliveries: Vec<ToldDeliveryRow> = sqlx::query_as(
            "-- acts.story: deliveries
             SELECT d.id, d.alert_id, d.channel, d.channel_id, d.state, d.attempts, d.next_attempt_at,
                    t.finished_at, t.status, t.error
             FROM deliveries d LEFT JOIN attempts t ON t.delivery_id = d.id AND t.number = d.attempts
             WHERE d.incident_id = $1 ORDER BY d.id LIMIT $2",
        )
        .bind(id.0)
        .bind(MOST_TOLD)
        .fetch_all(&self.pool)
        .await
        .map_err(error)?;
        let read = Read { incident, notes, alerts, deliveries };
        Story::try_from(read).map(Some).map_err(unreadable)
    }

    async fn report(
        &self,
        project: ProjectId,
        report: &Report,
        by: Option<&str>,
        now: Slot,
    ) -> StoreResult<Option<Incident>> {
        acts::report(self.begin().await?, project, report, by, now).await
    }

    async fn acknowledge(
        &self,
        project: ProjectId,
        id: IncidentId,
        act: &Act,
        now: Slot,
    ) -> StoreResult<Acted> {
        acts::acknowledge(self.begin().await?, project, id, act, now).await
    }

    async fn unacknowledge(
        &self,
        project: ProjectId,
        id: IncidentId,
        act: &Act,
        now: Slot,
    ) -> StoreResult<Acted> {
        acts::unacknowledge(self.begin().await?, project, id, act, now).await
    }

    async fn resolve(
        &self,
        project: ProjectId,
        id: IncidentId,
        act: &Act,
        now: Slot,
    ) -> StoreResult<Acted> {
        acts::resolve(self.begin().await?, project, id, act, now).await
    }

    async fn note(
        &self,
        project: ProjectId,
        id: IncidentId,
        act: &Act,
        now: Slot,
    ) -> StoreResult<Acted> {
        acts::note(self.begin().await?, project, id, act, now).await
    }

    async fn installation(&self) -> StoreResult<Option<Installation>> {
        installation(&self.pool).await
    }
}

pub(super) async fn incident(
    db: impl PgExecutor<'_>,
    project: ProjectId,
    id: IncidentId,
) -> StoreResult<Option<Incident>> {
    let row: Option<IncidentRow> = sqlx::query_as(concat!(
        "-- acts.incident
         SELECT ",
        incident_columns!(),
        " FROM incidents WHERE id = $1 AND project_id = $2"
    ))
    .bind(id.0)
    .bind(project.0)
    .fetch_optional(db)
    .await
    .map_err(error)?;
    row.map(Incident::try_from).transpose().map_err(unreadable)
}

pub(super) async fn lock(
    tx: &mut Tx,
    project: ProjectId,
    id: IncidentId,
) -> StoreResult<Option<Incident>> {
    let row: Option<IncidentRow> = sqlx::query_as(concat!(
        "-- acts.lock
         SELECT ",
        incident_columns!(),
        " FROM incidents WHERE id = $1 AND project_id = $2 FOR NO KEY UPDATE"
    ))
    .bind(id.0)
    .bind(project.0)
    .fetch_optional(&mut **tx)
    .await
    .map_err(error)?;
    row.map(Incident::try_from).transpose().map_err(unreadable)
}

pub(super) async fn save_acknowledgement(
    tx: &mut Tx,
    id: IncidentId,
    by: Option<&Acknowledgement>,
) -> StoreResult<()> {
    sqlx::query(
        "-- acts.save_acknowledgement
         UPDATE incidents SET acknowledged_at = $2, acknowledged_by = $3,
             -- What was to come goes on when it is taken back.
             follow_up_at = CASE WHEN telling IS NOT NULL THEN 0 END
         WHERE id = $1",
    )
    .bind(id.0)
    .bind(by.map(|it| it.at))
    .bind(by.and_then(|it| it.by.as_deref()))
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

pub(super) async fn insert_note(tx: &mut Tx, note: &NewNote, now: Slot) -> StoreResult<()> {
    sqlx::query(
        "-- acts.insert_note
         INSERT INTO incident_notes (id, project_id, incident_id, kind, author, body, written_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(note.id.0)
    .bind(note.project.0)
    .bind(note.incident.0)
    .bind(note.kind.as_str())
    .bind(&note.author)
    .bind(&note.text)
    .bind(now.time())
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

pub(super) async fn count_notes(tx: &mut Tx, incident: IncidentId) -> StoreResult<u32> {
    let notes: i64 = sqlx::query_scalar(
        "-- acts.count_notes
         SELECT count(*) FROM incident_notes WHERE incident_id = $1",
    )
    .bind(incident.0)
    .fetch_one(&mut **tx)
    .await
    .map_err(error)?;
    Ok(u32::try_from(notes).unwrap_or(u32::MAX))
}

pub(super) async fn count_reported(tx: &mut Tx, project: ProjectId) -> StoreResult<u32> {
    let last: i64 = sqlx::query_scalar(
        "-- acts.count_reported
         SELECT count(*) FROM incidents WHERE project_id = $1 AND resolved_slot IS NULL AND kind = 'manual'",
    )
    .bind(project.0)
    .fetch_one(&mut **tx)
    .await
    .map_err(error)?;
    Ok(u32::try_from(last).unwrap_or(u32::MAX))
}

pub(super) async fn installation(db: impl PgExecutor<'_>) -> StoreResult<Option<Installation>> {
    let row: Option<InstallationRow> = sqlx::query_as(
        "-- acts.installation
         SELECT link_key, public_url FROM installation WHERE id = 1",
    )
    .fetch_optional(db)
    .await
    .map_err(error)?;
    row.map(Installation::try_from).transpose().map_err(unreadable)
}

impl Postgres {
    /// See [`crate::ports::state::StateUpkeep::introduce`].
    pub(super) async fn save_installation(
        &self,
        key: &LinkKey,
        public_url: Option<&str>,
    ) -> StoreResult<()> {
        sqlx::query(
            // The first key stays: links signed with it are on their way.
            "-- acts.save_installation
             INSERT INTO installation (id, link_key, public_url) VALUES (1, $1, $2)
             ON CONFLICT (id) DO UPDATE SET public_url = EXCLUDED.public_url",
        )
        .bind(key.bytes())
        .bind(public_url)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(error)
    }
}
