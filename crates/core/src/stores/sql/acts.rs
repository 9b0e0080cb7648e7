//! What people do about incidents, each act in one transaction.
//!
//! Where an act moves a check's health, locks are taken as everywhere: regions, then the check, then its
//! incident. An acknowledgement moves none, and locks the incident alone.

use super::incidents::{apply, event, opened_event};
use super::stir::Stirred;
use super::{NewNote, StateTx, outbox, stir, telling};
use crate::models::alert::{Incident, Resolution};
use crate::models::check_region::CheckRegion;
use crate::models::event::What;
use crate::models::ids::{IncidentId, NoteId, ProjectId};
use crate::models::incident::{
    Acknowledgement, Act, IncidentKind, MOST_NOTES, MOST_REPORTED, NoteKind, Report,
};
use crate::models::outage::Edge;
use crate::models::schedule::Slot;
use crate::ports::StoreResult;
use crate::ports::incidents::Acted;

/// See [`crate::ports::incidents::IncidentStore::report`].
pub async fn report<T: StateTx>(
    mut tx: T,
    project: ProjectId,
    report: &Report,
    by: Option<&str>,
    now: Slot,
) -> StoreResult<Option<Incident>> {
    // One at a time: two that count together would both find room.
    tx.lock_project(project).await?;
    if tx.count_reported(project).await? >= MOST_REPORTED {
        return Ok(tx.unchanged(None).await);
    }
    let (title, cause) = (report.title.clone(), report.cause.clone());
    let incident = Incident {
        severity: report.severity,
        tags: report.tags.clone(),
        ..Incident::of_no_check(IncidentKind::Manual, project, title, cause, now)
    };
    tx.insert_incident(&incident).await?;
    tx.noted().note([event(&incident, opened_event(&incident), now)]);
    if let Some(by) = by {
        let act = Act { by: Some(by.to_owned()), note: String::new() };
        write(&mut tx, &incident, NoteKind::Reported, &act, now).await?;
    }
    telling::begin(&mut tx, std::slice::from_ref(&incident), now).await?;
    tx.commit().await?;
    Ok(Some(incident))
}

/// See [`crate::ports::incidents::IncidentStore::acknowledge`].
pub async fn acknowledge<T: StateTx>(
    mut tx: T,
    project: ProjectId,
    id: IncidentId,
    act: &Act,
    now: Slot,
) -> StoreResult<Acted> {
    let Some(incident) = tx.lock_incident(project, id).await? else {
        return Ok(tx.unchanged(Acted::NotFound).await);
    };
    if incident.resolved_at.is_some() {
        return Ok(tx.unchanged(Acted::Over).await);
    }
    if incident.acknowledged.is_some() {
        return Ok(tx.unchanged(Acted::Already(incident)).await);
    }
    if incident.kind == IncidentKind::Storm {
        // It is seen to as it is: what joined it from now on, nobody would hear of.
        tx.describe_storm(&incident, false).await?;
    }
    let what = What::IncidentAcknowledged { incident_id: id, by: act.by.clone() };
    tx.noted().note([event(&incident, what, now)]);
    let acknowledged = Some(Acknowledgement { at: now.time(), by: act.by.clone() });
    save(tx, Incident { acknowledged, ..incident }, NoteKind::Acknowledged, act, now).await
}

/// See [`crate::ports::incidents::IncidentStore::unacknowledge`].
pub async fn unacknowledge<T: StateTx>(
    mut tx: T,
    project: ProjectId,
    id: IncidentId,
    act: &Act,
    now: Slot,
) -> StoreResult<Acted> {
    let Some(incident) = tx.lock_incident(project, id).await? else {
        return Ok(tx.unchanged(Acted::NotFound).await);
    };
    if incident.resolved_at.is_some() {
        return Ok(tx.unchanged(Acted::Over).await);
    }
    if incident.acknowledged.is_none() {
        return Ok(tx.unchanged(Acted::Already(incident)).await);
    }
    let what = What::IncidentUnacknowledged { incident_id: id };
    tx.noted().note([event(&incident, what, now)]);
    let taken_back = Incident { acknowledged: None, ..incident };
    save(tx, taken_back, NoteKind::Unacknowledged, act, now).await
}

async fn save<T: StateTx>(
    mut tx: T,
    incident: Incident,
    kind: NoteKind,
    act: &Act,
    now: Slot,
) -> StoreResult<Acted> {
    tx.save_acknowledgement(incident.id, incident.acknowledged.as_ref()).await?;
    write(&mut tx, &incident, kind, act, now).await?;
    tx.commit().await?;
    Ok(Acted::Done(incident))
}

/// See [`crate::ports::incidents::IncidentStore::resolve`].
pub async fn resolve<T: StateTx>(
    mut tx: T,
    project: ProjectId,
    id: IncidentId,
    act: &Act,
    now: Slot,
) -> StoreResult<Acted> {
    let Some(seen) = tx.incident(project, id).await? else {
        return Ok(tx.unchanged(Acted::NotFound).await);
    };
    let mut regions = Vec::new();
    if seen.kind.has_check() {
        regions = tx.lock_regions_of(seen.check_id).await?;
        tx.lock_checks(&[seen.check_id]).await?;
    }
    // Others may have ended it before these locks were ours, and another may last by now.
    let Some(incident) = tx.lock_incident(project, id).await? else {
        return Ok(tx.unchanged(Acted::NotFound).await);
    };
    if incident.resolved_at.is_some() {
        return Ok(tx.unchanged(Acted::Already(incident)).await);
    }
    take_for_over(&mut tx, regions, now).await?;
    let edge = Edge::Resolve {
        check: incident.check_id,
        at: now,
        resolution: Resolution::Resolved,
        by: act.by.clone(),
    };
    apply(&mut tx, vec![edge], now).await?;
    write(&mut tx, &incident, NoteKind::Resolved, act, now).await?;
    let ended = tx.incident(project, id).await?;
    tx.commit().await?;
    Ok(ended.map_or(Acted::NotFound, Acted::Done))
}

/// Forgets what was wrong with a check, of which these are all regions.
async fn take_for_over<T: StateTx>(
    tx: &mut T,
    mut regions: Vec<CheckRegion>,
    now: Slot,
) -> StoreResult<()> {
    let (mut closed, mut stirred) = (Vec::new(), Vec::new());
    regions.retain_mut(|region| {
        let before = region.health.state;
        let runs = region.take_for_over(now);
        let was_unwell = runs.is_some();
        stirred.extend(Stirred::of(region, before));
        closed.extend(runs.into_iter().flatten());
        was_unwell
    });
    let Some(check) = regions.first().map(|region| region.check_id) else {
        return Ok(());
    };
    tx.save_regions(&regions).await?;
    let states = tx.region_states(&[check]).await?;
    tx.noted().note(stir::events(&stirred, &states, now));
    outbox::seal(tx, &closed).await
}

/// See [`crate::ports::incidents::IncidentStore::note`].
pub async fn note<T: StateTx>(
    mut tx: T,
    project: ProjectId,
    id: IncidentId,
    act: &Act,
    now: Slot,
) -> StoreResult<Acted> {
    // Locked, so that two that count together do not both find room.
    let Some(incident) = tx.lock_incident(project, id).await? else {
        return Ok(tx.unchanged(Acted::NotFound).await);
    };
    if !write(&mut tx, &incident, NoteKind::Note, act, now).await? {
        return Ok(tx.unchanged(Acted::Full).await);
    }
    let what = What::IncidentNoted { incident_id: id, by: act.by.clone() };
    tx.noted().note([event(&incident, what, now)]);
    tx.commit().await?;
    Ok(Acted::Done(incident))
}

/// Writes down what was done, if there is room; whether there was. An act counts without it.
async fn write<T: StateTx>(
    tx: &mut T,
    incident: &Incident,
    kind: NoteKind,
    act: &Act,
    now: Slot,
) -> StoreResult<bool> {
    if tx.count_notes(incident.id).await? >= MOST_NOTES {
        return Ok(false);
    }
    let note = NewNote {
        id: NoteId::generate(),
        project: incident.project_id,
        incident: incident.id,
        kind,
        author: act.by.clone(),
        text: act.note.clone(),
    };
    tx.insert_note(&note, now).await?;
    Ok(true)
}
