//! Secrets, sealed; what SQLite says in the same words is shared.

use sqlx::PgExecutor;
use uuid::Uuid;

use super::checks::uuids;
use super::{Postgres, Tx, error};
use crate::models::ids::{CheckId, ProjectId};
use crate::models::schedule::Slot;
use crate::models::secret::SecretName;
use crate::ports::StoreResult;
use crate::ports::secrets::{KeyId, SealedSecret};
use crate::stores::sql::secrets;

secrets::secret_store!(Postgres, "strpos(config::text, $2)");

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

pub(super) async fn renew_checks(tx: &mut Tx, checks: &[CheckId]) -> StoreResult<()> {
    let checks = uuids(checks);
    for step in [
        "-- secrets.renew_checks: regions before checks, as everywhere
         SELECT 1 FROM check_regions WHERE check_id = ANY($1) ORDER BY check_id, region FOR NO KEY UPDATE",
        "-- secrets.renew_checks: checks, in one order
         SELECT 1 FROM checks WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE",
        "-- secrets.renew_checks
         UPDATE checks SET version = version + 1 WHERE id = ANY($1)",
        "-- secrets.renew_checks: what jobs are made of
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
    Ok(secrets::sealed(rows))
}

async fn sealed_with(
    db: impl PgExecutor<'_>,
    keys: &[KeyId],
    (project, name): (Uuid, &str),
    limit: u32,
) -> StoreResult<Vec<SealedSecret>> {
    let keys: Vec<&[u8]> = keys.iter().map(<[u8; 4]>::as_slice).collect();
    let rows = sqlx::query_as(
        "-- secrets.sealed_with
         SELECT project_id, name, sealed FROM secrets
         WHERE substring(sealed FROM 2 FOR 4) = ANY($1) AND (project_id, name) > ($3, $4)
         ORDER BY project_id, name LIMIT $2",
    )
    .bind(keys)
    .bind(i64::from(limit))
    .bind(project)
    .bind(name)
    .fetch_all(db)
    .await
    .map_err(error)?;
    Ok(secrets::sealed(rows))
}
