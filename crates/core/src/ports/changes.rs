//! What the API needs to tell of changes between runs.

use async_trait::async_trait;

use super::{Page, StoreResult};
use crate::models::ids::{ChangeId, CheckId, ProjectId};
use crate::models::traits::{Change, TraitKind};

/// Changes of a project, as the recorder found them.
#[async_trait]
pub trait ChangeLog: Send + Sync {
    /// Changes, of one check or of all, of one kind or of all, newest first.
    async fn changes(
        &self,
        project: ProjectId,
        check: Option<CheckId>,
        kind: Option<TraitKind>,
        page: Page<ChangeId>,
    ) -> StoreResult<Vec<Change>>;
}
