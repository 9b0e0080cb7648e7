//! Who is at work.

use std::collections::BTreeMap;
use std::time::Instant;

use async_trait::async_trait;

use super::Memory;
use crate::ports::StoreResult;
use crate::ports::presence::{Presence, WorkerReport};
use crate::stores::queue_rules::ALIVE;

/// The last word of each, and when it came.
#[derive(Debug, Default)]
pub(super) struct Workers(BTreeMap<String, (Instant, WorkerReport)>);

impl Workers {
    fn report(&mut self, now: Instant, report: WorkerReport) {
        self.forget_the_silent(now);
        self.0.insert(report.worker.clone(), (now, report));
    }

    fn alive(&mut self, now: Instant) -> Vec<WorkerReport> {
        self.forget_the_silent(now);
        self.0.values().map(|(_, report)| report.clone()).collect()
    }

    fn forget_the_silent(&mut self, now: Instant) {
        self.0.retain(|_, (heard, _)| now.saturating_duration_since(*heard) < ALIVE);
    }
}

#[async_trait]
impl Presence for Memory {
    async fn report(&self, report: &WorkerReport) -> StoreResult<()> {
        self.lock().workers.report(Instant::now(), report.clone());
        Ok(())
    }

    async fn leave(&self, worker: &str) -> StoreResult<()> {
        self.lock().workers.0.remove(worker);
        Ok(())
    }

    async fn workers(&self) -> StoreResult<Vec<WorkerReport>> {
        Ok(self.lock().workers.alive(Instant::now()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn a_report(worker: &str) -> WorkerReport {
        WorkerReport { worker: worker.into(), ..WorkerReport::default() }
    }

    #[test]
    fn a_worker_is_forgotten_after_some_silence() {
        let start = Instant::now();
        let mut workers = Workers::default();
        workers.report(start, a_report("silent"));
        workers.report(start, a_report("talking"));

        workers.report(start + Duration::from_secs(1), a_report("talking"));

        let just_before = ALIVE.saturating_sub(Duration::from_millis(1));
        assert_eq!(workers.alive(start + just_before).len(), 2);
        assert_eq!(workers.alive(start + ALIVE), [a_report("talking")]);
    }

    #[test]
    fn the_silent_are_forgotten_even_if_nobody_asks() {
        let start = Instant::now();
        let mut workers = Workers::default();
        workers.report(start, a_report("silent"));

        workers.report(start + ALIVE, a_report("talking"));

        assert_eq!(workers.0.len(), 1);
    }
}
