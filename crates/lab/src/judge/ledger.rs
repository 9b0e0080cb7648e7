//! Does the API account for every slot, once, and invent none?
//!
//! A row of `/runs` stands for `slots` slots beginning with its own. Together the rows of a check
//! must cover its chain without a gap and without an overlap, and a row that claims to have looked
//! must have left a hit at the target, answered with the status that the row reports.

use super::chain::Chain;
use super::{Definition, HitsBySlot};
use crate::client::{Outcome, Run};

/// How far the first slot may lie from the creation of its check.
const FIRST_SLOT_WITHIN_MS: i64 = 250;

/// What the ledger of one or more checks comes to.
#[derive(Debug, Default)]
pub struct Figures {
    /// Slots due.
    pub due: usize,
    /// Slots that ended ok.
    pub ok: usize,
    /// Slots that ended in failure.
    pub fail: usize,
    /// Slots looked at in vain.
    pub inconclusive: usize,
    /// Slots not looked at, and owned up to.
    pub missed: usize,
    /// Slots due that no row accounts for.
    pub unaccounted: usize,
    /// Slots that more than one row accounts for.
    pub doubled: usize,
    /// Rows for a time at which their check was not due, or for slots that have not come.
    pub off_grid: usize,
    /// Slots said to have been looked at, of which the target knows nothing, or something else.
    pub unfounded: usize,
    /// Checks whose first slot is not their creation.
    pub first_elsewhere: usize,
    /// What exactly was wrong.
    pub complaints: Vec<String>,
}

/// All runs of one check as the API listed them, in any order.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The rows.
    pub runs: Vec<Run>,
    /// When the last of them had been read.
    pub read_ms: i64,
}

/// Judges one check from its creation to `until_ms`.
///
/// `until_ms` must lie so far back that every slot before it has to have ended; rows behind it are
/// held against the target, but nobody asks whether they are complete.
#[must_use]
pub fn judge(check: &Definition, listed: &Listing, hits: &HitsBySlot, until_ms: i64) -> Figures {
    let Listing { runs, read_ms } = listed;
    let chain = Chain::observed(check, runs.iter().map(Run::slot_ms));
    let due: Vec<_> = chain.until(until_ms).collect();
    let entries = vec![Vec::new(); due.len()];
    let mut book = Book { check, read_ms: *read_ms, entries, figures: Figures::default() };
    for run in runs {
        book.enter(run, &chain);
        book.confirm(run, hits);
    }
    book.figures.first_elsewhere = book.first_elsewhere(&chain);
    book.close(&due)
}

struct Book<'a> {
    check: &'a Definition,
    read_ms: i64,
    /// The outcomes told of each slot due.
    entries: Vec<Vec<Outcome>>,
    figures: Figures,
}

impl Book<'_> {
    fn enter(&mut self, run: &Run, chain: &Chain) {
        let Some(first) = chain.number_of(run.slot_ms()) else {
            self.figures.off_grid += 1;
            return self.complain(run.slot_ms(), "has a row but is not a slot of it");
        };
        if run.slots == 0 || (run.slots > 1 && run.outcome != Outcome::Missed) {
            self.figures.off_grid += 1;
            self.complain(run.slot_ms(), &format!("one look stands for {} slots", run.slots));
        }
        let slots = usize::try_from(run.slots).unwrap_or(usize::MAX);
        if chain.slot(first.saturating_add(slots.saturating_sub(1))) > self.read_ms {
            self.figures.off_grid += 1;
            self.complain(run.slot_ms(), &format!("stands for {slots} slots, some yet to come"));
        }
        for entry in self.entries.iter_mut().skip(first).take(slots) {
            entry.push(run.outcome);
        }
    }

    /// A failure to connect would leave no hit, but the target never refuses a connection.
    fn confirm(&mut self, run: &Run, hits: &HitsBySlot) {
        if !matches!(run.outcome, Outcome::Ok | Outcome::Fail) {
            return;
        }
        let hits = hits.at(self.check.id, run.slot_ms());
        if hits.is_empty() {
            self.figures.unfounded += 1;
            let complaint = format!("{:?} without a hit", run.outcome);
            self.complain(run.slot_ms(), &complaint);
        } else if !hits.iter().any(|hit| hit.status == run.status_code) {
            self.figures.unfounded += 1;
            let served: Vec<_> = hits.iter().map(|hit| hit.status).collect();
            let complaint = format!("reports {:?}, served were {served:?}", run.status_code);
            self.complain(run.slot_ms(), &complaint);
        }
    }

    fn first_elsewhere(&mut self, chain: &Chain) -> usize {
        let off = (chain.first_ms() - self.check.created_ms).abs();
        if off <= FIRST_SLOT_WITHIN_MS {
            return 0;
        }
        self.complain(chain.first_ms(), &format!("is first, {off} ms away from creation"));
        1
    }

    fn close(mut self, due: &[i64]) -> Figures {
        self.figures.due = due.len();
        for (slot, outcomes) in due.iter().zip(std::mem::take(&mut self.entries)) {
            match outcomes[..] {
                [] => {
                    self.figures.unaccounted += 1;
                    self.complain(*slot, "is not accounted for");
                }
                [outcome] => self.figures.count(outcome),
                [..] => {
                    self.figures.doubled += 1;
                    self.complain(*slot, &format!("ended more than once: {outcomes:?}"));
                }
            }
        }
        self.figures
    }

    fn complain(&mut self, slot_ms: i64, what: &str) {
        self.figures.complaints.push(format!("{}: slot {slot_ms} {what}", self.check.name));
    }
}

impl Figures {
    fn count(&mut self, outcome: Outcome) {
        *match outcome {
            Outcome::Ok => &mut self.ok,
            Outcome::Fail => &mut self.fail,
            Outcome::Inconclusive => &mut self.inconclusive,
            Outcome::Missed => &mut self.missed,
        } += 1;
    }

    /// Adds another check's figures.
    pub fn add(&mut self, other: Self) {
        self.due += other.due;
        self.ok += other.ok;
        self.fail += other.fail;
        self.inconclusive += other.inconclusive;
        self.missed += other.missed;
        self.unaccounted += other.unaccounted;
        self.doubled += other.doubled;
        self.off_grid += other.off_grid;
        self.unfounded += other.unfounded;
        self.first_elsewhere += other.first_elsewhere;
        self.complaints.extend(other.complaints);
    }

    /// Share of the slots due that were looked at, in per mille.
    #[must_use]
    pub fn run_per_mille(&self) -> usize {
        (self.ok + self.fail + self.inconclusive) * 1000 / self.due.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{CREATED, SECOND, a_check, a_hit, a_run, good_hits, good_runs};
    use super::*;

    const UNTIL: i64 = SECOND + 7000;

    fn verdict(runs: &[Run], hits: &[crate::target::Hit]) -> Figures {
        let listed = Listing { runs: runs.to_vec(), read_ms: UNTIL + 10_000 };
        judge(&a_check(), &listed, &HitsBySlot::of(hits), UNTIL)
    }

    #[test]
    fn a_whole_ledger_has_nothing_to_complain_of() {
        let figures = verdict(&good_runs(5), &good_hits(5));

        assert_eq!((figures.due, figures.ok, figures.run_per_mille()), (5, 5, 1000));
        assert_eq!(figures.complaints, Vec::<String>::new());
    }

    #[test]
    fn the_order_of_rows_does_not_matter() {
        let mut runs = good_runs(5);
        runs.reverse();

        assert_eq!(verdict(&runs, &good_hits(5)).complaints, Vec::<String>::new());
    }

    #[test]
    fn a_gap_is_unaccounted_wherever_it_lies() {
        for gap in 0..5 {
            let mut runs = good_runs(5);
            runs.remove(gap);

            let figures = verdict(&runs, &good_hits(5));

            assert_eq!((figures.unaccounted, figures.due), (1, 5), "gap at {gap}");
        }
    }

    #[test]
    fn an_empty_ledger_accounts_for_nothing() {
        let figures = verdict(&[], &[]);

        assert!(figures.unaccounted >= 4);
        assert_eq!(figures.unaccounted, figures.due);
    }

    #[test]
    fn one_missed_row_stands_for_many_slots() {
        let mut runs = good_runs(5);
        runs.drain(1..4);
        runs.push(Run { slots: 3, ..a_run(SECOND, Outcome::Missed) });

        let figures = verdict(&runs, &good_hits(5));

        assert_eq!((figures.ok, figures.missed, figures.unaccounted), (2, 3, 0));
        assert_eq!(figures.complaints, Vec::<String>::new());
    }

    #[test]
    fn a_missed_row_may_begin_with_the_first_slot_and_go_on_along_the_grid() {
        let mut runs = good_runs(5).split_off(3);
        runs.push(Run { slots: 3, ..a_run(CREATED, Outcome::Missed) });

        let figures = verdict(&runs, &good_hits(5));

        assert_eq!((figures.missed, figures.unaccounted, figures.doubled), (3, 0, 0));
    }

    #[test]
    fn a_slot_in_two_rows_is_doubled() {
        let mut runs = good_runs(5);
        runs.push(Run { slots: 2, ..a_run(SECOND, Outcome::Missed) });

        let figures = verdict(&runs, &good_hits(5));

        assert_eq!((figures.doubled, figures.ok, figures.missed), (2, 3, 0));
    }

    #[test]
    fn a_row_between_slots_is_off_the_grid() {
        let mut runs = good_runs(5);
        runs.push(a_run(SECOND + 300, Outcome::Inconclusive));

        assert_eq!(verdict(&runs, &good_hits(5)).off_grid, 1);
    }

    #[test]
    fn a_look_stands_for_one_slot_only() {
        let mut runs = good_runs(4);
        runs.push(Run { slots: 2, ..a_run(SECOND + 6000, Outcome::Ok) });

        assert_eq!(verdict(&runs, &good_hits(5)).off_grid, 1);
    }

    #[test]
    fn nothing_is_missed_before_it_is_due() {
        let mut runs = good_runs(4);
        runs.push(Run { slots: 2, ..a_run(SECOND + 6000, Outcome::Missed) });
        assert_eq!(verdict(&runs, &good_hits(5)).off_grid, 0);

        runs[4].slots = 100;

        assert_eq!(verdict(&runs, &good_hits(5)).off_grid, 1);
    }

    #[test]
    fn no_outcome_without_a_hit() {
        let mut hits = good_hits(5);
        hits.remove(3);

        assert_eq!(verdict(&good_runs(5), &hits).unfounded, 1);
    }

    #[test]
    fn no_outcome_against_the_hit() {
        let mut hits = good_hits(5);
        hits[3].status = Some(500);
        assert_eq!(verdict(&good_runs(5), &hits).unfounded, 1);

        // Looked at twice, with two answers: either may be the one that counted.
        hits.push(a_hit(hits[3].slot_ms));

        assert_eq!(verdict(&good_runs(5), &hits).unfounded, 0);
    }

    #[test]
    fn a_missed_slot_may_have_been_hit_by_a_probe_that_died() {
        let mut runs = good_runs(5);
        runs[2] = a_run(runs[2].slot_ms(), Outcome::Missed);

        assert_eq!(verdict(&runs, &good_hits(5)).complaints, Vec::<String>::new());
    }

    #[test]
    fn a_first_slot_that_comes_late_does_not_hide_behind_its_own_clock() {
        let mut runs = good_runs(5);
        runs[0] = a_run(CREATED + 400, Outcome::Missed);

        let figures = verdict(&runs, &good_hits(5));

        assert_eq!((figures.first_elsewhere, figures.unaccounted), (1, 0));
    }

    #[test]
    fn rows_behind_the_end_are_not_counted() {
        let figures = verdict(&good_runs(9), &good_hits(9));

        assert_eq!((figures.due, figures.ok), (5, 5));
        assert_eq!(figures.complaints, Vec::<String>::new());
    }
}
