//! The shows: each sets up a lab, lets things happen, and judges them.
//!
//! A show is a file with its shape, its `SHOW` and its `async fn`, a line in `SHOWS`, and one in
//! `crate::promises` where it proves something.

mod accounts;
mod alone;
mod beside;
mod callers;
mod calm;
mod channels;
mod clickhouse_away;
mod cost;
mod counters;
mod crashes;
mod edges;
mod exact;
mod footprint;
mod guard;
mod handovers;
mod hostile;
mod judgement;
mod killer;
mod kills;
mod live;
mod memory;
mod moves;
mod outages;
mod outbreak;
mod postgres_dies;
mod reckoning;
mod redis_dies;
mod script;
mod siege;
mod stops;
mod storm;
mod walk;
mod zombies;

use futures_util::future::LocalBoxFuture;
use std::collections::HashMap;

use futures_util::{StreamExt, TryStreamExt, stream};

pub use alone::{Alone, alone};
pub use beside::{Beside, beside};
pub use calm::{Calm, calm};
pub use channels::{Channels, channels};
pub use clickhouse_away::{ClickHouseAway, clickhouse_away};
pub use crashes::{Crashes, crashes};
pub use edges::{Edges, edges};
pub use exact::{Exact, exact};
pub use footprint::{Footprint, footprint};
pub use guard::{Guard, guard};
pub use handovers::{Handovers, handovers};
pub use hostile::{Hostile, hostile};
pub use kills::{Kills, kills};
pub use live::{Live, live};
pub use moves::{Moves, moves};
pub use outbreak::{Outbreak, outbreak};
pub use postgres_dies::{PostgresDies, postgres_dies};
pub use redis_dies::{RedisDies, redis_dies};
pub use siege::Throng;
pub use stops::{Stops, stops};
pub use storm::{Storm, storm};
pub use walk::{Crowd, Walk, walk};
pub use zombies::{Zombies, zombies};

use crate::client::{Api, Check, NewCheck};
use crate::lab::Lab;
use crate::options::Options;
use crate::report::Report;

/// A show as the command line knows it.
#[derive(Clone, Copy, Debug)]
pub struct Show {
    /// Its name.
    pub name: &'static str,
    /// What it does; and in lines of their own its options, with what holds when nobody says
    /// otherwise. All shows know `--keep`.
    pub usage: &'static str,
    /// Takes its options. Nothing is played before what it returns is awaited.
    pub ask: fn(&mut Options) -> LocalBoxFuture<'static, anyhow::Result<Report>>,
}

/// All shows there are.
pub const SHOWS: [Show; 22] = [
    beside::SHOW,
    walk::SHOW,
    calm::SHOW,
    edges::SHOW,
    channels::SHOW,
    outbreak::SHOW,
    live::SHOW,
    kills::SHOW,
    storm::SHOW,
    exact::SHOW,
    stops::SHOW,
    handovers::SHOW,
    zombies::SHOW,
    redis_dies::SHOW,
    postgres_dies::SHOW,
    clickhouse_away::SHOW,
    hostile::SHOW,
    guard::SHOW,
    alone::SHOW,
    crashes::SHOW,
    footprint::SHOW,
    moves::SHOW,
];

/// The show of a name.
#[must_use]
pub fn find(name: &str) -> Option<Show> {
    SHOWS.into_iter().find(|show| show.name == name)
}
use crate::target::{Hit, Target};
use outages::PATIENCE;

/// How many requests are made to the API at once.
const AT_ONCE: usize = 16;

/// The one hook that all checks of a show tell.
const HOOK: &str = "alerts";

/// Pass line: from the return of what was away until every check was looked at again.
const RESUMED_WITHIN_MS: i64 = 10_000;

/// The body of the README, pointed at the lab.
fn a_check(lab: &Lab, name: &str, interval_seconds: u32, secret: &str) -> NewCheck {
    NewCheck {
        name: name.to_owned(),
        url: lab.target.url(name),
        method: "GET".to_owned(),
        expected_status: Some(200),
        interval_seconds,
        alert_threshold: 3,
        timeout_ms: (interval_seconds * 400).min(2000),
        max_redirects: None,
        http_version: None,
        assertions: None,
        addresses: None,
        resolver: None,
        auth: None,
        webhook_url: lab.sink.url(HOOK),
        webhook_secret: secret.to_owned(),
    }
}

/// A check that alerts at its first failure, at a hook of its own: so none waits behind deliveries of
/// others that a dead process holds.
fn a_hooked_check(lab: &Lab, name: &str, interval_seconds: u32, secret: &str) -> NewCheck {
    let hook = hook_of(name);
    lab.sink.trust(&hook, secret);
    NewCheck {
        alert_threshold: 1,
        webhook_url: lab.sink.url(&hook),
        ..a_check(lab, name, interval_seconds, secret)
    }
}

/// The hook that a hooked check tells.
fn hook_of(name: &str) -> String {
    format!("{HOOK}-{name}")
}

/// Creates checks named `{prefix}-0` and up, turn by turn on every server; in that order.
async fn create(
    lab: &Lab,
    prefix: &str,
    count: usize,
    interval_seconds: u32,
    secret: &str,
) -> anyhow::Result<Vec<Check>> {
    let names = (0..count).map(|number| format!("{prefix}-{number}"));
    create_all(lab, names.map(|name| a_check(lab, &name, interval_seconds, secret))).await
}

/// Creates these checks, turn by turn on every server; in that order.
async fn create_all(
    lab: &Lab,
    checks: impl Iterator<Item = NewCheck>,
) -> anyhow::Result<Vec<Check>> {
    let api = lab.fleet.api()?;
    stream::iter(checks.enumerate())
        .map(|(number, check)| {
            let api = api.beginning_with(number);
            async move { api.create(&check).await }
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await
}

/// Waits until so many checks were hit after an instant; returns when the last one was, for the
/// first time.
async fn all_looked_at_since(target: &Target, count: usize, since_us: i64) -> anyhow::Result<i64> {
    let find = |hits: &[Hit]| {
        let recent = hits.iter().rev().take_while(|hit| hit.at_us >= since_us);
        let first: HashMap<_, _> = recent.map(|hit| (hit.check, hit.at_us)).collect();
        (first.len() >= count).then(|| first.into_values().max().unwrap_or(since_us))
    };
    target.hits().wait_for("every check to be looked at again", PATIENCE, find).await
}

/// Asks the API one thing about each of many checks; answers in the order of the checks.
async fn of_each<T>(
    api: &Api,
    checks: &[crate::judge::Definition],
    ask: impl AsyncFn(&Api, uuid::Uuid) -> anyhow::Result<T>,
) -> anyhow::Result<Vec<T>> {
    stream::iter(checks).map(|check| ask(api, check.id)).buffered(AT_ONCE).try_collect().await
}
