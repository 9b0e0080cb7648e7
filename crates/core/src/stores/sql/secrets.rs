//! Secrets: what a change of one means to the checks that refer to it, and how they leave with
//! definitions.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

use super::StateTx;
use crate::models::check::CheckConfig;
use crate::models::ids::{CheckId, ProjectId};
use crate::models::job::VersionedSpec;
use crate::models::schedule::Slot;
use crate::models::secret::{Sealed, SecretName};
use crate::ports::StoreResult;
use crate::ports::secrets::{Removal, SealedSecret};

/// See [`crate::ports::secrets::SecretStore::put`].
pub async fn put<T: StateTx>(mut tx: T, secret: &SealedSecret, now: Slot) -> StoreResult<bool> {
    let is_new = tx.put_secret(secret, now).await?;
    tx.renew_referring(secret.project, &secret.name).await?;
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
        return Ok(false);
    }
    tx.renew_referring(before.project, &before.name).await?;
    tx.commit().await?;
    Ok(true)
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
        return Ok(Removal::NotFound);
    }
    if !referring.is_empty() {
        // Dropped, the transaction takes the removal back.
        return Ok(Removal::InUse(referring));
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

/// Rows as both dialects select them. A name that is none cannot be referred to.
pub fn read(rows: Vec<(Uuid, String, Vec<u8>)>) -> Vec<SealedSecret> {
    let one = |(project, name, sealed): (Uuid, String, Vec<u8>)| {
        let name = SecretName::parse(&name).ok()?;
        Some(SealedSecret { project: ProjectId(project), name, sealed })
    };
    rows.into_iter().filter_map(one).collect()
}
