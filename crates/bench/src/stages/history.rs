//! Bytes of history a run, after a week of it.

use pulse_core::models::schedule::Slot;
use pulse_core::ports::history::Shipment;

use super::floor::count;
use crate::bench::Bench;
use crate::past::Past;
use crate::report::{Figure, Goal};
use crate::seeded::Seeded;
use crate::stack::{Sizes, Stack};

/// How much history.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// How many checks, each every minute.
    pub checks: usize,
    /// How many runs of each.
    pub runs: usize,
}

impl Size {
    /// How long it takes on one store, about.
    #[must_use]
    pub fn seconds(self) -> u64 {
        const RUNS_A_SECOND: usize = 25_000;
        u64::try_from(self.checks * self.runs / RUNS_A_SECOND).unwrap_or_default() + 1
    }
}

const INTERVAL_S: u32 = 60;

/// Fills a history store and weighs it.
pub async fn run(bench: &mut Bench, stack: &Stack, size: Size) -> anyhow::Result<()> {
    let title = format!("{} history", stack.name());
    bench.tell(&format!("{title}: {} runs", size.checks * size.runs));
    let checks = Seeded::draw(bench.seed, size.checks, INTERVAL_S, |n| format!("http://a/{n}"))?;
    let past =
        Past { checks: checks.ids, interval_s: INTERVAL_S, runs: size.runs, seed: bench.seed };
    stack.empty().await?;
    fill(stack, &past).await?;
    let runs = count(past.len());
    bench.add(Figure::new(&title, "runs filled in", runs, ""));
    let sizes = stack.sizes().await?;
    match stack {
        Stack::Alone(_) => {
            let goal = Goal::AtMost { must: 60.0, stretch: 40.0 };
            for part in ["runs", "sums", "free pages"] {
                let size = sizes.of(&format!("sqlite {part}")) / runs;
                bench.add(Figure::new(&title, &format!("{part}, a run"), size, "bytes"));
            }
            let all = sizes.of("sqlite history") / runs;
            bench
                .add(Figure::new(&title, "runs, sums and indexes, a run", all, "bytes").goal(goal));
        }
        Stack::Scaled(servers) => {
            tell(bench, &title, "before merging", &sizes, runs, None);
            servers.clickhouse("OPTIMIZE TABLE check_results FINAL").await?;
            servers.clickhouse("OPTIMIZE TABLE check_metrics FINAL").await?;
            let goal = Goal::AtMost { must: 25.0, stretch: 15.0 };
            tell(bench, &title, "merged", &stack.sizes().await?, runs, Some(goal));
        }
    }
    Ok(())
}

fn tell(bench: &mut Bench, title: &str, when: &str, sizes: &Sizes, runs: f64, goal: Option<Goal>) {
    let (each, sums) = (sizes.of("clickhouse runs") / runs, sizes.of("clickhouse sums") / runs);
    bench.add(Figure::new(title, &format!("runs, {when}, a run"), each, "bytes"));
    bench.add(Figure::new(title, &format!("sums, {when}, a run"), sums, "bytes"));
    let all = Figure::new(title, &format!("runs and sums, {when}, a run"), each + sums, "bytes");
    bench.add(all.maybe_goal(goal));
}

/// Adds it to the history of a stack whose processes do not run, as a shipper would, and drops as it
/// goes what is older than it is kept.
pub async fn fill(stack: &Stack, past: &Past) -> anyhow::Result<()> {
    let stores = stack.connect().await?;
    stores.history.prepare().await?;
    past.ship(async |shipment: &Shipment, until: Slot| {
        stores.history.append(shipment).await?;
        Ok(stores.history.retain(until).await?)
    })
    .await?;
    stores.history.close().await;
    stores.upkeep.close().await;
    Ok(())
}
