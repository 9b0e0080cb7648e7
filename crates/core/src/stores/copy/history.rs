//! Runs on their way to where history is kept from now on.

use std::collections::BTreeMap;

use super::{Copied, Copying};
use crate::models::ids::CheckId;
use crate::ports::StoreError;

impl Copying {
    pub(super) async fn history(
        &self,
        progress: &(dyn Fn(Copied) + Sync),
    ) -> Result<(), StoreError> {
        let source = self.history.count_runs(self.since).await?.values().sum();
        let target = source - self.history.count_to_copy(&self.fingerprint, self.since).await?;
        let mut so_far = Copied { what: RUNS, source, target };
        progress(so_far);
        while let Some((shipment, rows)) =
            self.history.next_to_copy(&self.fingerprint, self.since).await?
        {
            self.target.append(&shipment).await?;
            self.history.copied(&self.fingerprint).await?;
            so_far.target += rows;
            progress(so_far);
        }
        Ok(())
    }

    /// Each check's runs are compared, so that one that has too many never hides one that lacks some.
    pub(super) async fn count_runs(&self) -> Result<Copied, StoreError> {
        let there = self.history.count_runs(self.since).await?;
        let checks: Vec<CheckId> = there.keys().copied().collect();
        let mut here: BTreeMap<CheckId, u64> = BTreeMap::new();
        for checks in checks.chunks(CHECKS) {
            here.extend(match &self.clickhouse {
                Some(clickhouse) => clickhouse.count_runs(checks, self.since).await?,
                None => self.postgres.count_runs(checks, self.since).await?,
            });
        }
        let arrived = |(check, runs): (&CheckId, &u64)| {
            here.get(check).copied().unwrap_or_default().min(*runs)
        };
        Ok(Copied {
            what: RUNS,
            source: there.values().sum(),
            target: there.iter().map(arrived).sum(),
        })
    }
}

pub(super) const RUNS: &str = "runs";
/// Checks whose runs are counted in one statement.
const CHECKS: usize = 1_000;
