//! Checks as the API sees them. What changes one is in `edits`.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::types::Json;
use sqlx::{FromRow, PgExecutor};
use uuid::Uuid;

use super::{Postgres, Tx, check_regions, edits, error, unreadable};
use crate::models::check::{Check, CheckConfig, CheckDraft, CheckView, Status};
use crate::models::check_region::CheckRegion;
use crate::models::ids::{CheckId, ProjectId};
use crate::models::schedule::Slot;
use crate::ports::checks::{Change, CheckFilter, CheckStore, Creation, IdempotencyKey, RunNow};
use crate::ports::{Page, StoreError, StoreResult};

#[derive(FromRow)]
pub(super) struct CheckRow {
    id: Uuid,
    project_id: Uuid,
    config: Json<CheckConfig>,
    webhook_secret: Option<String>,
    version: i32,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<CheckRow> for Check {
    fn from(row: CheckRow) -> Self {
        Self {
            id: CheckId(row.id),
            project_id: ProjectId(row.project_id),
            config: row.config.0,
            webhook_secret: row.webhook_secret,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

#[derive(FromRow)]
struct ViewRow {
    #[sqlx(flatten)]
    check: CheckRow,
    status: String,
    next_slot: Option<i64>,
    last_slot: Option<i64>,
}

impl TryFrom<ViewRow> for CheckView {
    type Error = StoreError;

    fn try_from(row: ViewRow) -> StoreResult<Self> {
        Ok(Self {
            check: row.check.into(),
            status: Status::parse(&row.status).ok_or_else(|| unreadable("a status"))?,
            next_run_at: row.next_slot.map(Slot),
            last_run_at: row.last_slot.map(Slot),
        })
    }
}

#[async_trait]
impl CheckStore for Postgres {
    async fn create(
        &self,
        check: Check,
        key: Option<IdempotencyKey>,
        now: Slot,
    ) -> StoreResult<Creation> {
        let mut tx = self.begin().await?;
        if let Some(key) = &key
            && let Some(earlier) = remember(&mut tx, key, &check, now).await?
        {
            tx.rollback().await.map_err(error)?;
            return self.replay(key, check.project_id, earlier).await;
        }
        insert(&mut tx, &check).await?;
        let regions: Vec<_> = check
            .config
            .regions
            .iter()
            .map(|region| CheckRegion::new(&check, region.clone(), now))
            .collect();
        check_regions::insert(&mut tx, &regions).await?;
        let view = view(&mut *tx, check.project_id, check.id).await?;
        tx.commit().await.map_err(error)?;
        view.map(Creation::Created)
            .ok_or_else(|| unreadable("a check that vanished in its own transaction"))
    }

    async fn get(&self, project: ProjectId, id: CheckId) -> StoreResult<Option<CheckView>> {
        view(&self.pool, project, id).await
    }

    async fn list(
        &self,
        project: ProjectId,
        filter: &CheckFilter,
        page: Page<CheckId>,
    ) -> StoreResult<Vec<CheckView>> {
        let rows: Vec<ViewRow> = sqlx::query_as(
            "-- checks.list
             SELECT * FROM check_views
             WHERE project_id = $1
               AND ($2::uuid IS NULL OR id < $2)
               AND ($3::text IS NULL OR status = $3)
               AND config -> 'tags' ?& $4
               AND ($5::boolean IS NULL OR (config ->> 'enabled')::boolean = $5)
               AND ($6::text IS NULL OR strpos(lower(config ->> 'name'), lower($6)) > 0
                                     OR strpos(lower(config ->> 'url'), lower($6)) > 0)
             ORDER BY id DESC LIMIT $7 OFFSET $8",
        )
        .bind(project.0)
        .bind(page.after.map(|id| id.0))
        .bind(filter.status.map(Status::as_str))
        .bind(&filter.tags)
        .bind(filter.enabled)
        .bind(&filter.text)
        .bind(i64::from(page.limit))
        .bind(i64::from(page.offset))
        .fetch_all(&self.pool)
        .await
        .map_err(error)?;
        rows.into_iter().map(CheckView::try_from).collect()
    }

    async fn replace(
        &self,
        project: ProjectId,
        id: CheckId,
        version: i32,
        draft: CheckDraft,
        now: Slot,
    ) -> StoreResult<Change> {
        edits::replace(self, project, id, version, draft, now).await
    }

    async fn delete(&self, project: ProjectId, id: CheckId, now: Slot) -> StoreResult<bool> {
        edits::delete(self, project, id, now).await
    }

    async fn run_now(&self, project: ProjectId, id: CheckId, now: Slot) -> StoreResult<RunNow> {
        edits::run_now(self, project, id, now).await
    }
}

impl Postgres {
    /// Answers a request that was served before.
    async fn replay(
        &self,
        key: &IdempotencyKey,
        project: ProjectId,
        (hash, id): (Vec<u8>, Uuid),
    ) -> StoreResult<Creation> {
        if hash != key.request_hash {
            return Ok(Creation::KeyReused);
        }
        let view = view(&self.pool, project, CheckId(id)).await?;
        Ok(view.map_or(Creation::Gone, Creation::Replayed))
    }
}

/// Remembers the key; the earlier request's hash and check when it is known already. A rival request
/// with the same key waits here until this one has committed.
async fn remember(
    tx: &mut Tx,
    key: &IdempotencyKey,
    check: &Check,
    now: Slot,
) -> StoreResult<Option<(Vec<u8>, Uuid)>> {
    let added = sqlx::query(
        "-- checks.remember
         INSERT INTO idempotency_keys (project_id, key, request_hash, check_id, created_at)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
    )
    .bind(check.project_id.0)
    .bind(&key.key)
    .bind(&key.request_hash)
    .bind(check.id.0)
    .bind(now.time())
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    if added.rows_affected() == 1 {
        return Ok(None);
    }
    sqlx::query_as(
        "SELECT request_hash, check_id FROM idempotency_keys WHERE project_id = $1 AND key = $2",
    )
    .bind(check.project_id.0)
    .bind(&key.key)
    .fetch_optional(&mut **tx)
    .await
    .map_err(error)
}

async fn insert(tx: &mut Tx, check: &Check) -> StoreResult<()> {
    sqlx::query(
        "-- checks.create
         INSERT INTO checks (id, project_id, config, webhook_secret, version, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(check.id.0)
    .bind(check.project_id.0)
    .bind(Json(&check.config))
    .bind(&check.webhook_secret)
    .bind(check.version)
    .bind(check.created_at)
    .bind(check.updated_at)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

/// A check and where it stands, as the caller's transaction sees it.
pub(super) async fn view(
    db: impl PgExecutor<'_>,
    project: ProjectId,
    id: CheckId,
) -> StoreResult<Option<CheckView>> {
    let row: Option<ViewRow> = sqlx::query_as(
        "-- checks.get
         SELECT * FROM check_views WHERE project_id = $1 AND id = $2",
    )
    .bind(project.0)
    .bind(id.0)
    .fetch_optional(db)
    .await
    .map_err(error)?;
    row.map(CheckView::try_from).transpose()
}
