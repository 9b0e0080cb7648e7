use super::*;

/// A check looked at from two regions, `e`ast and `w`est.
struct World {
    unwell: Unwell,
    states: BTreeMap<Region, State>,
}

fn region(letter: char) -> Region {
    Region::parse(if letter == 'e' { "east" } else { "west" }).unwrap()
}

impl World {
    fn new() -> Self {
        Self { unwell: Unwell::new(CheckId(uuid::Uuid::nil()), []), states: BTreeMap::new() }
    }

    /// What becomes of it when a region is in that state as of a slot.
    fn moves(&mut self, letter: char, to: State, at: i64) -> Vec<String> {
        let region = region(letter);
        let was = self.states.insert(region.clone(), to).unwrap_or(State::Up);
        let transition = Transition { to, at: Slot(at) };
        let (cause, shared) = (if to == State::Up { "" } else { "refused" }, Shared::default());
        let moved = Move { region: &region, was, transition, cause, shared: &shared };
        told(&self.unwell.observe(moved))
    }
}

fn told(edges: &[Edge]) -> Vec<String> {
    let edge = |edge: &Edge| match edge {
        Edge::Open { severity, since, region, was, cause, .. } => {
            format!("{severity} since {} in {region}, was {was}: {cause}", since.0)
        }
        Edge::Resolve { at, resolution, .. } => format!("{resolution} at {}", at.0),
    };
    edges.iter().map(edge).collect()
}

#[test]
fn the_first_region_opens_and_the_last_resolves() {
    let mut world = World::new();

    assert_eq!(world.moves('e', State::Down, 1), ["down since 1 in east, was up: refused"]);
    assert!(world.moves('w', State::Down, 2).is_empty());
    assert!(world.moves('e', State::Up, 3).is_empty());
    assert_eq!(world.moves('w', State::Up, 4), ["recovered at 4"]);
}

#[test]
fn a_check_is_as_bad_as_the_worst_of_its_regions() {
    let mut world = World::new();

    assert_eq!(world.moves('e', State::Degraded, 1), ["degraded since 1 in east, was up: refused"]);
    assert_eq!(
        world.moves('w', State::Down, 3),
        ["worsened at 3", "down since 3 in west, was degraded: refused"],
        "the check was, not the region"
    );
    assert!(world.moves('e', State::Up, 4).is_empty());
    assert!(world.moves('e', State::Degraded, 5).is_empty());
    assert_eq!(
        world.moves('w', State::Up, 6),
        ["eased at 6", "degraded since 6 in east, was down: still less than well in east"]
    );
    assert_eq!(world.moves('e', State::Up, 7), ["recovered at 7"]);
}

#[test]
fn a_region_that_gets_better_without_being_well_says_what_it_sees() {
    let mut world = World::new();
    world.moves('e', State::Down, 1);

    assert_eq!(
        world.moves('e', State::Degraded, 2),
        ["eased at 2", "degraded since 2 in east, was down: refused"]
    );
}

#[test]
fn an_edit_that_takes_the_worst_region_away_leaves_what_is_less_bad() {
    let of = |states: &[(char, State)]| {
        let regions = states.iter().map(|(letter, state)| (region(*letter), *state));
        Unwell::new(CheckId(uuid::Uuid::nil()), regions)
    };
    let both = of(&[('e', State::Down), ('w', State::Degraded)]);
    let edit = |after: &Unwell| told(&both.edit(after, Resolution::Edited, Slot(9)));

    assert!(edit(&of(&[('e', State::Down)])).is_empty());
    assert_eq!(
        edit(&of(&[('w', State::Degraded)])),
        ["eased at 9", "degraded since 9 in west, was down: still less than well in west"]
    );
    assert_eq!(edit(&of(&[('w', State::Up)])), ["edited at 9"]);
    assert!(told(&of(&[]).edit(&of(&[]), Resolution::Edited, Slot(9))).is_empty());
}
