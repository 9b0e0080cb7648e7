//! What holds of every project and every way through time.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{MINUTE, World, channel};
use crate::models::alert::AlertKind;
use crate::models::schedule::Slot;

const LONG: i64 = 2_000;

fn channels() -> impl Strategy<Value = Vec<u128>> {
    vec(1_u128..6, 1..4)
}

fn a_route() -> impl Strategy<Value = Value> {
    let step = (1_u32..200, channels());
    let reminders = (1_u32..60, 0_u32..120, 1_u32..6);
    (channels(), vec(step, 0..4), proptest::option::of(reminders)).prop_map(
        |(first, steps, reminders)| {
            let ids = |numbers: &[u128]| numbers.iter().map(|n| channel(*n)).collect::<Vec<_>>();
            let steps: Vec<_> = steps
                .iter()
                .map(|(after, told)| json!({"after_minutes": after, "channels": ids(told)}))
                .collect();
            let mut route = json!({"channels": ids(&first), "steps": steps});
            if let Some((every, more, at_most)) = reminders {
                route["reminders"] = json!({
                    "every_minutes": every, "longest_minutes": every + more, "at_most": at_most,
                });
            }
            route
        },
    )
}

proptest! {
    #[test]
    fn asking_again_tells_nobody_again(
        routes in vec(a_route(), 0..4), mut instants in vec(0..LONG, 1..20),
    ) {
        instants.sort_unstable();
        let mut world = World::new(routes);
        world.ask(0);

        for minute in instants {
            world.ask(minute * MINUTE);
            prop_assert_eq!(world.ask(minute * MINUTE), vec![]);
        }
    }

    #[test]
    fn everybody_hears_once_that_it_opened_however_often_it_is_asked_for(
        routes in vec(a_route(), 0..4), mut instants in vec(0..LONG, 0..20),
    ) {
        instants.sort_unstable();
        let mut followed = World::new(routes.clone());
        let mut told: Vec<_> = followed
            .follow_until(LONG)
            .into_iter()
            .filter(|(_, kind, _)| *kind == AlertKind::Opened.as_str())
            .flat_map(|(_, _, channels)| channels)
            .collect();

        // At other instants, as well: what falls due in between is told by the next.
        let mut pestered = World::new(routes);
        pestered.ask(0);
        for minute in instants {
            while let Some(Slot(at)) = pestered.follow_up_at.filter(|at| at.0 < minute * MINUTE) {
                pestered.ask(at);
            }
            pestered.ask(minute * MINUTE);
        }
        pestered.ask(LONG * MINUTE);

        prop_assert_eq!(&pestered.heard, &followed.heard);
        told.sort_unstable();
        let each: Vec<_> = followed.heard.iter().map(|id| id.0.as_u128()).collect();
        prop_assert_eq!(told, each, "each once");
    }

    #[test]
    fn nobody_is_told_of_what_somebody_sees_to(
        routes in vec(a_route(), 0..4), instants in vec(0..LONG, 1..20), acknowledged in 0..LONG,
    ) {
        let mut world = World::new(routes);
        world.follow_until(acknowledged);
        world.acknowledged = true;

        for minute in instants {
            prop_assert_eq!(world.ask((acknowledged + minute) * MINUTE), vec![]);
            prop_assert_eq!(world.follow_up_at, None);
        }
    }

    #[test]
    fn alerts_of_a_kind_are_numbered_and_come_to_an_end(routes in vec(a_route(), 0..4)) {
        let mut world = World::new(routes);
        let mut numbers = [Vec::new(), Vec::new()];
        let mut asked = 0;

        while let Some(Slot(at)) = world.follow_up_at {
            for tell in world.ask(at) {
                numbers[usize::from(tell.kind == AlertKind::Reminder)].push(tell.number);
            }
            asked += 1;
            prop_assert!(asked < 1_000, "it ends");
        }

        for numbers in numbers {
            let most = u16::try_from(numbers.len()).unwrap();
            prop_assert_eq!(numbers, (1..=most).collect::<Vec<_>>());
        }
    }
}
