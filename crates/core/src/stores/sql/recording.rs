//! Recording: the only writer of health.
//!
//! Regions are locked in one order, folded in Rust, written back by the thousand. Only where a
//! transition happened is the check itself locked, so that regions of one check agree on its incident.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::changes::{self, Sighting};
use super::stir::Stirred;
use super::{StateTx, incidents, outbox, stir};
use crate::crash::{Point, crash_point};
use crate::models::check_region::{CheckRegion, Settled};
use crate::models::evidence::Answer;
use crate::models::health::{State, Transition};
use crate::models::heartbeat::Arrival;
use crate::models::ids::{CheckId, Region};
use crate::models::job::RunResult;
use crate::models::outage::{Edge, Move, Unwell, severity};
use crate::models::run::{Observation, Outcome, Run};
use crate::models::schedule::Slot;
use crate::models::telling::storm::Shared;
use crate::ports::StoreResult;
use crate::ports::recording::Recorded;

/// See [`crate::ports::recording::RecordStore::record`].
pub async fn record<T: StateTx>(
    mut tx: T,
    results: &[RunResult],
    now: Slot,
) -> StoreResult<Recorded> {
    let wanted: BTreeSet<(CheckId, &str)> =
        results.iter().map(|r| (r.check_id, r.region.as_str())).collect();
    let before = tx.lock_regions(&wanted).await?;
    let batch = Batch::fold(before, results);
    if batch.runs.is_empty() {
        // Nothing but echoes.
        return Ok(tx.unchanged(batch.recorded).await);
    }
    let recorded = batch.write(&mut tx, now).await?;
    crash_point(Point::RecorderSealed);
    tx.commit().await?;
    Ok(recorded)
}

struct Moved {
    check: CheckId,
    region: Region,
    /// Its place among the moves of its check.
    order: Slot,
    was: State,
    transition: Transition,
    cause: String,
    shared: Shared,
}

/// What a batch of outcomes comes to.
#[derive(Default)]
pub struct Batch {
    rows: Vec<CheckRegion>,
    runs: Vec<Run>,
    moved: Vec<Moved>,
    sightings: Vec<Sighting>,
    /// Regions whose state is another after this batch.
    stirred: Vec<Stirred>,
    /// The states of its regions before it.
    states: Vec<(CheckId, Region, State)>,
    recorded: Recorded,
}

impl Batch {
    fn fold(rows: Vec<CheckRegion>, results: &[RunResult]) -> Self {
        let mut by_region: HashMap<(CheckId, Region), Vec<&RunResult>> = HashMap::new();
        for result in results {
            by_region.entry((result.check_id, result.region.clone())).or_default().push(result);
        }
        let mut batch = Self::default();
        for mut row in rows {
            let key = (row.check_id, row.region.clone());
            let mut results = by_region.remove(&key).unwrap_or_default();
            results.sort_by_key(|result| result.slot);
            let before = row.health.state;
            let applied =
                results.into_iter().filter(|result| batch.settle(&mut row, result)).count();
            if applied > 0 {
                batch.remember(&row, before);
                batch.stirred.extend(Stirred::of(&row, before));
                batch.rows.push(row);
            }
        }
        batch.recorded.stale = results.len() as u64 - batch.recorded.applied;
        // Regions of one check settle apart; its incident sees their edges in the order of slots.
        batch.moved.sort_by_key(|moved| (moved.check, moved.order));
        batch
    }

    /// Of outcomes that came by themselves, one a check; `rows` are their regions.
    pub fn receive(rows: Vec<CheckRegion>, arrivals: Vec<(CheckId, Arrival)>) -> Self {
        let mut arrivals: HashMap<CheckId, Arrival> = arrivals.into_iter().collect();
        let mut batch = Self::default();
        for mut row in rows {
            let Some(arrival) = arrivals.remove(&row.check_id) else { continue };
            let before = row.health.state;
            batch.remember(&row, before);
            let settled = row.receive(&arrival);
            batch.stirred.extend(Stirred::of(&row, before));
            batch.add(&row, before, settled, Some(&arrival.observation));
            batch.rows.push(row);
        }
        batch
    }

    /// Makes it true, but for the commit.
    pub async fn write<T: StateTx>(&self, tx: &mut T, now: Slot) -> StoreResult<Recorded> {
        tx.save_regions(&self.rows).await?;
        crash_point(Point::RecorderSaved);
        let edges = edges(tx, self, now).await?;
        let changed = incidents::apply(tx, edges, now).await?;
        let told = changes::apply(tx, &self.sightings).await?;
        outbox::seal(tx, &self.runs).await?;
        let (opened, resolved) = (changed.opened, changed.resolved);
        Ok(Recorded { opened, resolved, changes: told, ..self.recorded })
    }

    /// Only of what is not well anything will be asked.
    fn remember(&mut self, row: &CheckRegion, before: State) {
        if severity(before).is_some() {
            self.states.push((row.check_id, row.region.clone(), before));
        }
    }

    fn settle(&mut self, row: &mut CheckRegion, result: &RunResult) -> bool {
        let was = row.health.state;
        let Some(settled) = row.settle(result) else {
            return false;
        };
        let seen = result.observation.as_ref();
        self.add(row, was, settled, seen);
        self.sight(row, result);
        true
    }

    fn add(&mut self, row: &CheckRegion, was: State, settled: Settled, seen: Option<&Observation>) {
        self.recorded.applied += 1;
        self.recorded.missed += settled
            .runs
            .iter()
            .filter(|r| matches!(r.outcome, Outcome::Missed(_)))
            .map(|r| u64::from(r.slots))
            .sum::<u64>();
        if let Some(transition) = settled.transition {
            let (check, region) = (row.check_id, row.region.clone());
            // A window may find that it went down before it was well for a moment: it did so after that.
            let last = self.moved.last().filter(|it| (it.check, &it.region) == (check, &region));
            let order = last.map_or(transition.at, |last| last.order.max(transition.at));
            self.moved.push(Moved {
                check,
                region,
                order,
                was,
                transition,
                cause: seen.and_then(|seen| seen.error.clone()).unwrap_or_default(),
                shared: shared(settled.runs.last(), seen),
            });
        }
        self.runs.extend(settled.runs);
    }

    fn sight(&mut self, row: &mut CheckRegion, result: &RunResult) {
        let seen = result.observation.as_ref().and_then(|seen| seen.traits.as_deref());
        let Some(seen) = seen else { return };
        let others = row.marks.take(seen).into_iter().map(|(kind, is_known)| Sighting {
            project: row.project_id,
            check: row.check_id,
            region: row.region.clone(),
            slot: result.slot,
            kind,
            seen: seen.only(kind),
            is_known,
        });
        self.sightings.extend(others);
    }
}

/// What others may have in common with a run that failed.
fn shared(run: Option<&Run>, seen: Option<&Observation>) -> Shared {
    let certificate = seen.and_then(|seen| seen.traits.as_ref()?.certificate.as_ref());
    let connected = seen.and_then(|seen| seen.address).map(|address| address.to_string());
    Shared {
        address: connected.or_else(|| resolved(seen?)),
        certificate: certificate.map(|leaf| leaf.sha256.clone()),
        phase: run.and_then(how_it_failed),
    }
}

/// That a check is degraded says nothing of why it is.
fn how_it_failed(run: &Run) -> Option<String> {
    let failed = matches!(run.outcome, Outcome::Fail(_));
    failed.then(|| run.outcome.reason().to_owned())
}

/// The address that was tried first where none was reached.
fn resolved(seen: &Observation) -> Option<String> {
    let answers = &seen.evidence.as_ref()?.answers;
    let is_address = |it: &&Answer| matches!(it.record.as_str(), "A" | "AAAA");
    answers.iter().find(is_address).map(|it| it.value.clone())
}

impl Moved {
    fn as_seen(&self) -> Move<'_> {
        let Self { region, was, transition, cause, shared, .. } = self;
        Move { region, was: *was, transition: *transition, cause, shared }
    }
}

/// What a batch means for its checks as a whole: it notes what becomes of their statuses, and returns
/// the edges of their incidents.
async fn edges<T: StateTx>(tx: &mut T, batch: &Batch, now: Slot) -> StoreResult<Vec<Edge>> {
    let moved = batch.moved.iter().map(|moved| moved.check);
    let checks: BTreeSet<CheckId> =
        moved.chain(batch.stirred.iter().map(|stirred| stirred.check)).collect();
    if checks.is_empty() {
        return Ok(Vec::new());
    }
    let checks = Vec::from_iter(checks);
    tx.lock_checks(&checks).await?;
    // After the lock, in a statement of its own: it must see what rival recorders have committed.
    let states = tx.region_states(&checks).await?;
    tx.noted().note(stir::events(&batch.stirred, &states, now));
    let ours: BTreeSet<(CheckId, &Region)> =
        batch.rows.iter().map(|row| (row.check_id, &row.region)).collect();
    let elsewhere = states.into_iter().filter(|(check, it, _)| !ours.contains(&(*check, it)));
    let mut before: BTreeMap<CheckId, Vec<(Region, State)>> = BTreeMap::new();
    for (check, region, state) in elsewhere.chain(batch.states.iter().cloned()) {
        before.entry(check).or_default().push((region, state));
    }
    let mut unwell: BTreeMap<CheckId, Unwell> = BTreeMap::new();
    let observe = |moved: &Moved| {
        let unwell = unwell.entry(moved.check).or_insert_with(|| {
            Unwell::new(moved.check, before.remove(&moved.check).unwrap_or_default())
        });
        unwell.observe(moved.as_seen())
    };
    Ok(batch.moved.iter().flat_map(observe).collect())
}
