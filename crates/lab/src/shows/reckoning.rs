//! What it all came to: every judge's figures over the checks of a show, after its faults are over.

use super::accounts::Accounts;
use super::of_each;
use super::outages::{self, Outages, PATIENCE};
use crate::client::{Api, Incident};
use crate::judge::deliveries;
use crate::judge::repeats::{self, Gap};
use crate::judge::{self, Definition};
use crate::lab::Lab;
use crate::report::Report;
use crate::target::Hit;

/// From the push of a job to its hit, and from its hit until its result is handed in, on a machine
/// that has much to do.
const UNDER_WAY_US: i64 = 1_000_000;

/// What the oracles and the API say in the end.
pub struct Reckoning<'a> {
    checks: &'a [Definition],
    until_ms: i64,
    /// The ledgers, complete or long enough waited for.
    pub accounts: Accounts,
    /// Everything the target has seen.
    pub hits: Vec<Hit>,
    incidents: Vec<Vec<Incident>>,
    told: deliveries::Figures,
}

impl<'a> Reckoning<'a> {
    /// Waits until every slot up to `until_ms` is accounted for and every edge is told, or all
    /// patience is gone.
    pub async fn of(lab: &Lab, checks: &'a [Definition], until_ms: i64) -> anyhow::Result<Self> {
        let api = lab.fleet.api()?;
        let mut accounts = Accounts::read(&api, checks, until_ms, PATIENCE).await?;
        let hits = lab.target.hits().copy();
        accounts.judge(checks, &hits, until_ms);
        let incidents = of_each(&api, checks, Api::incidents).await?;
        let told = outages::all_told(&lab.sink, &incidents.concat()).await;
        Ok(Self { checks, until_ms, accounts, hits, incidents, told })
    }

    /// Puts all of it into the report. `gaps` are when processes died or stood still.
    pub fn tell(mut self, gaps: &[Gap], outages: &Outages, report: &mut Report) {
        self.accounts.tell(report);
        report.note("slots looked at (per mille)", self.accounts.figures.run_per_mille());
        let seen = judge::hits::judge(self.checks, &self.hits, self.until_ms);
        report.exactly("hits off the grid", seen.off_grid, 0);
        tell_repeats(repeats::judge(&self.hits, gaps, UNDER_WAY_US), report);
        outages.tell(self.checks, &self.accounts, &self.incidents, report);
        outages::tell_deliveries(self.told, report);
    }
}

fn tell_repeats(repeats: repeats::Figures, report: &mut Report) {
    let line = repeats.in_flight;
    report.at_most("duplicate hits (line: hits under way in a fault)", repeats.repeated, line);
    report.exactly("duplicate hits of runs not under way in a fault", repeats.unexplained, 0);
    report.note("duplicate hits of slots that were claimed anew", repeats.pushed_anew);
    report.complain(repeats.complaints);
}
