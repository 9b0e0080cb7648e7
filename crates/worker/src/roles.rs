//! Starts the roles a worker was given, and ends them in the order results travel.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use pulse_core::metrics::Metrics;
use pulse_core::models::run::FailClass;
use pulse_core::ports::BoxError;
use pulse_core::ports::presence::WorkerReport;
use pulse_core::runtime::config::{Config, Role};
use pulse_core::runtime::loops::{Loops, Pace};
use pulse_core::runtime::ops::{self, Dependency, Numbers, Ops, Started};
use pulse_core::stores::Stores;
use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::alerter::Alerter;
use crate::egress::Egress;
use crate::notifiers::webhook::WebhookNotifier;
use crate::prober::Prober;
use crate::recorder::Recorder;
use crate::shipper::Shipper;

const RECORDING: Duration = Duration::from_millis(40);
const ALERTING: Duration = Duration::from_millis(100);
const SHIPPING: Duration = Duration::from_millis(500);
const BOUNDING: Duration = Duration::from_secs(15);
const RETAINING: Duration = Duration::from_hours(1);
const REPORTING: Duration = Duration::from_secs(3);
const TIME: Duration = Duration::from_secs(1);
/// Of the time to stop in, this much is kept for what comes after the runs under way.
const AFTER_RUNS: Duration = Duration::from_secs(5);

/// One part of a worker: a task, and how to ask it to finish.
struct Part {
    name: &'static str,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// See the module.
pub struct Roles {
    /// In the order in which results travel: what comes first stops first.
    parts: Vec<Part>,
}

/// What every part needs.
#[derive(Clone)]
struct Common {
    config: Config,
    stores: Stores,
    metrics: Metrics,
    loops: Loops,
    started: Started,
    identity: Arc<str>,
}

impl Roles {
    /// Starts the roles that `config` names, and the operators' pages on `listener`.
    pub fn start(
        config: &Config,
        stores: &Stores,
        identity: &str,
        listener: TcpListener,
    ) -> Result<Self, BoxError> {
        let common = Common {
            config: config.clone(),
            stores: stores.clone(),
            metrics: Metrics::new(),
            loops: Loops::default(),
            started: Started::now(),
            identity: identity.into(),
        };
        let egress = Egress::new()?;
        let mut roles = Self { parts: Vec::new() };
        let has = |role| config.worker_roles.contains(&role);
        let prober = has(Role::Prober).then(|| common.prober(egress.clone()));
        if let Some(prober) = prober.clone() {
            roles.add("prober", |stop| probe(common.clone(), prober, stop));
        }
        if has(Role::Recorder) {
            roles.add("recorder", |stop| record(common.clone(), stop));
        }
        if has(Role::Alerter) {
            let webhook = WebhookNotifier::new(&egress)?;
            roles.add("alerter", |stop| alert(common.clone(), webhook, stop));
        }
        if has(Role::Shipper) {
            roles.add("shipper", |stop| ship(common.clone(), stop));
        }
        if needs_state(&config.worker_roles) {
            roles.add("clock", |stop| follow_the_clock(common.clone(), stop));
        }
        roles.add("presence", |stop| report(common.clone(), prober, stop));
        roles.add("pages", |stop| serve(common, listener, stop));
        Ok(roles)
    }

    fn add<F>(&mut self, name: &'static str, part: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let task = tokio::spawn(part(stop.clone()));
        self.parts.push(Part { name, stop, task });
    }

    /// Resolves when a part has ended by itself, which none should.
    pub async fn failure(&mut self) -> String {
        let (name, ended) = std::future::poll_fn(|context| {
            for part in &mut self.parts {
                if let std::task::Poll::Ready(ended) =
                    std::pin::Pin::new(&mut part.task).poll(context)
                {
                    return std::task::Poll::Ready((part.name, ended));
                }
            }
            std::task::Poll::Pending
        })
        .await;
        self.parts.retain(|part| part.name != name);
        told(name, ended)
    }

    /// Ends the parts one after the other, so that each still finds its successor at work.
    pub async fn drain(&mut self) {
        for part in self.parts.drain(..) {
            part.stop.cancel();
            let _panicked = part.task.await;
        }
    }
}

fn told(name: &str, ended: Result<(), JoinError>) -> String {
    match ended {
        Ok(()) => format!("{name} ended"),
        Err(panic) => format!("{name} panicked: {panic}"),
    }
}

fn needs_state(roles: &BTreeSet<Role>) -> bool {
    roles.iter().any(|role| *role != Role::Prober)
}

impl Common {
    fn prober(&self, egress: Egress) -> Prober {
        Prober::new(
            self.stores.work.clone(),
            self.config.worker_region.clone(),
            egress,
            self.config.worker_concurrency,
            self.config.probe_run_header,
            self.metrics.clone(),
        )
    }

    fn report(&self) -> WorkerReport {
        let metrics = &self.metrics;
        let failed =
            |class: &FailClass| metrics.runs.with_label_values(&["fail", class.as_str()]).get();
        WorkerReport {
            worker: self.identity.to_string(),
            region: self.config.worker_region.to_string(),
            version: env!("CARGO_PKG_VERSION").into(),
            uptime_seconds: self.started.instant.elapsed().as_secs(),
            checks_executed_total: metrics.check_seconds.get_sample_count(),
            checks_failed_total: FailClass::ALL.iter().map(failed).sum(),
            alerts_sent_total: metrics.deliveries.with_label_values(&["delivered"]).get(),
            latency_ms_sum: metrics.check_seconds.get_sample_sum() * 1000.0,
            active_jobs: metrics.jobs_active.get().unsigned_abs(),
            queue_depth: metrics.queue_depth.get().unsigned_abs(),
        }
    }

    /// Waits until a server has brought the schema; `false` when asked to stop before.
    async fn state_is_ready(&self, name: &'static str, stop: &CancellationToken) -> bool {
        let ready = || async {
            while !self.stores.upkeep.is_migrated().await? {
                tokio::select! {
                    () = tokio::time::sleep(TIME) => {}
                    () = stop.cancelled() => break,
                }
            }
            self.stores.upkeep.sync_clock().await
        };
        self.loops.until_done(name, stop, &self.metrics, ready).await && !stop.is_cancelled()
    }
}

async fn probe(it: Common, prober: Prober, stop: CancellationToken) {
    let limit = it.config.shutdown_timeout.saturating_sub(AFTER_RUNS);
    prober.work(&it.loops, &stop, limit).await;
}

async fn record(it: Common, stop: CancellationToken) {
    if !it.state_is_ready("recorder's schema", &stop).await {
        return;
    }
    let recorder = Recorder::new(&it.stores, it.metrics.clone());
    let measure = || async { recorder.measure().await.map(|()| Pace::Rest) };
    tokio::join!(
        it.loops.run("recorder", RECORDING, &stop, &it.metrics, || recorder.record()),
        it.loops.run("results backlog", REPORTING, &stop, &it.metrics, measure),
    );
    recorder.drain().await;
}

async fn alert(it: Common, webhook: WebhookNotifier, stop: CancellationToken) {
    if !it.state_is_ready("alerter's schema", &stop).await {
        return;
    }
    let alerter = Alerter::new(&it.stores, webhook, it.metrics.clone());
    it.loops.run("alerter", ALERTING, &stop, &it.metrics, || alerter.send_due()).await;
    alerter.drain().await;
}

async fn ship(it: Common, stop: CancellationToken) {
    if !it.state_is_ready("shipper's schema", &stop).await {
        return;
    }
    let shipper = Shipper::new(&it.stores, it.metrics.clone());
    // History may be away for long: that makes a worker degraded, not unready.
    let apart = it.loops.aside();
    tokio::join!(
        apart.run("shipper", SHIPPING, &stop, &it.metrics, || shipper.ship()),
        it.loops.run("history bound", BOUNDING, &stop, &it.metrics, || shipper.bound()),
        apart.run("history retention", RETAINING, &stop, &it.metrics, || { shipper.retain() }),
    );
    shipper.drain().await;
}

async fn follow_the_clock(it: Common, stop: CancellationToken) {
    let sync = || async { it.stores.upkeep.sync_clock().await.map(|()| Pace::Rest) };
    it.loops.run("clock", TIME, &stop, &it.metrics, sync).await;
}

async fn report(it: Common, prober: Option<Prober>, stop: CancellationToken) {
    let round = || async {
        if let Some(prober) = &prober {
            let depth = prober.queue_depth().await?;
            it.metrics.queue_depth.set(i64::try_from(depth).unwrap_or(i64::MAX));
        }
        it.stores.presence.report(&it.report()).await.map(|()| Pace::Rest)
    };
    it.loops.run("presence", REPORTING, &stop, &it.metrics, round).await;
    let _forgotten_in_15_s = it.stores.presence.leave(&it.identity).await;
}

async fn serve(it: Common, listener: TcpListener, stop: CancellationToken) {
    let own = it.clone();
    let pages = ops::router(Ops {
        role: "worker",
        region: Some(it.config.worker_region.to_string()),
        dependencies: vec![
            Dependency {
                name: "postgres",
                ping: needs_state(&it.config.worker_roles).then(|| it.stores.state_ping.clone()),
                vital: true,
            },
            Dependency { name: "redis", ping: Some(it.stores.queue_ping.clone()), vital: true },
            Dependency {
                name: "clickhouse",
                ping: it
                    .stores
                    .history_ping
                    .clone()
                    .filter(|_| it.config.worker_roles.contains(&Role::Shipper)),
                vital: false,
            },
        ],
        loops: it.loops,
        metrics: it.metrics,
        numbers: Numbers::Own(Arc::new(move || own.report())),
        started: it.started,
    });
    let _ended = axum::serve(listener, pages).with_graceful_shutdown(stop.cancelled_owned()).await;
}
