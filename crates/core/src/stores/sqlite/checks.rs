//! Checks: what users configured, and how the API sees it.

use async_trait::async_trait;
use serde_json::json;
use sqlx::SqliteExecutor;
use sqlx::types::Json;
use uuid::Uuid;

use super::list::ids;
use super::{Sqlite, Tx, error, unreadable};
use crate::models::check::{Check, CheckConfig, CheckDraft, CheckView, Status};
use crate::models::ids::{CheckId, ProjectId};
use crate::models::schedule::Slot;
use crate::ports::checks::{Change, CheckFilter, CheckStore, Creation, IdempotencyKey, RunNow};
use crate::ports::{Page, StoreResult};
use crate::stores::sql::checks::create;
use crate::stores::sql::rows::{CheckRow, ViewRow, read_all, with_waiting};
use crate::stores::sql::{Earlier, edits};

#[async_trait]
impl CheckStore for Sqlite {
    async fn create(
        &self,
        check: Check,
        key: Option<IdempotencyKey>,
        now: Slot,
    ) -> StoreResult<Creation> {
        create(self.begin().await?, check, key, now).await
    }

    async fn get(&self, project: ProjectId, id: CheckId) -> StoreResult<Option<CheckView>> {
        view(self.readers(), project, id).await
    }

    async fn list(
        &self,
        project: ProjectId,
        filter: &CheckFilter,
        page: Page<CheckId>,
    ) -> StoreResult<Vec<CheckView>> {
        let rows: Vec<ViewRow> = sqlx::query_as(concat!(
            "-- checks.list\n ",
            with_waiting!(
                "SELECT * FROM check_views
             WHERE project_id = ?1
               AND id < coalesce(?2, x'ffffffffffffffffffffffffffffffff')
               AND (?3 IS NULL OR status = ?3)
               AND NOT EXISTS (SELECT value FROM jsonb_each(?4)
                               EXCEPT SELECT value FROM json_each(config, '$.tags'))
               AND (?5 IS NULL OR (config ->> 'enabled') = ?5)
               AND (?6 IS NULL OR instr(searched, ?6) > 0)
             ORDER BY id DESC LIMIT ?7 OFFSET ?8"
            )
        ))
        .bind(project.0)
        .bind(page.after.map(|id| id.0))
        .bind(filter.status.map(Status::as_str))
        .bind(json!(filter.tags).to_string())
        .bind(filter.enabled)
        .bind(filter.text.as_ref().map(|text| text.to_lowercase()))
        .bind(page.limit)
        .bind(page.offset)
        .fetch_all(self.readers())
        .await
        .map_err(error)?;
        read_all(rows).map_err(unreadable)
    }

    async fn replace(
        &self,
        project: ProjectId,
        id: CheckId,
        version: i32,
        draft: CheckDraft,
        now: Slot,
    ) -> StoreResult<Change> {
        edits::replace(self.begin().await?, project, id, version, draft, now).await
    }

    async fn delete(&self, project: ProjectId, id: CheckId, now: Slot) -> StoreResult<bool> {
        edits::delete(self.begin().await?, project, id, now).await
    }

    async fn run_now(&self, project: ProjectId, id: CheckId, now: Slot) -> StoreResult<RunNow> {
        edits::run_now(self.begin().await?, project, id, now).await
    }
}

pub(super) async fn remember(
    tx: &mut Tx,
    key: &IdempotencyKey,
    check: &Check,
    now: Slot,
) -> StoreResult<Option<Earlier>> {
    let earlier: Option<(Vec<u8>, Uuid)> = sqlx::query_as(
        "-- checks.remember: served before
         SELECT request_hash, check_id FROM idempotency_keys WHERE project_id = ?1 AND key = ?2",
    )
    .bind(check.project_id.0)
    .bind(&key.key)
    .fetch_optional(&mut **tx)
    .await
    .map_err(error)?;
    if let Some((hash, id)) = earlier {
        return Ok(Some((hash, CheckId(id))));
    }
    sqlx::query(
        "-- checks.remember
         INSERT INTO idempotency_keys (project_id, key, request_hash, check_id, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )
    .bind(check.project_id.0)
    .bind(&key.key)
    .bind(&key.request_hash)
    .bind(check.id.0)
    .bind(now.0)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(None)
}

pub(super) async fn insert(tx: &mut Tx, check: &Check) -> StoreResult<()> {
    sqlx::query(
        "-- checks.insert
         INSERT INTO checks (id, project_id, config, webhook_secret, version, created_at, updated_at, searched)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )
    .bind(check.id.0)
    .bind(check.project_id.0)
    .bind(Json(&check.config))
    .bind(&check.webhook_secret)
    .bind(check.version)
    .bind(Slot::from(check.created_at).0)
    .bind(Slot::from(check.updated_at).0)
    .bind(searched(check))
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

/// What a search looks at, in lower case by Unicode's rules, which SQLite's `lower` does not know.
fn searched(check: &Check) -> String {
    format!("{}\n{}", check.config.name, check.config.probe.url).to_lowercase()
}

pub(super) async fn lock(
    tx: &mut Tx,
    project: ProjectId,
    id: CheckId,
) -> StoreResult<Option<Check>> {
    let row: Option<CheckRow> = sqlx::query_as(
        "-- checks.lock
         SELECT * FROM checks WHERE id = ?1 AND project_id = ?2 AND deleted_at IS NULL",
    )
    .bind(id.0)
    .bind(project.0)
    .fetch_optional(&mut **tx)
    .await
    .map_err(error)?;
    Ok(row.map(Check::from))
}

/// The transaction holds the only writer: there is nobody to lock out.
#[expect(clippy::unused_async, reason = "where there are several writers, it waits for them")]
pub(super) async fn lock_all(_tx: &mut Tx, _checks: &[CheckId]) -> StoreResult<()> {
    Ok(())
}

pub(super) async fn configs(
    tx: &mut Tx,
    checks: &[CheckId],
) -> StoreResult<Vec<(CheckId, i32, CheckConfig)>> {
    let rows: Vec<(Uuid, i32, Json<CheckConfig>)> = sqlx::query_as(
        "-- checks.configs
         SELECT id, version, config FROM checks WHERE id IN (SELECT unhex(value) FROM jsonb_each(?1))",
    )
    .bind(ids(checks.iter().map(|check| check.0)))
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    Ok(rows.into_iter().map(|(id, version, config)| (CheckId(id), version, config.0)).collect())
}

pub(super) async fn projects_of(
    tx: &mut Tx,
    checks: &[CheckId],
) -> StoreResult<Vec<(CheckId, ProjectId)>> {
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "-- checks.projects_of
         SELECT id, project_id FROM checks WHERE id IN (SELECT unhex(value) FROM jsonb_each(?1))",
    )
    .bind(ids(checks.iter().map(|check| check.0)))
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    Ok(rows.into_iter().map(|(id, project)| (CheckId(id), ProjectId(project))).collect())
}

pub(super) async fn update(tx: &mut Tx, check: &Check) -> StoreResult<()> {
    sqlx::query(
        "-- checks.update
         UPDATE checks SET config = ?2, webhook_secret = ?3, version = ?4, updated_at = ?5, searched = ?6
         WHERE id = ?1",
    )
    .bind(check.id.0)
    .bind(Json(&check.config))
    .bind(&check.webhook_secret)
    .bind(check.version)
    .bind(Slot::from(check.updated_at).0)
    .bind(searched(check))
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

pub(super) async fn delete(tx: &mut Tx, id: CheckId, now: Slot) -> StoreResult<()> {
    sqlx::query("-- checks.delete\n UPDATE checks SET deleted_at = ?2 WHERE id = ?1")
        .bind(id.0)
        .bind(now.0)
        .execute(&mut **tx)
        .await
        .map_err(error)?;
    Ok(())
}

/// A check and where it stands, as `db` sees them.
pub(super) async fn view(
    db: impl SqliteExecutor<'_>,
    project: ProjectId,
    id: CheckId,
) -> StoreResult<Option<CheckView>> {
    let row: Option<ViewRow> = sqlx::query_as(concat!(
        "-- checks.view\n ",
        with_waiting!("SELECT * FROM check_views WHERE project_id = ?1 AND id = ?2")
    ))
    .bind(project.0)
    .bind(id.0)
    .fetch_optional(db)
    .await
    .map_err(error)?;
    row.map(CheckView::try_from).transpose().map_err(unreadable)
}
