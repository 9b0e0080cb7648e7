//! What changes of a target between two runs: compared with what its region remembers, and told.
//!
//! Only those come here whose marks say that they saw something else than the run before, or for the
//! first time; in calm times that is nobody, and costs no statement.

use std::collections::{BTreeMap, BTreeSet};

use super::{Remembered, StateTx};
use crate::models::ids::{ChangeId, CheckId, ProjectId, Region};
use crate::models::schedule::Slot;
use crate::models::traits::{Change, Memory, TraitKind, Traits};
use crate::ports::StoreResult;

/// A region saw something of one kind that it is not marked with.
#[derive(Clone)]
pub struct Sighting {
    pub project: ProjectId,
    pub check: CheckId,
    pub region: Region,
    pub slot: Slot,
    pub kind: TraitKind,
    pub seen: Traits,
    /// Whether it is marked with anything of this kind: what it remembers may be of another target.
    pub is_known: bool,
}

type Place = (CheckId, Region, TraitKind);

/// Compares, remembers and tells, in the caller's transaction, which holds the regions; those of each region in the order of their slots.
/// What changed, by the place of its kind in [`TraitKind::ALL`].
pub async fn apply<T: StateTx>(
    tx: &mut T,
    sightings: &[Sighting],
) -> StoreResult<[u64; TraitKind::ALL.len()]> {
    let mut told = [0; TraitKind::ALL.len()];
    if sightings.is_empty() {
        return Ok(told);
    }
    let wanted: BTreeSet<(CheckId, &str)> =
        sightings.iter().map(|it| (it.check, it.region.as_str())).collect();
    let remembered = tx.memories(&wanted).await?;
    let mut known: BTreeMap<Place, Remembered> =
        remembered.into_iter().map(|it| (it.place(), it)).collect();
    let mut touched: BTreeSet<Place> = BTreeSet::new();
    let mut changes = Vec::new();
    for sighting in sightings {
        touched.insert(sighting.place());
        changes.extend(sighting.compare(&mut known));
    }
    let touched: Vec<&Remembered> = touched.iter().filter_map(|place| known.get(place)).collect();
    tx.save_memories(&touched).await?;
    if !changes.is_empty() {
        tx.insert_changes(&changes).await?;
    }
    for change in &changes {
        told[change.kind as usize] += 1;
    }
    Ok(told)
}

impl Remembered {
    fn place(&self) -> Place {
        (self.check, self.region.clone(), self.kind)
    }
}

impl Sighting {
    fn place(&self) -> Place {
        (self.check, self.region.clone(), self.kind)
    }

    fn compare(&self, known: &mut BTreeMap<Place, Remembered>) -> Option<Change> {
        let place = self.place();
        let Self { project, check, region, slot, kind, seen, is_known } = self.clone();
        if let Some(there) = known.get_mut(&place).filter(|_| is_known) {
            let before = there.memory.observe(kind, seen.clone(), slot)?;
            let id = ChangeId::generate();
            let change = Change {
                id,
                project_id: project,
                check_id: check,
                region,
                kind,
                before,
                after: seen,
                slot,
            };
            return Some(change);
        }
        let memory = Memory::begin(seen);
        known.insert(place, Remembered { check, region, kind, memory });
        None
    }
}
