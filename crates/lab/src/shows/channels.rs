//! Channels: a dead one, a slow one and a healthy one are told of the same outages; then one of every kind.
//!
//! The dead one never answers, the slow one takes a second. Neither may hold up the healthy one, or
//! lose anything: in the end both are well again, and must hear of everything. Then every kind of
//! channel is told of an outage of each check, by receivers that put everything off once.

use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use uuid::Uuid;

use super::accounts::Accounts;
use super::outages::PATIENCE;
use super::script::Weather;
use super::{Show, a_check, create_all, of_each};
use crate::client::{Api, Check, Incident, NewCheck};
use crate::clock::{self, eventually};
use crate::judge::{self, Definition, HitsBySlot};
use crate::lab::{self, Cast, Lab, Players};
use crate::mailbox::Mailbox;
use crate::report::Report;
use crate::sink::{self, Delivery, Edge, Play};
use crate::target::{Hit, Plan};

const DEAD: &str = "dead";
const SLOW: &str = "slow";
const HEALTHY: &str = "healthy";
/// How long the slow one takes.
const SLOWNESS: Duration = Duration::from_secs(1);
/// An outage fails so many slots; as many good ones and one more lie between two.
const FAILING: i64 = 2;
/// Good slots at the end, so that the last incident is over.
const CALM_AT_THE_END: i64 = 4;
/// All that was kept waiting is told so soon after its receiver is back: the longest pause of a breaker, the
/// longest wait after three attempts, and what a thousand deliveries take.
const CATCHING_UP: Duration = Duration::from_mins(5);
/// Fewer than open a breaker.
const CHECKS_OF_KINDS: usize = 4;

/// The show's shape.
#[derive(Clone, Debug)]
pub struct Channels {
    /// How many checks.
    pub checks: usize,
    /// How many outages each of them has: one every five seconds.
    pub outages_each: usize,
    /// Pass line for the 99th percentile of the time from a deciding answer to the first request that
    /// tells the healthy channel of it, in milliseconds.
    pub p99_ms: i64,
    /// Decides when checks fail.
    pub seed: u64,
    /// Leaves logs and data on the disk.
    pub keep: bool,
}

/// As the command line knows it.
pub(super) const SHOW: Show = Show {
    name: "channels",
    usage: "\
a dead, a slow and a healthy channel are told of the same outages; then one of every kind
--checks 100 --outages 1000 --seed (drawn)",
    ask: |options| {
        let checks = options.take("checks", 100_usize);
        let show = Channels {
            checks,
            outages_each: options.take("outages", 1000_usize).div_ceil(checks.max(1)),
            p99_ms: 2000,
            seed: options.seed(),
            keep: options.yes("keep"),
        };
        Box::pin(async move { channels(&show).await })
    },
};

/// Plays both parts.
pub async fn channels(show: &Channels) -> anyhow::Result<Report> {
    let players = Players::Fleet { servers: 1, workers: 2 };
    lab::stage(Cast { players, keep: show.keep }, async |lab| {
        let mut report = Report::new(format!(
            "channels: {} checks, {} outages each, {players}, seed {}",
            show.checks, show.outages_each, show.seed
        ));
        unequal(lab, show, &mut report).await?;
        every_kind(lab, &mut report).await?;
        Ok(report)
    })
    .await
}

/// A check that looks every second, alerts at its first failure, and has no webhook of its own.
pub(super) fn a_quick_check(lab: &Lab, name: &str) -> NewCheck {
    let (webhook_url, webhook_secret) = (String::new(), String::new());
    NewCheck { alert_threshold: 1, webhook_url, webhook_secret, ..a_check(lab, name, 1, "") }
}

/// Makes channels and a route of everything to them.
pub(super) async fn route_to(api: &Api, channels: &[Value]) -> anyhow::Result<Uuid> {
    let mut ids = Vec::new();
    for channel in channels {
        ids.push(api.make("/channels", channel).await?);
    }
    api.make("/routes", &json!({"name": "everything", "channels": ids})).await
}

async fn unequal(lab: &Lab, show: &Channels, report: &mut Report) -> anyhow::Result<()> {
    let api = lab.fleet.api()?;
    // Each outage is told by itself, however many there are.
    api.change("/storm-breaker", &json!({"limit": 0})).await?;
    let secret = sink::new_secret();
    let hooks = [DEAD, SLOW, HEALTHY].map(|hook| {
        lab.sink.trust(hook, &secret);
        let config = json!({"url": lab.sink.url(hook), "secret": secret});
        json!({"name": hook, "type": "webhook", "config": config})
    });
    lab.sink.play(DEAD, Play::Hang);
    lab.sink.play(SLOW, Play::Slow(SLOWNESS));
    let route = route_to(&api, &hooks).await?;
    let names = (0..show.checks).map(|number| format!("check{number}"));
    let checks = create_all(lab, names.map(|name| a_quick_check(lab, &name))).await?;
    show.play(lab, &checks).await;
    let until_ms = clock::now_ms();

    let checks: Vec<_> = checks.iter().map(Definition::from).collect();
    let mut accounts = Accounts::read(&api, &checks, until_ms, PATIENCE).await?;
    let hits = lab.target.hits().copy();
    accounts.judge(&checks, &hits, until_ms);
    report.note("slots missed", accounts.figures.missed);
    accounts.tell(report);
    let incidents = of_each(&api, &checks, Api::incidents).await?;
    report.exactly("incidents", incidents.concat().len(), show.checks * show.outages_each);
    told(lab, HEALTHY, &incidents, report).await?;
    let p99 = delays(lab, &checks, &incidents, &hits, report);
    report.at_most("healthy channel: answer to webhook p99 (ms)", p99, show.p99_ms);

    let waiting = lab.sink.deliveries().read(|all| of_hook(all, DEAD).len());
    report.note("requests that the dead channel kept waiting", waiting);
    lab.sink.play(DEAD, Play::Accept);
    lab.sink.play(SLOW, Play::Accept);
    for hook in [SLOW, DEAD] {
        told(lab, hook, &incidents, report).await?;
    }
    api.remove(&format!("/routes/{route}")).await
}

/// Waits until a channel has heard of every edge, and judges what it heard.
async fn told(
    lab: &Lab,
    hook: &str,
    incidents: &[Vec<Incident>],
    report: &mut Report,
) -> anyhow::Result<()> {
    let incidents = incidents.concat();
    let look = async || {
        let told = lab.sink.deliveries().read(|all| of_hook(all, hook));
        Ok((judge::deliveries::judge(&incidents, &told).lost == 0).then_some(()))
    };
    // What is missing by then is told by the figures.
    let _all_or_not = eventually("every edge to be told", CATCHING_UP, look).await;
    let heard = lab.sink.deliveries().read(|all| of_hook(all, hook));
    let figures = judge::deliveries::judge(&incidents, &heard);
    let name = |what: &str| format!("{hook} channel: {what}");
    report.note(&name("edges"), figures.edges);
    report.exactly(&name("edges never told"), figures.lost, 0);
    report.exactly(&name("edges under two ids"), figures.many_ids, 0);
    report.exactly(&name("ids with two bodies"), figures.many_bodies, 0);
    report.exactly(&name("bad signatures"), figures.bad_signatures, 0);
    report.exactly(&name("resolved before opened"), figures.disordered, 0);
    report.exactly(&name("webhooks about nothing"), figures.unfounded, 0);
    report.complain(figures.complaints);
    Ok(())
}

fn of_hook(deliveries: &[Delivery], hook: &str) -> Vec<Delivery> {
    deliveries.iter().filter(|it| it.hook == hook).cloned().collect()
}

/// From the answers that decided edges to the first requests that told the healthy channel of them; the
/// 99th percentile in milliseconds.
fn delays(
    lab: &Lab,
    checks: &[Definition],
    incidents: &[Vec<Incident>],
    hits: &[Hit],
    report: &mut Report,
) -> i64 {
    let hits = HitsBySlot::of(hits);
    let told = lab.sink.deliveries().read(|all| of_hook(all, HEALTHY));
    let mut delays_us = Vec::new();
    for delivery in &told {
        let Some(told) = delivery.told else { continue };
        let slot = match told.edge {
            Edge::Opened => Some(told.from_ms),
            Edge::Resolved => told.until_ms,
        };
        let answer = slot.and_then(|slot| hits.at(told.check, slot).first().copied());
        let answered_us = answer.map(|hit| hit.at_us + whole_us(hit.plan.delay));
        delays_us.extend(answered_us.map(|at_us| delivery.at_us - at_us));
    }
    let due = 2 * incidents.iter().map(Vec::len).sum::<usize>();
    report.exactly("healthy channel: edges whose delay is known", delays_us.len(), due);
    report.note("checks", checks.len());
    delays_us.sort_unstable();
    let at = |percent: usize| {
        delays_us.get((delays_us.len() * percent / 100).min(delays_us.len().saturating_sub(1)))
    };
    let [p50, p99, max] = [50, 99, 100].map(|percent| at(percent).copied().unwrap_or(0));
    let words = [p50, p99, max].map(|us| format!("{}.{}", us / 1000, us % 1000 / 100));
    report.note("healthy channel: answer to webhook p50 / p99 / max (ms)", words.join(" / "));
    (p99 + 999) / 1000
}

fn whole_us(delay: Duration) -> i64 {
    i64::try_from(delay.as_micros()).unwrap_or(i64::MAX)
}

impl Channels {
    /// Lets the checks fail as drawn, and waits for the end.
    async fn play(&self, lab: &Lab, checks: &[Check]) {
        let from_ms = clock::now_ms() + 1000;
        let slots = (2 * FAILING + 1) * i64::try_from(self.outages_each).unwrap_or(1);
        let weather = Weather {
            from_ms,
            until_ms: from_ms + slots * 1000,
            interval_ms: 1000,
            outages: self.outages_each,
            failing: FAILING..=FAILING,
            thinking: Duration::from_millis(20),
            every_kind: false,
        };
        let mut random = StdRng::seed_from_u64(self.seed);
        for check in checks {
            lab.target.play(&check.name, weather.draw(&mut random));
        }
        let ends_ms = weather.until_ms + CALM_AT_THE_END * 1000;
        let lasting = u64::try_from(ends_ms - clock::now_ms()).unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(lasting)).await;
    }
}

/// One of each kind, at receivers of the lab.
fn one_of_each(lab: &Lab, mailbox: &Mailbox, secret: &str) -> Vec<(&'static str, Value)> {
    let at = |kind: &str| lab.sink.url(kind);
    let mail = json!({
        "host": "127.0.0.1", "port": mailbox.port(), "security": "none", "from": "pulse@lab.example",
        "to": ["ops@lab.example"],
    });
    vec![
        ("webhook", json!({"url": at("webhook"), "secret": secret})),
        ("slack", json!({"url": at("slack")})),
        ("email", mail),
        ("discord", json!({"url": at("discord")})),
        ("teams", json!({"url": at("teams")})),
        ("telegram", json!({"server": at("telegram"), "token": "1:a", "chat_id": "1"})),
        ("pagerduty", json!({"server": at("pagerduty"), "routing_key": "key"})),
        ("opsgenie", json!({"server": at("opsgenie"), "api_key": "key"})),
        ("ntfy", json!({"server": at("ntfy"), "topic": "lab"})),
        ("gotify", json!({"server": at("gotify"), "token": "key"})),
        ("pushover", json!({"server": at("pushover"), "token": "key", "user": "key"})),
        ("alertmanager", json!({"server": at("alertmanager")})),
    ]
}

async fn every_kind(lab: &Lab, report: &mut Report) -> anyhow::Result<()> {
    let api = lab.fleet.api()?;
    let mailbox = Mailbox::start().await?;
    let kinds = one_of_each(lab, &mailbox, &sink::new_secret());
    for (kind, _) in &kinds {
        lab.sink.play(kind, Play::Again);
    }
    let channel =
        |(kind, config): &(&str, Value)| json!({"name": kind, "type": kind, "config": config});
    route_to(&api, &kinds.iter().map(channel).collect::<Vec<_>>()).await?;
    let names: Vec<String> = (0..CHECKS_OF_KINDS).map(|number| format!("kinds{number}")).collect();
    create_all(lab, names.iter().map(|name| a_quick_check(lab, name))).await?;
    let heard = |kind: &str| match kind {
        "email" => mailbox.letters().copy(),
        _ => lab.sink.deliveries().read(|all| of_hook(all, kind)),
    };
    for (status, edges) in [(500, 1), (200, 2)] {
        for name in &names {
            lab.target.play(name, Plan::status(status));
        }
        let all_heard = async || {
            let missing = kinds.iter().any(|(kind, _)| {
                let taken = heard(kind).iter().filter(|it| it.accepted()).count();
                taken < edges * CHECKS_OF_KINDS
            });
            Ok((!missing).then_some(()))
        };
        let _all_or_not = eventually("every kind to be told", CATCHING_UP, all_heard).await;
    }
    let mut all = judge::kinds::Figures::default();
    for (kind, _) in &kinds {
        let figures = judge::kinds::judge(&names, &heard(kind));
        all.edges += figures.edges;
        all.lost += figures.lost;
        all.many_bodies += figures.many_bodies;
        all.repeated += figures.repeated;
        all.disordered += figures.disordered;
        all.unfounded += figures.unfounded;
        all.complaints.extend(figures.complaints);
    }
    let due = 2 * CHECKS_OF_KINDS * kinds.len();
    report.exactly("kinds of channels", kinds.len(), 12);
    report.exactly("every kind: edges", all.edges, due);
    report.exactly("every kind: edges never told", all.lost, 0);
    report.exactly("every kind: edges in two forms", all.many_bodies, 0);
    report.exactly("every kind: edges accepted again", all.repeated, 0);
    report.exactly("every kind: resolved before opened", all.disordered, 0);
    report.exactly("every kind: requests about nothing", all.unfounded, 0);
    report.complain(all.complaints);
    Ok(())
}
