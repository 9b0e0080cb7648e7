//! Settings: channels and routes.

use async_trait::async_trait;
use uuid::Uuid;

use super::{Postgres, Tx, channel_states, error, unreadable};
use crate::models::channel::Message;
use crate::models::ids::{DeliveryId, ProjectId, SettingId};
use crate::models::schedule::Slot;
use crate::models::setting::{MOST_OF_A_KIND, Setting, SettingKind};
use crate::ports::settings::{ChannelState, SettingChange, SettingStore};
use crate::ports::{Page, StoreResult};
use crate::stores::sql::rows::read_all;
use crate::stores::sql::settings::{SettingRow, StandingRow, renews, test_channel};

#[async_trait]
impl SettingStore for Postgres {
    async fn create(&self, setting: &Setting) -> StoreResult<bool> {
        let mut tx = self.begin().await?;
        // One at a time: two that count together would both find room.
        lock_project(&mut tx, setting.project_id).await?;
        let done = sqlx::query(
            "-- settings.create
             INSERT INTO settings (id, project_id, kind, config, version, created_at, updated_at)
             SELECT $1, $2, $3, $4, $5, $6, $7
             WHERE (SELECT count(*) FROM settings WHERE project_id = $2 AND kind = $3) < $8
             ON CONFLICT (id) DO NOTHING",
        )
        .bind(setting.id.0)
        .bind(setting.project_id.0)
        .bind(setting.kind.as_str())
        .bind(&setting.config)
        .bind(setting.version)
        .bind(setting.created_at)
        .bind(setting.updated_at)
        .bind(i64::from(MOST_OF_A_KIND))
        .execute(&mut *tx)
        .await
        .map_err(error)?;
        ask_again(&mut tx, setting.project_id, setting.kind).await?;
        tx.commit().await.map_err(error)?;
        Ok(done.rows_affected() == 1)
    }

    async fn get(
        &self,
        project: ProjectId,
        kind: SettingKind,
        id: SettingId,
    ) -> StoreResult<Option<Setting>> {
        let row: Option<SettingRow> = sqlx::query_as(
            "-- settings.get
             SELECT * FROM settings WHERE id = $1 AND project_id = $2 AND kind = $3",
        )
        .bind(id.0)
        .bind(project.0)
        .bind(kind.as_str())
        .fetch_optional(&self.pool)
        .await
        .map_err(error)?;
        row.map(Setting::try_from).transpose().map_err(unreadable)
    }

    async fn list(
        &self,
        project: ProjectId,
        kind: SettingKind,
        page: Page<SettingId>,
    ) -> StoreResult<Vec<Setting>> {
        let rows: Vec<SettingRow> = sqlx::query_as(
            "-- settings.list
             SELECT * FROM settings
             WHERE project_id = $1 AND kind = $2 AND ($3::uuid IS NULL OR id < $3)
             ORDER BY id DESC LIMIT $4 OFFSET $5",
        )
        .bind(project.0)
        .bind(kind.as_str())
        .bind(page.after.map(|id| id.0))
        .bind(i64::from(page.limit))
        .bind(i64::from(page.offset))
        .fetch_all(&self.pool)
        .await
        .map_err(error)?;
        read_all(rows).map_err(unreadable)
    }

    async fn replace(&self, setting: &Setting) -> StoreResult<SettingChange> {
        let mut tx = self.begin().await?;
        if renews(setting) {
            channel_states::renew(&mut tx, setting.project_id, setting.id).await?;
        }
        let done = sqlx::query(
            "-- settings.replace
             UPDATE settings SET config = $4, version = $5, updated_at = $6
             WHERE id = $1 AND project_id = $2 AND kind = $3 AND version = $5 - 1",
        )
        .bind(setting.id.0)
        .bind(setting.project_id.0)
        .bind(setting.kind.as_str())
        .bind(&setting.config)
        .bind(setting.version)
        .bind(setting.updated_at)
        .execute(&mut *tx)
        .await
        .map_err(error)?;
        if done.rows_affected() == 1 {
            ask_again(&mut tx, setting.project_id, setting.kind).await?;
            tx.commit().await.map_err(error)?;
            return Ok(SettingChange::Done);
        }
        tx.roll_back().await;
        let there = self.get(setting.project_id, setting.kind, setting.id).await?;
        Ok(there.map_or(SettingChange::NotFound, |_other| SettingChange::Stale))
    }

    async fn remove(
        &self,
        project: ProjectId,
        kind: SettingKind,
        id: SettingId,
    ) -> StoreResult<bool> {
        let mut tx = self.begin().await?;
        if kind == SettingKind::Channel {
            channel_states::bequeath(&mut tx, project, id).await?;
        }
        let done = sqlx::query(
            "-- settings.remove
             DELETE FROM settings WHERE id = $1 AND project_id = $2 AND kind = $3",
        )
        .bind(id.0)
        .bind(project.0)
        .bind(kind.as_str())
        .execute(&mut *tx)
        .await
        .map_err(error)?;
        ask_again(&mut tx, project, kind).await?;
        tx.commit().await.map_err(error)?;
        Ok(done.rows_affected() == 1)
    }

    async fn channel_states(
        &self,
        project: ProjectId,
        channels: &[SettingId],
    ) -> StoreResult<Vec<(SettingId, ChannelState)>> {
        let rows = channel_states::of(&self.pool, project, channels).await?;
        Ok(rows.into_iter().filter_map(StandingRow::read).collect())
    }

    async fn test_channel(
        &self,
        project: ProjectId,
        channel: SettingId,
        message: &Message,
        now: Slot,
    ) -> StoreResult<Option<DeliveryId>> {
        test_channel(self.begin().await?, project, channel, message, now).await
    }
}

pub(super) async fn lock_project(tx: &mut Tx, project: ProjectId) -> StoreResult<()> {
    sqlx::query(
        "-- settings.lock_project\n SELECT 1 FROM projects WHERE id = $1 FOR NO KEY UPDATE",
    )
    .bind(project.0)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

/// What was configured about who is told has changed: whoever waits for something is asked of at once.
async fn ask_again(tx: &mut Tx, project: ProjectId, kind: SettingKind) -> StoreResult<()> {
    if kind == SettingKind::Channel {
        return Ok(());
    }
    sqlx::query(
        "-- settings.ask_again
         UPDATE incidents SET follow_up_at = 0 WHERE project_id = $1 AND follow_up_at > 0",
    )
    .bind(project.0)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

pub(super) async fn of(tx: &mut Tx, projects: &[ProjectId]) -> StoreResult<Vec<Setting>> {
    let projects: Vec<Uuid> = projects.iter().map(|project| project.0).collect();
    let rows: Vec<SettingRow> = sqlx::query_as(
        "-- settings.of
         SELECT * FROM settings WHERE project_id = ANY($1) ORDER BY id",
    )
    .bind(projects)
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    // What a later version configures must not keep people from being told of what this one knows.
    Ok(rows.into_iter().filter_map(|row| Setting::try_from(row).ok()).collect())
}
