//! Channels and routes, as the API sees them.

use async_trait::async_trait;

use super::{Page, StoreResult};
use crate::models::breaker::Failing;
use crate::models::channel::Message;
use crate::models::ids::{DeliveryId, ProjectId, SettingId};
use crate::models::schedule::Slot;
use crate::models::setting::{Setting, SettingKind};

/// What became of a change of a setting.
#[derive(Clone, Debug, PartialEq)]
pub enum SettingChange {
    /// Done.
    Done,
    /// There is no such setting.
    NotFound,
    /// It was changed since it was read: read again and try again.
    Stale,
}

/// What is known of a channel besides its configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelState {
    /// How its receiver has been failing; `None` when it answered well the last time, or was never asked.
    pub failing: Option<Failing>,
    /// When Pulse itself switched it off, and why.
    pub disabled: Option<(Slot, String)>,
}

/// Settings of a project.
#[async_trait]
pub trait SettingStore: Send + Sync {
    /// Adds one; `false`, and nothing has happened, when the project has as many of its kind as it may.
    async fn create(&self, setting: &Setting) -> StoreResult<bool>;

    /// The setting of that kind and id in that project.
    async fn get(
        &self,
        project: ProjectId,
        kind: SettingKind,
        id: SettingId,
    ) -> StoreResult<Option<Setting>>;

    /// Settings of one kind, newest first. The cursor is the id of the last one seen.
    async fn list(
        &self,
        project: ProjectId,
        kind: SettingKind,
        page: Page<SettingId>,
    ) -> StoreResult<Vec<Setting>>;

    /// Puts this in the place of the version before it. Deliveries under way go on by it. A channel that
    /// is changed and on has its breaker closed.
    async fn replace(&self, setting: &Setting) -> StoreResult<SettingChange>;

    /// Removes it; `false` when there is no such setting. What is on its way to a channel that is removed
    /// is given up when it is due, and told to the fallback it had.
    async fn remove(
        &self,
        project: ProjectId,
        kind: SettingKind,
        id: SettingId,
    ) -> StoreResult<bool>;

    /// What is known of these channels; nothing of those that are well.
    async fn channel_states(
        &self,
        project: ProjectId,
        channels: &[SettingId],
    ) -> StoreResult<Vec<(SettingId, ChannelState)>>;

    /// Raises a test of a channel, to be delivered as any alert is; `None` when there is no such channel.
    async fn test_channel(
        &self,
        project: ProjectId,
        channel: SettingId,
        message: &Message,
        now: Slot,
    ) -> StoreResult<Option<DeliveryId>>;
}
