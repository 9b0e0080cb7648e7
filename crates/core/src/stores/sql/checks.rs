//! A new check, once however often it is asked for.

use super::{Earlier, StateTx, heartbeats};
use crate::crash::{Point, crash_point};
use crate::models::check::Check;
use crate::models::check_region::CheckRegion;
use crate::models::schedule::Slot;
use crate::ports::StoreResult;
use crate::ports::checks::{Creation, IdempotencyKey};

/// Adds `check` and makes it due in each of its regions.
pub async fn create<T: StateTx>(
    mut tx: T,
    check: Check,
    key: Option<IdempotencyKey>,
    now: Slot,
) -> StoreResult<Creation> {
    if let Some(key) = &key
        && let Some(earlier) = tx.remember(key, &check, now).await?
    {
        return replay(tx, key, &check, earlier).await;
    }
    tx.insert_check(&check).await?;
    let regions = check.config.regions.iter();
    let regions: Vec<_> =
        regions.map(|region| CheckRegion::new(&check, region.clone(), now)).collect();
    tx.insert_regions(&regions).await?;
    heartbeats::begin(&mut tx, &check).await?;
    let view = tx.view(check.project_id, check.id).await?;
    crash_point(Point::ApiCheckWritten);
    tx.commit().await?;
    view.map(Creation::Created)
        .ok_or_else(|| T::unreadable("a check that vanished in its own transaction"))
}

/// Answers a request that was served before.
async fn replay<T: StateTx>(
    mut tx: T,
    key: &IdempotencyKey,
    check: &Check,
    (hash, id): Earlier,
) -> StoreResult<Creation> {
    if hash != key.request_hash {
        return Ok(tx.unchanged(Creation::KeyReused).await);
    }
    let view = tx.view(check.project_id, id).await?;
    Ok(tx.unchanged(view.map_or(Creation::Gone, Creation::Replayed)).await)
}
