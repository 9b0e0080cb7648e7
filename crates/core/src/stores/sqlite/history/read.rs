//! What can be asked of history.

use std::net::IpAddr;

use sqlx::FromRow;

use super::append::EVIDENCE_FOLLOWS;
use super::error;
use super::sums::SumRow;
use crate::models::ids::{CheckId, ProjectId};
use crate::models::run::Run;
use crate::models::schedule::Slot;
use crate::ports::history::{Metrics, MetricsOf, RunsOf};
use crate::ports::{Page, StoreResult};
use crate::stores::history_row::HistoryRow;
use crate::stores::sqlite::database::Database;
use crate::stores::sums::{Resolution, fold};

/// The columns of a [`RunRow`], of `series s` and `runs r`.
macro_rules! run_columns {
    () => {
        "s.region, r.slot, r.slots, r.outcome, r.reason, r.attempt, r.started_after_ms, r.status_code,
         r.dns_us, r.connect_us, r.tls_us, r.first_byte_us, r.total_us, r.address, r.error"
    };
}
pub(super) use run_columns;

/// Of each region no more is read than the page could need: back to the slot that is the last one
/// when all come from there (`?5`), or to the first when there are fewer. A cursor's own slot belongs
/// to the regions that sort before it.
const RUNS: &str = concat!(
    "-- history.runs
    SELECT ",
    run_columns!(),
    "
    FROM series s CROSS JOIN runs r ON r.series = s.id
    WHERE s.project_id = ?1 AND s.check_id = ?2
      AND r.slot <= ?3 - (s.region >= ?4)
      AND r.slot >= coalesce((SELECT slot FROM runs WHERE series = s.id AND slot <= ?3 - (s.region >= ?4)
                              ORDER BY slot DESC LIMIT 1 OFFSET ?5), -9223372036854775807)
    ORDER BY r.slot DESC, s.region DESC LIMIT ?6 OFFSET ?7"
);

pub(super) async fn runs(
    database: &Database,
    of: RunsOf,
    page: Page<(Slot, String)>,
) -> StoreResult<Vec<Run>> {
    let (slot, region) = page.after.unwrap_or((Slot(i64::MAX), String::new()));
    let (limit, offset) = (i64::from(page.limit), i64::from(page.offset));
    let rows: Vec<RunRow> = sqlx::query_as(RUNS)
        .bind(of.project.0)
        .bind(of.check.0)
        .bind(slot.0)
        .bind(region)
        .bind((limit + offset - 1).max(0))
        .bind(limit)
        .bind(offset)
        .fetch_all(database.readers())
        .await
        .map_err(error)?;
    Ok(rows.into_iter().filter_map(|row| row.of(of.project, of.check).into_run()).collect())
}

const METRICS: &str = "-- history.metrics
    SELECT m.bucket, m.ok, m.failed, m.inconclusive, m.missed, m.latency_us_sum, m.latency_count, m.histogram
    FROM series s CROSS JOIN run_metrics m ON m.series = s.id
    WHERE s.project_id = ?1 AND s.check_id = ?2
      AND m.resolution_s = ?3 AND m.bucket >= ?4 AND m.bucket < ?5";

pub(super) async fn metrics(database: &Database, of: MetricsOf) -> StoreResult<Metrics> {
    let rows: Vec<SumRow> = sqlx::query_as(METRICS)
        .bind(of.project.0)
        .bind(of.check.0)
        .bind(Resolution::for_buckets_of(of.bucket_seconds).seconds)
        .bind(of.from.timestamp_millis())
        .bind(of.until.timestamp_millis())
        .fetch_all(database.readers())
        .await
        .map_err(error)?;
    Ok(fold(rows.into_iter().map(SumRow::into), of.bucket_seconds))
}

#[derive(FromRow)]
pub(super) struct RunRow {
    region: String,
    slot: i64,
    slots: u32,
    outcome: Option<String>,
    reason: Option<String>,
    attempt: u32,
    started_after_ms: i64,
    status_code: u16,
    dns_us: u32,
    connect_us: u32,
    tls_us: u32,
    first_byte_us: u32,
    total_us: u32,
    address: Option<Vec<u8>>,
    error: Option<String>,
}

impl RunRow {
    pub(super) fn of(self, project: ProjectId, check: CheckId) -> HistoryRow<'static> {
        let slot = Slot(self.slot);
        let told = self.error.unwrap_or_default();
        let (error, evidence) = told.split_once(EVIDENCE_FOLLOWS).unwrap_or((&told, ""));
        HistoryRow {
            project_id: project.0,
            check_id: check.0,
            region: self.region.into(),
            slot: slot.time(),
            slots: self.slots,
            outcome: self.outcome.map_or("ok".into(), Into::into),
            reason: self.reason.unwrap_or_default().into(),
            attempt: self.attempt,
            started_at: slot.plus(self.started_after_ms).time(),
            status_code: self.status_code,
            dns_us: self.dns_us,
            connect_us: self.connect_us,
            tls_us: self.tls_us,
            first_byte_us: self.first_byte_us,
            total_us: self.total_us,
            address: self.address.as_deref().and_then(address).unwrap_or_default().into(),
            error: error.to_owned().into(),
            evidence: evidence.to_owned().into(),
        }
    }
}

fn address(bytes: &[u8]) -> Option<String> {
    let v4 = || Some(IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?));
    let v6 = || Some(IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?));
    v4().or_else(v6).map(|address| address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::sqlite::history::tests::a_history;

    #[tokio::test]
    async fn what_is_asked_for_is_sought_and_never_scanned() {
        let (_folder, history) = a_history().await;

        for asked in [RUNS, METRICS] {
            let plan = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {asked}"));
            let steps: Vec<(i64, i64, i64, String)> =
                sqlx::query_as(plan).fetch_all(history.database.readers()).await.unwrap();
            let steps: Vec<String> = steps.into_iter().map(|step| step.3).collect();

            assert!(steps.iter().all(|step| !step.contains("SCAN")), "{steps:#?}");
            let bounded = |step: &&String| {
                step.contains("slot>? AND slot<?") || step.contains("bucket>? AND bucket<?")
            };
            assert_eq!(steps.iter().filter(bounded).count(), 1, "{steps:#?}");
        }
    }
}
