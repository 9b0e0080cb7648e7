//! The jobs of one region: those ready, oldest first, and those leased, first to run out first.
//!
//! A job keeps the place it was given when it was pushed; handed back, it stands there again, before
//! all that came later. `known` holds every job, each in exactly one of `ready` and `leases`.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use crate::models::ids::CheckId;
use crate::models::job::{Job, LeasedJob, RunResult};
use crate::models::run::{MissedReason, Outcome};
use crate::models::schedule::Slot;
use crate::stores::queue_rules::{
    CLEARED_AT_ONCE, HANDED_BACK_AT_ONCE, LEASE_MARGIN, MOST_DELIVERIES,
};

/// The same for the same slot, however often it is pushed.
pub(super) type JobKey = (CheckId, Slot);

pub(super) const fn key(job: &Job) -> JobKey {
    (job.check_id, job.slot)
}

#[derive(Debug, Default)]
pub(super) struct Jobs {
    known: HashMap<JobKey, Known>,
    ready: BTreeMap<u64, JobKey>,
    leases: BTreeMap<(Instant, u64), JobKey>,
    next_place: u64,
}

#[derive(Debug)]
struct Known {
    job: Job,
    /// Deliveries so far; 0 for one that was never handed out.
    token: u32,
    place: u64,
    pushed_at: Instant,
    /// When its slot comes.
    due_at: Instant,
    /// `None` while it is ready.
    leased_until: Option<Instant>,
}

impl Known {
    /// Whether it is no longer worth starting.
    fn is_late(&self, now: Instant) -> bool {
        let waited = now.saturating_duration_since(self.pushed_at).as_millis();
        i128::try_from(waited).is_ok_and(|waited| waited > self.job.start_within_ms.into())
    }

    /// What is told of it when nobody brought a result.
    fn given_up(self) -> RunResult {
        RunResult {
            check_id: self.job.check_id,
            region: self.job.region,
            slot: self.job.slot,
            attempt: self.token,
            outcome: Outcome::Missed(MissedReason::WorkerCrash),
            observation: None,
        }
    }
}

impl Jobs {
    pub fn knows(&self, job: &Job) -> bool {
        self.known.contains_key(&key(job))
    }

    /// Jobs ready.
    pub fn depth(&self) -> u64 {
        self.ready.len() as u64
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Adds a job that is not known yet.
    pub fn push(&mut self, now: Instant, job: Job) {
        let (key, place) = (key(&job), self.next_place);
        self.next_place += 1;
        self.ready.insert(place, key);
        let due_at = now + Duration::from_millis(job.due_in_ms.into());
        let known = Known { job, token: 0, place, pushed_at: now, due_at, leased_until: None };
        self.known.insert(key, known);
    }

    /// Jobs nobody came for in time make room: oldest first, a few a call.
    pub fn clear_late(&mut self, now: Instant) {
        for _ in 0..CLEARED_AT_ONCE {
            let Some(first) = self.ready.first_entry() else {
                return;
            };
            if self.known.get(first.get()).is_some_and(|known| !known.is_late(now)) {
                return;
            }
            self.known.remove(&first.remove());
        }
    }

    /// Ends the leases that ran out. Their jobs are ready again, but for those given up: these are
    /// returned.
    pub fn hand_back(&mut self, now: Instant) -> Vec<RunResult> {
        let mut given_up = Vec::new();
        for _ in 0..HANDED_BACK_AT_ONCE {
            let Some(lease) = self.leases.first_entry().filter(|lease| lease.key().0 <= now) else {
                break;
            };
            let Entry::Occupied(mut known) = self.known.entry(lease.remove()) else {
                continue;
            };
            if known.get().token >= MOST_DELIVERIES {
                given_up.push(known.remove().given_up());
            } else {
                known.get_mut().leased_until = None;
                self.ready.insert(known.get().place, *known.key());
            }
        }
        given_up
    }

    /// Leases up to `most` jobs. Fewer come out when some were no longer worth starting.
    pub fn lease(&mut self, now: Instant, most: usize) -> Vec<LeasedJob> {
        let mut leased = Vec::new();
        for _ in 0..most {
            let Some((_, key)) = self.ready.pop_first() else {
                break;
            };
            leased.extend(self.hand_out(now, key));
        }
        leased
    }

    fn hand_out(&mut self, now: Instant, key: JobKey) -> Option<LeasedJob> {
        let Entry::Occupied(mut entry) = self.known.entry(key) else {
            return None;
        };
        if entry.get().is_late(now) {
            // Its window is nearly over. The ledger tells it as missed.
            entry.remove();
            return None;
        }
        let known = entry.get_mut();
        let timeout = Duration::from_millis(known.job.timeout_ms.into());
        let due_in = known.due_at.saturating_duration_since(now);
        let until = now + due_in + timeout + LEASE_MARGIN;
        known.token += 1;
        known.leased_until = Some(until);
        self.leases.insert((until, known.place), key);
        Some(LeasedJob { job: known.job.clone(), token: known.token, due_in })
    }

    /// Removes the job if `token` is still its newest; says whether it was.
    pub fn end(&mut self, check: CheckId, slot: Slot, token: u32) -> bool {
        let Entry::Occupied(known) = self.known.entry((check, slot)) else {
            return false;
        };
        if known.get().token != token {
            return false;
        }
        let known = known.remove();
        match known.leased_until {
            Some(until) => self.leases.remove(&(until, known.place)),
            // Its lease ran out, and nobody has taken it since.
            None => self.ready.remove(&known.place),
        };
        true
    }

    /// Ends the lease, if it is still held: the delivery does not count.
    pub fn release(&mut self, leased: &LeasedJob) {
        let key = key(&leased.job);
        let Some(known) = self.known.get_mut(&key).filter(|known| known.token == leased.token)
        else {
            return;
        };
        if let Some(until) = known.leased_until.take() {
            known.token -= 1;
            self.leases.remove(&(until, known.place));
            self.ready.insert(known.place, key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::contracts::queue::a_job;

    const MS: Duration = Duration::from_millis(1);

    fn leased(job: &Job, token: u32) -> LeasedJob {
        LeasedJob { job: job.clone(), token, due_in: Duration::ZERO }
    }

    /// A queue of jobs that have 1, 2, 3 ... ms to run.
    fn queue_of(now: Instant, jobs: u32) -> (Jobs, Vec<Job>) {
        let pushed: Vec<Job> = (1..=jobs).map(a_job).collect();
        let mut queue = Jobs::default();
        for job in &pushed {
            queue.push(now, job.clone());
        }
        (queue, pushed)
    }

    /// Every job is in one place, and nothing points nowhere.
    fn assert_whole(queue: &Jobs) {
        assert_eq!(queue.ready.len() + queue.leases.len(), queue.known.len());
        for (place, key) in &queue.ready {
            let known = &queue.known[key];
            assert_eq!((known.place, known.leased_until), (*place, None));
        }
        for ((until, place), key) in &queue.leases {
            let known = &queue.known[key];
            assert_eq!((known.place, known.leased_until), (*place, Some(*until)));
        }
    }

    #[test]
    fn a_lease_lasts_for_the_timeout_and_the_margin() {
        let now = Instant::now();
        let (mut queue, jobs) = queue_of(now, 1);
        queue.lease(now, 1);

        let just_before = now + LEASE_MARGIN;
        let end = just_before + MS;

        assert!(queue.hand_back(just_before).is_empty());
        assert_eq!(queue.lease(just_before, 1), []);
        assert!(queue.hand_back(end).is_empty());
        assert_eq!(queue.lease(end, 1), [leased(&jobs[0], 2)]);
        assert_whole(&queue);
    }

    #[test]
    fn leases_that_ran_out_come_before_jobs_never_handed_out_oldest_first() {
        let now = Instant::now();
        let (mut queue, jobs) = queue_of(now, 4);
        queue.lease(now, 3);
        let later = now + LEASE_MARGIN * 2;

        queue.hand_back(later);
        let again = queue.lease(later, 10);

        let expected =
            [leased(&jobs[0], 2), leased(&jobs[1], 2), leased(&jobs[2], 2), leased(&jobs[3], 1)];
        assert_eq!(again, expected);
        assert_whole(&queue);
    }

    #[test]
    fn the_third_delivery_in_vain_is_the_last() {
        let mut now = Instant::now();
        let (mut queue, jobs) = queue_of(now, 1);

        for token in 1..=MOST_DELIVERIES {
            assert!(queue.hand_back(now).is_empty());
            assert_eq!(queue.lease(now, 1), [leased(&jobs[0], token)]);
            now += MS + LEASE_MARGIN;
        }
        let given_up = queue.hand_back(now);

        assert_eq!(given_up.len(), 1);
        assert_eq!((given_up[0].check_id, given_up[0].slot), key(&jobs[0]));
        assert_eq!(given_up[0].outcome, Outcome::Missed(MissedReason::WorkerCrash));
        assert_eq!(given_up[0].attempt, MOST_DELIVERIES);
        assert!(queue.is_empty());
        assert_whole(&queue);
    }

    #[test]
    fn a_call_looks_after_a_bounded_number_of_leases_and_the_next_goes_on() {
        let now = Instant::now();
        let most = u32::try_from(HANDED_BACK_AT_ONCE).unwrap();
        let (mut queue, _) = queue_of(now, most + 1);
        queue.lease(now, usize::MAX);
        let later = now + LEASE_MARGIN * 2;

        queue.hand_back(later);
        assert_eq!(queue.depth(), u64::from(most));
        queue.hand_back(later);

        assert_eq!(queue.depth(), u64::from(most) + 1);
        assert_whole(&queue);
    }

    #[test]
    fn a_job_is_worth_starting_until_its_window_is_over() {
        let now = Instant::now();
        let mut queue = Jobs::default();
        let (this, that) = (a_job(1), a_job(1));
        queue.push(now, Job { start_within_ms: 10, ..this.clone() });
        queue.push(now, Job { start_within_ms: 10, ..that });

        let in_time = queue.lease(now + MS * 10, 1);
        let late = queue.lease(now + MS * 11, 1);

        assert_eq!(in_time.len(), 1);
        assert_eq!(in_time[0].job.check_id, this.check_id);
        assert_eq!(late, []);
        assert_eq!(queue.known.len(), 1, "the late one is gone");
        assert_whole(&queue);
    }

    #[test]
    fn late_jobs_are_cleared_up_to_the_first_that_is_not() {
        let now = Instant::now();
        let mut queue = Jobs::default();
        let late = || Job { start_within_ms: -1, ..a_job(1) };
        for job in [late(), late(), a_job(1), late()] {
            queue.push(now, job);
        }

        queue.clear_late(now);

        assert_eq!(queue.depth(), 2);
        assert_whole(&queue);
    }

    #[test]
    fn a_result_that_comes_after_its_lease_and_before_an_heir_still_counts() {
        let now = Instant::now();
        let (mut queue, jobs) = queue_of(now, 1);
        queue.lease(now, 1);
        queue.hand_back(now + LEASE_MARGIN * 2);

        assert!(queue.end(jobs[0].check_id, jobs[0].slot, 1));

        assert!(queue.is_empty());
        assert_whole(&queue);
    }

    #[test]
    fn only_a_lease_that_is_held_can_be_released() {
        let now = Instant::now();
        let (mut queue, jobs) = queue_of(now, 1);
        let never_leased = leased(&jobs[0], 0);
        queue.release(&never_leased);
        let first = queue.lease(now, 1).remove(0);
        queue.hand_back(now + LEASE_MARGIN * 2);

        queue.release(&first);

        assert_whole(&queue);
        assert_eq!(queue.depth(), 1);
        assert_eq!(queue.lease(now, 1)[0].token, 2, "a delivery that ran out counts");
    }
}
