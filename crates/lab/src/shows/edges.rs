//! Alerts in calm weather: in order, and soon after the answer that decided them.
//!
//! Each check fails for some slots, recovers, and fails again. How long Pulse took is reckoned by the
//! reference model, which finds the deciding answers in the target's log: the last failure that it took
//! to open an incident, the first good answer that ended it.

use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::judgement::{self, Judgement, Played};
use super::script::Weather;
use super::{HOOK, Show, create};
use crate::clock;
use crate::lab::{self, Cast, Players};
use crate::report::Report;
use crate::sink;

/// Good slots at the end, so that the last incident is over.
const CALM_AT_THE_END: i64 = 4;
/// An outage fails so many slots.
const FAILING: i64 = 4;

/// The show's shape.
#[derive(Clone, Debug)]
pub struct Edges {
    /// How many checks.
    pub checks: usize,
    /// Between two slots of each.
    pub interval_s: u32,
    /// How many outages each of them has; an outage takes eight slots, and has two edges.
    pub outages_each: usize,
    /// Pass line for the 99th percentile of the time from a deciding answer to the first request
    /// that tells of it, in milliseconds.
    pub p99_ms: i64,
    /// Decides when checks fail.
    pub seed: u64,
    /// Leaves logs and data on the disk.
    pub keep: bool,
}

/// As the command line knows it.
pub(super) const SHOW: Show = Show {
    name: "edges",
    usage: "\
no faults: outages are told in order and at once
--checks 50 --interval 2 --outages 250 --seed (drawn)",
    ask: |options| {
        let checks = options.take("checks", 50_usize);
        let show = Edges {
            checks,
            interval_s: options.take("interval", 2),
            outages_each: options.take("outages", 250_usize).div_ceil(checks.max(1)),
            p99_ms: 2000,
            seed: options.seed(),
            keep: options.yes("keep"),
        };
        Box::pin(async move { edges(&show).await })
    },
};

/// Plays the edges.
pub async fn edges(edges: &Edges) -> anyhow::Result<Report> {
    let players = Players::Fleet { servers: 1, workers: 1 };
    lab::stage(Cast { players, keep: edges.keep }, async |lab| {
        let mut report = Report::new(format!(
            "edges: {} checks every {} s, {} outages each, {players}, seed {}",
            edges.checks, edges.interval_s, edges.outages_each, edges.seed
        ));
        let secret = sink::new_secret();
        lab.sink.trust(HOOK, &secret);
        let checks = create(lab, "edge", edges.checks, edges.interval_s, &secret).await?;
        let mut random = StdRng::seed_from_u64(edges.seed);
        let weather = edges.weather();
        for check in &checks {
            lab.target.play(&check.name, weather.draw(&mut random));
        }
        let ends_ms = weather.until_ms + CALM_AT_THE_END * weather.interval_ms;
        let lasting = u64::try_from(ends_ms - clock::now_ms()).unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(lasting)).await;

        let played = Played { seed: edges.seed, calm: true, checks: &checks, faults: &[] };
        let Judgement { accounts, verdict } = judgement::judge(lab, &played, &mut report).await?;
        report.exactly("slots missed", accounts.figures.missed, 0);
        let due = 2 * (edges.checks * edges.outages_each) as u64;
        report.exactly("edges", verdict.edges(), due);
        let (known, [p50, p99, max]) = verdict.delays();
        report.exactly("edges whose delay is known", known, due);
        let words = [p50, p99, max].map(|us| format!("{}.{}", us / 1000, us % 1000 / 100));
        report.note("answer to webhook p50 / p99 / max (ms)", words.join(" / "));
        report.at_most("answer to webhook p99 (ms)", (p99 + 999) / 1000, edges.p99_ms);
        verdict.tell(0, &mut report);
        Ok(report)
    })
    .await
}

impl Edges {
    fn weather(&self) -> Weather {
        let interval_ms = i64::from(self.interval_s) * 1000;
        let slots = 2 * FAILING * i64::try_from(self.outages_each).unwrap_or(1);
        let from_ms = clock::now_ms() + interval_ms;
        Weather {
            from_ms,
            until_ms: from_ms + slots * interval_ms,
            interval_ms,
            outages: self.outages_each,
            failing: FAILING..=FAILING,
            thinking: Duration::from_millis(20),
            every_kind: false,
        }
    }
}
