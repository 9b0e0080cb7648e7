//! What a person changes: configuration, pause, deletion, a run now.
//!
//! Each locks the check's regions, then the check, so that no claim and no recording moves meanwhile.

use sqlx::types::Json;

use super::checks::{CheckRow, view};
use super::{Postgres, Tx, check_regions, error, incidents, outbox, unreadable};
use crate::models::alert::Resolution;
use crate::models::check::{Check, CheckDraft};
use crate::models::check_region::CheckRegion;
use crate::models::health::State;
use crate::models::ids::{CheckId, ProjectId};
use crate::models::outage::Edge;
use crate::models::run::{MissedReason, Run};
use crate::models::schedule::Slot;
use crate::ports::StoreResult;
use crate::ports::checks::{Change, RunNow};

pub(super) async fn replace(
    store: &Postgres,
    project: ProjectId,
    id: CheckId,
    version: i32,
    draft: CheckDraft,
    now: Slot,
) -> StoreResult<Change> {
    let mut tx = store.begin().await?;
    let regions = check_regions::lock_check(&mut tx, id).await?;
    let Some(before) = lock_check(&mut tx, project, id).await? else {
        return Ok(Change::NotFound);
    };
    if before.version != version {
        return Ok(Change::Stale);
    }
    let after = Check {
        config: draft.config,
        webhook_secret: draft.webhook_secret.or_else(|| before.webhook_secret.clone()),
        version: before.version.wrapping_add(1),
        updated_at: now.time(),
        ..before.clone()
    };
    update(&mut tx, &after).await?;
    let was_down = regions.iter().any(|region| region.health.state == State::Down);
    let moved = Moved::new(regions, &before, &after, now);
    moved.write(&mut tx).await?;
    if was_down && !moved.is_down() {
        let resolution = if after.config.enabled { Resolution::Edited } else { Resolution::Paused };
        resolve(&mut tx, id, resolution, now).await?;
    }
    outbox::seal(&mut tx, &moved.runs).await?;
    let seen = view(&mut *tx, project, id).await?;
    tx.commit().await.map_err(error)?;
    seen.map(Change::Done).ok_or_else(|| unreadable("a check that vanished in its own transaction"))
}

pub(super) async fn delete(
    store: &Postgres,
    project: ProjectId,
    id: CheckId,
    now: Slot,
) -> StoreResult<bool> {
    let mut tx = store.begin().await?;
    let mut regions = check_regions::lock_check(&mut tx, id).await?;
    if lock_check(&mut tx, project, id).await?.is_none() {
        return Ok(false);
    }
    let runs: Vec<Run> =
        regions.iter_mut().filter_map(|region| region.stop(MissedReason::Deleted)).collect();
    check_regions::save(&mut tx, &regions).await?;
    resolve(&mut tx, id, Resolution::Deleted, now).await?;
    outbox::seal(&mut tx, &runs).await?;
    sqlx::query("-- edits.delete\n UPDATE checks SET deleted_at = $2 WHERE id = $1")
        .bind(id.0)
        .bind(now.time())
        .execute(&mut *tx)
        .await
        .map_err(error)?;
    tx.commit().await.map_err(error)?;
    Ok(true)
}

pub(super) async fn run_now(
    store: &Postgres,
    project: ProjectId,
    id: CheckId,
    now: Slot,
) -> StoreResult<RunNow> {
    let mut tx = store.begin().await?;
    let mut regions = check_regions::lock_check(&mut tx, id).await?;
    let Some(check) = lock_check(&mut tx, project, id).await? else {
        return Ok(RunNow::NotFound);
    };
    if !check.config.enabled {
        return Ok(RunNow::Paused);
    }
    for region in &mut regions {
        region.ledger.make_due(now);
    }
    check_regions::save(&mut tx, &regions).await?;
    let seen = view(&mut *tx, project, id).await?;
    tx.commit().await.map_err(error)?;
    seen.map(RunNow::Due).ok_or_else(|| unreadable("a check that vanished in its own transaction"))
}

async fn lock_check(tx: &mut Tx, project: ProjectId, id: CheckId) -> StoreResult<Option<Check>> {
    let row: Option<CheckRow> = sqlx::query_as(
        "-- edits.lock_check
         SELECT * FROM checks WHERE id = $1 AND project_id = $2 AND deleted_at IS NULL FOR NO KEY UPDATE",
    )
    .bind(id.0)
    .bind(project.0)
    .fetch_optional(&mut **tx)
    .await
    .map_err(error)?;
    Ok(row.map(Check::from))
}

async fn update(tx: &mut Tx, check: &Check) -> StoreResult<()> {
    sqlx::query(
        "-- edits.update
         UPDATE checks SET config = $2, webhook_secret = $3, version = $4, updated_at = $5 WHERE id = $1",
    )
    .bind(check.id.0)
    .bind(Json(&check.config))
    .bind(&check.webhook_secret)
    .bind(check.version)
    .bind(check.updated_at)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

async fn resolve(
    tx: &mut Tx,
    check: CheckId,
    resolution: Resolution,
    now: Slot,
) -> StoreResult<()> {
    incidents::apply(tx, vec![Edge::Resolve { check, at: now, resolution }], now).await?;
    Ok(())
}

/// A check's regions after an edit.
struct Moved {
    kept: Vec<CheckRegion>,
    added: Vec<CheckRegion>,
    removed: Vec<CheckRegion>,
    runs: Vec<Run>,
}

impl Moved {
    fn new(regions: Vec<CheckRegion>, before: &Check, after: &Check, now: Slot) -> Self {
        let wanted = &after.config.regions;
        let known: Vec<_> = regions.iter().map(|region| region.region.clone()).collect();
        let (mut kept, mut removed): (Vec<_>, Vec<_>) =
            regions.into_iter().partition(|region| wanted.contains(&region.region));
        let mut runs: Vec<Run> =
            removed.iter_mut().filter_map(|r| r.stop(MissedReason::Edited)).collect();
        runs.extend(kept.iter_mut().filter_map(|r| r.reconfigure(&before.config, after, now)));
        let new = wanted.iter().filter(|region| !known.contains(region));
        let added = new.map(|region| CheckRegion::new(after, region.clone(), now)).collect();
        Self { kept, added, removed, runs }
    }

    fn is_down(&self) -> bool {
        self.kept.iter().any(|region| region.health.state == State::Down)
    }

    async fn write(&self, tx: &mut Tx) -> StoreResult<()> {
        check_regions::reconfigure(tx, &self.kept).await?;
        check_regions::save(tx, &self.kept).await?;
        check_regions::insert(tx, &self.added).await?;
        let Some(first) = self.removed.first() else {
            return Ok(());
        };
        let removed: Vec<&str> = self.removed.iter().map(|region| region.region.as_str()).collect();
        sqlx::query("-- edits.leave_regions\n DELETE FROM check_regions WHERE check_id = $1 AND region = ANY($2)")
            .bind(first.check_id.0)
            .bind(removed)
            .execute(&mut **tx)
            .await
            .map_err(error)?;
        Ok(())
    }
}
