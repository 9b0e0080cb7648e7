//! Secrets, sealed.

use async_trait::async_trait;
use serde_json::json;
use sqlx::SqliteExecutor;
use uuid::Uuid;

use super::list::ids;
use super::{Sqlite, Tx, error};
use crate::models::ids::{CheckId, ProjectId};
use crate::models::schedule::Slot;
use crate::models::secret::{Secret, SecretName};
use crate::ports::secrets::{KeyId, Referring, Removal, SealedSecret, SecretStore};
use crate::ports::{Page, StoreResult};
use crate::stores::sql::secrets;

#[async_trait]
impl SecretStore for Sqlite {
    async fn put(&self, secret: &SealedSecret, now: Slot) -> StoreResult<bool> {
        secrets::put(self.state.begin().await?, secret, now).await
    }

    async fn list(&self, project: ProjectId, page: Page<SecretName>) -> StoreResult<Vec<Secret>> {
        let rows: Vec<(String, i64, i64)> = sqlx::query_as(
            "-- secrets.list
             SELECT name, created_at, updated_at FROM secrets
             WHERE project_id = ?1 AND (?2 IS NULL OR name > ?2) ORDER BY name LIMIT ?3 OFFSET ?4",
        )
        .bind(project.0)
        .bind(page.after.as_ref().map(SecretName::as_str))
        .bind(page.limit)
        .bind(page.offset)
        .fetch_all(self.state.readers())
        .await
        .map_err(error)?;
        let one = |(name, created, updated): (String, i64, i64)| {
            let (created_at, updated_at) = (Slot(created).time(), Slot(updated).time());
            Some(Secret { name: SecretName::parse(&name).ok()?, created_at, updated_at })
        };
        Ok(rows.into_iter().filter_map(one).collect())
    }

    async fn get(
        &self,
        project: ProjectId,
        names: &[SecretName],
    ) -> StoreResult<Vec<SealedSecret>> {
        of(self.state.readers(), &[project], names).await
    }

    async fn remove(
        &self,
        project: ProjectId,
        name: &SecretName,
        most: u32,
    ) -> StoreResult<Removal> {
        secrets::remove(self.state.begin().await?, project, name, most).await
    }

    async fn sealed_with(&self, keys: &[KeyId], limit: u32) -> StoreResult<Vec<SealedSecret>> {
        let keys: Vec<String> =
            keys.iter().map(|key| format!("{:08x}", u32::from_be_bytes(*key))).collect();
        let rows = sqlx::query_as(
            "-- secrets.sealed_with
             SELECT project_id, name, sealed FROM secrets
             WHERE substr(sealed, 2, 4) IN (SELECT unhex(value) FROM jsonb_each(?1))
             ORDER BY project_id, name LIMIT ?2",
        )
        .bind(json!(keys).to_string())
        .bind(limit)
        .fetch_all(self.state.readers())
        .await
        .map_err(error)?;
        Ok(secrets::read(rows))
    }

    async fn reseal(&self, before: &SealedSecret, sealed: &[u8]) -> StoreResult<bool> {
        secrets::reseal(self.state.begin().await?, before, sealed).await
    }
}

/// The transaction holds the only writer: nobody comes between the two statements.
pub(super) async fn put(tx: &mut Tx, secret: &SealedSecret, now: Slot) -> StoreResult<bool> {
    let over = sqlx::query(
        "-- secrets.put: over another value
         UPDATE secrets SET sealed = ?3, updated_at = ?4 WHERE project_id = ?1 AND name = ?2",
    );
    let anew = sqlx::query(
        "-- secrets.put
         INSERT INTO secrets (project_id, name, sealed, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?4)",
    );
    for (statement, is_new) in [(over, false), (anew, true)] {
        let done = statement
            .bind(secret.project.0)
            .bind(secret.name.as_str())
            .bind(&secret.sealed)
            .bind(now.0)
            .execute(&mut **tx)
            .await
            .map_err(error)?;
        if done.rows_affected() == 1 {
            return Ok(is_new);
        }
    }
    Ok(true)
}

pub(super) async fn replace_seal(
    tx: &mut Tx,
    before: &SealedSecret,
    sealed: &[u8],
) -> StoreResult<bool> {
    let done = sqlx::query(
        "-- secrets.replace_seal
         UPDATE secrets SET sealed = ?4 WHERE project_id = ?1 AND name = ?2 AND sealed = ?3",
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
        sqlx::query("-- secrets.remove\n DELETE FROM secrets WHERE project_id = ?1 AND name = ?2")
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
         WHERE project_id = ?1 AND deleted_at IS NULL AND instr(config, ?2) > 0
         ORDER BY id LIMIT ?3",
    )
    .bind(project.0)
    .bind(name.reference())
    .bind(most)
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
    let all = referring(tx, project, name, u32::MAX).await?;
    let checks = ids(all.iter().map(|check| check.id.0));
    for step in [
        "-- secrets.renew_referring
         UPDATE checks SET version = version + 1 WHERE id IN (SELECT unhex(value) FROM jsonb_each(?1))",
        "-- secrets.renew_referring: what jobs are made of
         UPDATE check_regions SET version = (SELECT version FROM checks WHERE id = check_id)
         WHERE check_id IN (SELECT unhex(value) FROM jsonb_each(?1))",
    ] {
        sqlx::query(step).bind(&checks).execute(&mut **tx).await.map_err(error)?;
    }
    Ok(())
}

pub(super) async fn of(
    db: impl SqliteExecutor<'_>,
    projects: &[ProjectId],
    names: &[SecretName],
) -> StoreResult<Vec<SealedSecret>> {
    let names: Vec<&str> = names.iter().map(SecretName::as_str).collect();
    let rows = sqlx::query_as(
        "-- secrets.of
         SELECT project_id, name, sealed FROM secrets
         WHERE project_id IN (SELECT unhex(value) FROM jsonb_each(?1))
           AND name IN (SELECT value FROM jsonb_each(?2))",
    )
    .bind(ids(projects.iter().map(|project| project.0)))
    .bind(json!(names).to_string())
    .fetch_all(db)
    .await
    .map_err(error)?;
    Ok(secrets::read(rows))
}
