//! The crash points, as the lab knows them, held against the list that the programs tell.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context;

use crate::fleet::{Fleet, Role};

/// Where a process is told to die.
pub const SETTING: &str = "PULSE_CRASH_AT";

const REFUSED_WITHIN: Duration = Duration::from_secs(10);

/// What has to happen for a point to be passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// What happens all the time: checks, and outages among them.
    Daily,
    /// A check is created.
    NewCheck,
    /// A check is created by this very process.
    NewCheckHere,
}

/// Whose point it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// API and scheduler.
    Server,
    /// A worker that looks at targets, and does nothing else.
    Prober,
    /// A worker that does all the rest.
    Desk,
}

/// A named place in the product.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    pub name: &'static str,
    pub duty: Duty,
    pub cause: Cause,
}

impl Point {
    /// Whether who dies here leaves results behind that others take over only after a while.
    pub fn leaves_results(&self) -> bool {
        let recording = self.name.starts_with("recorder.") || self.name.starts_with("incident.");
        recording && self.name != "recorder.acked"
    }
}

const fn server(name: &'static str, cause: Cause) -> Point {
    Point { name, duty: Duty::Server, cause }
}

const fn prober(name: &'static str) -> Point {
    Point { name, duty: Duty::Prober, cause: Cause::Daily }
}

const fn desk(name: &'static str) -> Point {
    Point { name, duty: Duty::Desk, cause: Cause::Daily }
}

/// All of them, in the order of the product's own list.
pub const POINTS: [Point; 26] = [
    desk("start.connected"),
    server("start.migrated", Cause::Daily),
    server("api.check_written", Cause::NewCheckHere),
    server("api.check_created", Cause::NewCheckHere),
    server("scheduler.claimed", Cause::Daily),
    server("scheduler.specs_put", Cause::NewCheck),
    server("scheduler.pushed", Cause::Daily),
    server("scheduler.saved", Cause::Daily),
    server("scheduler.committed", Cause::Daily),
    prober("prober.leased"),
    prober("prober.specs_fetched"),
    prober("prober.looked"),
    prober("prober.completed"),
    desk("recorder.read"),
    desk("recorder.saved"),
    desk("incident.written"),
    desk("incident.raised"),
    desk("recorder.sealed"),
    desk("recorder.recorded"),
    desk("recorder.acked"),
    desk("alerter.claimed"),
    desk("alerter.sent"),
    desk("alerter.settled"),
    desk("shipper.taken"),
    desk("shipper.appended"),
    desk("shipper.settled"),
];

/// What a program says when it is told of a point, as it does to its standard error.
pub fn told_of(point: &str) -> String {
    format!("crash point {point}: ends here")
}

/// How many points are known to one side alone. `role` `number` must not run; it is not started.
pub async fn unlike_the_product(
    fleet: &mut Fleet,
    role: Role,
    number: usize,
) -> anyhow::Result<usize> {
    // Nothing is called that, so it says what there is, and leaves.
    fleet.start_with(role, number, Some((SETTING, "?")))?;
    let left = fleet.left(role, number, REFUSED_WITHIN).await;
    left.context("crash points are in debug builds alone: cargo build --workspace --bins")?;
    let log = fleet.log(role, number)?;
    let (_, list) = log.rsplit_once("there are: ").context("no list of crash points was told")?;
    let told: BTreeSet<&str> = list.split_whitespace().collect();
    let known: BTreeSet<&str> = POINTS.iter().map(|point| point.name).collect();
    Ok(told.symmetric_difference(&known).count())
}
