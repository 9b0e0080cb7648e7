//! Secrets, as they are kept: sealed. No store ever sees a value or a key.

use async_trait::async_trait;

use super::{Page, StoreResult};
use crate::models::ids::{CheckId, ProjectId};
use crate::models::schedule::Slot;
use crate::models::secret::{Secret, SecretName};

/// Which key something is sealed with: the first bytes of its hash. They stand behind the first byte
/// of what is sealed.
pub type KeyId = [u8; 4];

/// A secret as it lies in the store.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecret {
    /// Whose it is.
    pub project: ProjectId,
    /// What checks call it.
    pub name: SecretName,
    /// Its value, sealed.
    pub sealed: Vec<u8>,
}

/// A check that refers to a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referring {
    /// The check.
    pub id: CheckId,
    /// Its name.
    pub name: String,
}

/// What became of a wish to remove a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is gone.
    Done,
    /// There is no such secret.
    NotFound,
    /// Checks refer to it: these, oldest first, as many as were asked for.
    InUse(Vec<Referring>),
}

/// Secrets of a project.
#[async_trait]
pub trait SecretStore: Send + Sync {
    /// Puts a secret, new or in the place of another value; whether it is new.
    ///
    /// The checks that refer to it get a new version in the same step, so that workers fetch their
    /// definitions anew.
    async fn put(&self, secret: &SealedSecret, now: Slot) -> StoreResult<bool>;

    /// Secrets by their names, in the order of their bytes. The cursor is the last name seen.
    async fn list(&self, project: ProjectId, page: Page<SecretName>) -> StoreResult<Vec<Secret>>;

    /// Those of `names` that are there, sealed.
    async fn get(&self, project: ProjectId, names: &[SecretName])
    -> StoreResult<Vec<SealedSecret>>;

    /// Removes a secret, unless checks refer to it; of those, `most` are told.
    async fn remove(
        &self,
        project: ProjectId,
        name: &SecretName,
        most: u32,
    ) -> StoreResult<Removal>;

    /// At most `limit` secrets of any project that are sealed with one of these keys, in the order of
    /// projects and names; those behind `after`, if it is given.
    async fn sealed_with(
        &self,
        keys: &[KeyId],
        after: Option<&SealedSecret>,
        limit: u32,
    ) -> StoreResult<Vec<SealedSecret>>;

    /// Puts the same value sealed anew in the place of `before`, unless that has changed since; whether
    /// it did. Definitions are fetched anew as after [`Self::put`]: copies on their way to workers
    /// have the old seal.
    async fn reseal(&self, before: &SealedSecret, sealed: &[u8]) -> StoreResult<bool>;
}
