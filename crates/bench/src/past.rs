//! History as it might have been: runs of some checks over some days, drawn from a seed.
//!
//! Each check has a latency of its own, that wavers; one run in a hundred is slow, one in two hundred
//! fails. All phases took their time, as with names and https.

use chrono::{TimeDelta, Utc};
use pulse_core::models::ids::{BatchId, CheckId, ProjectId, Region};
use pulse_core::models::run::{FailClass, Observation, Outcome, Phases, Run};
use pulse_core::models::schedule::{Schedule, Slot};
use pulse_core::ports::history::Shipment;
use pulse_core::stores::history_row::HistoryRow;
use pulse_core::stores::row_binary;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// Runs a shipment.
const SHIPMENT: usize = 10_000;

/// Runs of some checks, up to now.
#[derive(Clone, Debug)]
pub struct Past {
    /// Whose.
    pub checks: Vec<CheckId>,
    /// Seconds between two slots.
    pub interval_s: u32,
    /// How many runs of each.
    pub runs: usize,
    /// What it is drawn from.
    pub seed: u64,
}

impl Past {
    /// How many runs there are in all.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.checks.len() * self.runs
    }

    /// All of it, in the order in which it would have arrived. `take` is given each shipment, and the
    /// slot it ends with.
    pub async fn ship(
        &self,
        mut take: impl AsyncFnMut(&Shipment, Slot) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut random = StdRng::seed_from_u64(self.seed);
        let interval_ms = i64::from(self.interval_s) * 1000;
        let span = TimeDelta::milliseconds(interval_ms * i64::try_from(self.runs)?);
        let start = Slot::from(Utc::now() - span);
        let mut series: Vec<Series> = self
            .checks
            .iter()
            .map(|id| Series::new(*id, interval_ms, start, &mut random))
            .collect();
        // By their phases, so that every round of all checks is in the order of its slots.
        series.sort_unstable_by_key(|it| it.next);
        let mut runs = Vec::with_capacity(SHIPMENT);
        for _ in 0..self.runs {
            for it in &mut series {
                runs.push(it.run(&mut random));
                if runs.len() == SHIPMENT {
                    take(&shipment(&runs), it.next).await?;
                    runs.clear();
                }
            }
        }
        match runs.last() {
            None => Ok(()),
            Some(last) => take(&shipment(&runs), last.slot).await,
        }
    }
}

fn shipment(runs: &[Run]) -> Shipment {
    let mut rows = Vec::new();
    for run in runs {
        row_binary::write(&HistoryRow::from(run), &mut rows);
    }
    Shipment { id: BatchId::generate(), rows, leased_until: Slot(i64::MAX) }
}

struct Series {
    check: CheckId,
    schedule: Schedule,
    next: Slot,
    usual_us: u32,
}

impl Series {
    fn new(check: CheckId, interval_ms: i64, start: Slot, random: &mut StdRng) -> Self {
        let schedule = Schedule::new(check, interval_ms);
        let next = schedule.following(start.plus(-interval_ms / 2));
        Self { check, schedule, next, usual_us: random.random_range(20_000..200_000) }
    }

    fn run(&mut self, random: &mut StdRng) -> Run {
        let slot = self.next;
        self.next = self.schedule.following(slot);
        let mut wavering = |us: u32| us / 100 * random.random_range(85..130);
        let (dns, connect, tls) = (wavering(2_000), wavering(12_000), wavering(25_000));
        let mut first_byte = wavering(self.usual_us);
        if random.random_ratio(1, 100) {
            first_byte *= 5;
        }
        let fails = random.random_ratio(1, 200);
        let outcome = if fails { Outcome::Fail(FailClass::Status) } else { Outcome::Ok };
        let total = dns + connect + tls + first_byte + random.random_range(20..400);
        Run {
            project_id: ProjectId::DEFAULT,
            check_id: self.check,
            region: Region::default(),
            slot,
            slots: 1,
            outcome,
            attempt: 1,
            observation: Some(Observation {
                started_at: slot.plus(random.random_range(2..40)).time(),
                status_code: Some(if fails { 503 } else { 200 }),
                evidence: None,
                traits: None,
                phases: Phases {
                    dns_us: Some(dns),
                    connect_us: Some(connect),
                    tls_us: Some(tls),
                    first_byte_us: Some(first_byte),
                    total_us: Some(total),
                },
                address: Some([203, 0, 113, random.random_range(1..4)].into()),
                error: fails.then(|| "answered with status 503, expected 200".to_owned()),
            }),
        }
    }
}
