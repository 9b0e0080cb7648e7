//! Rows of `check_regions`: the ledger and health of a check in one region, loaded and written back
//! by the thousand. The transaction is the lock.

use std::collections::BTreeSet;

use serde_json::json;
use uuid::Uuid;

use super::list::{id, ids, rows};
use super::{Tx, error, unreadable};
use crate::models::check_region::CheckRegion;
use crate::models::health::State;
use crate::models::ids::{CheckId, Region};
use crate::models::schedule::Reach;
use crate::ports::StoreResult;
use crate::stores::sql::rows::{
    RegionRow, narrow, read_all, recovery, region_columns, small, trail_text,
};

pub(super) async fn insert(tx: &mut Tx, regions: &[CheckRegion]) -> StoreResult<()> {
    for row in regions {
        sqlx::query(
            "-- check_regions.insert
             INSERT INTO check_regions
                 (check_id, region, project_id, version, interval_ms, timeout_ms,
                  threshold, alert_window, recovery, next_slot)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )
        .bind(row.check_id.0)
        .bind(row.region.as_str())
        .bind(row.project_id.0)
        .bind(row.version)
        .bind(narrow(row.schedule.interval_ms()))
        .bind(narrow(row.timeout_ms.into()))
        .bind(small(row.thresholds.failing))
        .bind(row.thresholds.window.map(small))
        .bind(recovery(row.thresholds))
        .bind(row.ledger.next.map(|slot| slot.0))
        .execute(&mut **tx)
        .await
        .map_err(error)?;
    }
    Ok(())
}

pub(super) async fn reconfigure(tx: &mut Tx, like: &CheckRegion) -> StoreResult<()> {
    sqlx::query(
        "-- check_regions.reconfigure
         UPDATE check_regions SET version = ?2, interval_ms = ?3, timeout_ms = ?4,
             threshold = ?5, alert_window = ?6, recovery = ?7
         WHERE check_id = ?1",
    )
    .bind(like.check_id.0)
    .bind(like.version)
    .bind(narrow(like.schedule.interval_ms()))
    .bind(narrow(like.timeout_ms.into()))
    .bind(small(like.thresholds.failing))
    .bind(like.thresholds.window.map(small))
    .bind(recovery(like.thresholds))
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

pub(super) async fn lock_due(
    tx: &mut Tx,
    reach: Reach,
    limit: u32,
) -> StoreResult<Vec<CheckRegion>> {
    let rows: Vec<RegionRow> = sqlx::query_as(concat!(
        "-- check_regions.lock_due
         SELECT ",
        region_columns!(),
        " FROM check_regions
         WHERE next_slot <= ?2 AND (out_until IS NULL OR out_until <= ?1)
         ORDER BY next_slot LIMIT ?3"
    ))
    .bind(reach.now.0)
    .bind(reach.until.0)
    .bind(limit)
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    read_all(rows).map_err(unreadable)
}

pub(super) async fn lock(
    tx: &mut Tx,
    wanted: &BTreeSet<(CheckId, &str)>,
) -> StoreResult<Vec<CheckRegion>> {
    let rows: Vec<RegionRow> = sqlx::query_as(concat!(
        "-- check_regions.lock
         SELECT ",
        region_columns!(),
        " FROM jsonb_each(?1) AS w CROSS JOIN check_regions r
         ON r.check_id = unhex(w.value ->> 0) AND r.region = w.value ->> 1"
    ))
    .bind(rows(wanted, |(check, region)| [id(check.0), json!(region)]))
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    read_all(rows).map_err(unreadable)
}

pub(super) async fn lock_of(tx: &mut Tx, check: CheckId) -> StoreResult<Vec<CheckRegion>> {
    let rows: Vec<RegionRow> = sqlx::query_as(concat!(
        "-- check_regions.lock_of
         SELECT ",
        region_columns!(),
        " FROM check_regions WHERE check_id = ?1 ORDER BY region"
    ))
    .bind(check.0)
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    read_all(rows).map_err(unreadable)
}

pub(super) async fn save(tx: &mut Tx, regions: &[CheckRegion]) -> StoreResult<()> {
    if regions.is_empty() {
        return Ok(());
    }
    let list = rows(regions, |row| {
        [
            id(row.check_id.0),
            json!(row.region.as_str()),
            json!(row.ledger.next.map(|slot| slot.0)),
            json!(row.ledger.outstanding.map(|it| it.slot.0)),
            json!(row.ledger.outstanding.map(|it| it.until.0)),
            json!(row.ledger.last.map(|slot| slot.0)),
            json!(row.health.state.as_str()),
            json!(row.health.failures),
            json!(row.health.failing_since.map(|slot| slot.0)),
            json!(trail_text(&row.health.trail)),
            json!(row.marks.stored()),
        ]
    });
    let done = sqlx::query(
        "-- check_regions.save
         UPDATE check_regions AS r SET
             next_slot = n.value ->> 2, out_slot = n.value ->> 3, out_until = n.value ->> 4,
             last_slot = n.value ->> 5, state = n.value ->> 6, failures = n.value ->> 7,
             failing_since = n.value ->> 8, trail = n.value ->> 9, traits = n.value ->> 10
         FROM jsonb_each(?1) AS n
         WHERE r.check_id = unhex(n.value ->> 0) AND r.region = n.value ->> 1",
    )
    .bind(list)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    if done.rows_affected() != regions.len() as u64 {
        return Err(unreadable("fewer rows to write than were read"));
    }
    Ok(())
}

pub(super) async fn delete(tx: &mut Tx, check: CheckId, regions: &[&str]) -> StoreResult<()> {
    sqlx::query(
        "-- check_regions.delete
         DELETE FROM check_regions WHERE check_id = ?1 AND region IN (SELECT value FROM jsonb_each(?2))",
    )
    .bind(check.0)
    .bind(json!(regions).to_string())
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

pub(super) async fn states(
    tx: &mut Tx,
    checks: &[CheckId],
) -> StoreResult<Vec<(CheckId, Region, State)>> {
    let rows: Vec<(Uuid, String, String)> = sqlx::query_as(
        "-- check_regions.states
         SELECT check_id, region, state FROM check_regions
         WHERE check_id IN (SELECT unhex(value) FROM jsonb_each(?1))",
    )
    .bind(ids(checks.iter().map(|check| check.0)))
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    let known = |(check, region, state): (Uuid, String, String)| {
        Some((CheckId(check), Region::parse(&region)?, State::parse(&state)?))
    };
    Ok(rows.into_iter().filter_map(known).collect())
}
