//! Pulse's server: the API, and the scheduler beside it.
//!
//! Any number of servers may run; none leads. All state is in the stores.

pub mod api;
pub mod scheduler;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use pulse_core::metrics::Metrics;
use pulse_core::ports::BoxError;
use pulse_core::runtime::config::Config;
use pulse_core::runtime::listen;
use pulse_core::runtime::loops::Loops;
use pulse_core::runtime::ops::{self, Dependency, Numbers, Ops, Started};
use pulse_core::runtime::process::Process;
use pulse_core::stores::Stores;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;

use scheduler::Scheduler;

const TIME: Duration = Duration::from_secs(1);
const UPKEEP: Duration = Duration::from_mins(1);

/// Serves and schedules until asked to stop.
///
/// # Errors
/// When the address is taken or may not be used.
pub async fn run(process: Process) -> Result<ExitCode, BoxError> {
    let Process { config, stores, lifecycle, .. } = process;
    let address = SocketAddr::new(config.host, config.port);
    let listener = listen(address).await?;
    info!(address = %listener.local_addr()?, version = env!("CARGO_PKG_VERSION"), "server is listening");

    let (metrics, loops, stop) = (Metrics::new(), Loops::default(), CancellationToken::new());
    let mut roles = JoinSet::new();
    roles.spawn(schedule(
        config.clone(),
        stores.clone(),
        metrics.clone(),
        loops.clone(),
        stop.clone(),
    ));
    roles.spawn(prepare_history(stores.clone(), metrics.clone(), loops.clone(), stop.clone()));
    let stopped = stop.clone().cancelled_owned();
    let app = app(&stores, metrics, loops);
    roles.spawn(async move {
        let _ended = axum::serve(listener, app).with_graceful_shutdown(stopped).await;
    });

    let roles = tokio::sync::Mutex::new(roles);
    let failure = async {
        match roles.lock().await.join_next().await {
            Some(Err(panic)) => format!("a role panicked: {panic}"),
            _ => "a role ended".to_owned(),
        }
    };
    let drain = async {
        stop.cancel();
        let mut roles = roles.lock().await;
        while roles.join_next().await.is_some() {}
    };
    Ok(lifecycle.run(failure, drain, config.shutdown_timeout).await)
}

/// The API and the operators' pages.
pub fn app(stores: &Stores, metrics: Metrics, loops: Loops) -> Router {
    let api = api::Api {
        checks: stores.checks.clone(),
        alerts: stores.alerts.clone(),
        history: stores.history.clone(),
        clock: stores.clock.clone(),
    };
    let counted = metrics.clone();
    let pages = ops::router(Ops {
        role: "server",
        region: None,
        dependencies: vec![
            Dependency { name: "postgres", ping: Some(stores.state_ping.clone()), vital: true },
            Dependency { name: "redis", ping: Some(stores.queue_ping.clone()), vital: true },
            Dependency { name: "clickhouse", ping: stores.history_ping.clone(), vital: false },
        ],
        loops,
        metrics,
        numbers: Numbers::Fleet(stores.presence.clone()),
        started: Started::now(),
    });
    api::router(api, pages).layer(from_fn_with_state(counted, count))
}

/// Counts requests by class of status, and measures them.
async fn count(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
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
async fn schedule(
    config: Config,
    stores: Stores,
    metrics: Metrics,
    loops: Loops,
    stop: CancellationToken,
) {
    let migrated = loops.until_done("migrations", &stop, &metrics, || async {
        stores.upkeep.migrate().await?;
        stores.upkeep.sync_clock().await
    });
    if !migrated.await {
        return;
    }
    let scheduler = Scheduler::new(&stores, metrics.clone());
    tokio::join!(
        loops.run("scheduler", config.scheduler_tick, &stop, &metrics, || { scheduler.claim() }),
        loops.run("clock", TIME, &stop, &metrics, || scheduler.watch_the_time()),
        loops.run("forgetting", UPKEEP, &stop, &metrics, || scheduler.forget()),
    );
}

/// Makes the history fit for reading. It may be away: neither the schedule nor readiness waits for it.
async fn prepare_history(stores: Stores, metrics: Metrics, loops: Loops, stop: CancellationToken) {
    loops.aside().until_done("history", &stop, &metrics, || stores.history.prepare()).await;
    stop.cancelled().await;
}
