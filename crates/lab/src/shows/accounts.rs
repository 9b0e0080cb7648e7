//! Reads the ledgers of many checks, waiting until they are complete, and judges them.

use std::time::{Duration, Instant};

use crate::client::Api;
use crate::clock;
use crate::judge::ledger::{self, Listing};
use crate::judge::{Definition, HitsBySlot};
use crate::report::Report;
use crate::target::Hit;

use super::of_each;

/// How long after its slot an outcome may come to light, beyond interval and timeout: the grace of
/// the ledger itself and the way of a sealed batch into the history.
const GRACE: Duration = Duration::from_secs(6);

/// Between two looks at ledgers that are not complete yet.
const PACE: Duration = Duration::from_millis(500);

/// The ledgers of a show.
pub struct Accounts {
    /// As listed in the end, one for each check.
    pub listings: Vec<Listing>,
    /// What they come to.
    pub figures: ledger::Figures,
    /// How long it took until no slot was unaccounted for, or the wait for it.
    waited: Duration,
}

impl Accounts {
    /// Waits until every slot up to `until_ms` is accounted for, or everything has had its time and
    /// `more` besides. Whether it all adds up is then for the figures to say.
    pub async fn read(
        api: &Api,
        checks: &[Definition],
        until_ms: i64,
        more: Duration,
    ) -> anyhow::Result<Self> {
        let started = Instant::now();
        let longest = checks.iter().map(|check| check.interval_ms).max().unwrap_or(0);
        // The timeout of a run is always shorter than its interval.
        let interval_and_timeout = Duration::from_millis(2 * longest.unsigned_abs());
        let deadline = interval_and_timeout + GRACE + more;
        let mut incomplete = checks.to_vec();
        while !incomplete.is_empty() && started.elapsed() < deadline {
            tokio::time::sleep(PACE).await;
            // An error is no verdict: the next look may find the server up again.
            if let Ok(listings) = listings(api, &incomplete).await {
                incomplete = incomplete
                    .into_iter()
                    .zip(listings)
                    .filter(|(check, listed)| has_gaps(check, listed, until_ms))
                    .map(|(check, _)| check)
                    .collect();
            }
        }
        let waited = started.elapsed();
        let listings = listings(api, checks).await?;
        Ok(Self { listings, figures: ledger::Figures::default(), waited })
    }

    /// Judges what was read.
    pub fn judge(&mut self, checks: &[Definition], hits: &[Hit], until_ms: i64) {
        let hits = HitsBySlot::of(hits);
        for (check, listed) in checks.iter().zip(&self.listings) {
            self.figures.add(ledger::judge(check, listed, &hits, until_ms));
        }
    }

    /// Puts the figures into the report.
    pub fn tell(&mut self, report: &mut Report) {
        let figures = &mut self.figures;
        report.note("slots due", figures.due);
        report.note(
            "ok / fail / inconclusive / missed",
            format!(
                "{} / {} / {} / {}",
                figures.ok, figures.fail, figures.inconclusive, figures.missed
            ),
        );
        report.note("complete after (ms)", self.waited.as_millis());
        report.exactly("slots unaccounted for", figures.unaccounted, 0);
        report.exactly("slots with two outcomes", figures.doubled, 0);
        report.exactly("rows off the grid", figures.off_grid, 0);
        report.exactly("outcomes without a matching hit", figures.unfounded, 0);
        report.exactly("first slots not at creation", figures.first_elsewhere, 0);
        report.complain(std::mem::take(&mut figures.complaints));
    }
}

fn has_gaps(check: &Definition, listed: &Listing, until_ms: i64) -> bool {
    ledger::judge(check, listed, &HitsBySlot::of(&[]), until_ms).unaccounted > 0
}

async fn listings(api: &Api, checks: &[Definition]) -> anyhow::Result<Vec<Listing>> {
    of_each(api, checks, async |api: &Api, id| {
        let runs = api.runs(id).await?;
        Ok(Listing { runs, read_ms: clock::now_ms() })
    })
    .await
}
