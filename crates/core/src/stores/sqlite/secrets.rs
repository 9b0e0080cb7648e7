//! Secrets, sealed; what PostgreSQL says in the same words is shared.

use serde_json::json;
use sqlx::SqliteExecutor;
use uuid::Uuid;

use super::list::ids;
use super::{Sqlite, Tx, error};
use crate::models::ids::{CheckId, ProjectId};
use crate::models::schedule::Slot;
use crate::models::secret::SecretName;
use crate::ports::StoreResult;
use crate::ports::secrets::{KeyId, SealedSecret};
use crate::stores::sql::secrets;

secrets::secret_store!(Sqlite, "instr(config, $2)");

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

pub(super) async fn renew_checks(tx: &mut Tx, checks: &[CheckId]) -> StoreResult<()> {
    let checks = ids(checks.iter().map(|check| check.0));
    for step in [
        "-- secrets.renew_checks
         UPDATE checks SET version = version + 1 WHERE id IN (SELECT unhex(value) FROM jsonb_each(?1))",
        "-- secrets.renew_checks: what jobs are made of
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
    Ok(secrets::sealed(rows))
}

async fn sealed_with(
    db: impl SqliteExecutor<'_>,
    keys: &[KeyId],
    (project, name): (Uuid, &str),
    limit: u32,
) -> StoreResult<Vec<SealedSecret>> {
    let keys: Vec<String> =
        keys.iter().map(|key| format!("{:08x}", u32::from_be_bytes(*key))).collect();
    let rows = sqlx::query_as(
        "-- secrets.sealed_with
         SELECT project_id, name, sealed FROM secrets
         WHERE substr(sealed, 2, 4) IN (SELECT unhex(value) FROM jsonb_each(?1))
           AND (project_id, name) > (?3, ?4)
         ORDER BY project_id, name LIMIT ?2",
    )
    .bind(json!(keys).to_string())
    .bind(limit)
    .bind(project)
    .bind(name)
    .fetch_all(db)
    .await
    .map_err(error)?;
    Ok(secrets::sealed(rows))
}
