//! What a region remembers of one kind of trait, and so what is a change.
//!
//! Names answer with a part of their addresses, balancers with one certificate of several: what comes
//! and goes by turns is no news. A change is when something is seen that was not seen within the last
//! day. So what comes back within a day is not told, and neither is that something is seen no more.

use std::collections::BTreeMap;
use std::mem;

use serde::{Deserialize, Serialize};

use super::{TraitKind, Traits};
use crate::models::schedule::Slot;

/// How long what was seen is known.
const KNOWN_FOR_MS: i64 = 24 * 60 * 60 * 1_000;
/// Where so many are known, they come and go without end: no more are told until it calms down.
const MOST_KNOWN: usize = 64;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// What was seen last, on every run up to this one.
    last: Traits,
    /// When each was last seen to give way to another.
    known: BTreeMap<String, Slot>,
}

impl Memory {
    /// What is seen for the first time is no change.
    #[must_use]
    pub fn begin(seen: Traits) -> Self {
        Self { last: seen, known: BTreeMap::new() }
    }

    /// Takes over what `seen`, of this kind alone, has; what was before, if that is a change.
    pub fn observe(&mut self, kind: TraitKind, seen: Traits, at: Slot) -> Option<Traits> {
        self.known.extend(self.last.keys(kind).into_iter().map(|key| (key, at)));
        self.known.retain(|_, known| at.0 - known.0 < KNOWN_FOR_MS);
        let keys = seen.keys(kind);
        let is_news = keys.iter().any(|key| !self.known.contains_key(key));
        let is_told = is_news && self.known.len() < MOST_KNOWN;
        self.known.extend(keys.into_iter().map(|key| (key, at)));
        self.forget_oldest();
        let before = mem::replace(&mut self.last, seen);
        is_told.then_some(before)
    }

    fn forget_oldest(&mut self) {
        while self.known.len() > MOST_KNOWN {
            let oldest = self.known.iter().min_by_key(|(_, known)| **known);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { return };
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 60 * 60 * 1_000;
    const KIND: TraitKind = TraitKind::Redirect;

    fn to(url: &str) -> Traits {
        Traits { redirect: Some(url.to_owned()), ..Traits::default() }
    }

    fn at(addresses: &[u8]) -> Traits {
        let addresses = addresses.iter().map(|last| [192, 0, 2, *last].into());
        Traits { addresses: addresses.collect(), ..Traits::default() }
    }

    #[test]
    fn a_change_is_told_with_what_was_before() {
        let mut memory = Memory::begin(to("/a"));

        assert_eq!(memory.observe(KIND, to("/b"), Slot(HOUR)), Some(to("/a")));
        assert_eq!(memory.observe(KIND, to("/c"), Slot(2 * HOUR)), Some(to("/b")));
    }

    #[test]
    fn what_comes_back_within_a_day_is_no_news_and_later_it_is() {
        let mut memory = Memory::begin(to("/a"));
        assert!(memory.observe(KIND, to("/b"), Slot(100 * HOUR)).is_some());

        // However long it stood before it gave way.
        assert_eq!(memory.observe(KIND, to("/a"), Slot(123 * HOUR)), None);
        assert_eq!(memory.observe(KIND, to("/b"), Slot(124 * HOUR)), None);
        assert_eq!(memory.observe(KIND, to("/a"), Slot(148 * HOUR)), Some(to("/b")));
    }

    #[test]
    fn addresses_that_take_turns_are_told_once_each_and_those_that_go_are_not() {
        let kind = TraitKind::Addresses;
        let mut memory = Memory::begin(at(&[1, 2, 3]));
        let mut observe =
            |addresses: &[u8], hour: i64| memory.observe(kind, at(addresses), Slot(hour * HOUR));

        assert_eq!(observe(&[1, 2], 1), None);
        assert_eq!(observe(&[2, 3], 2), None);
        assert_eq!(observe(&[3, 4], 3), Some(at(&[2, 3])));
        assert_eq!(observe(&[1, 4], 4), None);
        assert_eq!(observe(&[9], 5), Some(at(&[1, 4])));
    }

    #[test]
    fn what_never_comes_back_is_told_so_often_a_day_and_takes_so_much_room() {
        let mut memory = Memory::begin(to("/"));
        let told = |memory: &mut Memory, hour: i64| {
            (0..500)
                .filter(|n| {
                    memory.observe(KIND, to(&format!("/{hour}/{n}")), Slot(hour * HOUR)).is_some()
                })
                .count()
        };

        assert_eq!(told(&mut memory, 1), MOST_KNOWN - 1);
        assert_eq!(told(&mut memory, 2), 0);
        assert_eq!(memory.known.len(), MOST_KNOWN);
        assert!(told(&mut memory, 40) > 0);
        let text = serde_json::to_string(&memory).unwrap();
        assert_eq!(serde_json::from_str::<Memory>(&text).unwrap(), memory);
    }
}
