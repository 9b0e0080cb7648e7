//! What the API needs to know and change about checks, alerts and deliveries.

use std::ops::Range;

use async_trait::async_trait;

use super::{Page, StoreResult};
use crate::models::alert::{Alert, AttemptView, DeliveryState, DeliveryView};
use crate::models::check::{Check, CheckDraft, CheckView, Status};
use crate::models::ids::{
    AlertId, AttemptId, CheckId, DeliveryId, IncidentId, ProjectId, SettingId,
};
use crate::models::schedule::Slot;

/// A client's word that two requests are one (`Idempotency-Key`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The client's key, 1 to 255 visible ASCII characters. Remembered for a day.
    pub key: String,
    /// SHA-256 of the request's body, to tell a retry from a mistake.
    pub request_hash: Vec<u8>,
}

/// What became of a request to create a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Creation {
    /// It is there, and due at once.
    Created(CheckView),
    /// The same request was served before; this is its check as it is now.
    Replayed(CheckView),
    /// The key was used for another request.
    KeyReused,
    /// The key's check has been deleted since.
    Gone,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "made once a request and taken apart at once")]
pub enum Change {
    /// Done; the check as it is now.
    Done(CheckView),
    /// There is no such check.
    NotFound,
    /// The check was changed since it was read: read again and try again.
    Stale,
    /// It was to depend on this check, which depends on it.
    Circular(CheckId),
}

/// What became of a wish to run a check now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "made once a request and taken apart at once")]
pub enum RunNow {
    /// A slot is due at once; the check as it is now.
    Due(CheckView),
    /// There is no such check.
    NotFound,
    /// It is paused, and stays so.
    Paused,
    /// Nobody looks: its job calls when it runs.
    Waits,
}

/// Which checks a list shows; all conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckFilter {
    /// Only with this status.
    pub status: Option<Status>,
    /// Only with all of these tags.
    pub tags: Vec<String>,
    /// Only enabled ones, or only paused ones.
    pub enabled: Option<bool>,
    /// Only those whose name or URL contains this, whatever the case.
    pub text: Option<String>,
}

/// Checks, as the API sees them. Deleted checks are not found.
#[async_trait]
pub trait CheckStore: Send + Sync {
    /// Adds `check` and makes it due at `now` in each of its regions, unless it is paused.
    async fn create(
        &self,
        check: Check,
        key: Option<IdempotencyKey>,
        now: Slot,
    ) -> StoreResult<Creation>;

    /// The check of that id in that project.
    async fn get(&self, project: ProjectId, id: CheckId) -> StoreResult<Option<CheckView>>;

    /// Checks, newest first. The cursor is the id of the last one seen.
    async fn list(
        &self,
        project: ProjectId,
        filter: &CheckFilter,
        page: Page<CheckId>,
    ) -> StoreResult<Vec<CheckView>>;

    /// Replaces the configuration, if the check is still at `version`.
    ///
    /// A change of what is looked at makes the check due at `now` and closes a slot under way.
    /// Pausing closes it too, and resolves an open incident. A secret is kept when none is given.
    async fn replace(
        &self,
        project: ProjectId,
        id: CheckId,
        version: i32,
        draft: CheckDraft,
        now: Slot,
    ) -> StoreResult<Change>;

    /// Removes the check: it is found no more, an open incident is resolved, its history stays until
    /// its time is over. `false` when there is no such check.
    async fn delete(&self, project: ProjectId, id: CheckId, now: Slot) -> StoreResult<bool>;

    /// Makes the check due at `now` in each of its regions.
    async fn run_now(&self, project: ProjectId, id: CheckId, now: Slot) -> StoreResult<RunNow>;
}

/// Which deliveries a list shows; all conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Where they stand.
    pub state: Option<DeliveryState>,
    /// What they tell of.
    pub check: Option<CheckId>,
    /// Likewise.
    pub incident: Option<IncidentId>,
    /// Who is told.
    pub channel: Option<SettingId>,
    /// Raised at this instant or later.
    pub from: Option<Slot>,
    /// Raised before this instant.
    pub to: Option<Slot>,
}

/// Of which deliveries a list shows the attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptsOf {
    /// All of a project.
    All,
    /// Those of a check.
    Check(CheckId),
    /// One.
    Delivery(DeliveryId),
}

/// Who was told of what.
#[async_trait]
pub trait AlertLog: Send + Sync {
    /// Alerts of a check, newest first.
    async fn alerts(
        &self,
        project: ProjectId,
        check: CheckId,
        page: Page<AlertId>,
    ) -> StoreResult<Vec<Alert>>;

    /// Deliveries, newest first.
    async fn deliveries(
        &self,
        project: ProjectId,
        filter: &DeliveryFilter,
        page: Page<DeliveryId>,
    ) -> StoreResult<Vec<DeliveryView>>;

    /// Whether there is such a delivery.
    async fn has_delivery(&self, project: ProjectId, id: DeliveryId) -> StoreResult<bool>;

    /// Attempts of deliveries, newest first.
    async fn attempts(
        &self,
        project: ProjectId,
        of: AttemptsOf,
        page: Page<AttemptId>,
    ) -> StoreResult<Vec<AttemptView>>;

    /// Sends a dead or delivered delivery again, from the start of its schedule; same id, same bytes.
    /// A pending one is made due at once. `false` when there is no such delivery, or none of that check.
    async fn replay(
        &self,
        project: ProjectId,
        check: Option<CheckId>,
        delivery: DeliveryId,
        now: Slot,
    ) -> StoreResult<bool>;

    /// Sends dead deliveries again, as [`replay`](Self::replay) does, the oldest first, `limit` of them at
    /// most; tests are left alone. How many there were.
    async fn replay_dead(
        &self,
        project: ProjectId,
        channel: Option<SettingId>,
        raised: Range<Slot>,
        limit: u32,
        now: Slot,
    ) -> StoreResult<u64>;
}
