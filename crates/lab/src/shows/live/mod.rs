//! Many look on: each hears everything, once, in order and soon, also over a cut.
//!
//! Checks go down and up with every slot, so that each slot is three events: a status, an edge of an
//! incident, an alert that arrived. Some listeners are cut off at random instants and come again, at
//! the next server, with the last id they heard. At the end all must have heard the same, and the
//! incidents among it must be those that the API lists.

mod listener;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::cost::Meter;
use super::{HOOK, Show, create_all, of_each};
use crate::client::NewCheck;
use crate::clock;
use crate::fleet::Role;
use crate::judge::Definition;
use crate::lab::{self, Cast, Lab, Players};
use crate::report::Report;
use crate::sink;
use crate::target::{By, Phase, Plan, Script};
use listener::{Heard, Listener, Way};

/// What every slot of a check tells.
const EVENTS_A_SLOT: usize = 3;
const INTERVAL_MS: i64 = 1_000;
/// From the last flap until nobody has anything more to hear.
const QUIET: Duration = Duration::from_secs(5);
/// How long all may take to be connected.
const CONNECTED_WITHIN: Duration = Duration::from_mins(1);

/// The show's shape.
#[derive(Clone, Debug)]
pub struct Live {
    /// Listeners by server-sent events.
    pub streams: usize,
    /// Listeners by WebSocket.
    pub sockets: usize,
    /// How many of all are cut off once.
    pub cuts: usize,
    /// About so many events a second.
    pub rate: usize,
    /// How long events come.
    pub lasting: Duration,
    /// Pass line for the 99th percentile from an event's time to each listener, in milliseconds.
    pub p99_ms: u32,
    /// Decides who is cut off when.
    pub seed: u64,
    /// Leaves logs and data on the disk.
    pub keep: bool,
}

/// As the command line knows it.
pub(super) const SHOW: Show = Show {
    name: "live",
    usage: "\
many listeners on two servers: all hear all, soon, and go on after a cut
--streams 1000 --sockets 1000 --cuts 100 --rate 100 --for 60 --seed (drawn)",
    ask: |options| {
        let show = Live {
            streams: options.take("streams", 1000),
            sockets: options.take("sockets", 1000),
            cuts: options.take("cuts", 100),
            rate: options.take("rate", 100),
            lasting: options.seconds("for", 60),
            p99_ms: 500,
            seed: options.seed(),
            keep: options.yes("keep"),
        };
        Box::pin(async move { live(&show).await })
    },
};

/// Plays to many listeners.
pub async fn live(live: &Live) -> anyhow::Result<Report> {
    let players = Players::Fleet { servers: 2, workers: 1 };
    lab::stage(Cast { players, keep: live.keep }, async |lab| {
        let mut report = Report::new(format!(
            "live: {} streams and {} sockets on two servers, about {} events a second for {} s, {} cuts, seed {}",
            live.streams, live.sockets, live.rate, live.lasting.as_secs(), live.cuts, live.seed
        ));
        let audience = Audience::gather(lab, live).await?;
        let meters = [0, 1].map(|number| lab.fleet.pid(Role::Server, number).and_then(Meter::start));
        let checks = flap(lab, live).await?;
        let heard = audience.leave().await?;
        let told = incidents(lab, &checks).await?;
        for meter in meters {
            let cost = meter?.stop()?;
            report.note("a server's memory at the end (MiB)", cost.resident_mib);
            report.note("a server's memory at its peak (MiB)", cost.peak_mib);
            report.note("a server's CPU (% of a core)", cost.cpu_percent);
        }
        judge(live, &told, &heard, &mut report);
        Ok(report)
    })
    .await
}

struct Audience {
    over: watch::Sender<bool>,
    listeners: JoinSet<anyhow::Result<Heard>>,
}

impl Audience {
    async fn gather(lab: &Lab, live: &Live) -> anyhow::Result<Self> {
        let servers =
            Arc::new([lab.fleet.address(Role::Server, 0)?, lab.fleet.address(Role::Server, 1)?]);
        let (over, connected) = (watch::Sender::new(false), watch::Sender::new(0_usize));
        let mut random = StdRng::seed_from_u64(live.seed);
        let (all, mut listeners) = (live.streams + live.sockets, JoinSet::new());
        let cut = cut_off(all, live.cuts, &mut random);
        for number in 0..all {
            let cut_after = cut.contains(&number).then(|| {
                random.random_range(live.lasting.mul_f64(0.5)..=live.lasting.mul_f64(0.9))
            });
            let listener = Listener {
                way: if number < live.streams { Way::Stream } else { Way::Socket },
                servers: Arc::clone(&servers),
                turn: number,
                cut_after,
                connected: connected.clone(),
                over: over.subscribe(),
            };
            listeners.spawn(listener.listen());
        }
        let mut connected = connected.subscribe();
        tokio::time::timeout(CONNECTED_WITHIN, connected.wait_for(|count| *count >= all)).await??;
        Ok(Self { over, listeners })
    }

    /// Ends it; what each has heard.
    async fn leave(mut self) -> anyhow::Result<Vec<Heard>> {
        self.over.send_replace(true);
        let mut heard = Vec::with_capacity(self.listeners.len());
        while let Some(one) = self.listeners.join_next().await {
            heard.push(one??);
        }
        Ok(heard)
    }
}

fn cut_off(all: usize, cuts: usize, random: &mut StdRng) -> BTreeSet<usize> {
    let mut chosen = BTreeSet::new();
    while chosen.len() < cuts.min(all) {
        chosen.insert(random.random_range(0..all));
    }
    chosen
}

/// Lets checks go down and up for a while, and waits until it is quiet again.
async fn flap(lab: &Lab, live: &Live) -> anyhow::Result<Vec<Definition>> {
    let checks = live.rate.div_ceil(EVENTS_A_SLOT);
    let begin = clock::now_ms() + 2 * INTERVAL_MS;
    let slots = i64::try_from(live.lasting.as_millis())? / INTERVAL_MS;
    let secret = sink::new_secret();
    lab.sink.trust(HOOK, &secret);
    let phase = |slot: i64| Phase {
        from_ms: begin + slot * INTERVAL_MS,
        plan: Plan::status(if slot % 2 == 0 { 500 } else { 200 }),
    };
    // An even number of slots: it ends well.
    let script = Script { by: By::Slot, phases: (0..slots / 2 * 2).map(phase).collect() };
    let new = |number: usize| {
        let name = format!("flap-{number}");
        lab.target.play(&name, script.clone());
        NewCheck { alert_threshold: 1, ..super::a_check(lab, &name, 1, &secret) }
    };
    let created = create_all(lab, (0..checks).map(new)).await?;
    let ends = begin + slots * INTERVAL_MS - clock::now_ms();
    tokio::time::sleep(Duration::from_millis(u64::try_from(ends).unwrap_or_default()) + QUIET)
        .await;

    Ok(created.iter().map(Definition::from).collect())
}

async fn incidents(lab: &Lab, checks: &[Definition]) -> anyhow::Result<BTreeSet<Uuid>> {
    let api = lab.fleet.api()?;
    let incidents = of_each(&api, checks, async |api, id| api.incidents(id).await).await?;
    Ok(incidents.into_iter().flatten().map(|incident| incident.id).collect())
}

fn judge(live: &Live, incidents: &BTreeSet<Uuid>, heard: &[Heard], report: &mut Report) {
    let first = heard.first();
    let same = heard.iter().filter(|one| first.is_some_and(|first| first.is_same(one))).count();
    let events = first.map_or(0, |first| first.count);
    let seconds = live.lasting.as_secs().max(1);
    report.note("events", events);
    report.at_least("events a second", events / seconds, live.rate as u64 / 2);
    report.exactly("listeners that heard what the first heard", same, heard.len());
    report.exactly("listeners", heard.len(), live.streams + live.sockets);
    let opened = first.map(|first| first.opened.clone()).unwrap_or_default();
    report.exactly("incidents that nobody heard of", incidents.difference(&opened).count(), 0);
    report.exactly("incidents heard of that are none", opened.difference(incidents).count(), 0);
    let sum = |of: fn(&Heard) -> u64| heard.iter().map(of).sum::<u64>();
    report.exactly("out of order, or twice", sum(|one| one.disorder), 0);
    report.exactly("told to read again", sum(|one| one.resyncs), 0);
    report.exactly("cuts", sum(|one| one.cuts), live.cuts as u64);
    let mut delays = listener::Delays::default();
    for one in heard {
        delays.add(&one.delays);
    }
    let percentiles = [50, 99, 100].map(|percent| delays.percentile_ms(percent));
    report.note(
        "event to listener p50 / p99 / max (ms)",
        percentiles.map(|ms| ms.to_string()).join(" / "),
    );
    report.at_most("event to listener p99 (ms)", percentiles[1], live.p99_ms);
}
