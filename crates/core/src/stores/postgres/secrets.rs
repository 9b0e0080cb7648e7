//! Secrets, sealed.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

use super::checks::uuids;
use super::{Postgres, Tx, error};
use crate::models::ids::{CheckId, ProjectId};
use crate::models::schedule::Slot;
use crate::models::secret::{Secret, SecretName};
use crate::ports::secrets::{KeyId, Referring, Removal, SealedSecret, SecretStore};
use crate::ports::{Page, StoreResult};
use crate::stores::sql::secrets;

#[async_trait]
impl SecretStore for Postgres {
    async fn put(&self, secret: &SealedSecret, now: Slot) -> StoreResult<bool> {
        secrets::put(self.begin().await?, secret, now).await
    }

    async fn list(&self, project: ProjectId, page: Page<SecretName>) -> StoreResult<Vec<Secret>> {
        let rows: Vec<(String, DateTime<Utc>, DateTime<Utc>)> = sqlx::query_as(
            "-- secrets.list
             SELECT name, created_at, updated_at FROM secrets
             WHERE project_id = $1 AND ($2::text IS NULL OR name > $2) ORDER BY name LIMIT $3 OFFSET $4",
        )
        .bind(project.0)
        .bind(page.after.as_ref().map(SecretName::as_str))
        .bind(i64::from(page.limit))
        .bind(i64::from(page.offset))
        .fetch_all(&self.pool)
        .await
        .map_err(error)?;
        let one = |(name, created_at, updated_at): (String, _, _)| {
            Some(Secret { name: SecretName::parse(&name).ok()?, created_at, updated_at })
        };
        Ok(rows.into_iter().filter_map(one).collect())
    }

    async fn get(
        &self,
        project: ProjectId,
        names: &[SecretName],
    ) -> StoreResult<Vec<SealedSecret>> {
        of(&self.pool, &[project], names).await
    }

    async fn remove(
        &self,
        project: ProjectId,
        name: &SecretName,
        most: u32,
    ) -> StoreResult<Removal> {
        secrets::remove(self.begin().await?, project, name, most).await
    }

    async fn sealed_with(&self, keys: &[KeyId], limit: u32) -> StoreResult<Vec<SealedSecret>> {
        let keys: Vec<&[u8]> = keys.iter().map(<[u8; 4]>::as_slice).collect();
        let rows = sqlx::query_as(
            "-- secrets.sealed_with
             SELECT project_id, name, sealed FROM secrets
             WHERE substring(sealed FROM 2 FOR 4) = ANY($1) ORDER BY project_id, name LIMIT $2",
        )
        .bind(keys)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(error)?;
        Ok(secrets::read(rows))
    }

    async fn reseal(&self, before: &SealedSecret, sealed: &[u8]) -> StoreResult<bool> {
        secrets::reseal(self.begin().await?, before, sealed).await
    }
}

pub(super) async fn put(tx: &mut Tx, secret: &SealedSecret, now: Slot) -> StoreResult<bool> {
    // `xmax` is 0 in a row that was inserted, and not in one that was written over.
    sqlx::query_scalar(
        "-- secrets.put
         INSERT INTO secrets (project_id, name, sealed, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $4)
         ON CONFLICT (project_id, name) DO UPDATE SET sealed = EXCLUDED.sealed, updated_at = EXCLUDED.updated_at
         RETURNING xmax = 0",
    )
    .bind(secret.project.0)
    .bind(secret.name.as_str())
    .bind(&secret.sealed)
    .bind(now.time())
    .fetch_one(&mut **tx)
    .await
    .map_err(error)
}

pub(super) async fn replace_seal(
    tx: &mut Tx,
    before: &SealedSecret,
    sealed: &[u8],
) -> StoreResult<bool> {
    let done = sqlx::query(
        "-- secrets.replace_seal
         UPDATE secrets SET sealed = $4 WHERE project_id = $1 AND name = $2 AND sealed = $3",
    )
    .bind(before.project.0)
    .bind(before.name.as_str())
    .bind(&before.sealed)
    .bind(sealed)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn remove(
    tx: &mut Tx,
    project: ProjectId,
    name: &SecretName,
) -> StoreResult<bool> {
    let done =
        sqlx::query("-- secrets.remove\n DELETE FROM secrets WHERE project_id = $1 AND name = $2")
            .bind(project.0)
            .bind(name.as_str())
            .execute(&mut **tx)
            .await
            .map_err(error)?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn referring(
    tx: &mut Tx,
    project: ProjectId,
    name: &SecretName,
    most: u32,
) -> StoreResult<Vec<Referring>> {
    let rows: Vec<(Uuid, String)> = sqlx::query_as(
        "-- secrets.referring
         SELECT id, config ->> 'name' FROM checks
         WHERE project_id = $1 AND deleted_at IS NULL AND strpos(config::text, $2) > 0
         ORDER BY id LIMIT $3",
    )
    .bind(project.0)
    .bind(name.reference())
    .bind(i64::from(most))
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    Ok(rows.into_iter().map(|(id, name)| Referring { id: CheckId(id), name }).collect())
}

pub(super) async fn renew_referring(
    tx: &mut Tx,
    project: ProjectId,
    name: &SecretName,
) -> StoreResult<()> {
    let all = referring(tx, project, name, i32::MAX.unsigned_abs()).await?;
    if all.is_empty() {
        return Ok(());
    }
    let checks = uuids(&all.iter().map(|check| check.id).collect::<Vec<_>>());
    for step in [
        "-- secrets.renew_referring: regions before checks, as everywhere
         SELECT 1 FROM check_regions WHERE check_id = ANY($1) ORDER BY check_id, region FOR NO KEY UPDATE",
        "-- secrets.renew_referring: checks, in one order
         SELECT 1 FROM checks WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE",
        "-- secrets.renew_referring
         UPDATE checks SET version = version + 1 WHERE id = ANY($1)",
        "-- secrets.renew_referring: what jobs are made of
         UPDATE check_regions r SET version = c.version FROM checks c
         WHERE c.id = r.check_id AND r.check_id = ANY($1)",
    ] {
        sqlx::query(step).bind(&checks).execute(&mut **tx).await.map_err(error)?;
    }
    Ok(())
}

pub(super) async fn of(
    db: impl PgExecutor<'_>,
    projects: &[ProjectId],
    names: &[SecretName],
) -> StoreResult<Vec<SealedSecret>> {
    let names: Vec<&str> = names.iter().map(SecretName::as_str).collect();
    let rows = sqlx::query_as(
        "-- secrets.of
         SELECT project_id, name, sealed FROM secrets WHERE project_id = ANY($1) AND name = ANY($2)",
    )
    .bind(projects.iter().map(|project| project.0).collect::<Vec<Uuid>>())
    .bind(names)
    .fetch_all(db)
    .await
    .map_err(error)?;
    Ok(secrets::read(rows))
}
