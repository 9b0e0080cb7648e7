//! No request reaches a forbidden address: not by its spelling, its name, a redirect, a name server that
//! changes its answers, as a webhook, or by a proxy of the environment.
//!
//! A worker that denies private targets looks at some hundred of them, with listeners at forbidden
//! addresses that count who comes. Its own library is asked about a hundred thousand more.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;

use super::accounts::Accounts;
use super::{Show, a_check, create_all, of_each};
use crate::client::{Check, NewCheck};
use crate::clock;
use crate::fleet::Role;
use crate::guard::cases::{Case, Cases, Resolver};
use crate::guard::places::Places;
use crate::guard::{self, HERE, gate};
use crate::judge::{Definition, refusals};
use crate::lab::{self, Cast, Lab, Players};
use crate::names::{NameServer, Zone};
use crate::report::Report;
use crate::sink;

/// As many as a way that leads on to another and to a forbidden one takes.
const MOST_REDIRECTS: u8 = 3;

/// The show's shape.
#[derive(Clone, Debug)]
pub struct Guard {
    /// How many hosts the worker's library is asked about.
    pub cases: usize,
    /// Of the cases for the process, every so manieth is played.
    pub every: usize,
    /// Between two slots of each check.
    pub interval_s: u32,
    /// How long they are watched.
    pub watched: Duration,
    /// Decides which hosts are drawn.
    pub seed: u64,
    /// Leaves logs and data on the disk.
    pub keep: bool,
}

/// As the command line knows it.
pub(super) const SHOW: Show = Show {
    name: "guard",
    usage: "\
addresses that are denied, in every spelling, by name, redirect and webhook: nobody comes there
--cases 100000 --every 1 --interval 5 --for 30 --seed (drawn)",
    ask: |options| {
        let show = Guard {
            cases: options.take("cases", 100_000),
            every: options.take("every", 1_usize).max(1),
            interval_s: options.take("interval", 5),
            watched: options.seconds("for", 30),
            seed: options.seed(),
            keep: options.yes("keep"),
        };
        Box::pin(async move { guard(&show).await })
    },
};

/// Plays the guard.
pub async fn guard(guard: &Guard) -> anyhow::Result<Report> {
    let players = Players::Fleet { servers: 1, workers: 1 };
    lab::stage(Cast { players, keep: guard.keep }, async |lab| watch(lab, guard).await).await
}

async fn watch(lab: &mut Lab, show: &Guard) -> anyhow::Result<Report> {
    let mut report = Report::new(format!(
        "guard: {} hosts, and every case of {} in a process every {} s for {} s, seed {}",
        show.cases,
        show.every,
        show.interval_s,
        show.watched.as_secs(),
        show.seed
    ));
    let (places, mut zone) = (Places::open().await?, Zone::default());
    let cases = thinned(Cases::all(places.port, &mut zone), show.every);
    let questions = gate::draw(show.seed, show.cases, &mut zone);
    places.lead(cases.led_to.iter().map(|case| case.url.clone()).collect());
    let names = NameServer::start_at(HERE, zone).await?;
    deny(lab, &names, &places.as_proxy()).await?;

    let checks = create_all(lab, definitions(lab, show, &places, &cases, names.address())).await?;
    report.note("cases in the process", checks.len());
    tokio::time::sleep(show.watched).await;
    let figures = judge(lab, &cases, &checks).await?;
    let asked = names.asked();

    let settings = guard::settings().into_iter();
    let settings = settings.chain([("NAME_SERVERS", names.address().to_string())]).collect();
    let differences = gate::differences(questions, settings).await?;

    tell(figures, &cases, &mut report);
    report.note("questions to the name server", asked);
    report.note("cases in the library", show.cases);
    report.exactly("cases in the library: differences", differences.len(), 0);
    report.complain(differences);
    report.exactly("visitors at forbidden listeners", places.visitors(), 0);
    report.at_least("webhooks that came where they may", places.hooks(), 1);
    let (noticing, listeners) = (places.noticing().await?, places.forbidden().count());
    report.exactly("listeners that would have noticed", noticing, listeners);
    Ok(report)
}

fn thinned(cases: Cases, every: usize) -> Cases {
    let thinned = |cases: Vec<Case>| cases.into_iter().step_by(every).collect();
    Cases {
        direct: thinned(cases.direct),
        led_to: thinned(cases.led_to),
        hooks: thinned(cases.hooks),
    }
}

/// The worker is started anew, as one that denies, and with a proxy in its environment at a place where
/// nobody may come.
async fn deny(lab: &mut Lab, names: &NameServer, proxy: &str) -> anyhow::Result<()> {
    for name in guard::PROXIES {
        lab.fleet.set(name, proxy);
    }
    for (name, value) in guard::settings() {
        lab.fleet.set(name, value);
    }
    lab.fleet.set("NAME_SERVERS", names.address());
    lab.fleet.kill(Role::Worker, 0)?;
    lab.fleet.restart(Role::Worker, 0).await
}

/// In the order of the cases: direct ones, those that are led to, webhooks.
fn definitions<'a>(
    lab: &'a Lab,
    show: &Guard,
    places: &Places,
    cases: &'a Cases,
    names: SocketAddr,
) -> impl Iterator<Item = NewCheck> + 'a {
    let (secret, interval_s) = (sink::new_secret(), show.interval_s);
    let here = format!("http://{HERE}:{}", places.port);
    let hook = format!("{here}/hook");
    let check = move |name: String, url: String, webhook_url: &str| NewCheck {
        expected_status: url.starts_with("http").then_some(200),
        max_redirects: url.starts_with("http").then_some(MOST_REDIRECTS),
        url,
        alert_threshold: 1,
        timeout_ms: (interval_s * 900).min(2_500),
        webhook_url: webhook_url.to_owned(),
        ..a_check(lab, &name, interval_s, &secret)
    };
    let direct = cases.direct.iter().enumerate().map(|(n, case)| NewCheck {
        addresses: case.everywhere.then_some("all"),
        resolver: match &case.resolver {
            Resolver::Usual => None,
            Resolver::Ours => Some(names.to_string()),
            Resolver::At(address) => Some(address.clone()),
        },
        auth: case.logs_in().then(|| json!({"type": "basic", "username": "u", "password": "p"})),
        ..check(format!("direct-{n}"), case.url.clone(), &hook)
    });
    let direct: Vec<_> = direct.collect();
    let mut told = Vec::with_capacity(cases.count());
    for n in 0..cases.led_to.len() {
        told.push((format!("led-{n}"), format!("{here}/to/{n}"), hook.clone()));
    }
    for (n, case) in cases.hooks.iter().enumerate() {
        told.push((format!("hook-{n}"), format!("{here}/fail"), case.url.clone()));
    }
    let others = told.into_iter().map(move |(name, url, hook)| check(name, url, &hook));
    direct.into_iter().chain(others)
}

async fn judge(lab: &Lab, cases: &Cases, checks: &[Check]) -> anyhow::Result<refusals::Figures> {
    let api = lab.fleet.api()?;
    let definitions: Vec<_> = checks.iter().map(Definition::from).collect();
    let until_ms = clock::now_ms();
    let accounts = Accounts::read(&api, &definitions, until_ms, Duration::ZERO).await?;
    let mut figures = refusals::Figures::default();
    let looked_at = cases.direct.iter().chain(&cases.led_to);
    for (case, listed) in looked_at.zip(&accounts.listings) {
        figures.add(case, &listed.runs);
    }
    let hooks = &definitions[definitions.len() - cases.hooks.len()..];
    let attempts = of_each(&api, hooks, async |api, id| api.webhooks(id).await).await?;
    for (case, attempts) in cases.hooks.iter().zip(&attempts) {
        figures.add_hook(case, attempts);
    }
    Ok(figures)
}

fn tell(figures: refusals::Figures, cases: &Cases, report: &mut Report) {
    report.note("forbidden: looks", figures.refused);
    report.at_least("allowed: looks", figures.well, 1);
    let [went_well, were_refused] = figures.either;
    report.at_least("rebinding: looks that went well", went_well, 1);
    report.at_least("rebinding: looks that were refused", were_refused, 1);
    report.exactly("cases without a look", figures.blind, 0);
    report.exactly("looks with another outcome than due", figures.wrong, 0);
    report.exactly("looks that told a forbidden address", figures.indiscreet, 0);
    let [refused, well, either] = figures.hooks;
    report.note(
        "webhooks to forbidden / allowed / rebinding",
        format!("{refused} / {well} / {either}"),
    );
    report.exactly("webhooks tried", refused + well + either, cases.hooks.len());
    report.exactly("webhooks with another end than due", figures.wrong_hooks, 0);
    report.complain(figures.complaints);
}
