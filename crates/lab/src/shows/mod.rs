//! The shows: each sets up a lab, lets things happen, and judges them.
//!
//! A show is a file with its shape, its `SHOW` and its `async fn`, a line in `SHOWS`, and one in
//! `crate::promises` where it proves something.

mod accounts;
mod alone;
mod calm;
mod cost;
mod counters;
mod crashes;
mod edges;
mod exact;
mod footprint;
mod handovers;
mod judgement;
mod killer;
mod kills;
mod memory;
mod moves;
mod outages;
mod reckoning;
mod script;
mod stops;
mod storm;
mod walk;
mod zombies;

use futures_util::future::LocalBoxFuture;
use futures_util::{StreamExt, TryStreamExt, stream};

pub use alone::{Alone, alone};
pub use calm::{Calm, calm};
pub use crashes::{Crashes, crashes};
pub use edges::{Edges, edges};
pub use exact::{Exact, exact};
pub use footprint::{Footprint, footprint};
pub use handovers::{Handovers, handovers};
pub use kills::{Kills, kills};
pub use moves::{Moves, moves};
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
pub const SHOWS: [Show; 13] = [
    walk::SHOW,
    calm::SHOW,
    edges::SHOW,
    kills::SHOW,
    storm::SHOW,
    exact::SHOW,
    stops::SHOW,
    handovers::SHOW,
    zombies::SHOW,
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

/// How many requests are made to the API at once.
const AT_ONCE: usize = 16;

/// The one hook that all checks of a show tell.
const HOOK: &str = "alerts";

/// The body of the README, pointed at the lab.
fn a_check(lab: &Lab, name: &str, interval_seconds: u32, secret: &str) -> NewCheck {
    NewCheck {
        name: name.to_owned(),
        url: lab.target.url(name),
        method: "GET".to_owned(),
        expected_status: 200,
        interval_seconds,
        alert_threshold: 3,
        timeout_ms: (interval_seconds * 400).min(2000),
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

/// Asks the API one thing about each of many checks; answers in the order of the checks.
async fn of_each<T>(
    api: &Api,
    checks: &[crate::judge::Definition],
    ask: impl AsyncFn(&Api, uuid::Uuid) -> anyhow::Result<T>,
) -> anyhow::Result<Vec<T>> {
    stream::iter(checks).map(|check| ask(api, check.id)).buffered(AT_ONCE).try_collect().await
}
