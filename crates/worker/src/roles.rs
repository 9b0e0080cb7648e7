//! Starts the roles a worker was given.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use pulse_core::models::run::FailClass;
use pulse_core::ports::BoxError;
use pulse_core::ports::presence::WorkerReport;
use pulse_core::runtime::config::Role;
use pulse_core::runtime::loops::Pace;
use pulse_core::runtime::ops::{self, Dependency, Numbers, Ops};
use pulse_core::runtime::parts::Parts;
use pulse_core::runtime::process::Context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::alerter::Alerter;
use crate::egress::Egress;
use crate::notifiers::Notifier;
use crate::prober::{Prober, ProberOptions, ReadyJobs};
use crate::recorder::Recorder;
use crate::shipper::Shipper;

const RECORDING: Duration = Duration::from_millis(100);
const ALERTING: Duration = Duration::from_millis(100);
const STANDING_IN: Duration = Duration::from_secs(5);
const SHIPPING: Duration = Duration::from_millis(500);
const BOUNDING: Duration = Duration::from_secs(15);
const RETAINING: Duration = Duration::from_hours(1);
const REPORTING: Duration = Duration::from_secs(3);
const TIME: Duration = Duration::from_secs(1);
/// Between two looks whether a server has brought the schema.
const SCHEMA: Duration = Duration::from_millis(100);
/// Of the time to stop in, this much is kept for what comes after the runs under way.
const AFTER_RUNS: Duration = Duration::from_secs(5);

/// Adds the roles that `context` names, in the order in which results travel.
///
/// # Errors
/// When the way out cannot be set up.
pub fn start(context: &Context, parts: &mut Parts) -> Result<(), BoxError> {
    let worker = Worker(context.clone());
    let roles = &context.config.worker_roles;
    let config = &context.config;
    let egress = Egress::asking(config.name_servers.as_deref(), config.targets.clone())?
        .limited(config.destination_limit, context.metrics.destination_waits.clone());
    let prober =
        roles.contains(&Role::Prober).then(|| worker.prober(egress.clone())).transpose()?;
    if let Some(prober) = prober.clone() {
        parts.add("prober", |stop| probe(worker.clone(), prober, stop));
    }
    if roles.contains(&Role::Recorder) {
        parts.add("recorder", |stop| record(worker.clone(), stop));
    }
    if roles.contains(&Role::Alerter) {
        let notifier = Notifier::new(&egress)?;
        parts.add("alerter", |stop| alert(worker.clone(), notifier, stop));
    }
    if roles.contains(&Role::Shipper) {
        parts.add("shipper", |stop| ship(worker.clone(), stop));
    }
    parts.add("presence", |stop| report(worker, prober, stop));
    Ok(())
}

/// Adds what a worker in a process of its own needs besides its roles: the stores' time, and the
/// operators' pages on `listener`.
pub fn start_surroundings(context: &Context, listener: TcpListener, parts: &mut Parts) {
    let worker = Worker(context.clone());
    if needs_state(&context.config.worker_roles) {
        parts.add("clock", |stop| follow_the_clock(worker.clone(), stop));
    }
    parts.add("pages", |stop| serve(worker, listener, stop));
}

#[derive(Clone)]
struct Worker(Context);

impl Deref for Worker {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.0
    }
}

/// Whether any of these roles commits anything.
pub fn needs_state(roles: &BTreeSet<Role>) -> bool {
    roles.iter().any(|role| *role != Role::Prober)
}

impl Worker {
    fn prober(&self, egress: Egress) -> std::io::Result<Prober> {
        let options = ProberOptions {
            region: self.config.worker_region.clone(),
            concurrency: self.config.worker_concurrency,
            run_header: self.config.probe_run_header,
            keys: self.config.secret_keys.clone(),
        };
        Prober::new(self.stores.work.clone(), egress, options, self.metrics.clone())
    }

    /// Without Redis the queue is this process's own, and ends with it.
    const fn ready_jobs(&self) -> ReadyJobs {
        match self.0.config.redis_url {
            Some(_) => ReadyJobs::AreLeft,
            None => ReadyJobs::AreRun,
        }
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
                    () = tokio::time::sleep(SCHEMA) => {}
                    () = stop.cancelled() => break,
                }
            }
            self.stores.upkeep.sync_clock().await
        };
        self.loops.until_done(name, stop, &self.metrics, ready).await && !stop.is_cancelled()
    }
}

async fn probe(it: Worker, prober: Prober, stop: CancellationToken) {
    let limit = it.config.shutdown_timeout.saturating_sub(AFTER_RUNS);
    prober.work(&it.loops, &stop, limit, it.ready_jobs()).await;
}

async fn record(it: Worker, stop: CancellationToken) {
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

async fn alert(it: Worker, notifier: Notifier, stop: CancellationToken) {
    if !it.state_is_ready("alerter's schema", &stop).await {
        return;
    }
    let alerter = Alerter::new(&it.stores, notifier, it.metrics.clone());
    tokio::join!(
        it.loops.run("alerter", ALERTING, &stop, &it.metrics, || alerter.send_due()),
        it.loops.run("stand-ins", STANDING_IN, &stop, &it.metrics, || alerter.tell_stand_ins()),
        it.loops.run("receivers", STANDING_IN, &stop, &it.metrics, || alerter.measure()),
    );
    alerter.drain().await;
}

async fn ship(it: Worker, stop: CancellationToken) {
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

async fn follow_the_clock(it: Worker, stop: CancellationToken) {
    let sync = || async { it.stores.upkeep.sync_clock().await.map(|()| Pace::Rest) };
    it.loops.run("clock", TIME, &stop, &it.metrics, sync).await;
}

async fn report(it: Worker, prober: Option<Prober>, stop: CancellationToken) {
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

async fn serve(it: Worker, listener: TcpListener, stop: CancellationToken) {
    let own = it.clone();
    let pages = ops::router(Ops {
        role: "worker",
        region: Some(it.config.worker_region.to_string()),
        dependencies: dependencies(&it),
        loops: it.loops.clone(),
        metrics: it.metrics.clone(),
        numbers: Numbers::Own(Arc::new(move || own.report())),
        started: it.started,
    });
    let _ended = axum::serve(listener, pages).with_graceful_shutdown(stop.cancelled_owned()).await;
}

/// The stores that this worker's roles use; the others count as not configured.
fn dependencies(it: &Worker) -> Vec<Dependency> {
    let roles = &it.config.worker_roles;
    let used = |name| match name {
        "redis" => true,
        "clickhouse" => roles.contains(&Role::Shipper),
        _ => needs_state(roles),
    };
    let all = Dependency::all(&it.stores).into_iter();
    all.map(|store| Dependency { ping: store.ping.filter(|_| used(store.name)), ..store }).collect()
}
