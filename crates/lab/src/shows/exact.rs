//! The state machine against a second implementation: every short sequence of outcomes, and random
//! walks through ledger and health with missed, inconclusive, late and repeated slots.

use std::time::Instant;

use super::Show;
use crate::model;
use crate::report::Report;

/// The show's shape.
#[derive(Clone, Debug)]
pub struct Exact {
    /// Trees of random walks, 16,384 sequences each.
    pub trees: u64,
    /// By how many thresholds every sequence is folded, nine at most.
    pub rules: u64,
    /// Decides the random walks.
    pub seed: u64,
}

/// As the command line knows it.
pub(super) const SHOW: Show = Show {
    name: "exact",
    usage: "\
every sequence of outcomes folded a second time; no stores, no processes
--trees 64 (16384 random sequences each) --rules 9 (thresholds) --seed (drawn)",
    ask: |options| {
        let show = Exact {
            trees: options.take("trees", 64),
            rules: options.take("rules", 9),
            seed: options.seed(),
        };
        let _nothing_to_keep = options.yes("keep");
        Box::pin(async move { exact(&show).await })
    },
};

/// Folds everything twice. It needs no lab.
pub async fn exact(exact: &Exact) -> anyhow::Result<Report> {
    let began = Instant::now();
    let comparison = model::compare(exact.seed, exact.trees, exact.rules).await?;
    let mut report = Report::new(format!("exact: all sequences to length 16, seed {}", exact.seed));
    comparison.tell(&mut report);
    report.note("seconds", began.elapsed().as_secs());
    Ok(report)
}
