//! What becomes of the status of checks when the state of their regions changes.

use std::collections::BTreeMap;

use crate::models::check::{Check, Status};
use crate::models::check_region::CheckRegion;
use crate::models::event::{Event, What};
use crate::models::health::State;
use crate::models::ids::{CheckId, ProjectId, Region};
use crate::models::schedule::Slot;

/// A region whose state is another than it was.
#[derive(Debug)]
pub struct Stirred {
    pub check: CheckId,
    project: ProjectId,
    region: Region,
    before: State,
}

impl Stirred {
    /// `None` when nothing has changed since it was `before`.
    pub fn of(row: &CheckRegion, before: State) -> Option<Self> {
        (row.health.state != before).then(|| Self {
            check: row.check_id,
            project: row.project_id,
            region: row.region.clone(),
            before,
        })
    }
}

/// The changes of status that come of it; `states` are those of all regions of these checks, as they
/// are now.
pub fn events(stirred: &[Stirred], states: &[(CheckId, Region, State)], now: Slot) -> Vec<Event> {
    let mut by_check: BTreeMap<CheckId, Vec<&Stirred>> = BTreeMap::new();
    for one in stirred {
        by_check.entry(one.check).or_default().push(one);
    }
    let mut regions: BTreeMap<CheckId, Vec<(&Region, State)>> = BTreeMap::new();
    for (check, region, state) in states {
        regions.entry(*check).or_default().push((region, *state));
    }
    let event = |(check, stirred): (CheckId, Vec<&Stirred>)| {
        let now_there = regions.get(&check)?;
        let before = now_there.iter().map(|(region, state)| {
            let ours = stirred.iter().find(|one| one.region == **region);
            ours.map_or(*state, |one| one.before)
        });
        let from = Status::of_regions(before);
        let to = Status::of_regions(now_there.iter().map(|(_, state)| *state));
        changed(stirred.first()?.project, check, [from, to], now)
    };
    by_check.into_iter().filter_map(event).collect()
}

/// The change of status that comes of an edit.
pub fn edited(
    before: (&Check, Status),
    after: &Check,
    regions: impl Iterator<Item = State>,
    now: Slot,
) -> Option<Event> {
    let (check, from) = before;
    changed(check.project_id, check.id, [from, Status::of(&after.config, regions)], now)
}

fn changed(project: ProjectId, check: CheckId, [from, to]: [Status; 2], at: Slot) -> Option<Event> {
    let what = What::StatusChanged { from, to };
    (from != to).then_some(Event { project, check, at, what })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(name: &str) -> Region {
        Region::parse(name).unwrap()
    }

    fn stirred(check: CheckId, name: &str, before: State) -> Stirred {
        Stirred { check, project: ProjectId::DEFAULT, region: region(name), before }
    }

    fn told(stirred: &[Stirred], states: &[(CheckId, Region, State)]) -> Vec<(Status, Status)> {
        let events = events(stirred, states, Slot(1)).into_iter();
        events
            .map(|event| match event.what {
                What::StatusChanged { from, to } => (from, to),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn a_check_of_one_region_is_as_that_region_is() {
        let check = CheckId::generate();
        let stirred = [stirred(check, "eu", State::Pending)];
        let states = [(check, region("eu"), State::Up)];

        assert_eq!(told(&stirred, &states), [(Status::Pending, Status::Up)]);
    }

    #[test]
    fn a_region_that_follows_another_down_changes_nothing_for_the_check() {
        let check = CheckId::generate();
        let both_down = [(check, region("eu"), State::Down), (check, region("us"), State::Down)];

        let second = told(&[stirred(check, "us", State::Up)], &both_down);
        let both = told(
            &[stirred(check, "eu", State::Up), stirred(check, "us", State::Degraded)],
            &both_down,
        );

        assert_eq!((second, both), (vec![], vec![(Status::Degraded, Status::Down)]));
    }

    #[test]
    fn each_check_is_told_by_itself() {
        let (one, other) = (CheckId::generate(), CheckId::generate());
        let stirred = [stirred(one, "eu", State::Up), stirred(other, "eu", State::Down)];
        let states = [(one, region("eu"), State::Degraded), (other, region("eu"), State::Up)];

        let told = told(&stirred, &states);

        assert_eq!(told.len(), 2);
        assert!(told.contains(&(Status::Up, Status::Degraded)));
        assert!(told.contains(&(Status::Down, Status::Up)));
    }
}
