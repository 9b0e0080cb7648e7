//! Secrets: what both dialects say of them in the same words, what a change of one means to the checks
//! that refer to it, and how they leave with definitions.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sqlx::FromRow;
use uuid::Uuid;

use super::StateTx;
use super::rows::At;
use crate::models::check::CheckConfig;
use crate::models::ids::{CheckId, ProjectId};
use crate::models::job::VersionedSpec;
use crate::models::schedule::Slot;
use crate::models::secret::{Sealed, Secret, SecretName};
use crate::ports::StoreResult;
use crate::ports::secrets::{Removal, SealedSecret};

/// See [`crate::ports::secrets::SecretStore::put`].
pub async fn put<T: StateTx>(mut tx: T, secret: &SealedSecret, now: Slot) -> StoreResult<bool> {
    let is_new = tx.put_secret(secret, now).await?;
    renew_referring(&mut tx, secret.project, &secret.name).await?;
    tx.commit().await?;
    Ok(is_new)
}

/// See [`crate::ports::secrets::SecretStore::reseal`].
pub async fn reseal<T: StateTx>(
    mut tx: T,
    before: &SealedSecret,
    sealed: &[u8],
) -> StoreResult<bool> {
    if !tx.replace_seal(before, sealed).await? {
        return Ok(tx.unchanged(false).await);
    }
    renew_referring(&mut tx, before.project, &before.name).await?;
    tx.commit().await?;
    Ok(true)
}

/// Gives the checks that refer to a secret a new version.
async fn renew_referring<T: StateTx>(
    tx: &mut T,
    project: ProjectId,
    name: &SecretName,
) -> StoreResult<()> {
    let referring = tx.referring(project, name, u32::MAX).await?;
    if referring.is_empty() {
        return Ok(());
    }
    let checks: Vec<CheckId> = referring.into_iter().map(|check| check.id).collect();
    tx.renew_checks(&checks).await
}

/// See [`crate::ports::secrets::SecretStore::remove`].
pub async fn remove<T: StateTx>(
    mut tx: T,
    project: ProjectId,
    name: &SecretName,
    most: u32,
) -> StoreResult<Removal> {
    let referring = tx.referring(project, name, most).await?;
    if !tx.remove_secret(project, name).await? {
        return Ok(tx.unchanged(Removal::NotFound).await);
    }
    if !referring.is_empty() {
        // That takes the removal back.
        return Ok(tx.unchanged(Removal::InUse(referring)).await);
    }
    tx.commit().await?;
    Ok(Removal::Done)
}

/// The definitions of `checks`, each with the secrets that it refers to. Those that refer to none,
/// nearly all, cost no statement more.
pub async fn specs<T: StateTx>(tx: &mut T, checks: &[CheckId]) -> StoreResult<Vec<VersionedSpec>> {
    let configs = tx.configs(checks).await?;
    let wanted: BTreeMap<CheckId, BTreeSet<SecretName>> = configs
        .iter()
        .map(|(id, _, config)| (*id, config.probe.secrets().into_keys().collect()))
        .filter(|(_, names): &(_, BTreeSet<_>)| !names.is_empty())
        .collect();
    let mut sealed = sealed_for(tx, &wanted).await?;
    let spec = |(check_id, version, config): (CheckId, i32, CheckConfig)| {
        let mut probe = config.probe;
        probe.sealed = sealed.remove(&check_id).map(Box::new);
        VersionedSpec { check_id, version, spec: probe.into() }
    };
    Ok(configs.into_iter().map(spec).collect())
}

async fn sealed_for<T: StateTx>(
    tx: &mut T,
    wanted: &BTreeMap<CheckId, BTreeSet<SecretName>>,
) -> StoreResult<BTreeMap<CheckId, Sealed>> {
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let checks: Vec<CheckId> = wanted.keys().copied().collect();
    let owners = tx.projects_of(&checks).await?;
    let projects: BTreeSet<ProjectId> = owners.iter().map(|(_, project)| *project).collect();
    let names: BTreeSet<SecretName> = wanted.values().flatten().cloned().collect();
    let found = tx.secrets(&Vec::from_iter(projects), &Vec::from_iter(names)).await?;
    let found: HashMap<(ProjectId, &SecretName), &[u8]> =
        found.iter().map(|it| ((it.project, &it.name), &*it.sealed)).collect();
    let of_check = |(check, project): (CheckId, ProjectId)| {
        let names = wanted.get(&check)?.iter();
        let there = names.filter_map(|name| Some((name, *found.get(&(project, name))?)));
        Some((check, Sealed::of(project, there)))
    };
    Ok(owners.into_iter().filter_map(of_check).collect())
}

/// A secret as lists show it.
#[derive(FromRow)]
pub struct SecretRow {
    name: String,
    created_at: At,
    updated_at: At,
}

/// A secret as it lies there.
#[derive(FromRow)]
pub struct SealedRow {
    project_id: Uuid,
    name: String,
    sealed: Vec<u8>,
}

/// A name that is none cannot be referred to.
pub fn listed(rows: Vec<SecretRow>) -> Vec<Secret> {
    let one = |SecretRow { name, created_at, updated_at }| {
        let name = SecretName::parse(&name).ok()?;
        Some(Secret { name, created_at: created_at.0, updated_at: updated_at.0 })
    };
    rows.into_iter().filter_map(one).collect()
}

impl SealedRow {
    /// See [`listed`].
    pub fn read(self) -> Option<SealedSecret> {
        let name = SecretName::parse(&self.name).ok()?;
        Some(SealedSecret { project: ProjectId(self.project_id), name, sealed: self.sealed })
    }
}

pub fn sealed(rows: Vec<SealedRow>) -> Vec<SealedSecret> {
    rows.into_iter().filter_map(SealedRow::read).collect()
}

/// Every secret, where there is a table of them.
pub const EVERY: &str = "-- secrets.every
    SELECT project_id, name, sealed FROM secrets ORDER BY project_id, name";

/// Where those behind `after` begin; all are behind the nil project and the empty name.
pub fn place(after: Option<&SealedSecret>) -> (Uuid, &str) {
    after.map_or((Uuid::nil(), ""), |it| (it.project.0, it.name.as_str()))
}

/// Implements [`crate::ports::secrets::SecretStore`] for a dialect's store, with the statements that both
/// dialects say in the same words; `put`, `renew_checks`, `of` and `sealed_with` are the dialect's own. To
/// be called where these, `Tx` and `error` are in scope, with how the dialect finds a text, `$2`, in the
/// definition of a check: a place that is 0 where it is not there.
macro_rules! secret_store {
    ($store:ty, $place:literal) => {
        use async_trait::async_trait;

        use crate::models::secret::Secret;
        use crate::ports::Page;
        use crate::ports::secrets::{Referring, Removal, SecretStore};

        #[async_trait]
        impl SecretStore for $store {
            async fn put(&self, secret: &SealedSecret, now: Slot) -> StoreResult<bool> {
                secrets::put(self.begin().await?, secret, now).await
            }

            async fn list(
                &self,
                project: ProjectId,
                page: Page<SecretName>,
            ) -> StoreResult<Vec<Secret>> {
                let rows = sqlx::query_as(
                    "-- secrets.list
                     SELECT name, created_at, updated_at FROM secrets
                     WHERE project_id = $1 AND (CAST($2 AS text) IS NULL OR name > $2)
                     ORDER BY name LIMIT $3 OFFSET $4",
                )
                .bind(project.0)
                .bind(page.after.as_ref().map(SecretName::as_str))
                .bind(i64::from(page.limit))
                .bind(i64::from(page.offset))
                .fetch_all(self.readers())
                .await
                .map_err(error)?;
                Ok(secrets::listed(rows))
            }

            async fn get(
                &self,
                project: ProjectId,
                names: &[SecretName],
            ) -> StoreResult<Vec<SealedSecret>> {
                of(self.readers(), &[project], names).await
            }

            async fn remove(
                &self,
                project: ProjectId,
                name: &SecretName,
                most: u32,
            ) -> StoreResult<Removal> {
                secrets::remove(self.begin().await?, project, name, most).await
            }

            async fn sealed_with(
                &self,
                keys: &[KeyId],
                after: Option<&SealedSecret>,
                limit: u32,
            ) -> StoreResult<Vec<SealedSecret>> {
                let (project, name) = secrets::place(after);
                sealed_with(self.readers(), keys, (project, name), limit).await
            }

            async fn reseal(&self, before: &SealedSecret, sealed: &[u8]) -> StoreResult<bool> {
                secrets::reseal(self.begin().await?, before, sealed).await
            }
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
            let done = sqlx::query(
                "-- secrets.remove
                 DELETE FROM secrets WHERE project_id = $1 AND name = $2",
            )
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
            let rows: Vec<(Uuid, String)> = sqlx::query_as(concat!(
                "-- secrets.referring
                 SELECT id, config ->> 'name' FROM checks
                 WHERE project_id = $1 AND deleted_at IS NULL AND ",
                $place,
                " > 0 ORDER BY id LIMIT $3",
            ))
            .bind(project.0)
            .bind(name.reference())
            .bind(i64::from(most))
            .fetch_all(&mut **tx)
            .await
            .map_err(error)?;
            Ok(rows.into_iter().map(|(id, name)| Referring { id: CheckId(id), name }).collect())
        }
    };
}
pub(in crate::stores) use secret_store;
