//! What a person changes: configuration, pause, deletion, a run now.
//!
//! Each locks the check's heartbeat, then its regions, then the check, so that no claim and no recording moves meanwhile.

use std::collections::BTreeSet;

use super::{StateTx, heartbeats, incidents, outbox, stir};
use crate::models::alert::Resolution;
use crate::models::check::{Check, CheckConfig, CheckDraft, Status};
use crate::models::check_region::CheckRegion;
use crate::models::health::State;
use crate::models::ids::{CheckId, ProjectId};
use crate::models::outage::{Edge, Unwell};
use crate::models::run::{MissedReason, Run};
use crate::models::schedule::Slot;
use crate::ports::StoreResult;
use crate::ports::checks::{Change, RunNow};

/// See [`crate::ports::checks::CheckStore::replace`].
pub async fn replace<T: StateTx>(
    mut tx: T,
    project: ProjectId,
    id: CheckId,
    version: i32,
    draft: CheckDraft,
    now: Slot,
) -> StoreResult<Change> {
    let waits = tx.lock_heartbeat(id).await?;
    let regions = tx.lock_regions_of(id).await?;
    let Some(before) = tx.lock_check(project, id).await? else {
        return Ok(tx.unchanged(Change::NotFound).await);
    };
    if before.version != version {
        return Ok(tx.unchanged(Change::Stale).await);
    }
    if draft.config.depends_on != before.config.depends_on
        && let Some(by) = leads_back(&mut tx, project, id, &draft.config).await?
    {
        return Ok(tx.unchanged(Change::Circular(by)).await);
    }
    let after = Check {
        config: draft.config,
        webhook_secret: draft.webhook_secret.or_else(|| before.webhook_secret.clone()),
        version: before.version.wrapping_add(1),
        updated_at: now.time(),
        ..before.clone()
    };
    tx.update_check(&after).await?;
    let unwell = unwell_of(id, &regions);
    let status = Status::of(&before.config, regions.iter().map(|region| region.health.state));
    let moved = Moved::new(regions, &before, &after, now);
    tx.noted().note(stir::edited((&before, status), &after, moved.states(), now));
    moved.write(&mut tx, id).await?;
    heartbeats::follow(&mut tx, waits, &before, &after, now).await?;
    let resolution = if after.config.enabled { Resolution::Edited } else { Resolution::Paused };
    let edges = unwell.edit(&unwell_of(id, &moved.kept), resolution, now);
    incidents::apply(&mut tx, edges, now).await?;
    outbox::seal(&mut tx, &moved.runs).await?;
    let seen = tx.view(project, id).await?;
    tx.commit().await?;
    seen.map(Change::Done).ok_or_else(vanished::<T>)
}

/// The one of the checks that it is to depend on which depends on it already, however many lie between.
async fn leads_back<T: StateTx>(
    tx: &mut T,
    project: ProjectId,
    id: CheckId,
    config: &CheckConfig,
) -> StoreResult<Option<CheckId>> {
    tx.lock_project(project).await?;
    for parent in &config.depends_on {
        let mut seen = BTreeSet::from([*parent]);
        let mut next = vec![*parent];
        while !next.is_empty() {
            if seen.contains(&id) {
                return Ok(Some(*parent));
            }
            let configs = tx.configs(&next).await?;
            let further = configs.into_iter().flat_map(|(_, _, config)| config.depends_on);
            next = further.filter(|check| seen.insert(*check)).collect();
        }
    }
    Ok(None)
}

/// See [`crate::ports::checks::CheckStore::delete`].
pub async fn delete<T: StateTx>(
    mut tx: T,
    project: ProjectId,
    id: CheckId,
    now: Slot,
) -> StoreResult<bool> {
    let waits = tx.lock_heartbeat(id).await?;
    let mut regions = tx.lock_regions_of(id).await?;
    if tx.lock_check(project, id).await?.is_none() {
        return Ok(tx.unchanged(false).await);
    }
    if waits.is_some() {
        tx.delete_heartbeat(id).await?;
    }
    let runs: Vec<Run> =
        regions.iter_mut().filter_map(|region| region.stop(MissedReason::Deleted)).collect();
    tx.save_regions(&regions).await?;
    resolve(&mut tx, id, Resolution::Deleted, now).await?;
    outbox::seal(&mut tx, &runs).await?;
    tx.delete_check(id, now).await?;
    tx.commit().await?;
    Ok(true)
}

/// See [`crate::ports::checks::CheckStore::run_now`].
pub async fn run_now<T: StateTx>(
    mut tx: T,
    project: ProjectId,
    id: CheckId,
    now: Slot,
) -> StoreResult<RunNow> {
    let mut regions = tx.lock_regions_of(id).await?;
    let Some(check) = tx.lock_check(project, id).await? else {
        return Ok(tx.unchanged(RunNow::NotFound).await);
    };
    if !check.config.enabled {
        return Ok(tx.unchanged(RunNow::Paused).await);
    }
    if !check.config.is_looked_at() {
        return Ok(tx.unchanged(RunNow::Waits).await);
    }
    for region in &mut regions {
        region.ledger.make_due(now);
    }
    tx.save_regions(&regions).await?;
    let seen = tx.view(project, id).await?;
    tx.commit().await?;
    seen.map(RunNow::Due).ok_or_else(vanished::<T>)
}

fn vanished<T: StateTx>() -> crate::ports::StoreError {
    T::unreadable("a check that vanished in its own transaction")
}

async fn resolve<T: StateTx>(
    tx: &mut T,
    check: CheckId,
    resolution: Resolution,
    now: Slot,
) -> StoreResult<()> {
    incidents::apply(tx, vec![Edge::Resolve { check, at: now, resolution, by: None }], now).await?;
    Ok(())
}

fn unwell_of(check: CheckId, regions: &[CheckRegion]) -> Unwell {
    Unwell::new(check, regions.iter().map(|it| (it.region.clone(), it.health.state)))
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

    fn states(&self) -> impl Iterator<Item = State> {
        self.kept.iter().chain(&self.added).map(|region| region.health.state)
    }

    async fn write<T: StateTx>(&self, tx: &mut T, check: CheckId) -> StoreResult<()> {
        if let Some(like) = self.kept.first() {
            tx.reconfigure_regions(like).await?;
        }
        tx.save_regions(&self.kept).await?;
        tx.insert_regions(&self.added).await?;
        let removed: Vec<&str> = self.removed.iter().map(|region| region.region.as_str()).collect();
        if !removed.is_empty() {
            tx.delete_regions(check, &removed).await?;
        }
        Ok(())
    }
}
