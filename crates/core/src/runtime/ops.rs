//! The pages for operators, the same on every process: `/health`, `/ready`, `/metrics`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::future::join_all;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::loops::Loops;
use super::telemetry::chain;
use crate::metrics::Metrics;
use crate::ports::Ping;
use crate::ports::presence::{Presence, WorkerReport};
use crate::stores::Stores;

/// A store does not get longer than this to answer for its health.
const PING: Duration = Duration::from_secs(2);

/// A store a process depends on.
#[derive(Clone)]
pub struct Dependency {
    /// `postgres`, `sqlite`, `redis` or `clickhouse`.
    pub name: &'static str,
    /// `None` when it is not configured.
    pub ping: Option<Arc<dyn Ping>>,
    /// Whether the process is of no use without it.
    pub vital: bool,
}

impl Dependency {
    /// The stores of a process. The servers are always listed; a file is where it is used.
    #[must_use]
    pub fn all(stores: &Stores) -> Vec<Self> {
        let state = |name| (stores.state_name == name).then(|| stores.state_ping.clone());
        let sqlite =
            state("sqlite").map(|ping| Self { name: "sqlite", ping: Some(ping), vital: true });
        let servers = [
            Self { name: "postgres", ping: state("postgres"), vital: true },
            Self { name: "redis", ping: stores.queue_ping.clone(), vital: true },
            Self { name: "clickhouse", ping: stores.history_ping.clone(), vital: false },
        ];
        sqlite.into_iter().chain(servers).collect()
    }
}

/// Where the numbers in `/metrics` come from.
#[derive(Clone)]
pub enum Numbers {
    /// This worker's own.
    Own(Arc<dyn Fn() -> WorkerReport + Send + Sync>),
    /// Summed over the live workers.
    Fleet(Arc<dyn Presence>),
}

/// What the pages show.
#[derive(Clone)]
pub struct Ops {
    /// `pulse`, `server` or `worker`.
    pub role: &'static str,
    /// Where this process stands, for a worker.
    pub region: Option<String>,
    /// Its stores.
    pub dependencies: Vec<Dependency>,
    /// Its loops.
    pub loops: Loops,
    /// Its metrics.
    pub metrics: Metrics,
    /// Its numbers.
    pub numbers: Numbers,
    /// When it started.
    pub started: Started,
}

/// When a process started, by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Started {
    /// For durations.
    pub instant: Instant,
    /// For show.
    pub at: DateTime<Utc>,
}

impl Started {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        Self { instant: Instant::now(), at: Utc::now() }
    }
}

/// Routes of the pages.
pub fn router(ops: Ops) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Arc::new(ops))
}

struct Answer {
    name: &'static str,
    vital: bool,
    state: &'static str,
    latency_ms: Option<f64>,
    error: Option<String>,
}

impl Answer {
    fn json(&self) -> Value {
        json!({ "state": self.state, "latency_ms": self.latency_ms, "error": self.error })
    }

    fn is_down(&self) -> bool {
        self.state == "down"
    }
}

impl Ops {
    async fn ask_all(&self) -> Vec<Answer> {
        join_all(self.dependencies.iter().map(Dependency::ask)).await
    }

    fn loops_json(&self) -> Vec<Value> {
        let loops = self.loops.states().into_iter();
        loops
            .map(|it| json!({ "name": it.name, "last_tick_seconds_ago": it.last_good.as_secs_f64(), "stale": it.stale }))
            .collect()
    }
}

impl Dependency {
    async fn ask(&self) -> Answer {
        let (state, latency_ms, error) = match &self.ping {
            None => ("not_configured", None, None),
            Some(ping) => match answer_of(Arc::clone(ping)).await {
                Ok(took) => ("up", Some(took.as_secs_f64() * 1000.0), None),
                Err(reason) => ("down", None, Some(reason)),
            },
        };
        Answer { name: self.name, vital: self.vital, state, latency_ms, error }
    }
}

/// Asked in a task of its own, so that a slow answer is not waited for and yet never cut off in
/// mid-conversation.
async fn answer_of(ping: Arc<dyn Ping>) -> Result<Duration, String> {
    let asked = tokio::spawn(async move { ping.ping().await });
    match timeout(PING, asked).await {
        Ok(Ok(answer)) => answer.map_err(|error| chain(&error)),
        Ok(Err(panic)) => Err(panic.to_string()),
        Err(_elapsed) => Err(format!("no answer within {} s", PING.as_secs())),
    }
}

async fn health(State(ops): State<Arc<Ops>>) -> Response {
    let answers = ops.ask_all().await;
    let stale = ops.loops.states().iter().any(|it| it.stale);
    let status = if answers.iter().any(|it| it.vital && it.is_down()) {
        "down"
    } else if stale || answers.iter().any(Answer::is_down) {
        "degraded"
    } else {
        "ok"
    };
    let mut body = json!({
        "status": status,
        "role": ops.role,
        "version": env!("CARGO_PKG_VERSION"),
        "started_at": ops.started.at.to_rfc3339_opts(SecondsFormat::Millis, true),
        "uptime_seconds": ops.started.instant.elapsed().as_secs(),
        "loops": ops.loops_json(),
    });
    for answer in &answers {
        body[answer.name] = answer.json();
    }
    if let Some(region) = &ops.region {
        body["region"] = json!(region);
    }
    let code = if status == "down" { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (code, Json(body)).into_response()
}

async fn ready(State(ops): State<Arc<Ops>>) -> Response {
    let answers = ops.ask_all().await;
    let stores = answers.iter().filter(|it| it.vital && it.is_down());
    let mut reasons: Vec<String> = stores
        .map(|it| format!("{}: {}", it.name, it.error.as_deref().unwrap_or("down")))
        .collect();
    let stale = ops.loops.states().into_iter().filter(|it| it.stale && it.vital);
    reasons.extend(stale.map(|it| {
        format!("{} has not had a good round for {} s", it.name, it.last_good.as_secs())
    }));
    let code = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(json!({ "ready": reasons.is_empty(), "reasons": reasons }))).into_response()
}

async fn metrics(State(ops): State<Arc<Ops>>, headers: HeaderMap) -> Response {
    ops.metrics.uptime_seconds.set(ops.started.instant.elapsed().as_secs_f64());
    for it in ops.loops.states() {
        ops.metrics.loop_age_seconds.with_label_values(&[it.name]).set(it.last_good.as_secs_f64());
    }
    if wants_text(&headers) {
        let content_type = "text/plain; version=0.0.4; charset=utf-8";
        return ([(header::CONTENT_TYPE, content_type)], ops.metrics.text()).into_response();
    }
    let reports = match &ops.numbers {
        Numbers::Own(report) => vec![report()],
        Numbers::Fleet(presence) => match presence.workers().await {
            Ok(reports) => reports,
            Err(error) => {
                let body = json!({ "error": chain(&error), "process": ops.metrics.samples() });
                return (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response();
            }
        },
    };
    Json(sum_up(&reports, &ops.metrics.samples())).into_response()
}

/// Whether the scraper asks for Prometheus' text or OpenMetrics, and not for JSON first.
fn wants_text(headers: &HeaderMap) -> bool {
    let accept =
        headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut kinds = accept.split(',').map(|kind| kind.split(';').next().unwrap_or_default().trim());
    kinds
        .find_map(|kind| match kind {
            "application/openmetrics-text" | "text/plain" | "text/*" => Some(true),
            "application/json" => Some(false),
            _ => None,
        })
        .unwrap_or(false)
}

fn sum_up(reports: &[WorkerReport], process: &Map<String, Value>) -> Value {
    let sum = |of: fn(&WorkerReport) -> u64| reports.iter().map(of).sum::<u64>();
    let executed = sum(|it| it.checks_executed_total);
    let latency: f64 = reports.iter().map(|it| it.latency_ms_sum).sum();
    #[expect(clippy::cast_precision_loss, reason = "a count of runs stays far below 2^52")]
    let average = if executed == 0 { 0.0 } else { latency / executed as f64 };
    // Workers of one region see the same queue.
    let mut depths: std::collections::BTreeMap<&str, u64> = std::collections::BTreeMap::new();
    for it in reports {
        let depth = depths.entry(&it.region).or_default();
        *depth = (*depth).max(it.queue_depth);
    }
    json!({
        "checks_executed_total": executed,
        "checks_failed_total": sum(|it| it.checks_failed_total),
        "alerts_sent_total": sum(|it| it.alerts_sent_total),
        "avg_latency_ms": average,
        "worker": {
            "count": reports.len(),
            "active_jobs": sum(|it| it.active_jobs),
            "queue_depth": depths.values().sum::<u64>(),
            "uptime": reports.iter().map(|it| it.uptime_seconds).max().unwrap_or_default(),
        },
        "workers": reports,
        "process": process,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(value: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, value.parse().unwrap());
        wants_text(&headers)
    }

    #[test]
    fn scrapers_get_text_and_people_get_json() {
        assert!(accept(
            "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
        ));
        assert!(accept("text/plain"));
        assert!(!accept("*/*"));
        assert!(!accept("application/json"));
        assert!(!wants_text(&HeaderMap::new()));
    }

    #[test]
    fn workers_of_one_region_share_a_queue() {
        let report = |region: &str, executed: u32, depth| WorkerReport {
            region: region.into(),
            checks_executed_total: executed.into(),
            queue_depth: depth,
            latency_ms_sum: 10.0 * f64::from(executed),
            ..WorkerReport::default()
        };

        let body = sum_up(&[report("a", 1, 5), report("a", 2, 6), report("b", 1, 1)], &Map::new());

        assert_eq!(body["checks_executed_total"], 4);
        assert_eq!(body["worker"]["queue_depth"], 7);
        assert_eq!(body["avg_latency_ms"], 10.0);
    }
}
