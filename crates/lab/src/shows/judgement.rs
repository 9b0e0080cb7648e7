//! The end of a show that the reference model judges: everything is read, written down, and judged.

use std::collections::BTreeMap;

use super::accounts::Accounts;
use super::of_each;
use super::outages::{self, PATIENCE};
use crate::client::{Api, Check, Outcome, Run};
use crate::clock;
use crate::journal::{Fault, Journal};
use crate::judge::{self, Definition};
use crate::lab::Lab;
use crate::model::{self, Verdict};
use crate::report::Report;

/// What a show was.
pub struct Played<'a> {
    /// What decided it.
    pub seed: u64,
    /// Whether nothing was to go wrong.
    pub calm: bool,
    /// Its checks, whose targets are well again by now.
    pub checks: &'a [Check],
    /// What was killed.
    pub faults: &'a [Fault],
}

/// What came of it.
pub struct Judgement {
    /// The ledgers, judged.
    pub accounts: Accounts,
    /// What the model says.
    pub verdict: Verdict,
}

/// Waits until every slot up to now has ended and every edge was told, and judges.
pub async fn judge(
    lab: &Lab,
    played: &Played<'_>,
    report: &mut Report,
) -> anyhow::Result<Judgement> {
    let until_ms = clock::now_ms();
    let checks: Vec<_> = played.checks.iter().map(Definition::from).collect();
    let api = lab.fleet.api()?;
    let mut accounts = Accounts::read(&api, &checks, until_ms, PATIENCE).await?;
    let incidents = of_each(&api, &checks, Api::incidents).await?;
    // The model says what came of it.
    let _told = outages::all_told(&lab.sink, &incidents.concat()).await;
    let hits = lab.target.hits().copy();
    accounts.judge(&checks, &hits, until_ms);

    let runs: Vec<&[Run]> = accounts.listings.iter().map(|listed| &listed.runs[..]).collect();
    let journal = Journal {
        seed: played.seed,
        calm: played.calm,
        until_ms,
        checks: played.checks,
        faults: played.faults,
        scripts: &lab.target.scripts(),
        hits: &hits,
        deliveries: &lab.sink.deliveries().copy(),
        incidents: &incidents,
        runs: &runs,
    };
    journal.write(&lab.oracles)?;
    let verdict = model::judge(&lab.oracles).await?;

    accounts.tell(report);
    let seen = judge::hits::judge(&checks, &hits, until_ms);
    report.note("duplicate hits", seen.duplicates);
    report.note("start delay p50 / p99 / max (ms)", &seen.delays);
    report.exactly("hits that name no run", lab.target.strays(), 0);
    tell_missed(&accounts, report);
    Ok(Judgement { accounts, verdict })
}

/// Missed slots by reason.
fn tell_missed(accounts: &Accounts, report: &mut Report) {
    let mut reasons: BTreeMap<&str, u32> = BTreeMap::new();
    for run in accounts.listings.iter().flat_map(|listed| &listed.runs) {
        if run.outcome == Outcome::Missed {
            *reasons.entry(run.reason.as_deref().unwrap_or("none")).or_default() += run.slots;
        }
    }
    let words: Vec<_> = reasons.iter().map(|(reason, slots)| format!("{slots} {reason}")).collect();
    report.note("missed, by reason", words.join(", "));
}
