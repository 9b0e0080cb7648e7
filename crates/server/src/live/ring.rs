//! The last so many of a row, each with its number: who reads too late knows that something is gone.

use std::collections::VecDeque;
use std::sync::Arc;

/// See the module. Numbers begin with 0 and never go back.
#[derive(Debug)]
pub(super) struct Ring<T> {
    most: usize,
    first: u64,
    items: VecDeque<Arc<T>>,
}

impl<T> Ring<T> {
    pub fn of(most: usize) -> Self {
        Self { most: most.max(1), first: 0, items: VecDeque::new() }
    }

    pub fn push(&mut self, item: T) {
        self.items.push_back(Arc::new(item));
        if self.items.len() > self.most {
            self.items.pop_front();
            self.first += 1;
        }
    }

    /// The number of the next item to come.
    pub fn end(&self) -> u64 {
        self.first + self.items.len() as u64
    }

    /// At most `limit` items from number `from` on; `None` when some of those are gone.
    pub fn from(&self, from: u64, limit: usize) -> Option<impl Iterator<Item = &Arc<T>>> {
        let skipped = usize::try_from(from.checked_sub(self.first)?).ok()?;
        Some(self.items.iter().skip(skipped).take(limit))
    }

    /// The number of the newest item that is sought.
    pub fn find(&self, is_sought: impl Fn(&T) -> bool) -> Option<u64> {
        let place = self.items.iter().rposition(|item| is_sought(item))?;
        Some(self.first + place as u64)
    }

    /// What the newest items give, looked at from the newest on.
    pub fn newest<R>(&self, find: impl Fn(&T) -> Option<R>) -> Option<R> {
        self.items.iter().rev().find_map(|item| find(item))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(ring: &Ring<u32>, from: u64) -> Option<Vec<u32>> {
        ring.from(from, 2).map(|items| items.map(|item| **item).collect())
    }

    #[test]
    fn who_reads_too_late_is_told() {
        let mut ring = Ring::of(3);
        assert_eq!((read(&ring, 0), ring.end()), (Some(vec![]), 0));

        (1..=5).for_each(|item| ring.push(item));

        assert_eq!((read(&ring, 0), read(&ring, 1)), (None, None));
        assert_eq!((read(&ring, 2), read(&ring, 4)), (Some(vec![3, 4]), Some(vec![5])));
        assert_eq!((read(&ring, 5), ring.end()), (Some(vec![]), 5));
    }

    #[test]
    fn an_item_is_found_by_its_number_as_long_as_it_is_there() {
        let mut ring = Ring::of(3);
        (1..=5).for_each(|item| ring.push(item));

        assert_eq!((ring.find(|item| *item == 4), ring.find(|item| *item == 2)), (Some(3), None));
        assert_eq!(ring.newest(|item| (*item < 5).then_some(*item)), Some(4));
    }
}
