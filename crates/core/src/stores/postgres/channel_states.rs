//! How receivers have been failing, and which channels Pulse has switched off.

use super::pool::Pool;
use super::{Tx, error};
use crate::models::alert::Addressee;
use crate::models::breaker::Failing;
use crate::models::ids::{ProjectId, SettingId};
use crate::models::schedule::Slot;
use crate::ports::StoreResult;
use crate::stores::sql::receivers::FailingRow;
use crate::stores::sql::settings::StandingRow;

pub(super) async fn lock(
    tx: &mut Tx,
    project: ProjectId,
    receiver: &str,
) -> StoreResult<Option<Failing>> {
    // The row is made where there is none: two who fail for the first time must wait for each other.
    let row: FailingRow = sqlx::query_as(
        "-- channel_states.lock
         INSERT INTO channel_states (project_id, channel) VALUES ($1, $2)
         ON CONFLICT (project_id, channel) DO UPDATE SET channel = excluded.channel
         RETURNING failures, failing_since, open_until",
    )
    .bind(project.0)
    .bind(receiver)
    .fetch_one(&mut **tx)
    .await
    .map_err(error)?;
    Ok(row.read())
}

pub(super) async fn save(
    tx: &mut Tx,
    project: ProjectId,
    receiver: &str,
    failing: &Failing,
) -> StoreResult<()> {
    sqlx::query(
        "-- channel_states.save
         UPDATE channel_states SET failures = $3, failing_since = $4, open_until = $5
         WHERE project_id = $1 AND channel = $2",
    )
    .bind(project.0)
    .bind(receiver)
    .bind(i32::try_from(failing.failures).unwrap_or(i32::MAX))
    .bind(failing.since.0)
    .bind(failing.open_until.map(|until| until.0))
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

/// Why a channel was switched off stays: a test that arrives does not switch it on.
pub(super) async fn forget(tx: &mut Tx, project: ProjectId, receiver: &str) -> StoreResult<()> {
    sqlx::query(
        "-- channel_states.forget
         DELETE FROM channel_states
         WHERE project_id = $1 AND channel = $2 AND disabled_at IS NULL AND fallback IS NULL",
    )
    .bind(project.0)
    .bind(receiver)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

/// The state must be locked.
pub(super) async fn switch_off(
    tx: &mut Tx,
    project: ProjectId,
    channel: Addressee,
    reason: &str,
    now: Slot,
) -> StoreResult<bool> {
    let done = sqlx::query(
        "-- channel_states.switch_off
         UPDATE settings
         SET config = jsonb_set(config, '{enabled}', 'false'), version = version + 1, updated_at = $4
         WHERE id = $1 AND project_id = $2 AND kind = 'channel' AND version = $3
           AND (config ->> 'enabled')::boolean",
    )
    .bind(channel.id.0)
    .bind(project.0)
    .bind(channel.version)
    .bind(now.time())
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    if done.rows_affected() != 1 {
        return Ok(false);
    }
    sqlx::query(
        "-- channel_states.switch_off: why
         UPDATE channel_states
         SET failures = 0, failing_since = NULL, open_until = NULL, disabled_at = $3, reason = $4
         WHERE project_id = $1 AND channel = $2",
    )
    .bind(project.0)
    .bind(channel.id.to_string())
    .bind(now.0)
    .bind(reason)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(true)
}

/// A channel was changed by a person: what is known of it is known of another.
pub(super) async fn renew(tx: &mut Tx, project: ProjectId, channel: SettingId) -> StoreResult<()> {
    sqlx::query(
        "-- channel_states.renew\n DELETE FROM channel_states WHERE project_id = $1 AND channel = $2",
    )
    .bind(project.0)
    .bind(channel.to_string())
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

/// A channel is about to be removed: its fallback is kept for what is on its way to it.
pub(super) async fn bequeath(
    tx: &mut Tx,
    project: ProjectId,
    channel: SettingId,
) -> StoreResult<()> {
    renew(tx, project, channel).await?;
    sqlx::query(
        "-- channel_states.bequeath
         INSERT INTO channel_states (project_id, channel, fallback)
         SELECT project_id, id::text, (config ->> 'fallback')::uuid FROM settings
         WHERE id = $2 AND project_id = $1 AND kind = 'channel' AND config ->> 'fallback' IS NOT NULL
         ON CONFLICT (project_id, channel) DO UPDATE SET fallback = excluded.fallback",
    )
    .bind(project.0)
    .bind(channel.0)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

/// What of these receivers is known.
pub(super) async fn of(
    pool: &Pool,
    project: ProjectId,
    channels: &[SettingId],
) -> StoreResult<Vec<StandingRow>> {
    let names: Vec<String> = channels.iter().map(SettingId::to_string).collect();
    sqlx::query_as(
        "-- channel_states.of
         SELECT channel, failures, failing_since, open_until, disabled_at, reason FROM channel_states
         WHERE project_id = $1 AND channel = ANY($2)",
    )
    .bind(project.0)
    .bind(names)
    .fetch_all(pool)
    .await
    .map_err(error)
}
