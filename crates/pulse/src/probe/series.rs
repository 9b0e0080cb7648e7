//! Looks at intervals: a line each, and a summary at the end, also when Ctrl-C is the end.

use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use pulse_core::models::run::Outcome;
use tokio::time::MissedTickBehavior;

use super::look::{Look, Looker};
use super::paper::Paper;
use super::waterfall::milliseconds;
use super::{json, paper, report};
use crate::exit::{Exit, Told};

/// How often, and how far apart.
pub struct Series {
    count: u32,
    interval: Duration,
}

impl Series {
    pub fn new(count: u32, interval: Duration) -> Self {
        Self { count, interval }
    }

    /// Looks until it has looked often enough, or is asked to end, or nobody reads any more.
    pub async fn run(&self, looker: &Looker, paper: Paper) -> anyhow::Result<ExitCode> {
        let mut starts = tokio::time::interval(self.interval);
        // After a look that took longer than the interval the next begins at once, and only one.
        starts.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut asked_to_end = pin!(tokio::signal::ctrl_c());
        let mut tally = Tally::default();
        for number in 1..=self.count {
            let next = async {
                starts.tick().await;
                looker.look().await
            };
            let look = tokio::select! {
                biased;
                Ok(()) = &mut asked_to_end => break,
                look = next => look,
            };
            tally.add(&look);
            if !paper::print(&line(number, &look, paper))? {
                return tally.exit();
            }
        }
        paper::print(&tally.summary(paper))?;
        tally.exit()
    }
}

fn line(number: u32, look: &Look, paper: Paper) -> String {
    let seen = &look.observation;
    let status = seen.status_code.map_or_else(|| "-".to_owned(), |status| status.to_string());
    let total = milliseconds(seen.phases.total_us.unwrap_or_default());
    let address = seen.address.map_or_else(|| "-".to_owned(), |address| address.to_string());
    let sentence = report::sentence(look).unwrap_or_default();
    match paper {
        Paper::Json => json::line(look),
        Paper::Pipe => {
            format!("{number}\t{}\t{status}\t{total}\t{address}\t{sentence}\n", look.word())
        }
        Paper::Terminal { .. } => {
            // Padded before it is coloured: colours have no width.
            let outcome = paper.coloured(look.outcome, &format!("{:<14}", look.word()));
            let line = format!("{number:>4}  {outcome}  {status:>3}  {total:>10} ms  {address}");
            format!("{line}  {sentence}").trim_end().to_owned() + "\n"
        }
    }
}

/// What the looks came to so far.
#[derive(Debug, Default)]
struct Tally {
    ok: u32,
    fail: u32,
    inconclusive: u32,
    /// Of every look, however it ended; at most as many as `--repeat` allows.
    totals_us: Vec<u32>,
}

impl Tally {
    fn add(&mut self, look: &Look) {
        match look.outcome {
            Outcome::Ok | Outcome::Degraded => self.ok += 1,
            Outcome::Fail(_) => self.fail += 1,
            Outcome::Inconclusive(_) | Outcome::Missed(_) => self.inconclusive += 1,
        }
        self.totals_us.push(look.observation.phases.total_us.unwrap_or_default());
    }

    /// Empty for JSON, which is a look to a line and nothing else, and when nothing was looked at.
    fn summary(&self, paper: Paper) -> String {
        let mut sorted = self.totals_us.clone();
        sorted.sort_unstable();
        let Some([min, p50, p95, max]) = spread(&sorted) else {
            return String::new();
        };
        let (looks, ok, fail, inconclusive) = (sorted.len(), self.ok, self.fail, self.inconclusive);
        match paper {
            Paper::Json => String::new(),
            Paper::Pipe => format!(
                "looks\t{looks}\nok\t{ok}\nfail\t{fail}\ninconclusive\t{inconclusive}\n\
                 min\t{min}\np50\t{p50}\np95\t{p95}\nmax\t{max}\n"
            ),
            Paper::Terminal { .. } => format!(
                "\n{looks} looks: {ok} ok, {fail} fail, {inconclusive} inconclusive\n\
                 total: min {min} ms, p50 {p50} ms, p95 {p95} ms, max {max} ms\n"
            ),
        }
    }

    fn exit(&self) -> anyhow::Result<ExitCode> {
        if self.totals_us.is_empty() {
            let sentence = "ended before the first look did".to_owned();
            return Err(Told { exit: Exit::Failed, sentence }.into());
        }
        let all_well = self.fail + self.inconclusive == 0;
        Ok(if all_well { ExitCode::SUCCESS } else { Exit::Unwell.into() })
    }
}

/// Least, median, 95th percentile and most, in milliseconds; `None` of nothing.
fn spread(sorted_us: &[u32]) -> Option<[String; 4]> {
    let last = sorted_us.len().checked_sub(1)?;
    // The nearest rank: a value that was measured, and none between two.
    let ranked = |percent: usize| (sorted_us.len() * percent).div_ceil(100).saturating_sub(1);
    Some([0, ranked(50), ranked(95), last].map(|rank| milliseconds(sorted_us[rank])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let to = |most: u32| spread(&(1..=most).map(|ms| ms * 1000).collect::<Vec<_>>());
        let told = |values: [&str; 4]| Some(values.map(|value| format!("{value}.000")));

        assert_eq!(to(0), None);
        assert_eq!(to(1), told(["1", "1", "1", "1"]));
        assert_eq!(to(2), told(["1", "1", "2", "2"]));
        assert_eq!(to(20), told(["1", "10", "19", "20"]));
        assert_eq!(to(100), told(["1", "50", "95", "100"]));
    }

    #[test]
    fn a_summary_counts_every_outcome() {
        let tally =
            Tally { ok: 2, fail: 1, inconclusive: 1, totals_us: vec![4000, 1000, 2000, 3000] };

        assert_eq!(
            tally.summary(Paper::Terminal { colours: false }),
            "\n4 looks: 2 ok, 1 fail, 1 inconclusive\n\
             total: min 1.000 ms, p50 2.000 ms, p95 4.000 ms, max 4.000 ms\n"
        );
        assert_eq!(tally.summary(Paper::Json), "");
        assert_eq!(Tally::default().summary(Paper::Pipe), "");
    }
}
