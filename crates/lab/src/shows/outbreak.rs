//! One address dies, and with it all checks that look at it: channels are told once, of what they share.
//!
//! A channel hears of everything. Up to the breaker's limit it may hear of single checks, because nobody knows
//! then that more will fail; after that of one storm that lists all of them and names the address.
//! When the address is back, whoever was told of something hears that it is over, once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::channels::{a_quick_check, route_to};
use super::outages::PATIENCE;
use super::{Show, create_all, of_each};
use crate::client::{Api, NewCheck};
use crate::clock::eventually;
use crate::judge::Definition;
use crate::lab::{self, Cast, Lab, Players};
use crate::report::Report;
use crate::sink::{self, Delivery, Sink};

const HOOK: &str = "ops";
/// The breaker's defaults, as `docs/API.md` has them.
const LIMIT: usize = 5;
/// A storm is told so soon after it began, and its end so soon after it gathers no more and all is well: a round
/// of looks each, and the time of the breaker.
const TOLD_WITHIN: Duration = Duration::from_mins(3);

/// The show's shape.
#[derive(Clone, Debug)]
pub struct Outbreak {
    /// How many checks look at the address.
    pub checks: usize,
    /// Between two slots of each.
    pub interval_s: u32,
    /// The time of the breaker, in seconds.
    pub within_s: u32,
    /// Leaves logs and data on the disk.
    pub keep: bool,
}

/// As the command line knows it.
pub(super) const SHOW: Show = Show {
    name: "outbreak",
    usage: "\
an address dies with all checks behind it: one alert says so
--checks 2000 --interval 10 --within 60",
    ask: |options| {
        let show = Outbreak {
            checks: options.take("checks", 2_000),
            interval_s: options.take("interval", 10),
            within_s: options.take("within", 60),
            keep: options.yes("keep"),
        };
        Box::pin(async move { outbreak(&show).await })
    },
};

/// Plays it.
pub async fn outbreak(show: &Outbreak) -> anyhow::Result<Report> {
    let players = Players::Fleet { servers: 2, workers: 2 };
    lab::stage(Cast { players, keep: show.keep }, async |lab| {
        let mut report = Report::new(format!(
            "outbreak: {} checks every {} s behind one address, {players}",
            show.checks, show.interval_s
        ));
        show.play(lab, &mut report).await?;
        Ok(report)
    })
    .await
}

impl Outbreak {
    async fn play(&self, lab: &Lab, report: &mut Report) -> anyhow::Result<()> {
        let api = lab.fleet.api()?;
        let within = json!({"within_seconds": self.within_s});
        api.change("/storm-breaker", &within).await?;
        let secret = sink::new_secret();
        lab.sink.trust(HOOK, &secret);
        let config = json!({"url": lab.sink.url(HOOK), "secret": secret});
        route_to(&api, &[json!({"name": HOOK, "type": "webhook", "config": config})]).await?;

        let mut address = Sink::start().await?;
        let names: Vec<String> = (0..self.checks).map(|number| format!("shop-{number}")).collect();
        let checks = names.iter().map(|name| NewCheck {
            url: address.url(name),
            interval_seconds: self.interval_s,
            ..a_quick_check(lab, name)
        });
        let checks = create_all(lab, checks).await?;
        let all_are_up = |hits: &[Delivery]| {
            let seen: BTreeSet<&str> = hits.iter().map(|hit| hit.hook.as_str()).collect();
            (seen.len() >= self.checks).then_some(())
        };
        address.deliveries().wait_for("every check to look", PATIENCE, all_are_up).await?;

        let checks: Vec<_> = checks.iter().map(Definition::from).collect();
        address.down();
        let opened = outages(&api, &checks, |incidents| incidents == self.checks).await?;
        report.exactly("outages", opened, self.checks);
        let told = wait(lab, "all to be told of", |heard| heard.covers(self.checks)).await;
        report.exactly("storms told", told.storms.len(), 1);
        report.at_most("checks told by themselves", told.single.len(), LIMIT);
        report.note("what was told of the storm", &told.last);
        let shared = format!("all share the address {}", address.ip());
        report.exactly("the cause names the address", told.last.contains(&shared), true);
        report.note("requests to the channel so far", told.requests);

        address.up().await?;
        let lasting = async || {
            let incidents = of_each(&api, &checks, Api::incidents).await?.concat();
            Ok(incidents.iter().all(|it| it.resolved_at.is_some()).then_some(()))
        };
        eventually("every outage to be over", PATIENCE, lasting).await?;
        let told = wait(lab, "all ends to be told", |heard| heard.open() == 0).await;
        report.exactly("told of, and never of its end", told.open(), 0);
        report.exactly("storms told", told.storms.len(), 1);
        report.at_most("checks told by themselves", told.single.len(), LIMIT);
        report.exactly("told twice that it opened or is over", told.twice, 0);
        report.exactly("bad signatures", told.bad_signatures, 0);
        report.at_most("requests to the channel", told.requests, 2 * (LIMIT + 1) + MOST_NEWS);
        Ok(())
    }
}

/// News of a storm that grows, while it gathers.
const MOST_NEWS: usize = 4;

/// Waits until so many outages are open or were; how many there are.
async fn outages(
    api: &Api,
    checks: &[Definition],
    are_all: impl Fn(usize) -> bool,
) -> anyhow::Result<usize> {
    let count = async || {
        let incidents = of_each(api, checks, Api::incidents).await?.concat().len();
        Ok(are_all(incidents).then_some(incidents))
    };
    eventually("every check to have an outage", PATIENCE, count).await
}

/// What the channel has heard so far, once it is `enough`; or by the end of patience.
async fn wait(lab: &Lab, what: &str, enough: impl Fn(&Heard) -> bool) -> Heard {
    let look = async || {
        let heard = lab.sink.deliveries().read(Heard::of);
        Ok(enough(&heard).then_some(heard))
    };
    // What is missing by then is told by the figures.
    let heard = eventually(what, TOLD_WITHIN, look).await;
    heard.unwrap_or_else(|_late| lab.sink.deliveries().read(Heard::of))
}

/// What a channel heard.
#[derive(Debug, Default)]
struct Heard {
    requests: usize,
    bad_signatures: usize,
    /// Whether the end was told, by incident.
    storms: BTreeMap<String, bool>,
    single: BTreeMap<String, bool>,
    twice: usize,
    /// The last that was said of a storm.
    last: String,
}

impl Heard {
    fn of(deliveries: &[Delivery]) -> Self {
        let mut heard = Self::default();
        for delivery in deliveries.iter().filter(|it| it.hook == HOOK) {
            heard.requests += 1;
            heard.bad_signatures += usize::from(!delivery.signature_ok);
            let body: Value = serde_json::from_slice(&delivery.body).unwrap_or_default();
            heard.take(&body);
        }
        heard
    }

    fn take(&mut self, body: &Value) {
        let (about, incident) = (&body["data"]["check"], &body["data"]["incident"]);
        let is_storm = incident["kind"] == "storm";
        let kind = if is_storm { &mut self.storms } else { &mut self.single };
        let id = incident["id"].as_str().unwrap_or_default().to_owned();
        match body["type"].as_str() {
            Some("incident.opened") => self.twice += usize::from(kind.insert(id, false).is_some()),
            Some("incident.resolved") => {
                self.twice += usize::from(kind.insert(id, true) != Some(false));
            }
            _ => {}
        }
        if is_storm {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            self.last = format!("{}: {}", text(&about["name"]), text(&incident["cause"]));
        }
    }

    /// Whether a storm was told that lists so many.
    fn covers(&self, checks: usize) -> bool {
        self.last.starts_with(&format!("{checks} checks went down"))
    }

    fn open(&self) -> usize {
        self.storms.values().chain(self.single.values()).filter(|is_over| !**is_over).count()
    }
}
