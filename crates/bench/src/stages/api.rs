//! The API with many checks: how long a request takes, one after the other over one connection, and
//! how many checks are created a second by several.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use chrono::Utc;
use pulse_core::models::schedule::Slot;
use pulse_meter::spread::Spread;
use reqwest::Client;
use serde_json::{Value, json};

use super::floor::count;
use super::history;
use super::pipeline;
use crate::bench::Bench;
use crate::past::Past;
use crate::report::Figure;
use crate::seeded::{First, Seeded};
use crate::stack::Stack;

/// How much is asked.
#[derive(Clone, Debug)]
pub struct Size {
    /// With so many checks, one after the other.
    pub checks: Vec<usize>,
    /// Requests of each kind.
    pub requests: usize,
    /// Runs of each of the checks whose runs are asked for.
    pub runs: usize,
}

impl Size {
    /// How long it takes on one stack, about.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        let seconds = self.checks.iter().map(|checks| checks / 20_000 + self.requests / 20 + 3);
        u64::try_from(seconds.sum::<usize>()).unwrap_or_default()
    }
}

/// Once a day: hardly any of them runs while the API is asked.
const INTERVAL_S: u32 = 86_400;
/// Checks that have runs, and how often they ran.
const WITH_RUNS: usize = 20;
const RAN_EVERY_S: u32 = 60;
/// Creating at the same time.
const CREATORS: usize = 16;
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks the API of a stack.
pub async fn run(bench: &mut Bench, stack: &Stack, size: &Size) -> anyhow::Result<()> {
    for checks in &size.checks {
        let title = format!("{} API, {checks} checks", stack.name());
        bench.tell(&format!("{title}: filling in"));
        let seeded = Seeded::draw(bench.seed, *checks, INTERVAL_S, |n| format!("http://a/{n}"))?;
        stack.fill(&seeded, First::OnTheGrid(Slot::from(Utc::now()))).await?;
        let past = Past {
            checks: seeded.ids.iter().copied().take(WITH_RUNS).collect(),
            interval_s: RAN_EVERY_S,
            runs: size.runs,
            seed: bench.seed,
        };
        history::fill(stack, &past).await?;
        let processes = pipeline::start(bench, stack).await?;
        let door = processes.first().context("a stack has processes")?.base();
        bench.tell(&format!("{title}: asking"));
        ask(bench, &title, &door, &seeded, size.requests).await?;
        for process in processes {
            process.stop().await?;
        }
    }
    Ok(())
}

async fn ask(
    bench: &mut Bench,
    title: &str,
    door: &str,
    seeded: &Seeded,
    requests: usize,
) -> anyhow::Result<()> {
    let client = Client::builder().no_proxy().timeout(PATIENCE).build()?;
    let any = |n: usize| seeded.ids[n * 7_919 % seeded.ids.len()];
    let with_runs = |n: usize| seeded.ids[n % WITH_RUNS.min(seeded.ids.len())];
    for page in [50, 1_000] {
        let took = lists(&client, door, page, requests).await?;
        tell(bench, title, &format!("list of {page}"), took);
    }
    let took = gets(&client, requests, |n| format!("{door}/checks/{}", any(n))).await?;
    tell(bench, title, "one check", took);
    let runs = |n| format!("{door}/checks/{}/runs?limit=50", with_runs(n));
    tell(bench, title, "50 runs of a check", gets(&client, requests, runs).await?);
    let sums = |n| format!("{door}/checks/{}/metrics?window=24h", with_runs(n));
    tell(bench, title, "a check's figures over 24 h", gets(&client, requests, sums).await?);
    let took = gets(&client, requests, |_| format!("{door}/metrics")).await?;
    tell(bench, title, "the server's counters", took);

    let mut took = Vec::new();
    for n in 0..requests {
        took.push(create(&client, door, n).await?);
    }
    tell(bench, title, "create a check", took);
    let begun = Instant::now();
    let creators = (0..CREATORS).map(|_| {
        let (client, door) = (client.clone(), door.to_owned());
        tokio::spawn(async move {
            for n in 0..requests {
                create(&client, &door, n).await?;
            }
            anyhow::Ok(())
        })
    });
    for creator in creators.collect::<Vec<_>>() {
        creator.await??;
    }
    let rate = count(CREATORS * requests) / begun.elapsed().as_secs_f64();
    bench.add(Figure::new(title, "created by 16 at a time", rate, "/s"));
    Ok(())
}

async fn create(client: &Client, door: &str, n: usize) -> anyhow::Result<i64> {
    let url = format!("http://127.0.0.1:9/{n}");
    let check =
        json!({"name": "bench", "url": url, "interval_seconds": INTERVAL_S, "enabled": false});
    let asked = Instant::now();
    let answer = client.post(format!("{door}/checks")).json(&check).send().await?;
    let status = answer.status();
    let body = answer.text().await?;
    ensure!(status == 201, "POST /checks was answered {status}: {body}");
    Ok(micros(asked))
}

async fn gets(
    client: &Client,
    requests: usize,
    url: impl Fn(usize) -> String,
) -> anyhow::Result<Vec<i64>> {
    let mut took = Vec::with_capacity(requests);
    for n in 0..requests {
        took.push(get(client, &url(n)).await?.0);
    }
    Ok(took)
}

/// Page after page, and then from the beginning again.
async fn lists(
    client: &Client,
    door: &str,
    page: usize,
    requests: usize,
) -> anyhow::Result<Vec<i64>> {
    let first = format!("{door}/checks?limit={page}");
    let (mut url, mut took) = (first.clone(), Vec::with_capacity(requests));
    for _ in 0..requests {
        let (us, body) = get(client, &url).await?;
        took.push(us);
        let body: Value = serde_json::from_str(&body)?;
        let cursor = body["next_cursor"].as_str();
        url = cursor.map_or_else(|| first.clone(), |it| format!("{first}&cursor={it}"));
    }
    Ok(took)
}

async fn get(client: &Client, url: &str) -> anyhow::Result<(i64, String)> {
    let asked = Instant::now();
    let answer = client.get(url).header("accept", "application/json").send().await?;
    let status = answer.status();
    let body = answer.text().await?;
    ensure!(status == 200, "GET {url} was answered {status}: {body}");
    Ok((micros(asked), body))
}

fn micros(since: Instant) -> i64 {
    i64::try_from(since.elapsed().as_micros()).unwrap_or(i64::MAX)
}

fn tell(bench: &mut Bench, title: &str, what: &str, took: Vec<i64>) {
    let spread = Spread::of(took);
    for percent in [50, 95] {
        let ms = Spread::seconds(spread.percentile_us(percent)) * 1e3;
        bench.add(Figure::new(title, &format!("{what}, p{percent}"), ms, "ms"));
    }
}
