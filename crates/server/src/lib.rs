//! Pulse's server: the API, and beside it the scheduler, the waiting for pings and the following up of incidents.
//!
//! Any number of servers may run; none leads. All state is in the stores.

pub mod api;
pub mod door;
pub mod follow_ups;
pub mod heartbeats;
pub mod live;
pub mod resealing;
pub mod scheduler;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use pulse_core::crash::{Point, crash_point};
use pulse_core::metrics::Metrics;
use pulse_core::models::installation::LinkKey;
use pulse_core::ports::BoxError;
use pulse_core::runtime::events;
use pulse_core::runtime::listen;
use pulse_core::runtime::ops::{self, Dependency, Numbers, Ops};
use pulse_core::runtime::parts::Parts;
use pulse_core::runtime::process::Context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

use follow_ups::FollowUps;
use heartbeats::Heartbeats;
use live::{Live, LiveOptions};
use resealing::Resealing;
use scheduler::Scheduler;

const TIME: Duration = Duration::from_secs(1);
const UPKEEP: Duration = Duration::from_mins(1);

/// Starts a server in a process of its own.
///
/// # Errors
/// When the address is taken or may not be used.
pub async fn start(context: &Context) -> Result<Parts, BoxError> {
    let listener = listen(SocketAddr::new(context.config.host, context.config.port)).await?;
    info!(address = %listener.local_addr()?, version = env!("CARGO_PKG_VERSION"), "server is listening");
    let mut parts = Parts::default();
    start_scheduler(context, &mut parts);
    serve(context, "server", listener, &mut parts);
    Ok(parts)
}

/// Adds the scheduler, which brings the schema first.
pub fn start_scheduler(context: &Context, parts: &mut Parts) {
    parts.add("scheduler", |stop| schedule(context.clone(), stop));
    parts.add("history", |stop| prepare_history(context.clone(), stop));
}

/// Adds the API with its live events and the operators' pages of a process called `role`, on `listener`;
/// and last what publishes the events of the process.
pub fn serve(context: &Context, role: &'static str, listener: TcpListener, parts: &mut Parts) {
    let options = LiveOptions {
        clients: live::most_clients(context.config.event_clients),
        origins: context.config.allowed_origins.clone(),
        ..LiveOptions::default()
    };
    let live = Live::new(context.stores.events.clone(), options, context.metrics.clone());
    let requests = TaskTracker::new();
    let app = app(context, role, live.clone(), requests.clone());
    let (loops, reader) = (context.loops.clone(), live.clone());
    parts.add("live", |stop| async move { reader.run(&loops, &stop).await });
    parts.add("api", |stop| door::serve(listener, app, live, requests, stop));
    events::start(context, parts);
}

/// The API and the operators' pages of a process called `role`; `requests` knows those under way.
fn app(context: &Context, role: &'static str, live: Live, requests: TaskTracker) -> Router {
    let Context { config, stores, metrics, loops, lost_pings, started, .. } = context.clone();
    let api = api::Api {
        checks: stores.checks.clone(),
        heartbeats: stores.heartbeats.clone(),
        secrets: stores.secrets.clone(),
        settings: stores.settings.clone(),
        secret_keys: config.secret_keys,
        incidents: stores.incidents.clone(),
        labels: stores.labels.clone(),
        alerts: stores.alerts.clone(),
        changes: stores.changes.clone(),
        history: stores.history.clone(),
        clock: stores.clock.clone(),
        dispatch: stores.dispatch.clone(),
        dry_runs: stores.dry_runs.clone(),
        state: stores.state_ping.clone(),
        metrics: metrics.clone(),
        lost_pings,
        live,
    };
    let counted = (metrics.clone(), requests);
    let pages = ops::router(Ops {
        role,
        region: None,
        dependencies: Dependency::all(&stores),
        loops,
        metrics,
        numbers: Numbers::Fleet(stores.presence),
        started,
    });
    api::router(api, pages).layer(from_fn_with_state(counted, count))
}

/// Counts requests by class of status, and measures them.
async fn count(
    State((metrics, requests)): State<(Metrics, TaskTracker)>,
    request: Request,
    next: Next,
) -> Response {
    let _under_way = requests.token();
    let timer = metrics.http_seconds.start_timer();
    let response = next.run(request).await;
    timer.observe_duration();
    let class = match response.status().as_u16() {
        0..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        500.. => "5xx",
    };
    metrics.http_requests.with_label_values(&[class]).inc();
    response
}

/// The scheduler's loops, once the schema is there.
async fn schedule(it: Context, stop: CancellationToken) {
    let migrated = it.loops.until_done("migrations", &stop, &it.metrics, || async {
        it.stores.upkeep.migrate().await?;
        crash_point(Point::StartMigrated);
        let key = LinkKey::of(rand::random());
        it.stores.upkeep.introduce(&key, it.config.public_url.as_deref()).await?;
        it.stores.upkeep.sync_clock().await
    });
    if !migrated.await {
        return;
    }
    let scheduler = Scheduler::new(&it.stores, it.metrics.clone());
    let heartbeats = Heartbeats::new(&it.stores, it.metrics.clone(), it.lost_pings.clone());
    let follow_ups = FollowUps::new(&it.stores, it.metrics.clone());
    let resealing = Resealing::new(&it.stores, it.config.secret_keys.clone());
    let tick = it.config.scheduler_tick;
    tokio::join!(
        it.loops.run("scheduler", tick, &stop, &it.metrics, || scheduler.claim()),
        it.loops.run("clock", TIME, &stop, &it.metrics, || scheduler.watch_the_time()),
        it.loops.run("heartbeats", TIME, &stop, &it.metrics, || heartbeats.round()),
        it.loops.run("follow_ups", TIME, &stop, &it.metrics, || follow_ups.round()),
        it.loops.run("forgetting", UPKEEP, &stop, &it.metrics, || scheduler.forget()),
        async {
            if resealing.is_needed() {
                let round = || resealing.round();
                it.loops.run("resealing", UPKEEP, &stop, &it.metrics, round).await;
            }
        },
    );
}

/// Makes the history fit for reading. It may be away: neither the schedule nor readiness waits for it.
async fn prepare_history(it: Context, stop: CancellationToken) {
    let prepare = || it.stores.history.prepare();
    let loops = it.loops.aside();
    let prepared = async {
        loops.until_done("history", &stop, &it.metrics, prepare).await;
        stop.cancelled().await;
    };
    // A history that does not answer holds up no stop: what is under way there is repeated next time.
    tokio::select! {
        () = prepared => {}
        () = stop.cancelled() => {}
    }
}
