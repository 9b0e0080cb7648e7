//! The recorder's end: the results of all regions in one row, oldest first.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Instant;

use async_trait::async_trait;
use tracing::warn;

use super::Memory;
use super::jobs::JobKey;
use crate::models::ids::Region;
use crate::models::job::RunResult;
use crate::ports::StoreResult;
use crate::ports::queue::{Entry, ResultQueue};
use crate::stores::queue_rules::ABANDONED;

#[derive(Debug, Default)]
pub(super) struct Results {
    waiting: BTreeMap<u64, Waiting>,
    /// What `waiting` tells of, a job once; regions with none are not in it.
    by_region: HashMap<Region, HashSet<JobKey>>,
    /// The first that nobody has read.
    unread: u64,
    next: u64,
}

#[derive(Debug)]
struct Waiting {
    result: RunResult,
    /// `None` while it is unread.
    read_at: Option<Instant>,
}

impl Waiting {
    fn is_abandoned(&self, now: Instant) -> bool {
        self.read_at.is_some_and(|read_at| now.saturating_duration_since(read_at) >= ABANDONED)
    }

    /// Hands it to a recorder.
    fn read(&mut self, id: u64, now: Instant) -> Entry {
        self.read_at = Some(now);
        let result = self.result.clone();
        Entry { region: result.region.clone(), id: id.to_string(), result: Some(result) }
    }
}

impl Results {
    pub fn append(&mut self, result: RunResult) {
        let told = self.by_region.entry(result.region.clone()).or_default();
        told.insert((result.check_id, result.slot));
        self.waiting.insert(self.next, Waiting { result, read_at: None });
        self.next += 1;
    }

    /// How many wait, read or not.
    pub fn waiting_in(&self, region: &Region) -> u64 {
        self.by_region.get(region).map_or(0, |told| told.len() as u64)
    }

    /// Whether the job's result waits, read or not.
    pub fn has(&self, region: &Region, job: JobKey) -> bool {
        self.by_region.get(region).is_some_and(|told| told.contains(&job))
    }

    /// Up to `limit`: those read and left lying, then new ones.
    fn read(&mut self, now: Instant, limit: usize) -> Vec<Entry> {
        let abandoned =
            self.waiting.range_mut(..self.unread).filter(|(_, waiting)| waiting.is_abandoned(now));
        let mut entries: Vec<Entry> =
            abandoned.take(limit).map(|(id, waiting)| waiting.read(*id, now)).collect();
        let room = limit - entries.len();
        for (id, waiting) in self.waiting.range_mut(self.unread..).take(room) {
            entries.push(waiting.read(*id, now));
            self.unread = id + 1;
        }
        entries
    }

    /// The result, if it still waited.
    fn remove(&mut self, entry: &Entry) -> Option<RunResult> {
        let result = self.waiting.remove(&entry.id.parse().ok()?)?.result;
        if let Some(told) = self.by_region.get_mut(&result.region) {
            told.remove(&(result.check_id, result.slot));
            if told.is_empty() {
                self.by_region.remove(&result.region);
            }
        }
        Some(result)
    }
}

#[async_trait]
impl ResultQueue for Memory {
    async fn read(&self, limit: usize) -> StoreResult<Vec<Entry>> {
        let mut held = self.lock();
        Ok(held.results.read(Instant::now(), limit))
    }

    async fn ack(&self, entries: &[Entry]) -> StoreResult<()> {
        let mut held = self.lock();
        for entry in entries {
            held.results.remove(entry);
        }
        Ok(())
    }

    async fn bury(&self, entries: &[Entry]) -> StoreResult<()> {
        let buried: Vec<RunResult> = {
            let mut held = self.lock();
            entries.iter().filter_map(|entry| held.results.remove(entry)).collect()
        };
        // Nobody can look into a process: the log is where these are set aside.
        for result in buried {
            warn!(
                check.id = %result.check_id,
                region = %result.region,
                slot = %result.slot,
                attempt = result.attempt,
                outcome = result.outcome.as_str(),
                reason = result.outcome.reason(),
                "a result that could not be recorded is set aside"
            );
        }
        Ok(())
    }

    async fn backlog(&self) -> StoreResult<u64> {
        Ok(self.lock().results.waiting.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::models::job::Job;
    use crate::testing::a_result;
    use crate::testing::contracts::queue::a_job;

    fn results(regions: &[&str]) -> Results {
        let mut results = Results::default();
        for region in regions {
            let region = Region::parse(region).unwrap();
            results.append(a_result(&Job { region, ..a_job(1_000) }).build());
        }
        results
    }

    fn ids(entries: &[Entry]) -> Vec<&str> {
        entries.iter().map(|entry| &*entry.id).collect()
    }

    #[test]
    fn what_is_read_and_left_lying_comes_again_before_what_is_new() {
        let now = Instant::now();
        let mut results = results(&["a", "a", "a"]);
        assert_eq!(ids(&results.read(now, 2)), ["0", "1"]);

        let soon = now + ABANDONED;
        let just_before = ABANDONED.saturating_sub(Duration::from_millis(1));

        assert_eq!(ids(&results.read(soon, 1)), ["0"]);
        assert_eq!(ids(&results.read(soon, 5)), ["1", "2"]);
        assert!(results.read(soon + just_before, 5).is_empty());
        assert_eq!(ids(&results.read(soon + ABANDONED, 5)), ["0", "1", "2"]);
    }

    #[test]
    fn a_region_counts_its_own_results_until_they_are_removed() {
        let (here, there) = (Region::parse("a").unwrap(), Region::parse("b").unwrap());
        let mut results = results(&["a", "b", "b"]);
        let entries = results.read(Instant::now(), 5);
        assert_eq!((results.waiting_in(&here), results.waiting_in(&there)), (1, 2));

        for entry in [&entries[0], &entries[0], &entries[2]] {
            results.remove(entry);
        }

        assert_eq!((results.waiting_in(&here), results.waiting_in(&there)), (0, 1));
        assert_eq!((results.waiting.len(), results.by_region.len()), (1, 1));
    }

    #[test]
    fn an_entry_of_another_queue_removes_nothing() {
        let mut results = results(&["a"]);
        let mut entry = results.read(Instant::now(), 1).remove(0);
        entry.id = "1790000000000-0".into();

        assert_eq!(results.remove(&entry), None);

        assert_eq!(results.waiting.len(), 1);
    }
}
