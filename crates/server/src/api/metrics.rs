//! A check's figures over a window, from the roll-ups.

use axum::Json;
use axum::extract::State;
use pulse_core::models::schedule::Slot;
use pulse_core::ports::history::{Latency, MetricsOf, Summary};
use serde::Serialize;
use utoipa::openapi::Object;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::check_shape::words;
use super::extract::{FromQuery, OfCheck, Params, Query};
use super::problem::{ApiError, OnCheck};
use super::time::Time;
use super::{Api, PROJECT};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(get_metrics))
}

/// A window, and the width of the buckets it is shown in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    word: &'static str,
    seconds: u32,
    bucket_seconds: u32,
}

const DAY: u32 = 24 * 3600;

/// Buckets are whole minutes, hours or days: what is summed up already.
const WINDOWS: [Window; 4] = [
    Window { word: "1h", seconds: 3600, bucket_seconds: 60 },
    Window { word: "24h", seconds: DAY, bucket_seconds: 3600 },
    Window { word: "7d", seconds: 7 * DAY, bucket_seconds: 3600 },
    Window { word: "30d", seconds: 30 * DAY, bucket_seconds: DAY },
];

impl Window {
    /// From when until when: whole buckets, the last of them the one `now` is in.
    fn span(self, now: Slot) -> (Slot, Slot) {
        let width = i64::from(self.bucket_seconds) * 1000;
        let until = now.0.div_euclid(width).saturating_add(1).saturating_mul(width);
        (Slot(until).plus(i64::from(self.seconds) * -1000), Slot(until))
    }
}

fn windows() -> Object {
    let meaning = "How far to look back; `24h` when left out.";
    words(meaning, WINDOWS.iter().map(|window| window.word))
}

/// Which window.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct MetricsQuery {
    /// How far to look back; `24h` when left out.
    #[param(schema_with = windows, required = false)]
    window: Window,
}

impl FromQuery for MetricsQuery {
    fn read(params: &mut Params) -> Self {
        let window = params.one("window", |word| {
            let known = WINDOWS.into_iter().find(|window| window.word == word);
            known.ok_or_else(|| "must be one of 1h, 24h, 7d, 30d".to_owned())
        });
        Self { window: window.unwrap_or(WINDOWS[1]) }
    }
}

/// The figures of a check over a window.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Metrics)]
struct MetricsBody {
    /// The window that was asked for.
    #[schema(schema_with = windows)]
    window: &'static str,
    /// Where the first bucket begins.
    from: Time,
    /// Where the last bucket, the one under way, ends.
    until: Time,
    /// The width of a bucket.
    bucket_seconds: u32,
    #[serde(flatten)]
    total: Figures,
    /// The buckets, oldest first; those in which no slot ended are left out.
    buckets: Vec<Bucket>,
}

/// A part of the window.
#[derive(Debug, Serialize, ToSchema)]
struct Bucket {
    /// Where it begins.
    start: Time,
    #[serde(flatten)]
    figures: Figures,
}

/// Counts of slots, and what follows from them.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
struct Figures {
    /// Runs that told something: ok or failed.
    runs: u64,
    /// Those that failed.
    failures: u64,
    /// Runs that could not tell.
    inconclusive: u64,
    /// Slots at which nobody looked.
    missed: u64,
    /// The share of `runs` that were ok, 0 to 1; `null` when there were none.
    #[schema(minimum = 0, maximum = 1, example = 0.9986)]
    uptime: Option<f64>,
    /// The share of all slots that `runs` are, 0 to 1; `null` when there were none.
    #[schema(minimum = 0, maximum = 1, example = 1.0)]
    coverage: Option<f64>,
    /// Of runs that got an answer; `null` when none did.
    latency_ms: Option<LatencyBody>,
}

/// Latencies in milliseconds; percentiles to within a few per cent.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Latency)]
struct LatencyBody {
    /// The mean.
    mean: f64,
    /// Half were faster.
    p50: f64,
    /// 95 % were faster.
    p95: f64,
    /// 99 % were faster.
    p99: f64,
}

#[expect(clippy::cast_precision_loss, reason = "counts of slots stay far below 2^53")]
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// To the microsecond: further digits would be noise.
fn rounded(ms: f64) -> f64 {
    (ms * 1000.0).round() / 1000.0
}

impl From<Summary> for Figures {
    fn from(sums: Summary) -> Self {
        let runs = sums.ok + sums.failed;
        Self {
            runs,
            failures: sums.failed,
            inconclusive: sums.inconclusive,
            missed: sums.missed,
            uptime: share(sums.ok, runs),
            coverage: share(runs, runs + sums.inconclusive + sums.missed),
            latency_ms: sums.latency.map(LatencyBody::from),
        }
    }
}

impl From<Latency> for LatencyBody {
    fn from(latency: Latency) -> Self {
        Self {
            mean: rounded(latency.mean_ms),
            p50: rounded(latency.p50_ms),
            p95: rounded(latency.p95_ms),
            p99: rounded(latency.p99_ms),
        }
    }
}

/// Read the figures of a check
///
/// Uptime counts only slots that were observed; coverage says how many were.
#[utoipa::path(
    get, path = "/checks/{id}/metrics", tag = "runs", params(OfCheck, MetricsQuery),
    responses((status = 200, description = "The figures.", body = MetricsBody), OnCheck),
)]
async fn get_metrics(
    State(api): State<Api>,
    OfCheck(id): OfCheck,
    Query(MetricsQuery { window }): Query<MetricsQuery>,
) -> Result<Json<MetricsBody>, ApiError> {
    api.check(id).await?;
    let (from, until) = window.span(api.clock.now());
    let bucket_seconds = window.bucket_seconds;
    let of = MetricsOf {
        project: PROJECT,
        check: id,
        from: from.time(),
        until: until.time(),
        bucket_seconds,
    };
    let metrics = api.history.metrics(of).await?;
    let bucket = |(start, sums): (chrono::DateTime<chrono::Utc>, Summary)| Bucket {
        start: start.into(),
        figures: sums.into(),
    };
    Ok(Json(MetricsBody {
        window: window.word,
        from: from.into(),
        until: until.into(),
        bucket_seconds,
        total: metrics.total.into(),
        buckets: metrics.buckets.into_iter().map(bucket).collect(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_whole_buckets_up_to_the_one_under_way() {
        let now = Slot(10 * 86_400_000 + 5_400_001);

        for window in WINDOWS {
            let (from, until) = window.span(now);
            let width = i64::from(window.bucket_seconds) * 1000;

            assert_eq!(until.0 - from.0, i64::from(window.seconds) * 1000);
            assert_eq!((from.0 % width, until.0 % width), (0, 0));
            assert!(until > now && until.0 - now.0 <= width);
        }
    }

    #[test]
    fn uptime_counts_what_was_observed_and_coverage_says_how_much_that_is() {
        let sums = Summary { ok: 3, failed: 1, inconclusive: 1, missed: 5, latency: None };

        let figures = Figures::from(sums);

        assert_eq!((figures.runs, figures.uptime, figures.coverage), (4, Some(0.75), Some(0.4)));
    }

    #[test]
    fn nothing_observed_is_no_uptime_rather_than_none_up() {
        let missed = Figures::from(Summary { missed: 5, ..Summary::default() });

        assert_eq!((missed.uptime, missed.coverage), (None, Some(0.0)));
        assert_eq!(Figures::from(Summary::default()).coverage, None);
    }
}
