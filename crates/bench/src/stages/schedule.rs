//! Scheduling alone: claims as the scheduler makes them, among more and more checks.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use chrono::Utc;
use pulse_core::models::ids::Region;
use pulse_core::models::schedule::Slot;
use pulse_core::ports::schedule::Claim;
use pulse_core::stores::Stores;
use pulse_meter::process::{family_cpu, usage};

use super::floor::count;
use crate::bench::Bench;
use crate::report::{Figure, Goal};
use crate::seeded::{First, Seeded};
use crate::stack::{Stack, StoreProcess};

/// As many as the scheduler claims in one transaction.
const BATCH: u32 = 1_000;
/// No round claims more; where there are more checks, each claims its share of the interval.
const MOST_A_ROUND: usize = 100_000;
/// Claims in all, about, within these bounds of rounds: CPU is told in steps of 10 ms.
const CLAIMS: usize = 200_000;
const ROUNDS: std::ops::RangeInclusive<usize> = 5..=20;
const INTERVAL_S: u32 = 3_600;

/// How long so many checks take, about.
#[must_use]
pub fn seconds(checks: usize) -> u64 {
    let claims = rounds_of(checks) * checks.min(MOST_A_ROUND);
    u64::try_from(2 * (checks / 15_000 + claims / 30_000)).unwrap_or_default() + 2
}

fn rounds_of(checks: usize) -> usize {
    (CLAIMS / checks.clamp(1, MOST_A_ROUND)).clamp(*ROUNDS.start(), *ROUNDS.end())
}

/// What one round took.
struct Round {
    claims: usize,
    wall: Duration,
    own: Duration,
    stores: Duration,
}

impl Round {
    fn rate(&self) -> f64 {
        count(self.claims) / self.wall.as_secs_f64()
    }

    fn us(&self, cpu: Duration) -> f64 {
        cpu.as_secs_f64() * 1e6 / count(self.claims.max(1))
    }
}

/// Microseconds a claim over all rounds.
fn us(rounds: &[Round], cpu: fn(&Round) -> Duration) -> f64 {
    let claims = rounds.iter().map(|it| it.claims).sum::<usize>();
    rounds.iter().map(cpu).sum::<Duration>().as_secs_f64() * 1e6 / count(claims.max(1))
}

/// Measures claims among each number of checks; the first is what the others are held against.
pub async fn run(bench: &mut Bench, stack: &Stack, sizes: &[usize]) -> anyhow::Result<()> {
    let mut first_us = None;
    for checks in sizes {
        // Pushing costs the same whatever waits in the database.
        let kinds: &[bool] = if *checks <= MOST_A_ROUND { &[false, true] } else { &[false] };
        for pushing in kinds.iter().copied() {
            let title = format!("{} schedule", stack.name());
            let kind = if pushing { "with jobs pushed" } else { "claims alone" };
            bench.tell(&format!("{title}: {checks} checks, {kind}"));
            let rounds = measure(bench, stack, *checks, pushing).await?;
            let of = format!("{checks} checks, {kind}");
            let each =
                |figure: &dyn Fn(&Round) -> f64| rounds.iter().map(figure).collect::<Vec<f64>>();
            let measure = |what: &str| format!("{of}: {what}");
            let rate = Figure::median_of(&title, &measure("a second"), each(&Round::rate), "");
            let largest = matches!(stack, Stack::Scaled(_)) && *checks >= 1_000_000 && !pushing;
            let goal = Goal::AtLeast { must: 50_000.0, stretch: 100_000.0 };
            bench.add(rate.maybe_goal(Some(goal).filter(|_| largest)));
            let cost = |what: &str, cpu: fn(&Round) -> Duration| Figure {
                samples: each(&|it| it.us(cpu(it))),
                ..Figure::new(&title, &measure(what), us(&rounds, cpu), "us")
            };
            bench.add(cost("own CPU a claim", |it| it.own));
            if matches!(stack, Stack::Scaled(_)) {
                bench.add(cost("stores' CPU a claim", |it| it.stores));
            }
            let all = cost("CPU a claim", |it| it.own + it.stores);
            if pushing {
                bench.add(all);
                continue;
            }
            let first = *first_us.get_or_insert(all.value);
            let ratio = all.value / first;
            let all = all.beside(first, ratio);
            let goal = Goal::AtMost { must: 1.3, stretch: 1.1 };
            bench.add(all.maybe_goal(Some(goal).filter(|_| largest)));
        }
    }
    Ok(())
}

async fn measure(
    bench: &Bench,
    stack: &Stack,
    checks: usize,
    pushing: bool,
) -> anyhow::Result<Vec<Round>> {
    let seeded = Seeded::draw(bench.seed, checks, INTERVAL_S, |n| format!("http://127.0.0.1/{n}"))?;
    let now = Slot::from(Utc::now());
    stack.fill(&seeded, First::OnTheGrid(now)).await?;
    let stores = stack.connect().await?;
    let mut watched = stack.store_processes()?;
    // The others have no part in it, but are never quite idle.
    watched.retain(|it| it.name == "postgres" || (pushing && it.name == "redis"));
    let shares = i64::try_from(checks.div_ceil(MOST_A_ROUND).max(1))?;
    let step_ms = seeded.interval_ms() / shares;
    let mut rounds = Vec::new();
    for turn in 1..=i64::try_from(rounds_of(checks))? {
        rounds.push(round(&stores, &watched, now.plus(turn * step_ms), pushing).await?);
        if shares == 1 {
            stack.settle_claims().await?;
        }
        stack.drop_jobs().await?;
    }
    stores.upkeep.close().await;
    Ok(rounds)
}

async fn round(
    stores: &Stores,
    watched: &[StoreProcess],
    now: Slot,
    pushing: bool,
) -> anyhow::Result<Round> {
    let taken = || -> anyhow::Result<(Duration, Duration)> {
        let stores =
            watched.iter().map(|it| family_cpu(it.pid)).sum::<anyhow::Result<Duration>>()?;
        Ok((usage(std::process::id())?.cpu, stores))
    };
    let (before, begun) = (taken()?, Instant::now());
    let mut claims = 0;
    loop {
        let mut claim = stores.schedule.claim_due(now.into(), BATCH).await?;
        if claim.jobs().is_empty() {
            break;
        }
        claims += claim.jobs().len();
        if pushing {
            push(stores, &mut *claim).await?;
        }
        let full = claim.full();
        claim.commit().await?;
        if !full {
            break;
        }
    }
    let (wall, after) = (begun.elapsed(), taken()?);
    Ok(Round {
        claims,
        wall,
        own: after.0.saturating_sub(before.0),
        stores: after.1.saturating_sub(before.1),
    })
}

/// As the scheduler does it.
async fn push(stores: &Stores, claim: &mut dyn Claim) -> anyhow::Result<()> {
    let pushed = stores.dispatch.push(claim.jobs()).await?;
    if pushed.lacking_spec.is_empty() {
        return Ok(());
    }
    let wanted: HashSet<_> = pushed.lacking_spec.iter().map(|job| job.check_id).collect();
    let specs = claim.specs(&Vec::from_iter(wanted)).await?;
    stores.dispatch.put_specs(&Region::default(), &specs).await?;
    stores.dispatch.push(&pushed.lacking_spec).await?;
    Ok(())
}
